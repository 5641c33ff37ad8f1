//! Weighted sums of losses of the same scores, each of which is computed with its gradients by its own formula.

use super::narrow::Narrow;
use super::score::{Columns, Score};
use super::scores::{FAR, PIECE};
use super::{Constants, Counts, Loss, Output, Pairs, SATURATED};
use crate::simd::{Element, Isa, Kernel, dispatch, scalar};

/// A loss with its weight in a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The loss.
    pub loss: Loss,
    /// Its factor, above 0.
    pub weight: f64,
}

impl Term {
    /// The loss as it is.
    pub fn of(loss: Loss) -> Term {
        Term { loss, weight: 1.0 }
    }
}

/// The loss, where there is one alone, with the weight 1 and no likelihood beside it.
pub(super) fn alone(terms: &[Term], constants: Constants) -> Option<Loss> {
    match terms {
        [Term { loss, weight: 1.0 }] if likelihood(terms, constants) == 0.0 => Some(*loss),
        _ => None,
    }
}

/// The weight of the chosen answers' negative log-likelihood that is added to the terms; `cpo` adds it itself.
pub(super) fn likelihood(terms: &[Term], constants: Constants) -> f64 {
    if terms.iter().any(|term| term.loss == Loss::Cpo) { 0.0 } else { constants.sft }
}

/// Losses, rewards and gradients of a piece of pairs, in the order of [`Output::columns`].
type Piece = [[f64; PIECE]; 5];
static ZEROS: Piece = [[0.0; PIECE]; 5];

/// The computation of mixtures, with memory for a piece of pairs.
pub(super) struct Mixing<'a> {
    terms: &'a [Term],
    constants: Constants,
    one: Piece,
    sum: Piece,
}

impl<'a> Mixing<'a> {
    pub(super) fn new(terms: &'a [Term], constants: Constants) -> Self {
        Mixing { terms, constants, one: ZEROS, sum: ZEROS }
    }

    /// Scores a piece of pairs.
    pub(super) fn score<T: Element, O: Narrow>(
        &mut self,
        pairs: &Pairs<'_, T>,
        columns: Columns<'_, f64>,
        mut output: Output<'_, O>,
    ) -> Counts {
        let n = columns[0].len();
        let constants = self.constants;
        self.sum = ZEROS;
        let mut rare = false;
        for &Term { loss, weight } in self.terms {
            let output = results(&mut self.one, n);
            let counts = dispatch(Score::<f64, f64, true> { columns, loss, constants, large: false, output });
            rare |= counts.saturated + counts.nonfinite > 0;
            dispatch(Added { from: &self.one, weight, to: &mut self.sum });
        }
        let weight = likelihood(self.terms, constants);
        if weight != 0.0 {
            dispatch(Likelihood { pairs, weight, to: &mut self.sum });
        }
        let mut written = output.columns(&(0..n));
        rare |= dispatch(Narrowed { from: &self.sum, to: &mut written });
        if rare { scalar(|| self.count(columns, &mut written)) } else { Counts::default() }
    }

    /// Counts the rare pairs of a piece one by one, and writes what the type of the results cannot hold.
    #[inline(never)]
    fn count<O: Narrow>(&self, columns: Columns<'_, f64>, written: &mut [&mut [O]; 5]) -> Counts {
        let mut counts = Counts::default();
        let [chosen, rejected, _, _, margins] = columns;
        for (i, (&x, &y)) in chosen.iter().zip(rejected).enumerate() {
            let constants = Constants { gamma: self.constants.gamma + margins[i], ..self.constants };
            let found = self.sum.each_ref().map(|column| column[i]);
            for (column, &value) in written.iter_mut().zip(&found) {
                if let Some(result) = column.get_mut(i) {
                    *result = O::held(value);
                }
            }
            let far = self.terms.iter().any(|term| term.loss.extent(x, y, constants) > SATURATED);
            let beyond = found.iter().any(|x| x.abs() > O::LARGEST);
            counts.saturated += usize::from(far | beyond | (x.abs() > FAR) | (y.abs() > FAR));
            counts.nonfinite += usize::from(!found.iter().all(|x| x.is_finite()));
        }
        counts
    }
}

fn results(piece: &mut Piece, n: usize) -> Output<'_, f64> {
    let [losses, rewards_chosen, rewards_rejected, chosen, rejected] = piece;
    Output {
        losses: &mut losses[..n],
        rewards_chosen: &mut rewards_chosen[..n],
        rewards_rejected: &mut rewards_rejected[..n],
        gradients: Some((&mut chosen[..n], &mut rejected[..n])),
    }
}

/// The addition of a term's losses and gradients, times its weight. Rewards are the same for all terms.
struct Added<'a> {
    from: &'a Piece,
    weight: f64,
    to: &'a mut Piece,
}

impl Kernel for Added<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (column, (to, from)) in self.to.iter_mut().zip(self.from).enumerate() {
            let reward = column == 1 || column == 2;
            for (to, &from) in to.iter_mut().zip(from) {
                *to = if reward { from } else { *to + self.weight * from };
            }
        }
    }
}

/// The addition of the negative log-likelihood of the chosen answers, summed over their tokens.
struct Likelihood<'a, T> {
    pairs: &'a Pairs<'a, T>,
    weight: f64,
    to: &'a mut Piece,
}

impl<T: Element> Kernel for Likelihood<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let [losses, _, _, slopes, _] = self.to;
        for ((loss, slope), &chosen) in losses.iter_mut().zip(slopes.iter_mut()).zip(self.pairs.policy_chosen)
        {
            *loss -= self.weight * chosen.to_f64();
            if self.pairs.weights.is_none() {
                *slope -= self.weight;
            }
        }
        if let Some(weights) = self.pairs.weights {
            for (slope, &weight) in slopes.iter_mut().zip(weights) {
                *slope -= self.weight * weight;
            }
        }
    }
}

/// The rounding of results to their type; true if one may not fit.
struct Narrowed<'a, 'b, O> {
    from: &'a Piece,
    to: &'a mut [&'b mut [O]; 5],
}

impl<O: Narrow> Kernel for Narrowed<'_, '_, O> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        let mut rare = false;
        for (to, from) in self.to.iter_mut().zip(self.from) {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = O::from_f64(from);
                rare |= (from.abs() > O::LARGE) | from.is_nan();
            }
        }
        rare
    }
}
