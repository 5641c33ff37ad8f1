//! Confidence limits from bootstrap replicates, each with its Monte-Carlo error.

use super::NoEstimate;
use super::expanded::expanded;
use super::normal_limits::normal_limits;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::{Alternative, Confidence};
use crate::math::normal;
use crate::named;
use crate::simd::scalar;
use crate::sorting::sorted;

named! {
    /// The method that computes limits from bootstrap replicates.
    pub enum Method: "bootstrap.method" {
        /// The limits are quantiles of the replicates.
        Percentile = "percentile" { title: "percentile bootstrap" },
        /// The limits are quantiles of the replicates, mirrored at the value.
        Basic = "basic" { title: "basic bootstrap" },
        /// Bias-corrected and accelerated: quantiles of the replicates at levels that are adjusted for bias and
        /// skewness.
        Bca = "bca" { title: "BCa bootstrap", source: "Efron 1987" },
        /// Bias-corrected: BCa without an acceleration.
        Bc = "bc" { title: "BC bootstrap", source: "Efron 1981" },
        /// The percentile interval at levels that are as wide for few units as Student's t is.
        Expanded = "expanded" { title: "expanded percentile bootstrap", source: "Hesterberg 2015" },
        /// The value minus the bias of the replicates, with normal quantiles of their standard deviation.
        Normal = "normal" { title: "normal bootstrap", source: "Davison and Hinkley 1997" },
        /// Quantiles of the t of the replicates, each with its own error in closed form.
        Studentized = "studentized" { title: "studentized bootstrap", source: "Efron 1981" },
        /// As studentized, with weights of a beta distribution in place of counts: no replicate is without spread.
        BetaT = "beta_t" { title: "beta bootstrap-t", source: "Owen 2025" },
        /// The percentile interval at levels at which it would hold in a resample, by resamples of each resample.
        Double = "double" { title: "double bootstrap", source: "Beran 1987, Hall 1992" },
        /// An approximation of BCa's limits from derivatives of a statistic of sums, without any replicates.
        Abc = "abc" { title: "ABC bootstrap", source: "DiCiccio and Efron 1992" },
    }
}

impl Method {
    /// Whether it counts how many replicates lie below the value.
    pub fn corrects_bias(self) -> bool {
        matches!(self, Method::Bca | Method::Bc)
    }

    /// Whether its limits are quantiles of the distribution of the statistic.
    pub fn reads_quantiles(self) -> bool {
        match self {
            Method::Percentile | Method::Basic | Method::Bca | Method::Bc | Method::Expanded => true,
            Method::Normal | Method::Studentized | Method::BetaT | Method::Double | Method::Abc => false,
        }
    }

    /// Whether it needs the units of a statistic of sums, beside the sums of each resample.
    pub fn reads_units(self) -> bool {
        matches!(self, Method::Studentized | Method::BetaT | Method::Double | Method::Abc)
    }
}

/// What BCa needs to know apart from the replicates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Correction {
    /// See [`super::acceleration`].
    pub acceleration: f64,
    /// Replicates that differ from the value by at most this count as equal to it; a bound of their rounding error.
    pub tie: f64,
    /// The number of units that were resampled.
    pub units: usize,
    /// The standard error of the value, by which t is multiplied.
    pub error: f64,
    /// The calibrated levels of both limits, from so many resamples of each resample.
    pub levels: [Level; 2],
    /// See [`Correction::levels`].
    pub inner: u32,
}

/// A level at which a quantile is taken, and its Monte-Carlo error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The share of replicates below.
    pub at: f64,
    /// About one standard error.
    pub error: f64,
}

/// A limit and its Monte-Carlo error: about one standard error of the limit as an estimate of the limit that
/// infinitely many replicates would give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The limit; infinite on a side that is left open.
    pub value: f64,
    /// Half the distance between the order statistics one binomial standard deviation above and below the limit's
    /// position; 0 on a side that is left open.
    pub error: f64,
}

/// The limits of a bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The lower limit.
    pub low: Limit,
    /// The upper limit.
    pub high: Limit,
}

