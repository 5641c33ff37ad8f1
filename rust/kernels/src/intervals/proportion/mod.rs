//! A proportion, k successes of n, and its confidence interval.

mod arcsine;
mod blaker;
mod likelihood;
mod logit;
mod mid_p;
mod score;
mod test;
mod wald;

pub use score::wilson;
pub use test::{Test, test, tests};

use super::{Alternative, Confidence, Interval};
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
        /// Wilson's interval with a correction for continuity: half a success less, or more, at its two limits.
        WilsonCorrected = "wilson-cc" { title: "Wilson cc", source: "Newcombe 1998" },
        /// The exact interval that counts the observed number half: covers about the level on average.
        MidP = "mid-p" { title: "mid-P", source: "Lancaster 1961" },
        /// The exact interval of a test that adds the other tail: inside Clopper-Pearson's, and nested.
        Blaker = "blaker" { title: "Blaker", source: "Blaker 2000" },
        /// The square of the sine of an angle, arcsin sqrt((k + 3/8)/(n + 3/4)) +- z/(2 sqrt n).
        Arcsine = "arcsine" { title: "arcsine", source: "Anscombe 1948" },
        /// Wald's interval of the log-odds; where k or n - k is 0, 1/2 is added to both.
        Logit = "logit" { title: "logit", source: "Anscombe 1956" },
        /// The p that the likelihood-ratio test does not reject.
        Likelihood = "likelihood" { title: "likelihood", source: "Wilks 1938" },
        /// The score interval with a correction for skewness: about the level on both sides.
        Skewed = "scas" { title: "SCAS", source: "Laud 2017" },
    }
}

