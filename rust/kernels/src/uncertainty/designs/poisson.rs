//! Each unit counts a Poisson number of times.

use super::Drawing;
use super::words::{OfWords, count_by_words};
use crate::random::{Stream, WORDS};
use crate::simd::Isa;

/// Each unit counts independently of the others, Poisson with mean 1 (Chamandy, Muralidharan, Najmi and Naidu,
/// "Estimating uncertainty for massive data streams", 2012).
///
/// Given their total the counts are multinomial, so that a statistic of shares needs no more than that total; a
/// replicate without a draw is drawn again. Unit i reads word i, in round t at place t.
#[derive(Clone, Copy, Debug)]
pub struct Poisson;

/// The words from `AT_MOST[k]` on give more than k: 2^32 times the distribution function of Poisson(1) at k, to the
/// nearest whole number. Beyond the last one lies a probability of 1e-9, and above 12 one of 6e-11, which is left out.
pub(in crate::uncertainty) const AT_MOST: [u32; 12] = [
    1_580_030_169,
    3_160_060_337,
    3_950_075_422,
    4_213_413_783,
    4_279_248_374,
    4_292_415_292,
    4_294_609_778,
    4_294_923_276,
    4_294_962_463,
    4_294_966_817,
    4_294_967_253,
    4_294_967_292,
];

impl Drawing for Poisson {
    fn count(&self, stream: Stream, _: &mut [u32], counts: &mut [u32]) {
        for round in 0..u32::MAX {
            count_by_words(*self, stream.array(round), counts);
            if counts.iter().any(|&count| count > 0) || counts.is_empty() {
                return;
            }
        }
    }

    fn fixed(&self) -> bool {
        false
    }
}

impl OfWords for Poisson {
    #[inline(always)]
    fn counts<I: Isa>(self, words: &[u32; WORDS]) -> [u32; WORDS] {
        let mut drawn = [0; WORDS];
        for bound in AT_MOST {
            for i in 0..WORDS {
                drawn[i] += u32::from(words[i] >= bound);
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::exp;
    use crate::random::Domain;

    #[test]
    fn the_bounds_are_those_of_the_distribution() {
        let (mut term, mut below) = (exp(-1.0), 0.0);
        for (k, &bound) in AT_MOST.iter().enumerate() {
            below += term;
            term /= (k + 1) as f64;
            assert!((below * 4_294_967_296.0 - f64::from(bound)).abs() < 0.51, "{k}");
        }
    }

    #[test]
    fn a_replicate_has_at_least_one_draw() {
        for n in [1, 2, 63, 64, 65, 1000] {
            for replicate in 0..50 {
                let mut counts = vec![9; n];
                Poisson.count(Stream::new(3, Domain::Bootstrap, replicate), &mut [], &mut counts);
                assert!(counts.iter().any(|&count| count > 0) && counts.iter().all(|&count| count <= 12));
            }
        }
    }
}
