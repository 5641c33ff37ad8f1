//! A proportion, k successes of n, and its confidence interval.

use super::{Confidence, Interval};
use crate::grid::{Progress, Stopped, fill_rows};
use crate::math::beta;
use crate::named;
use crate::simd::scalar;

named! {
    /// The method by which the interval is computed.
    pub enum Method: "proportion.method" {
        /// The score interval: inverts the normal test of p.
        Wilson = "wilson" { title: "Wilson", source: "Wilson 1927" },
        /// The exact interval: covers at least the level, for every p.
        ClopperPearson = "clopper-pearson" { title: "Clopper-Pearson", source: "Clopper and Pearson 1934" },
        /// Quantiles of Beta(k + 1/2, n - k + 1/2); the lower limit is 0 at k = 0, the upper 1 at k = n.
        Jeffreys = "jeffreys" { title: "Jeffreys", source: "Brown, Cai and DasGupta 2001" },
        /// Wald's formula at (k + z^2/2) of (n + z^2).
        AgrestiCoull = "agresti-coull" { title: "Agresti-Coull", source: "Agresti and Coull 1998" },
        /// p +- z sqrt(p(1-p)/n): covers far too little near 0 and 1, and has no width there.
        Wald = "wald" { title: "Wald", source: "Laplace 1812" },
    }
}

/// A proportion with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportion {
    /// k/n.
    pub value: f64,
    /// sqrt(p(1-p)/(n-1)); where all answers are equal, the width of Wilson's interval divided by 2z.
    pub standard_error: f64,
    /// The interval, inside [0, 1].
    pub interval: Interval,
}

/// The proportion of k successes among n, where `k <= n` and `n >= 1`.
///
/// Every upper limit is computed as one minus the lower limit of the failures, so that counting failures instead gives
/// exactly the mirrored interval.
pub fn proportion(k: u64, n: u64, method: Method, confidence: Confidence) -> Proportion {
    scalar(|| of_counts(k, n, method, confidence))
}

/// The proportions `k[i]` of `n[i]`, written to columns of the value, the standard error, the low and the high limit;
/// stopped by `progress`. `Some(i)`: row i is the first whose counts are no proportion, and the columns are incomplete.
pub fn proportions(
    k: &[i64],
    n: &[i64],
    method: Method,
    confidence: Confidence,
    columns: [&mut [f64]; 4],
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let refused = fill_rows(columns, progress, |rows, [values, errors, lows, highs]| {
        for (at, i) in rows.enumerate() {
            let (k, n) = (k[i], n[i]);
            if k < 0 || n < 1 || k > n {
                return Some(i);
            }
            let row = proportion(k as u64, n as u64, method, confidence);
            (values[at], errors[at]) = (row.value, row.standard_error);
            (lows[at], highs[at]) = (row.interval.low, row.interval.high);
        }
        None
    })?;
    Ok(refused.into_iter().flatten().next())
}

fn of_counts(k: u64, n: u64, method: Method, confidence: Confidence) -> Proportion {
    let (hits, misses, all) = (k as f64, (n - k) as f64, n as f64);
    let lower = |hits: f64, misses: f64| match method {
        Method::Wilson => wilson_lower(hits, misses, confidence.z()),
        Method::ClopperPearson if hits > 0.0 => beta::quantile(hits, misses + 1.0, confidence.tail()),
        Method::Jeffreys if hits > 0.0 => beta::quantile(hits + 0.5, misses + 0.5, confidence.tail()),
        Method::ClopperPearson | Method::Jeffreys => 0.0,
        Method::AgrestiCoull => {
            let z = confidence.z();
            wald_lower(hits + z * z / 2.0, misses + z * z / 2.0, z)
        }
        Method::Wald => wald_lower(hits, misses, confidence.z()),
    };
    let both = Interval { low: lower(hits, misses), high: 1.0 - lower(misses, hits) };
    let standard_error = if k == 0 || k == n {
        let sides = wilson(hits, misses, confidence.two_sided().z());
        (sides.high - sides.low) / (2.0 * confidence.two_sided().z())
    } else {
        (hits / all * (misses / all) / (all - 1.0)).sqrt()
    };
    Proportion { value: hits / all, standard_error, interval: confidence.open(both, 0.0, 1.0) }
}

/// Wilson's interval for any critical value `z` and for counts that need not be whole numbers, such as shares of an
/// effective number of rows: the p with (hits - n p)^2 <= z^2 n p (1 - p).
pub fn wilson(hits: f64, misses: f64, z: f64) -> Interval {
    Interval { low: wilson_lower(hits, misses, z), high: 1.0 - wilson_lower(misses, hits, z) }
}

/// The smaller root of (n + z^2) p^2 - (2k + z^2) p + k^2/n, by the form without cancellation, which is exactly 0 at k
/// = 0. For z below 0 (a one-sided interval at a level below one half) the limit is the larger root; for few hits that
/// form would cancel then, and the usual formula for the roots does not.
fn wilson_lower(hits: f64, misses: f64, z: f64) -> f64 {
    let n = hits + misses;
    let root = (z * z + 4.0 * hits * (misses / n)).sqrt();
    let limit = if z <= 0.0 && hits <= z * z {
        (2.0 * hits + z * z - z * root) / (2.0 * (n + z * z))
    } else {
        2.0 * hits * (hits / n) / (2.0 * hits + z * z + z * root)
    };
    if limit < 1.0 { limit } else { 1.0 }
}

