//! The ideal studentised bootstrap: the distribution of t over all resamples, where these can be listed, or the sums of
//! the values and of their squares lie on two lattices.
//!
//! `t* = (r* - r)/s*` with `s*^2 = sum c_g (a_g - r* b_g)^2/(sum c_g b_g)^2` of the units that were drawn `c_g` times.

use super::enumeration::{each_multiset, multisets};
use super::lattice::{Lattice, ROUNDING};
use super::law::{Engine, Law};
use super::ratio::{MOST, PairsOf};
use super::sum::larger;
use super::two_lattices::{Joint, joint};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::ClusterSums;
use crate::memory;
use crate::sorting::sorted;
use crate::uncertainty::no_estimate::{Ended, NoEstimate};
use crate::uncertainty::sign_flip::nearest;
use crate::uncertainty::studentized::studentised;

/// The t of all resamples, ascending, with the probabilities of each and all before it.
#[derive(Debug)]
pub struct Ts {
    values: Vec<f64>,
    up_to: Vec<f64>,
    engine: Engine,
}

/// The distribution of t over resamples of units with numerators and positive denominators, whose ratio is `value` and
/// has the standard error `error`.
pub fn law(units: &ClusterSums, value: f64, error: f64, progress: Progress<'_>) -> Result<Ts, Ended> {
    let pairs = PairsOf::new(units, &mut Pace::new(&mut *progress))?;
    if multisets(pairs.a.len(), pairs.draws) <= MOST {
        let listed = listed(&pairs, value, error, &mut Pace::new(&mut *progress))?;
        return Ok(Ts::new(listed, Engine::E, progress)?);
    }
    if pairs.b.iter().all(|&b| b == pairs.b[0])
        && let Some(listed) = on_lattices(&pairs, &mut *progress)?
    {
        return Ok(Ts::new(listed, Engine::L, progress)?);
    }
    Err(NoEstimate::TooManyResamples { most: MOST as usize }.into())
}

/// The t of every resample.
fn listed(pairs: &PairsOf, value: f64, error: f64, pace: &mut Pace<'_>) -> Result<Vec<(f64, f64)>, Stopped> {
    let rests = memory::collected(pairs.a.iter().zip(&pairs.b).map(|(a, b)| a - value * b))?;
    let mut found = Vec::new();
    each_multiset(&pairs.shares, pairs.draws as usize, &mut |times, share| {
        let (mut top, mut bottom) = (0.0, 0.0);
        for ((&k, rest), b) in times.iter().zip(&rests).zip(&pairs.b) {
            top += k as f64 * rest;
            bottom += k as f64 * b;
        }
        let (distance, mut squares) = (top / bottom, 0.0);
        for ((&k, rest), b) in times.iter().zip(&rests).zip(&pairs.b) {
            let off = rest - distance * b;
            squares += k as f64 * (off * off);
        }
        memory::push(&mut found, (studentised(distance, squares.sqrt() / bottom, error), share))?;
        pace.step()
    })?;
    Ok(found)
}

/// The t of every pair of a sum of values and a sum of their squares, where values are whole numbers of steps; `None`
/// where they are not, or are too many steps.
fn on_lattices(pairs: &PairsOf, progress: Progress<'_>) -> Result<Option<Vec<(f64, f64)>>, Stopped> {
    let Some(Lattice { codes, .. }) = Lattice::of(&pairs.a, 0.0)? else { return Ok(None) };
    let mean = codes.iter().zip(&pairs.shares).map(|(k, p)| k * p).sum::<f64>();
    let centre = nearest(mean);
    let (draws, mean) = (pairs.draws, mean - centre);
    let a = memory::collected(codes.iter().map(|k| k - centre))?;
    let b = memory::collected(a.iter().map(|k| k * k))?;
    let squared = PairsOf { a, b, shares: memory::copied(&pairs.shares)?, draws };
    let Joint::Known(cells) = joint(&[squared], 0.0, progress)? else { return Ok(None) };
    // Whole numbers, so that a resample of equal values has exactly no spread.
    let t = |(sum, squares, share): (f64, f64, f64)| {
        let (sum, squares) = (nearest(sum), nearest(squares));
        let variance = (draws * squares - sum * sum) / (draws * draws);
        let own = if variance > 0.0 { (variance / draws).sqrt() } else { 0.0 };
        (studentised(sum / draws - mean, own, 1.0), share)
    };
    Ok(Some(memory::collected(cells.into_iter().map(t))?))
}

impl Ts {
    fn new(listed: Vec<(f64, f64)>, engine: Engine, progress: Progress<'_>) -> Result<Ts, Stopped> {
        let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
        let listed = sorted(listed, order, &mut Pace::new(progress))?;
        let values = memory::collected(listed.iter().map(|pair| pair.0))?;
        let (mut all, mut up_to) = (0.0, memory::with_capacity(values.len())?);
        for (_, share) in listed {
            all += share;
            up_to.push(all);
        }
        Ok(Ts { values, up_to, engine })
    }

    /// The probability of resamples without spread, whose t is infinite.
    pub fn without_spread(&self) -> f64 {
        let below = self.values.partition_point(|&t| t == f64::NEG_INFINITY);
        let above = self.values.partition_point(|&t| t < f64::INFINITY);
        let before = |at: usize| if at == 0 { 0.0 } else { self.up_to[at - 1] };
        before(below) + before(self.values.len()) - before(above)
    }
}

impl Law for Ts {
    fn engine(&self) -> Engine {
        self.engine
    }

    fn error(&self) -> f64 {
        (1.0 - self.up_to.last().unwrap_or(&0.0)).abs() + ROUNDING
    }

    fn middle(&self, progress: Progress<'_>) -> Result<f64, Stopped> {
        self.up_to(0.0, progress)
    }

    fn quantile(&self, level: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        let at = self.up_to.partition_point(|&f| f < level - ROUNDING);
        Ok(self.values[at.min(self.values.len() - 1)])
    }

    fn up_to(&self, value: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        let near = 1e-12 * larger(value.abs(), 1.0);
        let at = self.values.partition_point(|&t| t <= value + near);
        Ok(if at == 0 { 0.0 } else { self.up_to[at - 1] })
    }
}
