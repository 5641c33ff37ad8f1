//! The sums that the variance of -log p and the sum of p^2 need beside those of the entropy: the second moment of
//! d = x - M, and the sum of the squares of the exponentials.
//!
//! Varentropy is E\[d^2\] - E\[d\]^2 under p. Errors of the exponentials are errors of p: since the variance is the least
//! mean square over all centres, an error e of every p changes it by at most 2 e of itself. What is left are the
//! roundings of the sums in f32, 4 of 2^-24 of E\[d^2\], which is at most (log V)^2 + 1 where a plateau has most of the
//! probability: 4e-5 nats squared for 262,144 classes. In f64 both are 2^29 times smaller. The sum of p^2 has three
//! times the relative error of S.

use super::columns::Sums;
use super::entropy::EntropySums;
use super::fold::{Fold, Raise};
use super::terms::{Exponential, Logit, Terms, sums_of_terms};
use crate::simd::Isa;

/// The sums of the entropy, of d^2 exp(d), and of exp(d)^2.
#[derive(Clone, Copy, Debug)]
pub struct MomentSums {
    first: EntropySums,
    second: f64,
    squares: f64,
}

impl<T: Logit> Fold<T> for MomentSums {
    const EMPTY: Self = MomentSums { first: <EntropySums as Fold<T>>::EMPTY, second: 0.0, squares: 0.0 };

    #[inline(always)]
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real, below: bool) {
        let [sum_exp, lower, moment, second, squares];
        if below {
            [sum_exp, moment, second, squares] = sums_of_terms::<I, T, Lower, 4>(block, max);
            lower = sum_exp;
        } else {
            [sum_exp, lower, moment, second, squares] = sums_of_terms::<I, T, WithTop, 5>(block, max);
        }
        self.first.add(sum_exp, lower, moment);
        self.second += second;
        self.squares += squares;
    }

    #[inline(always)]
    fn rescale(&mut self, raise: Raise) {
        let Raise { step, scale } = raise;
        let Sums { sum_exp, moment, .. } = Fold::<T>::finish(self.first);
        // (d + step)^2 = d^2 + step (2 d + step), where no term is negative.
        let second = self.second + step * (2.0 * moment + step * sum_exp);
        self.second = if scale > 0.0 { scale * second } else { 0.0 };
        self.squares *= scale * scale;
        Fold::<T>::rescale(&mut self.first, raise);
    }

    #[inline(always)]
    fn merge(&mut self, other: Self) {
        Fold::<T>::merge(&mut self.first, other.first);
        self.second += other.second;
        self.squares += other.squares;
    }

    #[inline(always)]
    fn finish(self) -> Sums {
        Sums { second_moment: self.second, squares: self.squares, ..Fold::<T>::finish(self.first) }
    }

    #[inline(always)]
    fn of(sums: Sums) -> Self {
        let first = <EntropySums as Fold<T>>::of(sums);
        MomentSums { first, second: sums.second_moment, squares: sums.squares }
    }
}

/// The four sums where all logits are below the maximum.
struct Lower;

impl Terms<4> for Lower {
    #[inline(always)]
    fn start<R: Exponential>() -> [R; 4] {
        [R::default(), R::default(), R::default(), R::TINY]
    }

    #[inline(always)]
    fn add<I: Isa, R: Exponential>([sum_exp, moment, second, squares]: [R; 4], x: R, max: R) -> [R; 4] {
        let term = R::term::<I>(x, max);
        let d = term.difference;
        let first = term.times(d);
        [
            R::plus::<I>(sum_exp, term),
            R::plus::<I>(moment, first),
            R::plus::<I>(second, first.times(d)),
            R::plus_square::<I>(squares, term),
        ]
    }
}

/// The four sums, and that of exp(d) below the maximum.
struct WithTop;

impl Terms<5> for WithTop {
    #[inline(always)]
    fn start<R: Exponential>() -> [R; 5] {
        [R::default(), R::default(), R::default(), R::default(), R::TINY]
    }

    #[inline(always)]
    fn add<I: Isa, R: Exponential>(sums: [R; 5], x: R, max: R) -> [R; 5] {
        let [sum_exp, below, moment, second, squares] = sums;
        let term = R::term::<I>(x, max);
        let d = term.difference;
        let lower = term.only_if(d < R::default());
        let first = lower.times(d);
        [
            R::plus::<I>(sum_exp, term),
            R::plus::<I>(below, lower),
            R::plus::<I>(moment, first),
            R::plus::<I>(second, first.times(d)),
            R::plus_square::<I>(squares, term),
        ]
    }
}
