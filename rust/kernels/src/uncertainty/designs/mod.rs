//! How often each unit counts in a replicate: the designs of resampling.
//!
//! A [`Drawing`] gives each unit a whole number of times in each replicate; statistics consume these counts and know
//! nothing of the design. It also says which units are drawn together and apart from which others, from which BCa's
//! acceleration follows.

mod blocks;
mod length;
mod parts;
mod simple;
mod strata;

pub use blocks::{Blocks, Kind};
pub use length::block_length;
pub use parts::Parts;
pub(super) use parts::within_strata;
pub use simple::Simple;
pub use strata::Strata;

use crate::memory::NoMemory;
use crate::random::Stream;

/// A design of resampling.
pub trait Drawing: Sync {
    /// Writes how often each unit counts in the replicate of `stream`. `scratch` is as long as `counts`, and its content
    /// is arbitrary.
    fn count(&self, stream: Stream, scratch: &mut [u32], counts: &mut [u32]);

    /// The number of units of which a sample is drawn at a time, of `units` units: the size of a stratum (the mean, where
    /// sizes differ), or all units.
    fn sample(&self, units: usize) -> usize {
        units
    }

    /// The parts into which `units` fall that are drawn independently of each other, about `most` of them at most: what
    /// a jackknife leaves out in turn.
    fn parts(&self, units: usize, most: usize) -> Result<Parts, NoMemory>;
}
