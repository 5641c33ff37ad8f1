//! Philox streams and multinomial counts.

use super::{Entry, Run, entry};
use steelyard_kernels::random::{Domain, Stream, counts};

pub const TABLE: &[Entry] =
    &[entry("random.words", "uint32", batches), entry("random.counts", "uint32", draws)];

const SEED: u64 = 0x0123_4567_89ab_cdef;

fn batches(n: usize) -> Run {
    Box::new(move |digest| {
        let stream = Stream::new(SEED, Domain::SignFlip, 7).node(3, 11);
        for batch in 0..n.min(2000) as u64 {
            for word in stream.batch(batch << 27 | batch) {
                digest.word(word.into());
            }
            digest.word(stream.fair(batch * 37));
        }
    })
}

fn draws(n: usize) -> Run {
    Box::new(move |digest| {
        for replicate in 0..3 {
            let stream = Stream::new(SEED, Domain::Bootstrap, replicate);
            for count in counts(stream, n).unwrap_or_default() {
                digest.word(count.into());
            }
        }
    })
}