/// From this many successes and failures on, the exact methods that search among the numbers of successes (mid-P,
/// Blaker) are Clopper and Pearson's, from which they then differ by less than its rounding.
const MANY: f64 = 1_099_511_627_776.0;

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
    let (tail, z) = (confidence.tail(), confidence.z());
    let lower = |hits: f64, misses: f64| match method {
        Method::Wilson => score::wilson_lower(hits, misses, z),
        Method::WilsonCorrected => score::corrected_lower(hits, misses, z),
        Method::Skewed => score::skewed_lower(hits, misses, z),
        Method::AgrestiCoull => wald::agresti_coull_lower(hits, misses, z),
        Method::Wald => wald::wald_lower(hits, misses, z),
        Method::MidP => mid_p::lower(hits, misses, tail),
        Method::Arcsine => arcsine::lower(hits, misses, z),
        Method::Logit => logit::lower(hits, misses, z),
        Method::Likelihood => likelihood::lower(hits, misses, z),
        Method::Blaker if confidence.alternative == Alternative::TwoSided => {
            blaker::lower(hits, misses, tail)
        }
        // A test of one side has no other tail to add: Blaker's is then Clopper and Pearson's.
        Method::ClopperPearson | Method::Blaker if hits > 0.0 => beta::quantile(hits, misses + 1.0, tail),
        Method::Jeffreys if hits > 0.0 => beta::quantile(hits + 0.5, misses + 0.5, tail),
        Method::ClopperPearson | Method::Blaker | Method::Jeffreys => 0.0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

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
            (Method::WilsonCorrected, 0.84720, 0.88990, 0.7995),
            (Method::MidP, 0.84807, 0.88979, 0.8609),
            (Method::Arcsine, 0.84816, 0.88986, 0.8799),
        ];
        for (method, low, high, low20) in table {
            check(870, 1000, method, low, high, 5.1e-6);
            check(20, 20, method, low20, 1.0, 5.1e-5);
            assert_eq!(proportion(20, 20, method, TWO).interval.high, 1.0);
        }
        check(870, 1000, Method::Logit, 0.84770, 0.88946, 5.1e-6);
        check(20, 20, Method::Logit, 0.7126, 0.9985, 5.1e-5);
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
        check(18, 20, Method::WilsonCorrected, 0.668722403162941, 0.982487361226571, 1e-13);
        check(18, 20, Method::Logit, 0.676197991611287, 0.974866415649319, 1e-13);
        check(18, 20, Method::Likelihood, 0.7220576251734515, 0.982639913376776, 1e-8); // solved to 1e-8
        check(4, 200, Method::Likelihood, 0.00625223049303646, 0.0458490848884339, 1e-8);
        check(0, 30, Method::Likelihood, 0.0, 0.06201781, 5.1e-9);
    }

    #[test]
    fn one_of_29_by_laud() {
        check(1, 29, Method::Skewed, 0.00199, 0.155, 5.1e-4);
        check(1, 29, Method::MidP, 0.00172, 0.159, 5.1e-4);
        check(1, 29, Method::WilsonCorrected, 0.0018, 0.196, 5.1e-4);
    }

    #[test]
    fn three_of_10_by_blaker() {
        check(3, 10, Method::Blaker, 0.08726443, 0.61941066, 5.1e-9);
    }

    #[test]
    fn blakers_interval_is_inside_clopper_and_pearsons_and_nested() {
        for n in [1, 2, 5, 20, 61] {
            for k in 0..=n {
                let mut inner = None;
                for level in [0.5, 0.8, 0.9, 0.95, 0.99, 0.999] {
                    let of = |method| {
                        let confidence = Confidence { level, alternative: Alternative::TwoSided };
                        proportion(k, n, method, confidence).interval
                    };
                    let (blaker, exact) = (of(Method::Blaker), of(Method::ClopperPearson));
                    assert!(exact.low <= blaker.low && blaker.high <= exact.high, "{k} of {n} at {level}");
                    if let Some(Interval { low, high }) = inner {
                        assert!(blaker.low <= low && high <= blaker.high, "{k} of {n} at {level}");
                    }
                    inner = Some(blaker);
                }
            }
        }
    }

    #[test]
    fn failures_mirror_successes_and_limits_stay_inside() {
        for &method in Method::ALL {
            for n in [1, 2, 7, 38, 77, 1000] {
                for k in 0..=n {
                    let (a, b) = (proportion(k, n, method, TWO), proportion(n - k, n, method, TWO));
                    assert_eq!(a.interval.high, 1.0 - b.interval.low, "{method:?} {k} of {n}");
                    assert_eq!(a.standard_error, b.standard_error);
                    assert!(0.0 <= a.interval.low && a.interval.high <= 1.0);
                    // With 1/2 added to both counts the limits of the log-odds do not reach 0 or 1.
                    let reaches = method != Method::Logit || (k > 0 && k < n);
                    let inside = a.interval.low <= a.value && a.value <= a.interval.high;
                    assert!(inside || !reaches, "{method:?} {k} of {n}: {:?}", a.interval);
                    assert!(a.standard_error > 0.0, "no standard error of 0.0, for {k} of {n}");
                }
            }
        }
    }

    #[test]
    fn one_sided_limits_leave_the_other_side_open() {
        for &method in Method::ALL {
            let less = proportion(7, 20, method, Confidence { level: 0.975, alternative: Alternative::Less });
            let two = proportion(7, 20, method, TWO);
            assert_eq!(less.interval.low, 0.0);
            // The other tail, which Blaker's test adds, is missing on one side.
            let same = (less.interval.high - two.interval.high).abs() < 1e-14;
            assert_eq!(same, method != Method::Blaker, "{method:?}");
        }
    }

    #[test]
    fn limits_under_one_half_lie_on_the_other_side_of_the_value() {
        for level in [1e-12, 0.01, 0.3, 0.49, 0.5] {
            for (method, n) in Method::ALL.iter().flat_map(|&method| [1, 2, 20].map(|n| (method, n))) {
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
                    let inverts = matches!(method, Method::Wilson | Method::Wald | Method::Likelihood);
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
