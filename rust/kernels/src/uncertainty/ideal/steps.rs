//! A distribution whose every step is known.

use super::lattice::ROUNDING;
use super::law::{Engine, Law};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::sorting::sorted;

/// Values that differ by at most this share of the largest are one.
const SAME: f64 = 1e-13;

/// The possible values, ascending, with the probability of each and of all up to it.
#[derive(Debug)]
pub struct Steps {
    values: Vec<f64>,
    up_to: Vec<f64>,
    /// The value of the data.
    value: f64,
    shift: f64,
    same: f64,
    engine: Engine,
}

impl Steps {
    /// From values with probabilities, in any order; `shift` is added to every answer.
    pub fn new(
        listed: Vec<(f64, f64)>,
        shift: f64,
        value: f64,
        engine: Engine,
        progress: Progress<'_>,
    ) -> Result<Self, Stopped> {
        let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
        let listed = sorted(listed, order, &mut Pace::new(progress))?;
        let largest = |pair: Option<&(f64, f64)>| pair.map_or(0.0, |pair| pair.0.abs());
        let (first, last) = (largest(listed.first()), largest(listed.last()));
        let same = SAME * if first > last { first } else { last };
        let (mut values, mut up_to) = (Vec::<f64>::new(), Vec::new());
        let mut all = 0.0;
        for (value, share) in listed {
            all += share;
            match values.last() {
                Some(&last) if value - last <= same => {
                    let at = up_to.len() - 1;
                    up_to[at] = all;
                }
                _ => {
                    memory::push(&mut values, value)?;
                    memory::push(&mut up_to, all)?;
                }
            }
        }
        Ok(Steps { values, up_to, value, shift, same, engine })
    }

    /// The probability of values of at most `limit`.
    fn below(&self, limit: f64) -> f64 {
        let at = self.values.partition_point(|&value| value <= limit);
        if at == 0 { 0.0 } else { self.up_to[at - 1] }
    }
}

impl Law for Steps {
    fn engine(&self) -> Engine {
        self.engine
    }

    fn error(&self) -> f64 {
        (1.0 - self.up_to.last().unwrap_or(&0.0)).abs() + ROUNDING
    }

    fn middle(&self, _: Progress<'_>) -> Result<f64, Stopped> {
        // The value of the data comes from other additions than those of the resamples.
        let near = 10.0 * self.same;
        Ok(0.5 * (self.below(self.value + near) + self.below(self.value - near)))
    }

    fn quantile(&self, level: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        let at = self.up_to.partition_point(|&f| f < level - ROUNDING);
        Ok(self.shift + self.values[at.min(self.values.len() - 1)])
    }

    fn up_to(&self, value: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        Ok(self.below(value - self.shift + self.same))
    }
}
