//! The bets of Waudby-Smith and Ramdas, before they are truncated.

use super::STRIDE;
use crate::grid::{Pace, Stopped};
use crate::math::{log, log64};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// What the values so far say about the next bet: a mean and a variance that begin with one value of 1/2 and a squared
/// deviation of 1/4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// The number of values, plus one.
    pub(super) t: f64,
    sum: f64,
    squares: f64,
    /// 2 log(2/alpha).
    twice_log: f64,
}

impl Running {
    pub(super) fn new(alpha: f64) -> Self {
        Running { t: 1.0, sum: 0.0, squares: 0.0, twice_log: scalar(|| 2.0 * log(2.0 / alpha)) }
    }

    /// The mean that is expected of the next value: (1/2 + sum y)/t.
    #[inline(always)]
    pub(super) fn mean(&self) -> f64 {
        (0.5 + self.sum) / self.t
    }

    /// The next bet: sqrt(2 log(2/alpha)/(v t log(t + 1))) with the variance `v = (1/4 + sum (y - mean)^2)/t`, where
    /// each mean is the one after its y.
    #[inline(always)]
    pub(super) fn bet<I: Isa>(&self) -> f64 {
        let variance = (0.25 + self.squares) / self.t;
        (self.twice_log / (variance * (self.t * log64::<I>(self.t + 1.0)))).sqrt()
    }

    /// Takes the value in.
    #[inline(always)]
    pub(super) fn add(&mut self, y: f64) {
        self.t += 1.0;
        self.sum += y;
        let deviation = y - self.mean();
        self.squares += deviation * deviation;
    }
}

struct Bets<'a> {
    y: &'a [f64],
    running: Running,
    out: &'a mut [f64],
}

impl Kernel for Bets<'_> {
    type Out = Running;
    #[inline(always)]
    fn run<I: Isa>(self) -> Running {
        let mut running = self.running;
        for (y, out) in self.y.iter().zip(self.out) {
            *out = running.bet::<I>();
            running.add(*y);
        }
        running
    }
}

/// The bet on each value, which is made before the value is known.
pub(super) fn bets(y: &[f64], alpha: f64, pace: &mut Pace<'_>) -> Result<Vec<f64>, Stopped> {
    let mut bets = memory::filled(y.len(), 0.0)?;
    let mut running = Running::new(alpha);
    for (y, out) in y.chunks(STRIDE).zip(bets.chunks_mut(STRIDE)) {
        running = dispatch(Bets { y, running, out });
        pace.stride(y.len())?;
    }
    Ok(bets)
}
