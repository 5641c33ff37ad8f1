//! Tests of a proportion: the p-value of the hypothesis that it is p0, by the test that the interval inverts.

use super::super::Alternative;
use super::{Method, blaker, likelihood};
use crate::grid::{Progress, Stopped, fill_rows};
use crate::math::{beta, binomial, normal};
use crate::named;
use crate::simd::scalar;

named! {
    /// A test of a proportion.
    pub enum Test: "proportion.test" {
        /// The binomial tails; two-sided twice the smaller one.
        Exact = "exact" { title: "binomial, exact" },
        /// The binomial tails with half of the observed number; two-sided twice the smaller one.
        MidP = "mid-p" { title: "binomial, mid-p" },
        /// The smaller binomial tail and the largest one on the other side that is not larger.
        Blaker = "blaker" { title: "binomial, Blaker" },
        /// Normal, with the variance of the hypothesis.
        Score = "score" { title: "score" },
        /// The score test with a correction for continuity.
        ScoreCorrected = "score-cc" { title: "score cc" },
        /// The score test with a correction for skewness.
        ScoreSkewed = "scas" { title: "score, SCAS" },
        /// The signed root of the likelihood ratio.
        Likelihood = "likelihood" { title: "likelihood ratio" },
    }
}

impl Method {
    /// The test that the interval inverts; of intervals that invert none that holds its level, the exact one.
    pub fn test(self) -> Test {
        match self {
            Method::Wilson => Test::Score,
            Method::WilsonCorrected => Test::ScoreCorrected,
            Method::Skewed => Test::ScoreSkewed,
            Method::MidP => Test::MidP,
            Method::Blaker => Test::Blaker,
            Method::Likelihood => Test::Likelihood,
            Method::ClopperPearson
            | Method::Jeffreys
            | Method::AgrestiCoull
            | Method::Wald
            | Method::Arcsine
            | Method::Logit => Test::Exact,
        }
    }
}

/// The p-value of the hypothesis that a proportion with k successes of n is `p0`, where `k <= n`, `n >= 1` and
/// `0 < p0 < 1`.
///
/// Two-sided it is twice the smaller of the two one-sided ones, at most 1, except for Blaker's; of Blaker's the
/// one-sided ones are the exact binomial tails. The smallest normal f64 stands for all smaller ones.
pub fn test(k: u64, n: u64, p0: f64, test: Test, alternative: Alternative) -> f64 {
    scalar(|| {
        let p = p_value(k, n, p0, test, alternative);
        if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p }
    })
}

fn p_value(k: u64, n: u64, p0: f64, test: Test, alternative: Alternative) -> f64 {
    if test == Test::Blaker && alternative == Alternative::TwoSided {
        return blaker::p_value(k as f64, (n - k) as f64, p0, 1.0 - p0);
    }
    let (greater, less) = sides(k, n, p0, test);
    match alternative {
        Alternative::Greater => greater,
        Alternative::Less => less,
        Alternative::TwoSided => {
            let p = 2.0 * if less < greater { less } else { greater };
            if p < 1.0 { p } else { 1.0 }
        }
    }
}

/// The p-values of `k[i]` of `n[i]` against `p0[i]`, written to `p`; stopped by `progress`. `Some(i)`: row i is the first
/// that is no proportion or whose hypothesis lies outside (0, 1), and `p` is incomplete.
pub fn tests(
    k: &[i64],
    n: &[i64],
    p0: &[f64],
    of: Test,
    alternative: Alternative,
    p: &mut [f64],
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let refused = fill_rows([p], progress, |rows, [p]| {
        for (at, i) in rows.enumerate() {
            let (k, n, p0) = (k[i], n[i], p0[i]);
            if k < 0 || n < 1 || k > n || !(p0 > 0.0 && p0 < 1.0) {
                return Some(i);
            }
            p[at] = test(k as u64, n as u64, p0, of, alternative);
        }
        None
    })?;
    Ok(refused.into_iter().flatten().next())
}

/// The p-values of the alternatives that the proportion is greater and that it is less.
fn sides(k: u64, n: u64, p0: f64, test: Test) -> (f64, f64) {
    let (hits, misses) = (k as f64, (n - k) as f64);
    match test {
        Test::Exact | Test::Blaker => exact(k, n, p0),
        Test::MidP => {
            let ((greater, less), half) = (exact(k, n, p0), 0.5 * binomial::pmf(k, n, p0));
            (greater - half, less - half)
        }
        Test::Score => normal_sides(score(hits, misses, p0, 0.0)),
        Test::ScoreCorrected => {
            let (up, down) = (score(hits, misses, p0, -0.5), score(hits, misses, p0, 0.5));
            (normal::sf(up), normal::cdf(down))
        }
        Test::ScoreSkewed => normal_sides(skewed(hits, misses, p0)),
        Test::Likelihood => {
            let root = (2.0 * likelihood::lost(hits, misses, p0, 1.0 - p0)).sqrt();
            normal_sides(if hits < (hits + misses) * p0 { -root } else { root })
        }
    }
}

