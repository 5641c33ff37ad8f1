//! Engine G: the sum of values without a common step, from the characteristic function of its parts.

use super::inversion::{Inverse, Shape, invert};
use super::law::{Engine, Law};
use super::march::March;
use super::nodes::Transform;
use super::sum::{Spread, Sum};
use super::tails::{BEYOND, deviations};
use crate::grid::{Pace, Progress, Stopped};
use crate::math::normal;

/// A distribution function that is smooth, except for steps that are stated in its error.
#[derive(Debug)]
pub struct Smooth {
    pub inverse: Inverse,
    pub engine: Engine,
    /// The statistic of the data: the mean of the distribution.
    pub value: f64,
    /// What sums are divided by.
    pub per: f64,
    /// The standard deviation of the sum.
    pub deviation: f64,
    /// How far the sum may be below and above its mean, in standard deviations.
    pub range: (f64, f64),
    /// The period, in standard deviations.
    pub period: f64,
    pub error: f64,
}

/// The range of a sum and the period of its inversion, in standard deviations.
pub fn range(spread: Spread) -> ((f64, f64), f64) {
    let range = (deviations(spread.extent.0), deviations(spread.extent.1));
    (range, range.0 + range.1)
}

/// The distribution of a sum.
pub fn smooth(sum: &Sum, progress: Progress<'_>) -> Result<Smooth, Stopped> {
    let spread = sum.spread();
    let columns = sum.columns(range(spread).1 * spread.deviation)?;
    let mut march = March::new(&columns)?;
    of_transform(&columns, &mut march, spread, (sum.value, sum.per), sum.noise(), progress)
}

/// The distribution of a sum of this spread, from its characteristic function; `place` is the statistic of the data and
/// what sums are divided by.
pub fn of_transform<T: Transform>(
    transform: &T,
    march: &mut March<'_>,
    spread: Spread,
    place: (f64, f64),
    noise: f64,
    progress: Progress<'_>,
) -> Result<Smooth, Stopped> {
    let (range, period) = range(spread);
    let shape = Shape { points: None, noise, deviations: period };
    let inverse = invert(transform, shape, march, progress)?;
    let error = inverse.error + BEYOND;
    let (value, per) = place;
    Ok(Smooth { inverse, engine: Engine::G, value, per, deviation: spread.deviation, range, period, error })
}

impl Smooth {
    /// F and its density at so many standard deviations from the mean.
    pub fn at(&self, deviations: f64) -> (f64, f64) {
        let (f, density) = self.inverse.at(deviations / self.period);
        (f, density / self.period)
    }

    /// The quantile, in standard deviations from the mean: Newton's method inside a bracket, which is bisected where a
    /// step leaves it or F is rough.
    pub fn deviations(&self, level: f64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let (mut low, mut high) = (-self.range.0, self.range.1);
        let first = normal::quantile(level);
        let mut at = if first > low && first < high { first } else { 0.5 * (low + high) };
        // Where F is known only to its error, no more digits of the quantile are.
        let close = 1e-2 * self.error;
        for step in 0..200 {
            let (f, density) = self.at(at);
            pace.stride(self.inverse.len())?;
            let off = f - level;
            if off > 0.0 {
                high = at;
            } else {
                low = at;
            }
            if off == 0.0 || high - low <= close {
                break;
            }
            let newton = at - off / density;
            let inside = newton > low && newton < high && density > 1e-9 && step < 12;
            let next = if inside { newton } else { 0.5 * (low + high) };
            let done = inside && (next - at).abs() <= 2e-16 * self.period;
            at = next;
            if done && step > 2 {
                break;
            }
        }
        Ok(at)
    }
}

impl Law for Smooth {
    fn engine(&self) -> Engine {
        self.engine
    }

    fn error(&self) -> f64 {
        self.error
    }

    fn middle(&self, _: Progress<'_>) -> Result<f64, Stopped> {
        Ok(self.at(0.0).0)
    }

    fn quantile(&self, level: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        Ok(self.value + self.deviations(level, &mut Pace::new(progress))? * self.deviation / self.per)
    }

    fn up_to(&self, value: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        let at = (value - self.value) * self.per / self.deviation;
        Ok(if at < -self.range.0 {
            0.0
        } else if at > self.range.1 {
            1.0
        } else {
            self.at(at).0
        })
    }
}
