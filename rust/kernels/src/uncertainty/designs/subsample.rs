//! Fewer draws than there are units, or more.

use super::Drawing;
use crate::random::{Reader, Stream};
use crate::simd::scalar;

/// m draws from n units, with replacement (Bickel, Götze and van Zwet, "Resampling fewer than n observations: gains,
/// losses, and remedies for losses", 1997). Deviations of replicates from the value are multiplied by sqrt(m/n).
#[derive(Clone, Copy, Debug)]
pub struct Subsample {
    /// The number m of draws, at least 1.
    pub size: u64,
}

impl Drawing for Subsample {
    fn count(&self, stream: Stream, _: &mut [u32], counts: &mut [u32]) {
        let (mut reader, n) = (Reader::new(stream), counts.len() as u64);
        counts.fill(0);
        for _ in 0..if n > 0 { self.size } else { 0 } {
            counts[reader.below(n) as usize] += 1;
        }
    }

    fn fixed(&self) -> bool {
        false
    }

    fn draws(&self, _: usize) -> u64 {
        self.size
    }

    fn scale(&self, units: usize) -> f64 {
        scalar(|| (self.size as f64 / units as f64).sqrt())
    }
}