/// The limits of `value` from its `B` replicates, which may be in any order.
///
/// A limit at level `a` is the order statistic at position `(B + 1) a`, interpolated linearly between neighbours. A
/// position beyond the extreme replicates is refused, never clamped. BCa: `a = Phi(z0 + (z0 + z) / (1 - acceleration
/// (z0 + z)))` with `z0 = Phi^-1((#below + #equal / 2) / B)`; BC is the same with an acceleration of 0. For the
/// studentised methods `replicates` are the t, and the limits are `value - error t`; an infinite one is refused. The double
/// bootstrap takes the quantiles at its own levels.
pub fn limits(
    replicates: Vec<f64>,
    value: f64,
    method: Method,
    correction: Correction,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<Limits, NoEstimate>, Stopped> {
    if method == Method::Normal {
        return normal_limits(&replicates, value, confidence, progress);
    }
    let replicates = sorted(replicates, f64::total_cmp, &mut Pace::new(progress))?;
    Ok(of_sorted(&replicates, value, method, correction, confidence))
}

fn of_sorted(
    sorted: &[f64],
    value: f64,
    method: Method,
    correction: Correction,
    confidence: Confidence,
) -> Result<Limits, NoEstimate> {
    scalar(|| {
        let tail = confidence.tail();
        let (mut low, mut high) = (tail, 1.0 - tail);
        let [mut low_error, mut high_error] = [0.0; 2];
        match method {
            Method::Percentile | Method::Normal => {}
            Method::Double => {
                [(low, low_error), (high, high_error)] =
                    correction.levels.map(|level| (level.at, level.error));
            }
            Method::Abc => return Err(NoEstimate::NoReplicates),
            Method::Basic | Method::Studentized | Method::BetaT => (low, high) = (high, low),
            Method::Expanded => {
                (low, high) = (expanded(low, correction.units), expanded(high, correction.units));
            }
            Method::Bca | Method::Bc => {
                low = corrected(sorted, value, correction, low)?;
                high = corrected(sorted, value, correction, high)?;
            }
        }
        let limit = |open: Alternative, at: f64, off: f64, infinite: f64| {
            if confidence.alternative == open {
                return Ok(Limit { value: infinite, error: 0.0 });
            }
            let limit = order_statistic(sorted, at, off)?;
            match method {
                Method::Basic => Ok(Limit { value: 2.0 * value - limit.value, ..limit }),
                Method::Studentized | Method::BetaT => of_t(limit, value, correction.error, sorted),
                _ => Ok(limit),
            }
        };
        Ok(Limits {
            low: limit(Alternative::Less, low, low_error, f64::NEG_INFINITY)?,
            high: limit(Alternative::Greater, high, high_error, f64::INFINITY)?,
        })
    })
}

/// The limit at a quantile of the t of replicates.
fn of_t(t: Limit, value: f64, error: f64, sorted: &[f64]) -> Result<Limit, NoEstimate> {
    if t.value.is_finite() {
        return Ok(Limit { value: value - t.value * error, error: t.error * error });
    }
    let without = sorted.iter().filter(|t| t.is_infinite()).count();
    Err(NoEstimate::NoSpread { count: sorted.len(), without })
}

/// The level of the order statistic that BCa takes for a nominal level.
fn corrected(sorted: &[f64], value: f64, correction: Correction, nominal: f64) -> Result<f64, NoEstimate> {
    let Correction { acceleration, tie, .. } = correction;
    let below = sorted.partition_point(|&r| r < value - tie);
    let equal = sorted.partition_point(|&r| r <= value + tie) - below;
    adjusted(
        normal::quantile((below as f64 + equal as f64 / 2.0) / sorted.len() as f64),
        acceleration,
        nominal,
    )
}

/// The level at which BCa takes a quantile for a nominal level.
pub(super) fn adjusted(z0: f64, acceleration: f64, nominal: f64) -> Result<f64, NoEstimate> {
    let shifted = z0 + normal::quantile(nominal);
    let denominator = 1.0 - acceleration * shifted;
    let defined = z0.is_finite() && denominator > 0.0;
    if defined { Ok(normal::cdf(z0 + shifted / denominator)) } else { Err(NoEstimate::Undefined) }
}

/// The order statistic at a level that may be `off`.
fn order_statistic(sorted: &[f64], level: f64, off: f64) -> Result<Limit, NoEstimate> {
    let count = sorted.len() as f64;
    let refused = NoEstimate::Beyond { count: sorted.len(), level };
    let position = nearly_whole((count + 1.0) * level);
    let value = between(sorted, position).ok_or(refused)?;
    let off = count * off;
    let spread = (count * level * (1.0 - level) + off * off).sqrt();
    let error = match (between(sorted, position - spread), between(sorted, position + spread)) {
        (Some(below), Some(above)) => (above - below) / 2.0,
        // Where one of the positions lies beyond the extreme replicate, the error is estimated from the other side
        // alone.
        (Some(below), None) => value - below,
        (None, Some(above)) => above - value,
        (None, None) => f64::INFINITY,
    };
    Ok(Limit { value, error })
}

/// Replaces a position that differs from a whole number only by rounding by that number: `(1 - .9) / 2` is not exactly
/// .05.
fn nearly_whole(position: f64) -> f64 {
    let whole = (position + 0.5) as u64 as f64;
    let distance = position - whole;
    if distance < 1e-9 && distance > -1e-9 { whole } else { position }
}

/// The order statistic at a position from 1 to B, interpolated linearly between neighbours; `None` outside.
fn between(sorted: &[f64], position: f64) -> Option<f64> {
    if !(position >= 1.0 && position <= sorted.len() as f64) {
        return None;
    }
    let whole = position as usize;
    let (below, above) = (sorted[whole - 1], sorted[whole.min(sorted.len() - 1)]);
    let part = position - whole as f64;
    // A neighbour that does not count may be infinite, and 0 times infinity would be NaN.
    Some(if part == 0.0 { below + 0.0 } else { below + (above - below) * part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(
        replicates: Vec<f64>,
        value: f64,
        method: Method,
        confidence: Confidence,
    ) -> Result<Limits, NoEstimate> {
        super::limits(replicates, value, method, NONE, confidence, &mut |_| true).unwrap()
    }

    fn bca(replicates: Vec<f64>, value: f64, acceleration: f64) -> Result<Limits, NoEstimate> {
        let correction = Correction { acceleration, ..NONE };
        super::limits(replicates, value, Method::Bca, correction, TWO, &mut |_| true).unwrap()
    }

    const NONE: Correction = Correction {
        acceleration: 0.0,
        tie: 0.0,
        units: 20,
        error: 2.0,
        levels: [Level { at: 0.0, error: 0.0 }; 2],
        inner: 0,
    };
    const TWO: Confidence = Confidence { level: 0.9, alternative: Alternative::TwoSided };

    /// The replicates count, ..., 2, 1.
    fn falling(count: usize) -> Vec<f64> {
        (1..=count).rev().map(|i| i as f64).collect()
    }

    #[test]
    fn percentile_limits_are_order_statistics() {
        let got = limits(falling(99), 60.0, Method::Percentile, TWO).unwrap();
        assert_eq!((got.low.value, got.high.value), (5.0, 95.0));
        // Neighbouring order statistics lie 1 apart, so the error is the standard deviation sqrt(99 .05 .95).
        assert!((got.low.error - (99.0f64 * 0.05 * 0.95).sqrt()).abs() < 1e-9);
        assert!((got.high.error - got.low.error).abs() < 1e-9);
        let between = limits(falling(100), 60.0, Method::Percentile, TWO).unwrap();
        assert!((between.low.value - 5.05).abs() < 1e-12 && (between.high.value - 95.95).abs() < 1e-12);
    }

    #[test]
    fn basic_limits_are_mirrored_at_the_value() {
        let got = limits(falling(99), 60.0, Method::Basic, TWO).unwrap();
        assert_eq!((got.low.value, got.high.value), (25.0, 115.0));
    }

    #[test]
    fn bca_without_bias_or_skewness_is_the_percentile() {
        let got = bca(falling(99), 50.0, 0.0).unwrap();
        assert!((got.low.value - 5.0).abs() < 1e-9 && (got.high.value - 95.0).abs() < 1e-9);
        // A value below the median of the replicates moves the limits down.
        let moved = bca(falling(999), 450.0, 0.0).unwrap();
        assert!(moved.low.value < 50.0 && moved.high.value < 950.0);
        let skewed = bca(falling(999), 500.0, 0.1).unwrap();
        assert!(skewed.low.value > 50.0 && skewed.high.value > 950.0);
    }

    #[test]
    fn bc_is_bca_without_an_acceleration() {
        for value in [300.0, 500.0, 612.0] {
            assert_eq!(limits(falling(999), value, Method::Bc, TWO), bca(falling(999), value, 0.0));
        }
    }

    #[test]
    fn quantiles_of_t_are_taken_from_the_other_side() {
        let t: Vec<f64> = (1..=99).map(|i| f64::from(i) - 40.0).collect();
        let got = limits(t.clone(), 7.0, Method::Studentized, TWO).unwrap();
        // The t at .05 and .95 are -35 and 55.
        assert_eq!((got.low.value, got.high.value), (7.0 - 2.0 * 55.0, 7.0 + 2.0 * 35.0));
        let wide = |count: usize| {
            let mut t = t.clone();
            t[99 - count..].fill(f64::INFINITY);
            limits(t, 7.0, Method::Studentized, TWO)
        };
        assert_eq!(wide(4).unwrap().low.value, got.low.value);
        assert_eq!(wide(5), Err(NoEstimate::NoSpread { count: 99, without: 5 }));
    }

    #[test]
    fn a_level_that_may_be_off_makes_a_larger_error() {
        let levels = [Level { at: 0.03, error: 0.0 }, Level { at: 0.98, error: 0.01 }];
        let got = super::limits(
            falling(999),
            500.0,
            Method::Double,
            Correction { levels, ..NONE },
            TWO,
            &mut |_| true,
        );
        let got = got.unwrap().unwrap();
        assert!((got.low.value - 30.0).abs() < 1e-9 && (got.high.value - 980.0).abs() < 1e-9);
        assert!((got.low.error - (999.0f64 * 0.03 * 0.97).sqrt()).abs() < 1e-9);
        assert!((got.high.error - (999.0f64 * 0.98 * 0.02 + 9.99 * 9.99).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn expanded_limits_lie_outside_those_of_the_percentile() {
        let got = limits(falling(999), 500.0, Method::Expanded, TWO).unwrap();
        let level = expanded(0.05, 20);
        assert!((got.low.value - 1000.0 * level).abs() < 1e-9 && level < 0.05);
        assert!((got.low.value + got.high.value - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn ties_count_half_also_when_rounding_hides_them() {
        let replicates = [vec![0.0; 400], vec![1.0 - 1e-15; 200], vec![1.0; 100], vec![2.0; 300]].concat();
        let at = |tie| corrected(&replicates, 1.0, Correction { tie, ..NONE }, 0.5).unwrap();
        let moved = |share| normal::cdf(2.0 * normal::quantile(share));
        assert!((at(1e-12) - moved(0.55)).abs() < 1e-15);
        assert!((at(0.0) - moved(0.65)).abs() < 1e-15);
    }

    #[test]
    fn one_sided_intervals_put_the_whole_tail_on_one_side() {
        let less = Confidence { level: 0.95, alternative: Alternative::Less };
        let greater = Confidence { level: 0.95, alternative: Alternative::Greater };
        for method in [Method::Percentile, Method::Basic, Method::Expanded] {
            let both = limits(falling(99), 60.0, method, TWO).unwrap();
            let got = limits(falling(99), 60.0, method, less).unwrap();
            assert_eq!(got.low, Limit { value: f64::NEG_INFINITY, error: 0.0 });
            assert!((got.high.value - both.high.value).abs() < 1e-9);
            let got = limits(falling(99), 60.0, method, greater).unwrap();
            assert_eq!(got.high, Limit { value: f64::INFINITY, error: 0.0 });
            assert!((got.low.value - both.low.value).abs() < 1e-9);
        }
    }

    #[test]
    fn limits_beyond_the_replicates_are_refused() {
        let at = |count, level| {
            limits(falling(count), count as f64 / 2.0, Method::Percentile, Confidence { level, ..TWO })
        };
        assert!(at(19, 0.9).is_ok());
        assert!(matches!(at(18, 0.9), Err(NoEstimate::Beyond { count: 18, .. })));
        assert!(at(199, 0.99).is_ok() && at(198, 0.99).is_err());
        let bca = |value, acceleration| bca(falling(999), value, acceleration);
        assert_eq!(bca(0.0, 0.0), Err(NoEstimate::Undefined));
        assert_eq!(bca(2000.0, 0.0), Err(NoEstimate::Undefined));
        assert_eq!(bca(500.0, 0.9), Err(NoEstimate::Undefined));
        assert!(matches!(bca(2.0, 0.0), Err(NoEstimate::Beyond { count: 999, .. })));
    }
}
