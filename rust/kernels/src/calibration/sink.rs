//! Sinks, into which the rows of a source are gathered block by block.
//!
//! A [`Source`] says where probabilities come from, and a [`Sink`] what is done with them. The loop between the two is
//! written once, so every sink works with every source. Another method (bins of equal mass, proper scores) would be
//! another sink.

use super::bins::{Probability, Work, bin, bin_by_edges, edges};
use super::block::{BLOCK, Block, Fault, LeftOut};
use super::sources::Source;
use crate::memory::NoMemory;
use crate::simd::{Isa, Kernel, scalar};
use std::ops::Range;

/// Receives the rows of one chunk.
pub(super) trait Sink<W> {
    /// Adds the first `n` rows of a block. The source has filled in their probabilities and flags; the sink may use the
    /// other fields as it likes.
    fn add(&mut self, block: &mut Block<W>, n: usize);

    /// Called after the last block of the chunk.
    fn finish(&mut self) {}
}

/// Reads a chunk of a source into a sink, and returns the counts of what was left out.
pub(super) struct Gather<'a, S, K> {
    pub source: &'a S,
    pub rows: Range<usize>,
    pub omit_nan: bool,
    pub sink: K,
}

impl<S: Source, K: Sink<<S::Item as Probability>::Work>> Kernel for Gather<'_, S, K> {
    type Out = Result<LeftOut, Fault>;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> Self::Out {
        let (mut block, mut left_out) = (Block::new(), LeftOut::default());
        for start in self.rows.clone().step_by(BLOCK) {
            let n = BLOCK.min(self.rows.end - start);
            self.source.read(start, n, self.omit_nan, &mut block, &mut left_out)?;
            self.sink.add(&mut block, n);
        }
        self.sink.finish();
        Ok(left_out)
    }
}

/// Bins of equal width, with edges in the type of the probabilities.
pub(super) struct EqualWidth<P: Probability> {
    pub n_bins: usize,
    /// The edges, where they have to be searched; empty where comparing with the nearest edge is enough.
    edges: Vec<P::Work>,
}

impl<P: Probability> EqualWidth<P> {
    pub(super) fn new(n_bins: usize) -> Result<Self, NoMemory> {
        let edges = if n_bins > P::NEAREST { scalar(|| edges::<P>(n_bins))? } else { Vec::new() };
        Ok(EqualWidth { n_bins, edges })
    }

    /// Finds the bins of the first `n` rows of a block. The compiler vectorises loops of a constant length over
    /// separate arrays, so the unused rows of the block are set to 0 and searched too.
    #[inline(always)]
    pub(super) fn find(&self, block: &mut Block<P::Work>, n: usize) {
        let Block { probability, flags, bin: bins, .. } = block;
        if n < BLOCK {
            probability[n..].fill(P::Work::ZERO);
            flags[n..].fill(0);
        }
        if self.edges.is_empty() {
            let m = P::Work::from_count(self.n_bins);
            for i in 0..BLOCK {
                bins[i] = bin::<P>(probability[i], m) as u32;
            }
        } else {
            for i in 0..BLOCK {
                bins[i] = bin_by_edges(probability[i], &self.edges) as u32;
            }
        }
    }
}
