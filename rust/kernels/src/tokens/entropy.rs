//! The sums that the entropy needs beside S: the sum of exponentials below the maximum, and the first moment.
//!
//! With d = x - M <= 0, H = -sum p log p = log S + (-sum d exp(d) / S). Neither of the two terms is negative, so that
//! nothing cancels and H is never negative. Where one class has nearly all of the probability, S = 1 + R rounds to 1.
//! Therefore R, the sum over the logits below the maximum, is summed separately, and log S = log(1 + R) keeps its
//! digits.
//!
//! Error in f32, with u = 2^-24: if every exp(d) has a relative error e and every d exp(d) another one of 4 u, the
//! error of H is sum p e (-log p - H) plus 4 u sum p |d|. For one top class and all others of equal probability (a
//! plateau), with 262,144 classes and e = 9.6e-7, that is at most 4.6e-6 nats. Near H = 0 it is about e times H, where
//! e grows up to 5.3e-6 as d goes to -80. The worst errors that a search over plateaus found are 1.3e-6 nats, and
//! 4.9e-6 of H.

use super::columns::Sums;
use super::fold::{Fold, Raise};
use super::terms::{Exponential, Logit, Terms, sums_of_terms};
use crate::simd::Isa;

/// The sums of exp(d) over all, of exp(d) below the maximum, and of d exp(d).
#[derive(Clone, Copy, Debug)]
pub struct EntropySums {
    sum_exp: f64,
    below: f64,
    moment: f64,
}

impl EntropySums {
    /// Adds the sums of a block.
    #[inline(always)]
    pub fn add(&mut self, sum_exp: f64, below: f64, moment: f64) {
        self.sum_exp += sum_exp;
        self.below += below;
        self.moment += moment;
    }
}

impl<T: Logit> Fold<T> for EntropySums {
    const EMPTY: Self = EntropySums { sum_exp: 0.0, below: 0.0, moment: 0.0 };

    #[inline(always)]
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real, below: bool) {
        if below {
            // In nearly all blocks every logit is below the maximum, and the first two sums are one.
            let [sum_exp, moment] = sums_of_terms::<I, T, Lower, 2>(block, max);
            self.add(sum_exp, sum_exp, moment);
        } else {
            let [sum_exp, below, moment] = sums_of_terms::<I, T, WithTop, 3>(block, max);
            self.add(sum_exp, below, moment);
        }
    }

    #[inline(always)]
    fn rescale(&mut self, raise: Raise) {
        // Everything summed so far lies below the new maximum. Where the scale is 0, the step may be -infinity, and the
        // product with it would be NaN.
        if raise.scale > 0.0 {
            self.below = raise.scale * self.sum_exp;
            self.moment = raise.scale * (self.moment + raise.step * self.sum_exp);
        } else {
            (self.below, self.moment) = (0.0, 0.0);
        }
        self.sum_exp *= raise.scale;
    }

    #[inline(always)]
    fn merge(&mut self, other: Self) {
        self.add(other.sum_exp, other.below, other.moment);
    }

    #[inline(always)]
    fn finish(self) -> Sums {
        let EntropySums { sum_exp, below, moment } = self;
        Sums { sum_exp, below, moment, ..Sums::NONE }
    }

    #[inline(always)]
    fn of(sums: Sums) -> Self {
        let Sums { sum_exp, below, moment, .. } = sums;
        EntropySums { sum_exp, below, moment }
    }
}

/// The sums of exp(d) and of d exp(d), where all logits are below the maximum.
struct Lower;

impl Terms<2> for Lower {
    #[inline(always)]
    fn add<I: Isa, R: Exponential>([sum_exp, moment]: [R; 2], x: R, max: R) -> [R; 2] {
        let term = R::term::<I>(x, max);
        [R::plus::<I>(sum_exp, term), R::plus::<I>(moment, term.times(term.difference))]
    }
}

/// The sums of exp(d), of exp(d) below the maximum, and of d exp(d).
struct WithTop;

impl Terms<3> for WithTop {
    #[inline(always)]
    fn add<I: Isa, R: Exponential>([sum_exp, below, moment]: [R; 3], x: R, max: R) -> [R; 3] {
        let term = R::term::<I>(x, max);
        let d = term.difference;
        let lower = term.only_if(d < R::default());
        [R::plus::<I>(sum_exp, term), R::plus::<I>(below, lower), R::plus::<I>(moment, lower.times(d))]
    }
}

#[cfg(test)]
mod tests {
    use crate::rows::{Source, Table};
    use crate::tokens::{Column, Logit, Targets, token_scores};

    fn entropy<T: Logit>(row: &[T]) -> f64 {
        let table = Table::new(row, row.len()).unwrap();
        let asked = [Column::Entropy][..].into();
        let scores = token_scores(Source::Lent(&table), Targets::new(&[0]), asked, &mut |_| true);
        scores.unwrap().unwrap()[Column::Entropy][0]
    }

    /// The entropy of one top logit and `n` others that are lower by `-d`.
    fn of_plateau(n: f64, d: f64) -> f64 {
        let rest = n * libm::exp(d);
        libm::log1p(rest) - d * rest / (1.0 + rest)
    }

    #[test]
    fn plateaus_far_below_the_maximum_stay_inside_the_bound() {
        let (mut worst, mut worst_of_itself) = (0.0f64, 0.0f64);
        for i in 0..300 {
            for (n, below) in [(262_143, 6.0 + f64::from(i) * 0.03), (37, f64::from(i) * 0.289)] {
                for top in [0.0f32, 0.3, 7.7, 100.1] {
                    let mut x = vec![(f64::from(top) - below) as f32; n + 1];
                    x[n / 2] = top;
                    let want = of_plateau(n as f64, f64::from(x[0]) - f64::from(top));
                    let error = (entropy(&x) - want).abs();
                    worst = if error > worst { error } else { worst };
                    worst_of_itself =
                        if error / want > worst_of_itself { error / want } else { worst_of_itself };
                    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                    let bound = if want < 1.0 { 1e-11 * want } else { 1e-11 };
                    assert!((entropy(&wide) - want).abs() <= bound, "{n} {below} {top}");
                }
            }
        }
        println!("worst: {worst:e} nats, {worst_of_itself:e} of itself");
        assert!(worst <= 5e-6 && worst_of_itself <= 8e-6, "{worst:e} {worst_of_itself:e}");
    }
}