fn normal_sides(z: f64) -> (f64, f64) {
    (normal::sf(z), normal::cdf(z))
}

/// P(X >= k) and P(X <= k).
fn exact(k: u64, n: u64, p0: f64) -> (f64, f64) {
    let (hits, misses) = (k as f64, (n - k) as f64);
    let greater = if k == 0 { 1.0 } else { beta::cdf(hits, misses + 1.0, p0) };
    (greater, binomial::cdf(k, n, p0))
}

/// (k + more - n p0) / sqrt(n p0 (1 - p0)).
fn score(hits: f64, misses: f64, p0: f64, more: f64) -> f64 {
    let n = hits + misses;
    // The form in the smaller of the two numbers keeps the digits of a rare success or failure.
    let above = if p0 < 0.5 { hits - n * p0 } else { n * (1.0 - p0) - misses };
    (above + more) / (n * p0 * (1.0 - p0)).sqrt()
}

/// The z with z + A (z^2 - 1) = score, where A = (1 - 2 p0)/(6 sqrt(n p0 (1 - p0))) is a sixth of the skewness. At k = 0
/// it is at most 0, at k = n at least: the correction alone says nothing.
fn skewed(hits: f64, misses: f64, p0: f64) -> f64 {
    let n = hits + misses;
    let a = (1.0 - 2.0 * p0) / (6.0 * (n * p0 * (1.0 - p0)).sqrt());
    let above = score(hits, misses, p0, 0.0) + a;
    let inside = 1.0 + 4.0 * a * above;
    // Beyond its extreme value the left side of the equation does not reach the score.
    let z = if inside > 0.0 { 2.0 * above / (1.0 + inside.sqrt()) } else { -0.5 / a };
    if (hits == 0.0 && z > 0.0) || (misses == 0.0 && z < 0.0) { 0.0 } else { z }
}

#[cfg(test)]
mod tests {
    use super::super::super::Confidence;
    use super::super::proportion;
    use super::*;
    use crate::named::Named;

    /// An interval at 1 - p, with the p-value p of a hypothesis, has that hypothesis at one of its ends or, where p jumps,
    /// inside; the hypotheses between the limits have a larger p, those outside a smaller one.
    #[test]
    fn a_hypothesis_is_inside_where_its_p_is_larger() {
        for &method in Method::ALL.iter().filter(|method| method.test() != Test::Exact) {
            for &alternative in Alternative::ALL {
                let confidence = Confidence { level: 0.9, alternative };
                for (k, n) in [(0, 7), (1, 7), (3, 7), (7, 7), (2, 40), (21, 40), (870, 1000)] {
                    let limits = proportion(k, n, method, confidence).interval;
                    for i in 1..400 {
                        let p0 = f64::from(i) / 400.0;
                        let p = test(k, n, p0, method.test(), alternative);
                        let inside = limits.low <= p0 && p0 <= limits.high;
                        // The p-value of Blaker's test is not monotone on the way to its limits.
                        let agrees = inside == (p >= 0.1 - 1e-12);
                        let gap = method == Method::Blaker && inside && p >= 0.09;
                        assert!(agrees || gap, "{method:?} {alternative:?} {k} of {n}: {p0} {p} {limits:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_fair_coin() {
        let of = |which, alternative| test(15, 20, 0.5, which, alternative);
        let tail = 21_700.0 / 1_048_576.0;
        let point = 15_504.0 / 1_048_576.0;
        let near = |a: f64, b: f64| (a - b).abs() < 1e-14;
        assert!(near(of(Test::Exact, Alternative::Greater), tail));
        assert!(near(of(Test::Exact, Alternative::TwoSided), 2.0 * tail));
        assert!(near(of(Test::Blaker, Alternative::TwoSided), 2.0 * tail), "both tails are equal");
        assert!(near(of(Test::MidP, Alternative::TwoSided), 2.0 * tail - point));
        assert!(near(of(Test::Score, Alternative::Less), normal::cdf(5.0 / 5f64.sqrt())));
        assert!(near(test(10, 20, 0.5, Test::Blaker, Alternative::TwoSided), 1.0));
    }

    #[test]
    fn every_test_mirrors() {
        for &which in Test::ALL {
            for (k, n, p0) in [(0, 9, 0.25), (3, 9, 0.125), (9, 9, 0.75), (400, 1000, 0.375)] {
                let two = Alternative::TwoSided;
                let (a, b) = (test(k, n, p0, which, two), test(n - k, n, 1.0 - p0, which, two));
                assert!((a - b).abs() <= 1e-12 * a, "{which:?} {k} of {n} at {p0}: {a:e} {b:e}");
                let one = test(k, n, p0, which, Alternative::Greater);
                let other = test(n - k, n, 1.0 - p0, which, Alternative::Less);
                assert!(
                    (one - other).abs() <= 1e-12 * one,
                    "{which:?} {k} of {n} at {p0}: {one:e} {other:e}"
                );
            }
        }
    }
}
