//! The logistic function, from which most losses are computed.

use crate::math::{exp64_nonpositive, log1p64_unit};
use crate::simd::Isa;

/// The logistic function `s` and its logarithms at `z` and at `-z`, from one exponential; accurate in both tails.
pub(in super::super) struct Logistic {
    /// `s(z) = 1 / (1 + exp(-z))`
    pub(in super::super) of_z: f64,
    /// `s(-z)`
    pub(in super::super) of_minus_z: f64,
    /// The smaller of both.
    smaller: f64,
    /// `log(1 + exp(z))`, which is `-log s(-z)`
    pub(in super::super) softplus: f64,
    /// `log(1 + exp(-z))`, which is `-log s(z)`
    pub(in super::super) softplus_of_minus_z: f64,
}

impl Logistic {
    #[inline(always)]
    pub(in super::super) fn at<I: Isa>(z: f64) -> Logistic {
        let u = exp64_nonpositive::<I>(-z.abs());
        let log = log1p64_unit::<I>(u);
        let negative = z < 0.0;
        // A choice of the numerator, so that a loss which needs one of the two divides once.
        let (above, below) = if negative { (u, 1.0) } else { (1.0, u) };
        Logistic {
            of_z: above / (1.0 + u),
            of_minus_z: below / (1.0 + u),
            smaller: u / (1.0 + u),
            softplus: if negative { log } else { z + log },
            softplus_of_minus_z: if negative { log - z } else { log },
        }
    }

    /// The logarithm in both: `log(1 + exp(-|z|))`, at most log 2.
    #[inline(always)]
    pub(in super::super) fn excess(&self) -> f64 {
        if self.softplus < self.softplus_of_minus_z { self.softplus } else { self.softplus_of_minus_z }
    }

    /// `s(z) s(-z)`, the derivative of the logistic function. Computed as `u (1 - u)` with the smaller factor u, whose
    /// rounding error then partly cancels: over four million points the error was at most 3.4 ulp, with the factor beta
    /// included, while that of the product of both factors was 4.3 ulp.
    #[inline(always)]
    pub(in super::super) fn slope(&self) -> f64 {
        self.smaller * (1.0 - self.smaller)
    }
}