fn wald_lower(hits: f64, misses: f64, z: f64) -> f64 {
    let n = hits + misses;
    let p = hits / n;
    let low = p - z * (p * (misses / n) / n).sqrt();
    // For z far below 0 the limit would exceed 1.
    let low = if low < 1.0 { low } else { 1.0 };
    if low > 0.0 { low } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::Alternative;
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
    const ALL: [Method; 5] =
        [Method::Wilson, Method::ClopperPearson, Method::Jeffreys, Method::AgrestiCoull, Method::Wald];

    fn check(k: u64, n: u64, method: Method, low: f64, high: f64, tolerance: f64) {
        let got = proportion(k, n, method, TWO).interval;
        assert!(
            (got.low - low).abs() < tolerance && (got.high - high).abs() < tolerance,
            "{method:?} {k} of {n}: {got:?}"
        );
    }

    #[test]
    fn the_table_of_870_of_1000_and_20_of_20() {
        let table = [
            (Method::Wald, 0.84916, 0.89084, 1.0),
            (Method::Wilson, 0.84773, 0.88944, 0.8389),
            (Method::AgrestiCoull, 0.84768, 0.88948, 0.8102),
            (Method::ClopperPearson, 0.84756, 0.89023, 0.8316),
            (Method::Jeffreys, 0.84810, 0.88977, 0.8834),
        ];
        for (method, low, high, low20) in table {
            check(870, 1000, method, low, high, 5.1e-6);
            check(20, 20, method, low20, 1.0, 5.1e-5);
            assert_eq!(proportion(20, 20, method, TWO).interval.high, 1.0);
        }
    }

    #[test]
    fn newcombes_wilson_rows() {
        check(81, 263, Method::Wilson, 0.2552885, 0.3662096, 5.1e-8);
        check(15, 148, Method::Wilson, 0.0623864, 0.1604872, 5.1e-8);
        check(0, 20, Method::Wilson, 0.0, 0.1611252, 5.1e-8);
        check(1, 29, Method::Wilson, 0.0061132, 0.1717552, 5.1e-8);
        check(19, 38, Method::Wilson, 0.348499283643951, 0.651500716356049, 1e-14);
    }

    #[test]
    fn rows_of_r_binom() {
        check(18, 20, Method::AgrestiCoull, 0.6867561126, 0.9843437610, 5.1e-11);
        check(18, 20, Method::ClopperPearson, 0.6830172860, 0.9876514728, 5.1e-11);
        check(18, 20, Method::Wilson, 0.6989663548, 0.9721335188, 5.1e-11);
    }

    #[test]
    fn failures_mirror_successes_and_limits_stay_inside() {
        for method in ALL {
            for n in [1, 2, 7, 38, 77, 1000] {
                for k in 0..=n {
                    let (a, b) = (proportion(k, n, method, TWO), proportion(n - k, n, method, TWO));
                    assert_eq!(a.interval.high, 1.0 - b.interval.low, "{method:?} {k} of {n}");
                    assert_eq!(a.standard_error, b.standard_error);
                    assert!(0.0 <= a.interval.low && a.interval.low <= a.value);
                    assert!(a.value <= a.interval.high && a.interval.high <= 1.0);
                    assert!(a.standard_error > 0.0, "no standard error of 0.0, for {k} of {n}");
                }
            }
        }
    }

    #[test]
    fn one_sided_limits_leave_the_other_side_open() {
        for method in ALL {
            let less = proportion(7, 20, method, Confidence { level: 0.975, alternative: Alternative::Less });
            let two = proportion(7, 20, method, TWO);
            assert_eq!(less.interval.low, 0.0);
            assert!((less.interval.high - two.interval.high).abs() < 1e-14);
        }
    }

    #[test]
    fn limits_under_one_half_lie_on_the_other_side_of_the_value() {
        for level in [1e-12, 0.01, 0.3, 0.49, 0.5] {
            for (method, n) in ALL.into_iter().flat_map(|method| [1, 2, 20].map(|n| (method, n))) {
                for k in 0..=n {
                    let limits =
                        |alternative| proportion(k, n, method, Confidence { level, alternative }).interval;
                    let (low, high) = (limits(Alternative::Greater).low, limits(Alternative::Less).high);
                    assert!(
                        (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high),
                        "{method:?} {k} of {n}"
                    );
                    let p = k as f64 / n as f64;
                    let sides = low >= p - 1e-12 && high <= p + 1e-12;
                    // Clopper-Pearson covers more than the level, and Jeffreys and Agresti-Coull shift the centre, so
                    // that their limits may lie on the usual side of p.
                    let inverts = matches!(method, Method::Wilson | Method::Wald);
                    assert!(sides || !inverts, "{method:?} {k} of {n} at {level}: {low} {high}");
                }
            }
        }
        // (0 - 20 p)^2 = z^2 20 p (1 - p) at z(0.3) = -0.524.
        let low =
            proportion(0, 20, Method::Wilson, Confidence { level: 0.3, alternative: Alternative::Greater });
        let z = 0.524_400_512_708_041_f64;
        assert!((low.interval.low - z * z / (20.0 + z * z)).abs() < 1e-15);
    }

    #[test]
    fn the_standard_error_of_mixed_answers_divides_by_n_minus_1() {
        // As lm-evaluation-harness reports it for 327 of 609.
        let got = proportion(327, 609, Method::Wilson, TWO);
        assert!(
            (got.value - 0.5369458128).abs() < 5e-11 && (got.standard_error - 0.0202222441).abs() < 5e-11
        );
    }
}
