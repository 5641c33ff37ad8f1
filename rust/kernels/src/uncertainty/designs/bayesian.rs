//! Each unit has an exponential weight.

use super::Drawing;
use super::words::{OfWords, count_by_words};
use crate::math::log64;
use crate::random::{Stream, WORDS};
use crate::simd::Isa;

/// Each unit has an exponential weight, so that the shares of the weights are uniform on the simplex, Dirichlet(1, ...,
/// 1): the posterior of the distribution of the data under Haldane's prior (Rubin, "The Bayesian bootstrap", 1981).
///
/// Weights are whole multiples of 2^-27, which sums add without rounding: `-log u` in these units, rounded up, with
/// `u = (word + 1/2)/2^32` of word i for unit i. No weight is 0, and the largest is 22.9.
#[derive(Clone, Copy, Debug)]
pub struct Bayesian;

/// A weight of 1.
const ONE: f64 = (1u32 << 27) as f64;

impl Drawing for Bayesian {
    fn count(&self, stream: Stream, _: &mut [u32], counts: &mut [u32]) {
        count_by_words(*self, stream, counts);
    }

    fn unit(&self) -> f64 {
        1.0 / ONE
    }

    fn fixed(&self) -> bool {
        false
    }
}

impl OfWords for Bayesian {
    #[inline(always)]
    fn counts<I: Isa>(self, words: &[u32; WORDS]) -> [u32; WORDS] {
        let mut drawn = [0; WORDS];
        for i in 0..WORDS {
            let u = (f64::from(words[i]) + 0.5) * (1.0 / 4_294_967_296.0);
            drawn[i] = (-log64::<I>(u) * ONE) as u32 + 1;
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
    fn weights_are_exponential() {
        let mut weights = vec![0; 100_000];
        Bayesian.count(Stream::new(1, Domain::Bootstrap, 2), &mut [], &mut weights);
        let cells = 20;
        let mut seen = vec![0.0; cells];
        for &weight in &weights {
            assert!(weight > 0);
            seen[(exp(-f64::from(weight) / ONE) * cells as f64) as usize] += 1.0;
        }
        let each = weights.len() as f64 / cells as f64;
        let chi: f64 = seen.iter().map(|c| (c - each) * (c - each) / each).sum();
        // The upper 1e-6 of chi-square with 19 degrees of freedom.
        assert!(chi < 64.0, "{chi}");
    }
}
