//! The perplexity of sums of negative log-likelihoods.

use super::super::{Domain, Scale, Smooth};
use crate::math::exp;

/// `exp(sum nll / sum tokens)`, from `[sum tokens, sum nll]`, in nats.
#[derive(Clone, Copy)]
pub struct Perplexity;

impl Smooth<2, 2> for Perplexity {
    const DOMAINS: [Domain; 2] = [Domain::Any, Domain::NonNegative];
    const SCALE: Scale = Scale::LogFrom(0.0);
    const SIZED: bool = true;

    #[inline(always)]
    fn terms(self, [nll, tokens]: [f64; 2]) -> [f64; 2] {
        [tokens, nll]
    }

    fn value(self, [tokens, nll]: [f64; 2]) -> f64 {
        if tokens > 0.0 { exp(nll / tokens) } else { f64::NAN }
    }

    fn gradient(self, [tokens, nll]: [f64; 2]) -> [f64; 2] {
        let each = self.value([tokens, nll]) / tokens;
        [-each * (nll / tokens), each]
    }
}
