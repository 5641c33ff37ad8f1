//! Philox streams and multinomial counts.

use super::inputs::{Digest, given};
use super::{Entry, Run, entry};
use steelyard_kernels::random::{Domain, Halves, Stream, counts};

pub const TABLE: &[Entry] = &[
    entry("random.words", "uint32", batches),
    entry("random.counts", "uint32", draws),
    entry("random.halves", "uint16", halves),
];

const SEED: u64 = 0x0123_4567_89ab_cdef;

fn batches(n: usize) -> Run {
    Box::new(move |digest| {
        for domain in Domain::ALL {
            let digest = digest.of(match domain {
                Domain::Bootstrap => "bootstrap",
                Domain::SignFlip => "sign_flip",
                Domain::Smoothing => "smoothing",
                Domain::Rounding => "rounding",
                Domain::Normals => "normals",
                Domain::BetaWeights => "beta_weights",
                Domain::Inner => "inner",
                Domain::Permutation => "permutation",
                Domain::Battles => "battles",
                Domain::Units => "units",
            });
            let stream = stratum(Stream::new(SEED, domain, 7), 70_000).leaf(11);
            for batch in 0..n.min(400) as u64 {
                for word in stream.batch(batch << 25 | batch) {
                    digest.word(word.into());
                }
            }
        }
    })
}

fn draws(n: usize) -> Run {
    Box::new(move |digest| {
        for replicate in 0..3 {
            let stream = Stream::new(SEED, Domain::Bootstrap, replicate);
            feed(digest, stream, n);
        }
        feed(digest.of("stratum"), stratum(Stream::new(SEED, Domain::Bootstrap, 0), 1), n);
    })
}

fn halves(n: usize) -> Run {
    Box::new(move |digest| {
        for (tensor, step, array, first) in [(0, 1, 0, 0), (3, 70_000, 2, 1001)] {
            let mut all = vec![0; n];
            given(Halves::new(SEED, tensor, step, array).ok_or("no such numbers")).fill(first, &mut all);
            for half in all {
                digest.word(half.into());
            }
        }
    })
}

fn stratum(stream: Stream, stratum: u64) -> Stream {
    given(stream.stratum(stratum).ok_or("no such stratum"))
}

fn feed(digest: &mut Digest, stream: Stream, n: usize) {
    for count in given(counts(stream, n)) {
        digest.word(count.into());
    }
}
