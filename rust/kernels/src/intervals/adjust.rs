//! The adjustment of p-values of several tests for their number.

use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::memory;
use crate::named;
use crate::simd::scalar;
use crate::sorting::sorted;

named! {
    /// How p-values are adjusted, and which error rate that controls.
    pub enum Adjust: "adjust.method" {
        /// m p: the chance of any false rejection, whatever the dependence.
        Bonferroni = "bonferroni" { title: "Bonferroni", source: "Dunn 1961" },
        /// Steps down from the smallest: the chance of any false rejection, whatever the dependence.
        Holm = "holm" { title: "Holm", source: "Holm 1979" },
        /// Steps up from the largest: the chance of any false rejection, for independent tests.
        Hochberg = "hochberg" { title: "Hochberg", source: "Hochberg 1988" },
        /// Steps up: the expected share of false rejections, for independent tests.
        BenjaminiHochberg = "bh" { title: "Benjamini-Hochberg", source: "Benjamini and Hochberg 1995" },
        /// Steps up: the expected share of false rejections, whatever the dependence.
        BenjaminiYekutieli = "by" { title: "Benjamini-Yekutieli", source: "Benjamini and Yekutieli 2001" },
    }
}

/// The adjusted p-values of m tests. With the i-th smallest p_(i), counted from 1, and c = 1 + 1/2 + ... + 1/m they are
///
/// - Bonferroni: m p_(i);
/// - Holm: the largest of (m - j + 1) p_(j) over j <= i;
/// - Hochberg: the smallest of (m - j + 1) p_(j) over j >= i;
/// - Benjamini and Hochberg: the smallest of m p_(j)/j over j >= i;
/// - Benjamini and Yekutieli: the smallest of c m p_(j)/j over j >= i;
///
/// and at most 1.
pub fn adjust(p: &[f64], method: Adjust, progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
    let mut pace = Pace::new(progress);
    let m = p.len();
    let ranked = memory::collected(p.iter().copied().enumerate())?;
    let mut ranked = sorted(ranked, |a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)), &mut pace)?;
    let up = !matches!(method, Adjust::Bonferroni | Adjust::Holm);
    if up {
        ranked.reverse();
    }
    let all = match method {
        Adjust::BenjaminiYekutieli => harmonic(m, &mut pace)? * m as f64,
        _ => m as f64,
    };
    let mut adjusted = memory::filled(m, 0.0)?;
    let mut reached = if up { 1.0 } else { 0.0 };
    for (run, first) in ranked.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        scalar(|| {
            for (&(index, p_of), step) in run.iter().zip(first..) {
                let scaled = match method {
                    Adjust::Bonferroni => all * p_of,
                    Adjust::Holm => (m - step) as f64 * p_of,
                    Adjust::Hochberg => (step + 1) as f64 * p_of,
                    // The quotient is at least 1, so that no p becomes smaller by rounding.
                    Adjust::BenjaminiHochberg | Adjust::BenjaminiYekutieli => all / (m - step) as f64 * p_of,
                };
                let further = if up { scaled < reached } else { scaled > reached };
                reached = if further { scaled } else { reached };
                adjusted[index] = if reached < 1.0 { reached } else { 1.0 };
            }
        });
        pace.stride(run.len())?;
    }
    Ok(adjusted)
}

/// 1 + 1/2 + ... + 1/m, the smallest terms first.
fn harmonic(m: usize, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
    let mut sum = 0.0;
    for last in (1..=m).rev().step_by(CHUNK) {
        let first = last.saturating_sub(CHUNK - 1).max(1);
        scalar(|| (first..=last).rev().for_each(|i| sum += 1.0 / i as f64));
        pace.stride(last - first + 1)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    fn of(method: Adjust, p: &[f64]) -> Vec<f64> {
        adjust(p, method, &mut |_| true).unwrap()
    }

    #[test]
    fn a_worked_example() {
        let p = [0.5, 0.03, 0.01, 0.02];
        assert_eq!(of(Adjust::Bonferroni, &p), [1.0, 0.12, 0.04, 0.08]);
        // 0.01 * 4, then the running largest of 0.02 * 3, 0.03 * 2 and 0.5 * 1.
        assert_eq!(of(Adjust::Holm, &p), [0.5, 0.06, 0.04, 0.06]);
        // 0.5 * 1, then the running smallest of 0.03 * 2, 0.02 * 3 and 0.01 * 4.
        assert_eq!(of(Adjust::Hochberg, &[0.5, 0.03, 0.01, 0.025]), [0.5, 0.06, 0.04, 0.06]);
        // 4 * 0.03/3 = 0.04 is the smallest of the last three.
        let fdr = of(Adjust::BenjaminiHochberg, &p);
        assert!(fdr[0] == 0.5 && fdr[1..].iter().all(|x| (x - 0.04).abs() < 1e-15), "{fdr:?}");
        let third = 4.0 * (0.25 + 1.0 / 3.0 + 0.5 + 1.0) * 0.03 / 3.0;
        let got = of(Adjust::BenjaminiYekutieli, &p);
        assert_eq!(got[0], 1.0);
        assert!(got[1..].iter().all(|x| (x - third).abs() < 1e-15), "{got:?}");
    }

    #[test]
    fn one_test_stays_as_it_is() {
        for &method in Adjust::ALL {
            assert_eq!(of(method, &[0.2]), [0.2]);
            assert!(of(method, &[]).is_empty());
            assert_eq!(of(method, &[0.7, 1.0])[1], 1.0);
        }
    }

    #[test]
    fn the_harmonic_sum_takes_every_term_once() {
        for m in [1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let sum = harmonic(m, &mut Pace::new(&mut |_| true)).unwrap();
            let n = m as f64;
            let near = crate::math::log(n) + 0.577_215_664_901_532_9 + 0.5 / n - 1.0 / (12.0 * n * n);
            assert!((sum - near).abs() < 1e-2 / (n * n * n) + 1e-12, "{m}");
        }
    }
}
