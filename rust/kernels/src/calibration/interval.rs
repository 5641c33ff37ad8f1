//! Calibration errors of a tally and their intervals: closed formulas and bisection, nothing drawn.
//!
//! A bin's gap is its mean probability less its observed frequency; it scatters about the true gap by
//! `s = sqrt(y (1 - y) / n)`. The plain errors are biased upwards by that scatter (a calibrated model has an
//! `ece` of about the noise floor, not 0), so the intervals invert: which true gaps would make what was
//! observed unsurprising? The observed gaps, raised to their own noise and scaled by one factor `L`, stand
//! for the true ones; the limits are the scaled errors at which the observed error lies `z` standard
//! deviations from its mean, by the folded normal distribution (Leone, Nelson and Nottingham, Technometrics
//! 3(4), 1961). Rows count as independent.

use super::tally::{Row, Tally};
use crate::exact::Fixed;
use crate::grid::{Pace, Stopped, Watch};
use crate::intervals::proportion::wilson;
use crate::intervals::{Confidence, Interval};
use crate::math::{exp, normal};
use crate::memory;
use crate::simd::scalar;

/// `sqrt(2 / pi)`: the mean of |N(0, 1)|.
const MEAN_FOLDED: f64 = 0.797_884_560_802_865_4;
/// Halvings of a bracket: more than an f64 has bits.
const HALVINGS: u32 = 60;

/// An error with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// As observed.
    pub value: f64,
    /// Its standard deviation if the true gaps are those observed (raised to their noise).
    pub standard_error: Option<f64>,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
}

/// A bin that holds something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Where it stands.
    pub index: usize,
    /// Mean probability.
    pub mean_probability: f64,
    /// Observed frequency.
    pub accuracy: f64,
    /// The first less the second.
    pub gap: f64,
    /// Wilson limits of the frequency.
    pub low: f64,
    /// Wilson limits of the frequency.
    pub high: f64,
}

/// What a tally says.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Mean absolute gap.
    pub ece: Limits,
    /// Root of the mean squared gap.
    pub rmsce: Limits,
    /// Largest absolute gap.
    pub mce: Limits,
    /// What `ece` is expected to be for a calibrated model.
    pub noise_floor: f64,
    /// Every probability is 0 or 1 and came true: no scatter to work with, and the upper limits are those of
    /// the bins' frequencies.
    pub certain: bool,
    /// The filled bins.
    pub bins: Vec<Bin>,
}

/// The critical value when the error is shared by `parts` limits of each side.
fn shared(confidence: Confidence, parts: usize) -> f64 {
    -normal::quantile(confidence.tail() / parts as f64)
}

/// An error with its interval inside [0, 1], an open side at its end.
fn limits(confidence: Confidence, value: f64, standard_error: Option<f64>, low: f64, high: f64) -> Limits {
    let high = if high > 1.0 { 1.0 } else { high };
    let Interval { low, high } = confidence.open(Interval { low, high }, 0.0, 1.0);
    Limits { value, standard_error, low, high }
}

/// A bin as the intervals see it.
struct Gap {
    n: f64,
    correct: f64,
    mean_probability: f64,
    weight: f64,
    /// The gap, with its sign.
    signed: f64,
    /// The gap's standard deviation were the bin calibrated.
    null: f64,
    /// The same with the observed frequency, drawn towards the mean probability by one row.
    scatter: f64,
    /// The larger of |gap| and `null`.
    reach: f64,
}

