//! Calibration errors of a state and their intervals. They come from closed formulas and bisection, without random
//! draws.
//!
//! A bin's gap is its mean probability minus its observed frequency. It varies about the true gap with the standard
//! deviation `s = sqrt(y (1 - y) / n)`, `y` being the frequency. This noise biases the errors upwards: a calibrated
//! model has an `ece` of about the noise floor, not 0. The intervals therefore invert a test: they contain the true
//! errors for which the observed error would not be surprising. A candidate for the true gap of each bin is
//! `L max(|gap|, s0)`, where `s0` is that standard deviation for a calibrated bin and the factor `L` is the same for all
//! bins. The limits are the errors of those candidates for which the observed error lies `z` standard deviations from
//! its mean, by the moments of the folded normal distribution (Leone, Nelson and Nottingham, Technometrics 3(4), 1961).
//! Rows are taken to be independent unless they have clusters. With clusters, the gaps have the covariance that
//! [`super::scatter`] estimates, and a quantile of Student's t with one degree of freedom less than there are clusters
//! replaces `z`.

use super::cells::BinTotals;
use super::folded::{MEAN_FOLDED, Power, covariance};
use super::gap;
use super::scatter::Scatter;
use super::weights::{BinSums, RowSums, Totals};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::proportion::wilson;
use crate::intervals::{Confidence, Interval};
use crate::math::normal;
use crate::memory;
use crate::simd::scalar;

/// How often bisection halves its bracket: more often than an f64 has significant bits.
const HALVINGS: u32 = 60;

/// An error with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The observed error.
    pub value: f64,
    /// The standard deviation that the error would have if the true gaps were the observed ones, each raised to
    /// at least the standard deviation that it has in a calibrated bin.
    pub standard_error: Option<f64>,
    /// Lower limit; NaN where there is none.
    pub low: f64,
    /// Upper limit; NaN where there is none.
    pub high: f64,
}

impl Limits {
    /// A value without a standard error or limits.
    pub(super) fn unknown(value: f64) -> Limits {
        Limits { value, standard_error: None, low: f64::NAN, high: f64::NAN }
    }
}

/// A bin that holds rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinEstimate {
    /// Its position among all bins.
    pub index: usize,
    /// Mean probability.
    pub mean_probability: f64,
    /// Observed frequency.
    pub accuracy: f64,
    /// The mean probability minus the observed frequency.
    pub gap: f64,
    /// The lower limit of the frequency, by Wilson's method (for clusters where rows have them); 0 where all rows of
    /// the bin are of one cluster.
    pub low: f64,
    /// The upper limit; 1 where all rows of the bin are of one cluster.
    pub high: f64,
    /// The bin's share of all rows, or of their total weight.
    pub weight: f64,
}

/// The calibration errors of a state, with their intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The expected calibration error: the weighted mean of the absolute gaps.
    pub ece: Limits,
    /// The square root of the weighted mean of the squared gaps.
    pub rmsce: Limits,
    /// The largest absolute gap.
    pub mce: Limits,
    /// The mean probability minus the frequency, over all rows.
    pub gap: Limits,
    /// The value that `ece` is expected to have for a calibrated model; NaN where there are fewer than two clusters.
    pub noise_floor: f64,
    /// Whether the data shows no variation: every probability is 0 or 1 and was right, or all clusters have the same
    /// gaps. The limits then come from those of the bins' frequencies.
    pub certain: bool,
    /// The sums of each cluster, where rows have clusters or weights (without clusters, each row is one). Their order
    /// does not depend on the clusters' names.
    pub clusters: Option<Vec<RowSums>>,
    /// For rows with weights, the effective sample size `(sum w)^2 / sum w^2`: how many rows of equal weight would be
    /// as informative.
    pub effective: Option<f64>,
    /// The bins that hold rows.
    pub bins: Vec<BinEstimate>,
}

/// The probability beyond each limit where the permitted error of a side is divided equally among `parts` limits
/// (Bonferroni).
fn shared(confidence: Confidence, parts: usize) -> f64 {
    confidence.tail() / parts as f64
}

