//! The weights of the beta bootstrap.

use crate::math::cos_sin_turns;
use crate::random::{Stream, WORDS};
use crate::simd::Isa;

/// Weights that one batch of random words makes.
pub(super) const BATCH: usize = WORDS / 2;

/// The weights of units `BATCH index ..`: independent, each four times a Beta(1/2, 3/2), so that its mean, variance and
/// skewness are 1 (Owen 2025).
///
/// The square of a coordinate of a point that is uniform in the unit disc has that distribution: `4 u cos^2(2 pi v)`
/// with u and v uniform, of 32 bits each and halfway between their neighbours, so that no weight is 0.
#[inline(always)]
pub(super) fn beta_weights<I: Isa>(stream: Stream, index: u64) -> [f64; BATCH] {
    let words = stream.batch(index);
    let mut weights = [0.0; BATCH];
    for i in 0..BATCH {
        let (u, v) = (halfway(words[i]), halfway(words[BATCH + i]));
        let (cos, _) = cos_sin_turns::<I>(v, 1.0);
        weights[i] = 4.0 * u * (cos * cos);
    }
    weights
}

/// `(word + 1/2)/2^32`.
#[inline(always)]
fn halfway(word: u32) -> f64 {
    (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::{beta, powi};
    use crate::random::Domain;
    use crate::simd::{Kernel, dispatch};

    struct Weights(u32);

    impl Kernel for Weights {
        type Out = [f64; BATCH];
        #[inline(always)]
        fn run<I: Isa>(self) -> [f64; BATCH] {
            beta_weights::<I>(Stream::new(1, Domain::BetaWeights, self.0), 3)
        }
    }

    /// Mean, variance and skewness are 1, and the distribution function is that of 4 Beta(1/2, 3/2).
    #[test]
    fn weights_have_the_beta_distribution() {
        let weights: Vec<f64> = (0..5000).flat_map(|r| dispatch(Weights(r))).collect();
        let n = weights.len() as f64;
        let moment = |k| weights.iter().map(|w| powi(*w, k)).sum::<f64>() / n;
        // E w^k = 4^k (1/2)_k/(2)_k: 1, 2, 5, and 14 and 132 for the variances of the first and the third.
        for (k, want, variance) in [(1, 1.0, 1.0), (2, 2.0, 10.0), (3, 5.0, 107.0)] {
            let off = (moment(k) - want) / f64::sqrt(variance / n);
            assert!(off.abs() < 4.5, "moment {k}: {off} deviations");
        }
        let cells = 20;
        let mut counts = vec![0.0; cells];
        for &w in &weights {
            assert!(w > 0.0 && w < 4.0);
            counts[(beta::cdf(0.5, 1.5, w / 4.0) * cells as f64) as usize] += 1.0;
        }
        let each = n / cells as f64;
        let chi: f64 = counts.iter().map(|c| (c - each) * (c - each) / each).sum();
        // The upper 1e-6 of chi-square with 19 degrees of freedom.
        assert!(chi < 64.0, "{chi}");
    }
}