impl Gap {
    fn new(row: &Row, total: u64) -> Self {
        let (n, correct) = (row.count as f64, row.correct as f64);
        let mean = units(row.sum) / n;
        // The difference is formed exactly: a calibrated bin has a gap of 0, not of a rounding.
        let signed = units(row.sum - (i128::from(row.correct) << 64)) / n;
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
            weight: n / total as f64,
            signed,
            null,
            scatter: deviation((correct + mean) / (n + 1.0)),
            reach: if size > null { size } else { null },
        }
    }

    /// The frequency's distance from the mean probability: the least and the most within Wilson's limits.
    fn distances(&self, z: f64) -> (f64, f64) {
        let Interval { low, high } = wilson(self.correct, self.n - self.correct, z);
        let (below, above) = (self.mean_probability - low, high - self.mean_probability);
        let outside = larger(larger(-below, -above), 0.0);
        // With z below 0 (one side, at a level under one half) the limits lie on the other side of the frequency.
        (outside, larger(larger(below, above), 0.0))
    }
}

fn units(sum: i128) -> f64 {
    Fixed::from_bytes(sum.to_le_bytes()).value()
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// What is averaged over bins.
#[derive(Clone, Copy, PartialEq)]
enum Power {
    /// |gap|
    One,
    /// gap squared, and the root of the mean
    Two,
}

impl Power {
    fn of(self, h: f64) -> f64 {
        if self == Power::One { h } else { h * h }
    }

    fn root(self, mean: f64) -> f64 {
        if self == Power::One { mean } else { mean.sqrt() }
    }

    /// Mean and variance of |N(h, s^2)|, or of N(h, s^2) squared; `h >= 0`.
    fn moments(self, h: f64, s: f64) -> (f64, f64) {
        let (hh, ss) = (h * h, s * s);
        if self == Power::Two {
            return (hh + ss, 2.0 * ss * ss + 4.0 * hh * ss);
        }
        // Nine deviations out nothing is folded, to the last place.
        if h >= 9.0 * s {
            return (h, ss);
        }
        let r = h / s;
        let mean = s * MEAN_FOLDED * exp(-0.5 * r * r) + h * (1.0 - 2.0 * normal::cdf(-r));
        (mean, hh + ss - mean * mean)
    }

    /// The weighted mean of a function of the bins.
    fn average(self, gaps: &[Gap], h: impl Fn(&Gap) -> f64) -> f64 {
        gaps.iter().map(|gap| gap.weight * self.of(h(gap))).sum()
    }

    /// Mean and standard deviation of the averaged error if the true gaps are `scale` times the reaches;
    /// at 0 the model is calibrated.
    fn expected(self, gaps: &[Gap], scale: f64) -> (f64, f64) {
        let (mut mean, mut variance) = (0.0, 0.0);
        for gap in gaps {
            let s = if scale > 0.0 { gap.scatter } else { gap.null };
            let (m, v) = self.moments(scale * gap.reach, s);
            mean += gap.weight * m;
            variance += gap.weight * gap.weight * v;
        }
        (mean, larger(variance, 0.0).sqrt())
    }

    /// The largest scale found at which mean + `z` deviations is `observed`, by doubling and halving.
    fn scale_at(self, gaps: &[Gap], z: f64, observed: f64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let mut below = |scale: f64| {
            let (mean, deviation) = self.expected(gaps, scale);
            pace.stride(gaps.len())?;
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

    fn limits(
        self,
        gaps: &[Gap],
        confidence: Confidence,
        floor: f64,
        pace: &mut Pace<'_>,
    ) -> Result<Limits, Stopped> {
        let (z, observed) = (confidence.z(), self.average(gaps, |gap| gap.signed.abs()));
        let at = |scale: f64| self.root(self.average(gaps, |gap| scale * gap.reach));
        let (calibrated, spread) = self.expected(gaps, 0.0);
        let low = if calibrated + z * spread >= observed {
            0.0
        } else {
            at(self.scale_at(gaps, z, observed, pace)?)
        };
        let high = larger(at(self.scale_at(gaps, -z, observed, pace)?), floor);
        let (mean, deviation) = self.expected(gaps, 1.0);
        // The root of a mean square scatters by the square's deviation over twice the root.
        let standard_error = if self == Power::One { deviation } else { deviation / (2.0 * mean.sqrt()) };
        Ok(limits(confidence, self.root(observed), Some(standard_error), low, high))
    }

    /// Where every probability is 0 or 1 and came true: the farthest that the frequencies may lie.
    fn limits_if_certain(self, gaps: &[Gap], confidence: Confidence) -> Limits {
        let z = shared(confidence, gaps.len());
        let high = self.root(self.average(gaps, |gap| gap.distances(z).1));
        limits(confidence, 0.0, Some(high / (2.0 * confidence.two_sided().z())), 0.0, high)
    }
}

/// The largest gap: Wilson's limits in every bin, at an error shared by all.
fn largest(gaps: &[Gap], confidence: Confidence) -> Limits {
    let z = shared(confidence, gaps.len());
    let (mut value, mut low, mut high) = (0.0, 0.0, 0.0);
    for gap in gaps {
        let (near, far) = gap.distances(z);
        (value, low, high) = (larger(value, gap.signed.abs()), larger(low, near), larger(high, far));
    }
    limits(confidence, value, None, low, high)
}

/// Errors, intervals and filled bins of a tally; `None` where it holds no row.
pub fn summarise(
    tally: &Tally,
    confidence: Confidence,
    watch: Watch<'_>,
) -> Result<Option<Summary>, Stopped> {
    scalar(|| summary(tally, confidence, &mut Pace::new(watch)))
}

fn summary(tally: &Tally, confidence: Confidence, pace: &mut Pace<'_>) -> Result<Option<Summary>, Stopped> {
    let total: u64 = tally.rows.iter().map(|row| row.count).sum();
    let filled = || tally.rows.iter().enumerate().filter(|(_, row)| row.count > 0);
    let gaps = memory::gathered(filled().map(|(_, row)| Gap::new(row, total)))?;
    if gaps.is_empty() {
        return Ok(None);
    }
    let both = confidence.two_sided().z();
    let noise_floor = MEAN_FOLDED * gaps.iter().map(|gap| gap.weight * gap.null).sum::<f64>();
    let certain = gaps.iter().all(|gap| gap.reach == 0.0);
    let mut error = |power: Power, floor: f64| {
        if certain {
            Ok(power.limits_if_certain(&gaps, confidence))
        } else {
            power.limits(&gaps, confidence, floor, pace)
        }
    };
    let bin = |((index, _), gap): ((usize, &Row), &Gap)| {
        let Interval { low, high } = wilson(gap.correct, gap.n - gap.correct, both);
        let accuracy = gap.correct / gap.n;
        Bin { index, mean_probability: gap.mean_probability, accuracy, gap: gap.signed, low, high }
    };
    Ok(Some(Summary {
        ece: error(Power::One, noise_floor)?,
        rmsce: error(Power::Two, 0.0)?,
        mce: largest(&gaps, confidence),
        noise_floor,
        certain,
        bins: memory::gathered(filled().zip(&gaps).map(bin))?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;

    fn summarise(tally: &Tally, confidence: Confidence) -> Result<Option<Summary>, Stopped> {
        super::summarise(tally, confidence, &mut |_| true)
    }

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn tally(rows: &[(u64, u64, f64)]) -> Tally {
        let row = |&(count, correct, p): &(u64, u64, f64)| {
            let one = i128::from_le_bytes(Fixed::from_f64(p).unwrap().to_bytes());
            Row { count, correct, sum: one * i128::from(count) }
        };
        Tally { rows: rows.iter().map(row).collect(), ..Tally::default() }
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

    #[test]
    fn the_folded_normal_meets_the_plain_one() {
        for r in [0.0, 0.5, 3.0, 8.999, 9.0, 20.0] {
            let (mean, variance) = Power::One.moments(r * 0.1, 0.1);
            near(mean * mean + variance, 0.01 * (1.0 + r * r), 1e-15);
        }
        near(Power::One.moments(0.8999, 0.1).1, 0.01, 1e-15);
    }
}
