//! The log-sum-exp of a row, relative to its largest logit M: log Z = M + log(sum exp(x - M)).
//!
//! The largest element adds exactly 1, so that the sum is at least 1 and its logarithm at least 0.
//!
//! Error of the logarithm in f32, with u = 2^-24: a relative error of every term becomes an absolute error of the
//! logarithm. The difference x - M is rounded by up to 2^-21 (for 8 <= M - x < 16; with 262,144 elements, those farther
//! away have no weight), log2 e by 1.4e-8 times up to 9.3; the error of the polynomial is 1.1e-7 and that of its
//! evaluation 1.4 u; and a term is rounded three times before it is added in f64 (one addition in its lane, two
//! halvings of the lanes). Together that is 9.6e-7 if all errors have their largest value and the same sign. The worst
//! error that a search over plateaus below one maximum found is 7.0e-7; random rows stay below 2e-7.

use super::columns::Sums;
use super::fold::{Fold, Raise};
use super::terms::{Exponential, Logit, Terms, sums_of_terms};
use crate::simd::Isa;

/// The sum of exp(x - M): the fold for columns that need only the normaliser of the softmax.
#[derive(Clone, Copy, Debug)]
pub struct SumExp(f64);

impl<T: Logit> Fold<T> for SumExp {
    const EMPTY: Self = SumExp(0.0);

    #[inline(always)]
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real, _below: bool) {
        let [sum] = sums_of_terms::<I, T, Self, 1>(block, max);
        self.0 += sum;
    }

    #[inline(always)]
    fn rescale(&mut self, raise: Raise) {
        self.0 *= raise.scale;
    }

    #[inline(always)]
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }

    #[inline(always)]
    fn finish(self) -> Sums {
        Sums { sum_exp: self.0, ..Sums::NONE }
    }

    #[inline(always)]
    fn of(sums: Sums) -> Self {
        SumExp(sums.sum_exp)
    }
}

impl Terms<1> for SumExp {
    #[inline(always)]
    fn add<I: Isa, R: Exponential>([sum]: [R; 1], x: R, max: R) -> [R; 1] {
        [R::plus::<I>(sum, R::term::<I>(x, max))]
    }
}