/// An error with its interval, cut off at 1. Where the interval has one side only, the other limit is 0 or 1.
fn limits(confidence: Confidence, value: f64, standard_error: Option<f64>, low: f64, high: f64) -> Limits {
    let high = if high > 1.0 { 1.0 } else { high };
    let Interval { low, high } = confidence.open(Interval { low, high }, 0.0, 1.0);
    // A sum of nothing but zeros may be -0, which would be shown with its sign.
    let [value, low, high] = [value, low, high].map(|x| x + 0.0);
    Limits { value, standard_error, low, high }
}

/// What the intervals need to know of a bin that holds rows.
pub(super) struct Gap {
    n: f64,
    correct: f64,
    mean_probability: f64,
    pub(super) weight: f64,
    /// The gap with its sign: the mean probability minus the frequency.
    pub(super) signed: f64,
    /// The standard deviation that the gap would have if the bin were calibrated.
    null: f64,
    /// The standard deviation of the gap, from the observed frequency shrunk towards the mean probability by one row,
    /// `(correct + mean) / (n + 1)`; or as the clusters show it.
    pub(super) scatter: f64,
    /// The larger of |gap| and `null`.
    reach: f64,
}

impl Gap {
    fn new(bin: &BinSums, total: f64) -> Self {
        let RowSums { n, correct, excess } = bin.sums;
        let mean = bin.probability / n;
        // `excess` is formed exactly, so a bin whose frequency equals its mean probability has a gap of exactly 0.
        let signed = excess / n;
        let deviation = |p: f64| {
            let variance = p * (1.0 - p) / n;
            if variance > 0.0 { variance.sqrt() } else { 0.0 }
        };
        let null = deviation(mean);
        let size = signed.abs();
        Gap {
            n,
            correct,
            mean_probability: mean,
            weight: n / total,
            signed,
            null,
            scatter: deviation((correct + mean) / (n + 1.0)),
            reach: if size > null { size } else { null },
        }
    }

    /// The same bin with standard deviations that were estimated from clusters.
    fn clustered(self, null: f64, scatter: f64) -> Self {
        Gap { null, scatter, reach: larger(self.signed.abs(), null), ..self }
    }

    /// The smallest and the largest distance from the mean probability that a frequency within the limits can have.
    fn distances(&self, Interval { low, high }: Interval) -> (f64, f64) {
        let (below, above) = (self.mean_probability - low, high - self.mean_probability);
        let outside = larger(larger(-below, -above), 0.0);
        // One-sided limits at a level below one half lie on the other side of the frequency, so both may be negative.
        (outside, larger(larger(below, above), 0.0))
    }
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// The bins that hold rows, how their gaps vary, and the confidence of the limits.
struct Model<'a> {
    gaps: Vec<Gap>,
    scatter: Option<&'a Scatter>,
    confidence: Confidence,
    /// The critical value: an observed error further from its mean than this many standard deviations is surprising.
    critical: f64,
}

