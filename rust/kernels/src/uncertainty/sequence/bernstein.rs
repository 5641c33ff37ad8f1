//! The predictable plug-in empirical Bernstein confidence sequence (Waudby-Smith and Ramdas 2024, theorem 2).
//!
//! At time t: `sum l y / sum l -+ (log(2/alpha) + sum v (-log(1 - l) - l)) / sum l`, with bets `l` of at most 1/2 and `v`
//! the squared distance of `y` from the mean that was expected of it.

use super::STRIDE;
use super::bets::Running;
use crate::grid::{Pace, Stopped};
use crate::intervals::Interval;
use crate::math::{log, log1p_64};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// The largest bet.
const MOST: f64 = 0.5;
/// The rounding error of a sum of t positive terms, each with a few roundings of its own, is below t + 8 times this
/// share of it; the limits are moved outwards by as much.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

#[derive(Clone, Copy)]
struct Sums {
    running: Running,
    bets: f64,
    values: f64,
    /// Begins with log(2/alpha).
    widths: f64,
    limits: Interval,
}

struct Bernstein<'a> {
    y: &'a [f64],
    sums: Sums,
}

impl Kernel for Bernstein<'_> {
    type Out = Sums;
    #[inline(always)]
    fn run<I: Isa>(self) -> Sums {
        let mut sums = self.sums;
        for &y in self.y {
            let bet = sums.running.bet::<I>();
            let bet = if bet < MOST { bet } else { MOST };
            let deviation = y - sums.running.mean();
            sums.running.add(y);
            sums.bets += bet;
            sums.values += bet * y;
            sums.widths += deviation * deviation * (-log1p_64::<I>(-bet) - bet);
            let (centre, half) = (sums.values / sums.bets, sums.widths / sums.bets);
            let half = half + (centre + half) * (ROUNDING * (sums.running.t + 8.0));
            let (low, high) = (centre - half, centre + half);
            sums.limits.low = if low > sums.limits.low { low } else { sums.limits.low };
            sums.limits.high = if high < sums.limits.high { high } else { sums.limits.high };
        }
        sums
    }
}

/// See [`super::looks`].
pub(super) fn looks(
    y: &[f64],
    alpha: f64,
    times: &[usize],
    pace: &mut Pace<'_>,
) -> Result<Vec<Interval>, Stopped> {
    let mut found = memory::with_capacity(times.len())?;
    let mut sums = Sums {
        running: Running::new(alpha),
        bets: 0.0,
        values: 0.0,
        widths: scalar(|| log(2.0 / alpha)),
        limits: Interval { low: 0.0, high: 1.0 },
    };
    let mut done = 0;
    for &time in times {
        for y in y[done..time].chunks(STRIDE) {
            sums = dispatch(Bernstein { y, sums });
            pace.stride(y.len())?;
        }
        done = time;
        found.push(sums.limits);
    }
    Ok(found)
}
