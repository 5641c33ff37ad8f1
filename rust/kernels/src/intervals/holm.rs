//! Holm's step-down adjustment.

use crate::memory::{self, NoMemory};
use crate::simd::scalar;

/// Holm's adjusted p-values (Holm 1979): for the i-th smallest of m, the largest of (m - j) p_(j) over
/// j <= i (counted from 0), at most 1. They hold the family-wise error whatever the dependence.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, NoMemory> {
    let mut order = memory::collected(0..p.len())?;
    // A stable sort would allocate.
    order.sort_unstable_by(|&a, &b| p[a].total_cmp(&p[b]).then(a.cmp(&b)));
    scalar(|| {
        let mut adjusted = memory::filled(p.len(), 0.0)?;
        let mut largest = 0.0;
        for (rank, &index) in order.iter().enumerate() {
            let scaled = (p.len() - rank) as f64 * p[index];
            largest = if scaled > largest { scaled } else { largest };
            adjusted[index] = if largest < 1.0 { largest } else { 1.0 };
        }
        Ok(adjusted)
    })
}

#[cfg(test)]
mod tests {
    use super::holm;

    #[test]
    fn a_worked_example() {
        // Four tests: 0.01 * 4, then the running largest of 0.02 * 3, 0.03 * 2 and 0.5 * 1.
        assert_eq!(holm(&[0.5, 0.03, 0.01, 0.02]), Ok(vec![0.5, 0.06, 0.04, 0.06]));
        assert_eq!(holm(&[0.7, 0.9]), Ok(vec![1.0, 1.0]));
        assert_eq!(holm(&[0.2]), Ok(vec![0.2]));
        assert_eq!(holm(&[]), Ok(vec![]));
    }
}