impl Model<'_> {
    /// The weighted mean over bins of `h`, or of its square.
    fn average(&self, power: Power, h: impl Fn(&Gap) -> f64) -> f64 {
        self.gaps.iter().map(|gap| gap.weight * power.of(h(gap))).sum()
    }

    /// The mean and standard deviation that the averaged error would have if the true gap of each bin were `scale`
    /// times its `reach`. At `scale` 0 the model is calibrated.
    fn expected(&self, power: Power, scale: f64, pace: &mut Pace<'_>) -> Result<(f64, f64), Stopped> {
        let deviation = |gap: &Gap| if scale > 0.0 { gap.scatter } else { gap.null };
        let (mut mean, mut variance) = (0.0, 0.0);
        for gap in &self.gaps {
            let (m, v) = power.moments(scale * gap.reach, deviation(gap));
            mean += gap.weight * m;
            variance += gap.weight * gap.weight * v;
        }
        pace.stride(self.gaps.len())?;
        if let Some(scatter) = self.scatter {
            let correlations =
                if scale > 0.0 { &scatter.noise } else { &scatter.null }.correlations.as_slice();
            let of = |gap: &Gap| power.coefficients(scale * gap.reach, deviation(gap), gap.weight);
            let coefficients = memory::collected(self.gaps.iter().map(of))?;
            let mut at = 0;
            for (b, mine) in coefficients.iter().enumerate() {
                for (other, &rho) in coefficients[..b].iter().zip(&correlations[at..]) {
                    variance += 2.0 * covariance(rho, mine, other);
                }
                at += b;
                pace.stride(b)?;
            }
        }
        Ok((mean, larger(variance, 0.0).sqrt()))
    }

    /// The scale at which the mean plus `z` standard deviations equals `observed`: a bracket is found by doubling,
    /// narrowed by bisection, and its upper end is returned.
    fn scale_at(&self, power: Power, z: f64, observed: f64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let mut below = |scale: f64| {
            let (mean, deviation) = self.expected(power, scale, pace)?;
            Ok::<_, Stopped>(mean + z * deviation < observed)
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            if !below(high)? {
                break;
            }
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if below(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }

    fn limits(&self, power: Power, floor: f64, pace: &mut Pace<'_>) -> Result<Limits, Stopped> {
        let (z, observed) = (self.critical, self.average(power, |gap| gap.signed.abs()));
        let at = |scale: f64| power.root(self.average(power, |gap| scale * gap.reach));
        let (calibrated, spread) = self.expected(power, 0.0, pace)?;
        let low = if calibrated + z * spread >= observed {
            0.0
        } else {
            at(self.scale_at(power, z, observed, pace)?)
        };
        let high = larger(at(self.scale_at(power, -z, observed, pace)?), floor);
        let (mean, deviation) = self.expected(power, 1.0, pace)?;
        // Delta method: the standard deviation of a root is that of the mean square divided by twice the root.
        let standard_error = match power {
            Power::One => deviation,
            Power::Two => deviation / (2.0 * mean.sqrt()),
        };
        Ok(limits(self.confidence, power.root(observed), Some(standard_error), low, high))
    }

    /// Limits of the frequency of each bin, with the probability `tail` beyond each limit.
    fn frequencies(&self, tail: f64, pace: &mut Pace<'_>) -> Result<Vec<Interval>, Stopped> {
        let z = -normal::quantile(tail);
        Ok(match self.scatter {
            Some(scatter) => scatter.frequencies(tail, pace)?,
            None => {
                memory::collected(self.gaps.iter().map(|gap| wilson(gap.correct, gap.n - gap.correct, z)))?
            }
        })
    }

    /// The error where the data shows no variation. Its limits are the errors for the frequencies nearest to and
    /// farthest from the mean probabilities that lie within the limits `frequencies` of the bins, among which the
    /// permitted error is divided. The standard error is the width of the interval by the two-sided limits `sides`,
    /// divided by twice the critical value.
    fn limits_if_certain(&self, power: Power, frequencies: &[Interval], sides: &[Interval]) -> Limits {
        let reached = |limits: &[Interval], pick: fn((f64, f64)) -> f64| {
            let each = self.gaps.iter().zip(limits);
            power.root(each.map(|(gap, &limits)| gap.weight * power.of(pick(gap.distances(limits)))).sum())
        };
        let (near, far) = (|(near, _)| near, |(_, far)| far);
        let value = power.root(self.average(power, |gap| gap.signed.abs()));
        let two = self.confidence.two_sided();
        let critical = self.scatter.map_or_else(|| two.z(), |scatter| two.t(scatter.df()));
        let error = (reached(sides, far) - reached(sides, near)) / (2.0 * critical);
        let (low, high) = (reached(frequencies, near), reached(frequencies, far));
        limits(self.confidence, value, Some(error), low, high)
    }

    /// The largest gap, with limits from those of the frequency of every bin. Half of the permitted error is divided
    /// equally among the bins.
    ///
    /// With all of it, Wilson's limits of frequencies near 0 and 1 make one calibrated data set in nine look
    /// miscalibrated at n = 300.
    fn largest(&self, pace: &mut Pace<'_>) -> Result<Limits, Stopped> {
        let frequencies = self.frequencies(shared(self.confidence, 2 * self.gaps.len()), pace)?;
        let (mut value, mut low, mut high) = (0.0, 0.0, 0.0);
        for (gap, &limits) in self.gaps.iter().zip(&frequencies) {
            let (near, far) = gap.distances(limits);
            (value, low, high) = (larger(value, gap.signed.abs()), larger(low, near), larger(high, far));
        }
        Ok(limits(self.confidence, value, None, low, high))
    }
}

/// The errors of a state with their intervals, and the bins that hold rows; `None` where no row counts.
pub fn summarise(
    state: &BinTotals,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Option<Summary>, Stopped> {
    scalar(|| summary(state, confidence, &mut Pace::new(progress)))
}

fn summary(
    state: &BinTotals,
    confidence: Confidence,
    pace: &mut Pace<'_>,
) -> Result<Option<Summary>, Stopped> {
    if state.tally.count() == 0 {
        return Ok(None);
    }
    let totals = Totals::of(state, pace)?;
    let in_clusters = state.is_clustered() || state.is_weighted();
    let mut scatter = if in_clusters { Some(Scatter::of(state, &totals, pace)?) } else { None };
    let gaps = gaps(&totals, scatter.as_ref())?;
    let critical = scatter.as_ref().map_or_else(|| confidence.z(), |scatter| confidence.t(scatter.df()));
    let model = Model { gaps, scatter: scatter.as_ref(), confidence, critical };
    let mut said = if scatter.as_ref().is_some_and(|scatter| !scatter.is_known()) {
        unknown(&model)
    } else {
        known(&model, pace)?
    };
    said.gap = match &scatter {
        Some(scatter) => gap::of_clusters(&totals, scatter, confidence, pace)?,
        None => gap::of_rows(&totals, &model.gaps, confidence),
    };
    let both = confidence.two_sided().tail();
    let frequencies = model.frequencies(both, pace)?;
    let bin = |((gap, &Interval { low, high }), BinSums { index, .. }): ((&Gap, &Interval), &BinSums)| {
        let Gap { mean_probability, signed, weight, .. } = *gap;
        BinEstimate {
            index: *index,
            mean_probability,
            accuracy: gap.correct / gap.n,
            gap: signed,
            low,
            high,
            weight,
        }
    };
    said.bins = memory::gathered(model.gaps.iter().zip(&frequencies).zip(&totals.bins).map(bin))?;
    said.effective = totals.effective;
    said.clusters = scatter.as_mut().map(|scatter| std::mem::take(&mut scatter.totals));
    Ok(Some(said))
}

/// The gaps of the bins that hold rows.
fn gaps(totals: &Totals, scatter: Option<&Scatter>) -> Result<Vec<Gap>, Stopped> {
    let filled = totals.bins.iter().map(|bin| Gap::new(bin, totals.all.n));
    Ok(match scatter {
        None => memory::gathered(filled)?,
        Some(Scatter { null, noise, .. }) => {
            let deviations = null.deviations.iter().zip(&noise.deviations);
            memory::gathered(filled.zip(deviations).map(|(gap, (&null, &noise))| gap.clustered(null, noise)))?
        }
    })
}

/// The errors with their intervals; `summary` fills in the signed gap and the bins.
fn known(model: &Model<'_>, pace: &mut Pace<'_>) -> Result<Summary, Stopped> {
    let noise_floor = MEAN_FOLDED * model.gaps.iter().map(|gap| gap.weight * gap.null).sum::<f64>();
    let certain = match model.scatter {
        Some(scatter) => scatter.alike,
        None => model.gaps.iter().all(|gap| gap.reach == 0.0),
    };
    let (ece, rmsce) = if certain {
        let mut at = |confidence| model.frequencies(shared(confidence, model.gaps.len()), pace);
        let (frequencies, sides) = (at(model.confidence)?, at(model.confidence.two_sided())?);
        let error = |power: Power| model.limits_if_certain(power, &frequencies, &sides);
        (error(Power::One), error(Power::Two))
    } else {
        (model.limits(Power::One, noise_floor, pace)?, model.limits(Power::Two, 0.0, pace)?)
    };
    let (mce, gap) = (model.largest(pace)?, Limits::unknown(0.0));
    Ok(Summary {
        ece,
        rmsce,
        mce,
        gap,
        noise_floor,
        certain,
        clusters: None,
        effective: None,
        bins: Vec::new(),
    })
}

/// The errors without intervals: from one cluster it is not known how the gaps vary.
fn unknown(model: &Model<'_>) -> Summary {
    let error = |power: Power| Limits::unknown(power.root(model.average(power, |gap| gap.signed.abs())));
    let largest = model.gaps.iter().map(|gap| gap.signed.abs()).fold(0.0, larger);
    Summary {
        ece: error(Power::One),
        rmsce: error(Power::Two),
        mce: Limits::unknown(largest),
        gap: Limits::unknown(0.0),
        noise_floor: f64::NAN,
        certain: false,
        clusters: None,
        effective: None,
        bins: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bin, Tally};
    use super::*;
    use crate::exact::Fixed;
    use crate::intervals::Alternative;

    fn summarise(tally: &Tally, confidence: Confidence) -> Result<Option<Summary>, Stopped> {
        super::summarise(&BinTotals::from(tally.clone()), confidence, &mut |_| true)
    }

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn tally(rows: &[(u64, u64, f64)]) -> Tally {
        let row = |&(count, correct, p): &(u64, u64, f64)| {
            let one = i128::from_le_bytes(Fixed::from_f64(p).unwrap().to_bytes());
            Bin { count, correct, sum: one * i128::from(count) }
        };
        Tally { bins: rows.iter().map(row).collect(), ..Tally::default() }
    }

    fn near(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} {want}");
    }

    #[test]
    fn eighty_right_of_a_hundred_at_eighty_per_cent_are_calibrated() {
        let said = summarise(&tally(&[(100, 80, 0.8)]), TWO).unwrap().unwrap();
        assert!(said.ece.value < 1e-7);
        near(said.ece.low, 0.0, 0.0);
        near(said.ece.high, 0.0735, 5e-5);
        near(said.noise_floor, 0.0319, 5e-5);
        near(said.bins[0].low, 0.7112, 5e-5);
        near(said.bins[0].high, 0.8666, 5e-5);
    }

    #[test]
    fn one_side_spends_the_whole_error_there() {
        let rows = tally(&[(50, 20, 0.3), (0, 0, 0.0), (950, 800, 0.95)]);
        let both = summarise(&rows, Confidence { level: 0.9, ..TWO }).unwrap().unwrap();
        let greater =
            summarise(&rows, Confidence { alternative: Alternative::Greater, ..TWO }).unwrap().unwrap();
        let less = summarise(&rows, Confidence { alternative: Alternative::Less, ..TWO }).unwrap().unwrap();
        for pick in [|s: &Summary| s.ece, |s: &Summary| s.rmsce, |s: &Summary| s.mce] {
            near(pick(&greater).low, pick(&both).low, 1e-9);
            near(pick(&less).high, pick(&both).high, 1e-9);
            assert_eq!((pick(&greater).high, pick(&less).low), (1.0, 0.0));
        }
    }

    #[test]
    fn certainty_is_not_knowledge() {
        let said = summarise(&tally(&[(20, 0, 0.0), (20, 20, 1.0)]), TWO).unwrap().unwrap();
        assert!(said.certain && said.ece.value == 0.0 && said.ece.low == 0.0);
        assert!(said.ece.high > 0.1 && said.rmsce.high > 0.1 && said.ece.standard_error.unwrap() > 0.02);
    }

    #[test]
    fn certainty_at_a_level_under_one_half_has_no_negative_limit() {
        for count in [1, 3, 20, 1 << 40] {
            let less = Confidence { level: 0.3, alternative: Alternative::Less };
            let said = summarise(&tally(&[(count, 0, 0.0), (count, count, 1.0)]), less).unwrap().unwrap();
            for limits in [said.ece, said.rmsce, said.mce] {
                assert!(
                    limits.high >= 0.0 && limits.standard_error.is_none_or(|error| error >= 0.0),
                    "{limits:?}"
                );
            }
        }
    }

    #[test]
    fn one_row_far_off() {
        let said = summarise(&tally(&[(1, 1, 0.0)]), TWO).unwrap().unwrap();
        assert_eq!((said.ece.value, said.rmsce.value, said.mce.value), (1.0, 1.0, 1.0));
        assert!(said.ece.low > 0.0 && said.ece.high == 1.0);
        assert_eq!(summarise(&Tally::new(3).unwrap(), TWO), Ok(None));
    }
}
