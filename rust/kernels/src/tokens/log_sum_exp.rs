//! The sum of exponentials of a row, against its largest logit M: log Z = M + log(sum exp(x - M)).
//!
//! The largest element adds exactly 1, so that the sum is at least 1 and its logarithm at least 0.
//!
//! Error of the logarithm in f32, u = 2^-24: a relative error of every term is an absolute error of the logarithm. The
//! difference x - M is rounded by up to 2^-21 (for 8 <= M - x < 16; what lies farther has no weight at 262,144
//! elements), log2 e by 1.4e-8 of up to 9.3, the polynomial is off by 1.1e-7 and its evaluation by 1.4 u, and a term is
//! rounded three times on its way into f64 (one step, two halvings): 9.6e-7 if all of them conspire. The worst that a
//! search over plateaus below one maximum found is 7.0e-7; random rows stay below 2e-7.

use super::columns::Sums;
use super::fold::{Fold, Raise};
use super::terms::{Exponential, Logit, Terms, sums_of_terms};
use crate::simd::Isa;

/// The sum of exp(x - M): the fold of every column that needs no more than the normaliser.
#[derive(Clone, Copy, Debug)]
pub struct SumExp(f64);

impl<T: Logit> Fold<T> for SumExp {
    const EMPTY: Self = SumExp(0.0);

    #[inline(always)]
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real) {
        let [sum] = sums_of_terms::<I, T, Self, 1>(block, max);
        self.0 += sum;
    }

    #[inline(always)]
    fn rescale(&mut self, raise: Raise) {
        self.0 *= raise.scale;
    }

    #[inline(always)]
    fn finish(self) -> Sums {
        Sums { sum_exp: self.0, ..Sums::NONE }
    }
}

impl Terms<1> for SumExp {
    #[inline(always)]
    fn add<I: Isa, R: Exponential>([sum]: [R; 1], x: R, max: R) -> [R; 1] {
        [R::plus::<I>(sum, R::term::<I>(x, max))]
    }
}
