//! Engine P: the sum of values with giant outliers, given how often each outlier is drawn.
//!
//! One value far from all others keeps the characteristic function alive over thousands of nodes. Given the number of
//! its draws, which is binomial, the sum of the other draws is smooth.

use super::law::{Engine, Law};
use super::smooth::{Smooth, smooth};
use super::sum::{Part, Sum, larger};
use crate::grid::{Pace, Progress, Stopped};
use crate::math::{exp, lgamma, log};
use crate::memory;

/// Combinations of draws less likely than this are left out.
const UNLIKELY: f64 = 1e-16;
/// An outlier is drawn at most so often.
const DRAWS: usize = 40;

/// A distribution that is a mixture over the draws of outliers.
#[derive(Debug)]
pub struct Peeled {
    /// The distributions of the draws that are left, by how many draws the outliers take.
    rest: Vec<Option<Smooth>>,
    terms: Vec<Term>,
    value: f64,
    per: f64,
    /// The standard deviation of the sum.
    deviation: f64,
    error: f64,
}

/// One combination of draws of the outliers: its probability, how many draws it takes, and the mean of the sum given
/// it, about the mean of the sum.
#[derive(Debug)]
struct Term {
    share: f64,
    taken: usize,
    mean: f64,
}

/// The distribution of a sum in which the `outliers` most extreme values of the part with the most extreme one are set
/// apart; `None` where its error is not below `better`.
pub fn peeled(
    sum: &Sum,
    outliers: usize,
    better: f64,
    progress: Progress<'_>,
) -> Result<Option<Peeled>, Stopped> {
    let far = |part: &Part| {
        let (below, above) = part.extent();
        larger(below, above)
    };
    let Some(at) = (0..sum.parts.len()).max_by(|&a, &b| far(&sum.parts[a]).total_cmp(&far(&sum.parts[b])))
    else {
        return Ok(None);
    };
    let part = &sum.parts[at];
    let others = sum.parts[..at].iter().chain(&sum.parts[at + 1..]);
    if part.values.len() < outliers + 4 {
        return Ok(None);
    }
    let (low, high) = extremes(part, outliers);
    let inner = low..part.values.len() - high;
    let values = memory::copied(&part.values[inner.clone()])?;
    let inside: f64 = part.shares[inner.clone()].iter().sum();
    let block = Part::counted(values, memory::copied(&part.shares[inner.clone()])?, part.draws, part.weight);
    let apart = (0..low).chain(inner.end..part.values.len());
    let apart: Vec<(f64, f64)> =
        memory::gathered(apart.map(|i| (part.weight * (part.values[i] - part.mean), part.shares[i])))?;
    let mut terms = Vec::new();
    let mut draws = memory::filled(apart.len(), 0usize)?;
    let below = part.weight * (block.mean - part.mean);
    loop {
        let taken: usize = draws.iter().sum();
        let left = part.draws - taken as f64;
        let mut log_share =
            if left < 0.0 { f64::NEG_INFINITY } else { lgamma(part.draws + 1.0) - lgamma(left + 1.0) };
        log_share += left * log(inside);
        let mut mean = left * below;
        for (&k, &(value, share)) in draws.iter().zip(&apart) {
            log_share += k as f64 * log(share) - lgamma(k as f64 + 1.0);
            mean += k as f64 * value;
        }
        if log_share > log(UNLIKELY) {
            memory::push(&mut terms, Term { share: exp(log_share), taken, mean })?;
        }
        // The next combination.
        let Some(at) = draws.iter().position(|&k| k < DRAWS) else { break };
        draws[..at].fill(0);
        draws[at] += 1;
        if draws[apart.len() - 1] == DRAWS {
            break;
        }
    }
    let mut rest = Vec::new();
    let mut error: f64 = 1.0 - terms.iter().map(|term| term.share).sum::<f64>();
    error = larger(error, 0.0);
    let mut worst = 0.0;
    for taken in 0..=apart.len() * DRAWS {
        let needed = terms.iter().any(|term| term.taken == taken);
        let law = if needed {
            let left = Part { draws: part.draws - taken as f64, ..block.clone() };
            let parts = memory::gathered(std::iter::once(left).chain(others.clone().cloned()))?;
            let law = smooth(&Sum::new(parts, 0.0, 1.0), &mut *progress)?;
            worst = larger(worst, law.error);
            if worst > better {
                return Ok(None);
            }
            Some(law)
        } else {
            None
        };
        memory::push(&mut rest, law)?;
    }
    let deviation = sum.spread().deviation;
    Ok(Some(Peeled { rest, terms, value: sum.value, per: sum.per, deviation, error: error + worst }))
}

/// How many values at the lower and at the upper end are the most extreme ones.
fn extremes(part: &Part, count: usize) -> (usize, usize) {
    let (mut low, mut high) = (0, 0);
    let last = part.values.len() - 1;
    while low + high < count {
        let (below, above) = (part.mean - part.values[low], part.values[last - high] - part.mean);
        if below > above { low += 1 } else { high += 1 }
    }
    (low, high)
}

impl Peeled {
    /// F at a distance from the mean.
    fn at(&self, from_mean: f64) -> f64 {
        let mut f = 0.0;
        for term in &self.terms {
            if let Some(law) = &self.rest[term.taken] {
                let at = (from_mean - term.mean) / law.deviation;
                f += term.share
                    * if at > law.range.1 {
                        1.0
                    } else if at < -law.range.0 {
                        0.0
                    } else {
                        law.at(at).0
                    };
            }
        }
        f
    }

    fn cost(&self) -> usize {
        self.terms.len() * self.rest.iter().flatten().map(|law| law.inverse.len()).max().unwrap_or(0)
    }
}

impl Law for Peeled {
    fn engine(&self) -> Engine {
        Engine::P
    }

    fn error(&self) -> f64 {
        self.error
    }

    fn middle(&self, _: Progress<'_>) -> Result<f64, Stopped> {
        Ok(self.at(0.0))
    }

    fn quantile(&self, level: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let mut pace = Pace::new(progress);
        let far = 40.0 * self.deviation;
        let (mut low, mut high) = (-far, far);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high || high - low <= 1e-16 * self.deviation {
                break;
            }
            if self.at(middle) >= level {
                high = middle;
            } else {
                low = middle;
            }
            pace.stride(self.cost())?;
        }
        Ok(self.value + high / self.per)
    }

    fn up_to(&self, value: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        Ok(self.at((value - self.value) * self.per))
    }
}
