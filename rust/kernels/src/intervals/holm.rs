//! Holm's step-down adjustment of p-values for multiple tests.

use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::memory;
use crate::simd::scalar;
use crate::sorting::sorted;

/// Holm's adjusted p-values (Holm 1979): for the i-th smallest of m, the largest of (m - j) p_(j) over
/// j <= i (counted from 0), at most 1. They control the family-wise error rate under any dependence of the tests.
pub fn holm(p: &[f64], progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
    let mut pace = Pace::new(progress);
    let ranked = memory::collected(p.iter().copied().enumerate())?;
    let ranked = sorted(ranked, |a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)), &mut pace)?;
    let mut adjusted = memory::filled(p.len(), 0.0)?;
    let mut largest = 0.0;
    for (run, first) in ranked.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        scalar(|| {
            for (&(index, p_of), rank) in run.iter().zip(first..) {
                let scaled = (p.len() - rank) as f64 * p_of;
                largest = if scaled > largest { scaled } else { largest };
                adjusted[index] = if largest < 1.0 { largest } else { 1.0 };
            }
        });
        pace.stride(run.len())?;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    fn holm(p: &[f64]) -> Vec<f64> {
        super::holm(p, &mut |_| true).unwrap()
    }

    #[test]
    fn a_worked_example() {
        // Four tests: 0.01 * 4, then the running largest of 0.02 * 3, 0.03 * 2 and 0.5 * 1.
        assert_eq!(holm(&[0.5, 0.03, 0.01, 0.02]), [0.5, 0.06, 0.04, 0.06]);
        assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert!(holm(&[]).is_empty());
    }
}
