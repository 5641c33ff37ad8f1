//! How often each unit counts in a replicate: the designs of resampling.
//!
//! A [`Drawing`] gives each unit a whole number of times in each replicate (or a weight in whole steps); statistics
//! consume these counts and know nothing of the design. It also says which units are drawn together and apart from which
//! others, from which BCa's acceleration follows.

mod balanced;
mod bayesian;
mod blocks;
mod crossed;
mod geometric;
mod length;
mod nested;
mod parts;
mod poisson;
mod sampling;
mod shares;
mod simple;
mod strata;
mod subsample;
mod words;

pub use balanced::Balanced;
pub use bayesian::Bayesian;
pub use blocks::{Blocks, Kind};
pub use crossed::Crossed;
pub use length::block_length;
pub use nested::Nested;
pub use parts::Parts;
pub(super) use parts::centred;
pub(super) use poisson::AT_MOST;
pub use poisson::Poisson;
pub use sampling::Sampling;
pub(super) use shares::MOST_COUNTED;
pub use simple::Simple;
pub use strata::Strata;
pub use subsample::Subsample;

use crate::memory::NoMemory;
use crate::random::Stream;
use crate::simd::scalar;
use std::fmt::Debug;

/// A design of resampling.
pub trait Drawing: Debug + Sync {
    /// The numbers that [`Drawing::count`] needs room for.
    fn room(&self, _units: usize) -> usize {
        0
    }

    /// Writes how often each unit counts in the replicate of `stream`. `room` is as [`Drawing::room`] says: zeros, or
    /// what was left there for another replicate of the same seed and stratum.
    fn count(&self, stream: Stream, room: &mut [u32], counts: &mut [u32]);

    /// What a count of 1 weighs.
    fn unit(&self) -> f64 {
        1.0
    }

    /// Whether as many units are drawn as there are, each time any of them, as [`crate::random::counts`] draws them.
    fn plain(&self) -> bool {
        false
    }

    /// Whether counts are used as they are: those of all units (of each stratum, where they are drawn in strata) add up
    /// to their number, or else to what the clusters that were drawn have. Otherwise their total is noise, see
    /// [`Drawing::level`].
    fn fixed(&self) -> bool {
        true
    }

    /// Writes the counts of a replicate as weights that add up to the number of units, where counts do not.
    fn level(&self, counts: &[u32], weights: &mut [f64]) {
        let share = share(counts.iter().copied());
        scalar(|| counts.iter().zip(weights).for_each(|(&count, weight)| *weight = f64::from(count) * share));
    }

    /// Whether whole counts give each stratum its share of the units.
    fn proportional(&self) -> bool {
        true
    }

    /// The number of draws of a replicate of `units` units.
    fn draws(&self, units: usize) -> u64 {
        units as u64
    }

    /// By what the deviations of replicates from the value are multiplied, so that they are those of a resample of all
    /// `units`.
    fn scale(&self, _units: usize) -> f64 {
        1.0
    }

    /// The number of units of which a sample is drawn at a time, of `units` units: the size of a stratum (the mean, where
    /// sizes differ), or all units.
    fn sample(&self, units: usize) -> usize {
        units
    }

    /// The parts into which `units` fall that are drawn independently of each other, about `most` of them at most: what
    /// a jackknife leaves out in turn. Where nothing else is said, any unit by itself.
    fn parts(&self, units: usize, most: usize) -> Result<Parts, NoMemory> {
        Parts::alike(units, most)
    }
}

/// The number of units divided by the sum of their counts.
fn share(counts: impl ExactSizeIterator<Item = u32>) -> f64 {
    let units = counts.len() as f64;
    let total: u64 = counts.map(u64::from).sum();
    scalar(|| units / total as f64)
}

/// Multiplies the deviations of replicates from the value as their drawing says.
pub(super) fn rescaled(drawing: &dyn Drawing, units: usize, value: f64, replicates: &mut [f64]) {
    let scale = drawing.scale(units);
    if scale != 1.0 {
        scalar(|| replicates.iter_mut().for_each(|other| *other = value + scale * (*other - value)));
    }
}
