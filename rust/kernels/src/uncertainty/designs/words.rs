//! Counts of units that are drawn independently of each other, each from a random word of its own.

use crate::random::{Stream, WORDS};
use crate::simd::{Isa, Kernel, dispatch};

/// What a word says of the unit that reads it.
pub(super) trait OfWords: Copy {
    /// The counts of the units of a batch; to be marked `#[inline(always)]`.
    fn counts<I: Isa>(self, words: &[u32; WORDS]) -> [u32; WORDS];
}

/// Writes the count of each unit: unit i reads word i of the stream.
pub(super) fn count_by_words(of: impl OfWords, stream: Stream, counts: &mut [u32]) {
    dispatch(Draw { of, stream, counts });
}

struct Draw<'a, W> {
    of: W,
    stream: Stream,
    counts: &'a mut [u32],
}

impl<W: OfWords> Kernel for Draw<'_, W> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (index, counts) in self.counts.chunks_mut(WORDS).enumerate() {
            let drawn = self.of.counts::<I>(&self.stream.batch(index as u64));
            counts.copy_from_slice(&drawn[..counts.len()]);
        }
    }
}
