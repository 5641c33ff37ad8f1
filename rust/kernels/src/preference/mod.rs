//! Preference losses: the value of each pair's loss, and its gradient.
//!
//! Each loss, with its formula and source, has a file in `losses`. Gradients are with respect to the policy's
//! log-probabilities; those of the reference are constants.
//!
//! For a margin `z` up to [`SATURATED`] in magnitude, the gradient is within 4 ulp of the exact function of `z`, or of
//! `beta x` and `beta y`, as f64 arithmetic computes these from the log-probabilities. Beyond, it is finite and
//! monotone, and the pair is counted as saturated.

pub mod advantages;
mod losses;
mod mixture;
mod narrow;
pub mod policy;
pub mod ranked;
mod ranks;
mod results;
mod score;
mod scores;
mod sweep;
pub mod unpaired;
mod unusual;

use crate::grid::{CHUNK, Progress, Stopped, chunk, fill_chunks};
use crate::memory::{self, NoMemory};
use crate::simd::{Element, dispatch, scalar};
use mixture::Mixing;
use results::Results;
use score::Score;
use scores::{PIECE, Scale, Scores, Scoring};
use std::ops::Range;
use unusual::{Extremes, Unusual};

pub use losses::{Constants, Loss, Smoothing};
pub use mixture::Term;
pub use narrow::Narrow;
pub use ranks::of_equal_rank;
pub use scores::Divergence;
pub use sweep::{GROUP, Swept, preference_sweep};

/// A pair is saturated where |z| (or for losses of other arguments, the largest of them) exceeds this: a logistic loss
/// is constant or linear there.
pub const SATURATED: f64 = 700.0;

/// The log-probabilities of pairs of answers, as columns of the same length.
#[derive(Clone, Copy)]
pub struct Pairs<'a, T> {
    /// The policy's log-probabilities of the chosen answers.
    pub policy_chosen: &'a [T],
    /// The policy's log-probabilities of the rejected answers.
    pub policy_rejected: &'a [T],
    /// The reference's log-probabilities of the chosen answers; empty for a loss without a reference.
    pub reference_chosen: &'a [T],
    /// The reference's log-probabilities of the rejected answers; empty for a loss without a reference.
    pub reference_rejected: &'a [T],
    /// The numbers of tokens of the chosen and of the rejected answers, for losses of means over tokens.
    pub lengths: Option<[&'a [f64]; 2]>,
    /// What is subtracted from the margin of each pair, for losses that are functions of the margin alone.
    pub margins: Option<&'a [f64]>,
    /// The factors of the gradients.
    pub weights: Option<&'a [f64]>,
}

/// The results, one column per quantity with one entry per pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored<O = f64> {
    /// The losses.
    pub losses: Vec<O>,
    /// The gradients with respect to the policy's log-probability of the chosen answer; empty if not asked for.
    pub grad_chosen: Vec<O>,
    /// The gradients with respect to the policy's log-probability of the rejected answer; empty if not asked for.
    pub grad_rejected: Vec<O>,
    /// The implicit rewards `beta x` of the chosen answers.
    pub rewards_chosen: Vec<O>,
    /// The implicit rewards `beta y` of the rejected answers.
    pub rewards_rejected: Vec<O>,
    /// How many pairs are unusual.
    pub counts: Counts,
}

/// The numbers of pairs of the kinds that callers are told about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// The margin exceeds [`SATURATED`] in magnitude, a score has passed the end of its range, or a result is larger
    /// than the type of the results can hold.
    pub saturated: usize,
    /// One answer has a log-probability of exactly 0 in policy and reference, as an empty answer has.
    pub empty: usize,
    /// The margin or a result is not finite: one of the four log-probabilities is not, or an intermediate result
    /// overflowed.
    pub nonfinite: usize,
    /// A log-probability is higher than rounding can explain: see [`first_positive`].
    pub positive: usize,
    /// The largest derivative of a score by a log-ratio; 0 where scores are log-ratios or their means.
    pub stretch: f64,
    /// The largest magnitude of a log-probability.
    pub largest: f64,
    /// The largest loss, at least 0.
    pub highest: f64,
    /// The largest magnitude of a gradient, without the weight of its pair. It is 0 where gradients are not wanted, and may
    /// be 0 where losses are functions of log-ratios alone, whose [`Loss::steepest`] is known.
    pub steepest: f64,
}

/// Scores every pair into newly allocated columns. The loss is the weighted sum of `terms`, of which there is at least
/// one, and which [share their scores](share_scores).
pub fn preference_loss<T: Element, O: Narrow>(
    pairs: Pairs<'_, T>,
    terms: &[Term],
    constants: Constants,
    gradients: bool,
    progress: Progress<'_>,
) -> Result<Scored<O>, Stopped> {
    let n = pairs.policy_chosen.len();
    let column = |wanted: bool| memory::filled(if wanted { n } else { 0 }, O::from_f64(0.0));
    let mut scored = Scored {
        losses: column(true)?,
        grad_chosen: column(gradients)?,
        grad_rejected: column(gradients)?,
        rewards_chosen: column(true)?,
        rewards_rejected: column(true)?,
        counts: Counts::default(),
    };
    let output = Output {
        losses: &mut scored.losses,
        rewards_chosen: &mut scored.rewards_chosen,
        rewards_rejected: &mut scored.rewards_rejected,
        gradients: gradients.then_some((&mut scored.grad_chosen[..], &mut scored.grad_rejected[..])),
    };
    scored.counts = preference_loss_into(pairs, terms, constants, output, progress)?;
    Ok(scored)
}

/// Whether all terms compare the same scores, so that they can be one loss.
pub fn share_scores(terms: &[Term], constants: Constants) -> bool {
    let mut scales = terms.iter().map(|term| Scale::of(term.loss, constants.divergence, constants.alpha));
    let first = scales.next();
    scales.all(|scale| Some(scale) == first)
}

/// [`preference_loss`] into the given columns, each of which has one entry per pair.
pub fn preference_loss_into<T: Element, O: Narrow>(
    pairs: Pairs<'_, T>,
    terms: &[Term],
    constants: Constants,
    output: Output<'_, O>,
    progress: Progress<'_>,
) -> Result<Counts, Stopped> {
    let n = pairs.policy_chosen.len();
    let bytes = n * (size_of::<T>() * 4 + size_of::<O>() * 5);
    let work = Work::new(&pairs, terms, constants);
    let counts = fill_chunks(output.chunks()?, bytes, progress, |index, output| {
        work.score(pairs.part(chunk(index, n, CHUNK)), output)
    })?;
    Ok(counts.into_iter().fold(Counts::default(), Counts::plus))
}

/// The number of pairs of a part: all columns of it fit in a second-level cache.
const PART: usize = 1 << 12;

/// Whether there are loops that read `T` and write `O`. Columns of 16 bits, and results narrower than the columns, are
/// rare enough to take the longer way, by pieces in f64.
const fn direct<T, O>() -> bool {
    size_of::<T>() >= 4 && size_of::<O>() >= size_of::<T>()
}

/// How the pairs of a call are scored.
struct Work<'a> {
    terms: &'a [Term],
    constants: Constants,
    scale: Scale,
    /// The loss, where it is one of the log-ratios themselves, with nothing else to each pair.
    of_ratios: Option<Loss>,
}

impl<'a> Work<'a> {
    fn new<T>(pairs: &Pairs<'_, T>, terms: &'a [Term], constants: Constants) -> Work<'a> {
        let scale = Scale::of(terms[0].loss, constants.divergence, constants.alpha);
        let bare = pairs.lengths.is_none() && pairs.margins.is_none() && pairs.weights.is_none();
        let plain = scale == Scale::Ratio && bare && !pairs.reference_chosen.is_empty();
        let of_ratios = mixture::alone(terms, constants).filter(|_| plain);
        Work { terms, constants, scale, of_ratios }
    }

    /// Scores a chunk of pairs in parts, whose columns stay in the cache from the first look at them to the last.
    fn score<T: Element, O: Narrow>(&self, pairs: Pairs<'_, T>, mut output: Output<'_, O>) -> Counts {
        let n = pairs.policy_chosen.len();
        let mut counts = Counts::default();
        for start in (0..n).step_by(PART) {
            let range = start..n.min(start + PART);
            counts = counts.plus(self.score_part(pairs.part(range.clone()), output.part(range)));
        }
        counts
    }

    fn score_part<T: Element, O: Narrow>(&self, pairs: Pairs<'_, T>, mut output: Output<'_, O>) -> Counts {
        let seen = dispatch(Extremes { pairs });
        let all = output.part(0..output.losses.len());
        let mut gradients = None;
        let scored = if const { direct::<T, O>() }
            && let Some(loss) = self.of_ratios
        {
            let (columns, constants) = (pairs.columns(), self.constants);
            // A log-ratio is at most twice as large as a log-probability.
            let large = scalar(|| 2.0 * constants.beta * seen.largest() > O::LARGE);
            dispatch(Score::<T, O, false> { columns, loss, constants, large, output: all })
        } else {
            let scored = self.score_by_pieces(pairs, all);
            gradients = output.gradients.as_ref().map(|(chosen, rejected)| [&**chosen, &**rejected]);
            scored
        };
        let (losses, weights) = (&*output.losses, pairs.weights);
        let [highest, steepest] = dispatch(Results { losses, gradients, weights });
        let counts = if seen.unusual() { dispatch(Unusual { pairs }) } else { Counts::default() };
        Counts { largest: seen.largest(), highest, steepest, ..counts.plus(scored) }
    }

    /// Scores a chunk of pairs piece by piece: what the loss compares, then the loss.
    fn score_by_pieces<T: Element, O: Narrow>(
        &self,
        pairs: Pairs<'_, T>,
        mut output: Output<'_, O>,
    ) -> Counts {
        let n = pairs.policy_chosen.len();
        let mut counts = Counts::default();
        let mut scores = Scores::NONE;
        let mut mixing = Mixing::new(self.terms, self.constants);
        for start in (0..n).step_by(PIECE) {
            let range = start..n.min(start + PIECE);
            let pairs = pairs.part(range.clone());
            let stretch = dispatch(Scoring { pairs, scale: self.scale, scores: &mut scores });
            let (columns, output) = (scores.columns(range.len()), output.part(range));
            let scored = match mixture::alone(self.terms, self.constants) {
                Some(loss) => {
                    let constants = self.constants;
                    dispatch(Score::<f64, O, true> { columns, loss, constants, large: false, output })
                }
                None => mixing.score(&pairs, columns, output),
            };
            counts = counts.plus(Counts { stretch, ..scored });
        }
        counts
    }
}

/// The larger of two numbers, of which the first is no NaN.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

impl Counts {
    fn plus(self, other: Counts) -> Counts {
        Counts {
            saturated: self.saturated + other.saturated,
            empty: self.empty + other.empty,
            nonfinite: self.nonfinite + other.nonfinite,
            positive: self.positive + other.positive,
            stretch: larger(self.stretch, other.stretch),
            largest: larger(self.largest, other.largest),
            highest: larger(self.highest, other.highest),
            steepest: larger(self.steepest, other.steepest),
        }
    }
}

impl<'a, T> Pairs<'a, T> {
    /// Pairs with these four columns alone, in the order of the fields.
    pub fn of([policy_chosen, policy_rejected, reference_chosen, reference_rejected]: [&'a [T]; 4]) -> Self {
        Pairs {
            policy_chosen,
            policy_rejected,
            reference_chosen,
            reference_rejected,
            lengths: None,
            margins: None,
            weights: None,
        }
    }

    /// The four columns of log-probabilities; those of the reference may be empty.
    fn log_probabilities(&self) -> [&'a [T]; 4] {
        [self.policy_chosen, self.policy_rejected, self.reference_chosen, self.reference_rejected]
    }

    /// The columns as [`Score`] reads them.
    fn columns(&self) -> score::Columns<'a, T> {
        let Pairs { policy_chosen, policy_rejected, reference_chosen, reference_rejected, .. } = *self;
        [policy_chosen, policy_rejected, reference_chosen, reference_rejected, policy_chosen]
    }

    fn part(&self, range: Range<usize>) -> Pairs<'a, T> {
        let cut = |column: &'a [T]| if column.is_empty() { column } else { &column[range.clone()] };
        Pairs {
            policy_chosen: &self.policy_chosen[range.clone()],
            policy_rejected: &self.policy_rejected[range.clone()],
            reference_chosen: cut(self.reference_chosen),
            reference_rejected: cut(self.reference_rejected),
            lengths: self
                .lengths
                .map(|[chosen, rejected]| [&chosen[range.clone()], &rejected[range.clone()]]),
            margins: self.margins.map(|margins| &margins[range.clone()]),
            weights: self.weights.map(|weights| &weights[range.clone()]),
        }
    }
}

/// The columns to which results are written.
pub struct Output<'a, O> {
    /// See [`Scored`].
    pub losses: &'a mut [O],
    /// See [`Scored`].
    pub rewards_chosen: &'a mut [O],
    /// See [`Scored`].
    pub rewards_rejected: &'a mut [O],
    /// The gradients with respect to the chosen and to the rejected answer; `None` where they are not wanted.
    pub gradients: Option<(&'a mut [O], &'a mut [O])>,
}

impl<O> Output<'_, O> {
    /// The pairs in `range` alone.
    fn part(&mut self, range: Range<usize>) -> Output<'_, O> {
        Output {
            losses: &mut self.losses[range.clone()],
            rewards_chosen: &mut self.rewards_chosen[range.clone()],
            rewards_rejected: &mut self.rewards_rejected[range.clone()],
            gradients: match &mut self.gradients {
                Some((chosen, rejected)) => Some((&mut chosen[range.clone()], &mut rejected[range])),
                None => None,
            },
        }
    }

    /// The part of each column in `range`: losses, both rewards, both gradients; gradients are empty if not wanted.
    #[inline(always)]
    fn columns(&mut self, range: &Range<usize>) -> [&mut [O]; 5] {
        let (chosen, rejected) = match &mut self.gradients {
            Some((chosen, rejected)) => (&mut chosen[range.clone()], &mut rejected[range.clone()]),
            None => (&mut [][..], &mut [][..]),
        };
        let (rewards_chosen, rewards_rejected) = (&mut self.rewards_chosen, &mut self.rewards_rejected);
        [
            &mut self.losses[range.clone()],
            &mut rewards_chosen[range.clone()],
            &mut rewards_rejected[range.clone()],
            chosen,
            rejected,
        ]
    }
}

impl<'a, O> Output<'a, O> {
    fn chunks(self) -> Result<Vec<Output<'a, O>>, NoMemory> {
        let (chosen, rejected) = self.gradients.unzip();
        let mut chosen = chosen.map(|column| column.chunks_mut(CHUNK));
        let mut rejected = rejected.map(|column| column.chunks_mut(CHUNK));
        let rewards = self.rewards_chosen.chunks_mut(CHUNK).zip(self.rewards_rejected.chunks_mut(CHUNK));
        let columns = self.losses.chunks_mut(CHUNK).zip(rewards);
        memory::collected(columns.map(|(losses, (rewards_chosen, rewards_rejected))| {
            let gradients =
                chosen.as_mut().and_then(Iterator::next).zip(rejected.as_mut().and_then(Iterator::next));
            Output { losses, rewards_chosen, rewards_rejected, gradients }
        }))
    }
}

/// The first pair with a log-probability that is not finite: the index of the pair, and which of the four columns.
pub fn first_nonfinite<T: Element>(pairs: Pairs<'_, T>) -> Option<(usize, usize)> {
    let first = |(which, column): (usize, &[T])| {
        column.iter().position(|v| !v.to_f64().is_finite()).map(|index| (index, which))
    };
    pairs.log_probabilities().into_iter().enumerate().filter_map(first).min()
}

/// A log-probability above this cannot be a rounded 0.
pub const POSITIVE: f64 = 1.0;
/// Log-probabilities of both answers above this cannot be rounded ones either. The rounding error in a sum of 10,000
/// float32 log-probabilities of tokens, each computed from logits of at most 32, is smaller.
pub const BOTH_POSITIVE: f64 = 0.05;

/// Whether the numbers that one model gives to the two answers of a pair are too high for log-probabilities. They may
/// be negative log-likelihoods by mistake.
#[inline(always)]
fn too_positive(chosen: f64, rejected: f64) -> bool {
    (chosen > POSITIVE) | (rejected > POSITIVE) | ((chosen > BOTH_POSITIVE) & (rejected > BOTH_POSITIVE))
}

/// The first pair whose log-probabilities under one model are too high (one above [`POSITIVE`], or both above
/// [`BOTH_POSITIVE`]): the index of the pair, which of the four columns has the higher one, and its value.
pub fn first_positive<T: Element>(pairs: Pairs<'_, T>) -> Option<(usize, usize, f64)> {
    let models =
        [(pairs.policy_chosen, pairs.policy_rejected), (pairs.reference_chosen, pairs.reference_rejected)];
    let first = |(model, (chosen, rejected)): (usize, (&[T], &[T]))| {
        let both = chosen.iter().zip(rejected).map(|(c, r)| (c.to_f64(), r.to_f64()));
        both.enumerate().find(|&(_, (c, r))| too_positive(c, r)).map(|(index, (c, r))| {
            let which = usize::from(r > c);
            (index, 2 * model + which, if which == 0 { c } else { r })
        })
    };
    models.into_iter().enumerate().filter_map(first).min_by_key(|&(index, which, _)| (index, which))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn numbers_that_cannot_be_log_probabilities_are_counted_and_found() {
        let pairs: [&[f64]; 4] = [
            &[-1.0, 0.0, 1.0, 0.06, -3.0],
            &[-2.0, 1e-6, 0.0, 0.07, -1.0],
            &[-1.0, 0.04, -1.0, -1.0, -1.0],
            &[-2.0, 0.04, -1.0, -1.0, 1.5],
        ];
        assert_eq!(score(Loss::Hinge, 0.1, pairs).counts.positive, 2);
        let all = Pairs::of(pairs);
        assert_eq!(first_positive(all), Some((3, 1, 0.07)));
        assert_eq!(first_positive(all.part(4..5)), Some((0, 3, 1.5)));
        assert_eq!(first_positive(all.part(0..3)), None);
    }

    fn score(loss: Loss, beta: f64, pairs: [&[f64]; 4]) -> Scored {
        smoothed(loss, beta, Smoothing::NONE, pairs)
    }

    fn smoothed(loss: Loss, beta: f64, smoothing: Smoothing, pairs: [&[f64]; 4]) -> Scored {
        let constants = Constants { beta, smoothing, ..Constants::DEFAULT };
        preference_loss(Pairs::of(pairs), &[Term::of(loss)], constants, true, &mut |_| true).unwrap()
    }

    const TENTH: Smoothing = Smoothing { rate: 0.1, crossing: 2.197_224_577_336_219_6, crossing_rest: 0.0 };

    /// The constants of torchtune's tests of its DPO loss.
    const PAIRS: [&[f64]; 4] =
        [&[-0.5, -10.0, -1.0], &[-0.1, -30.0, -21.0], &[-0.5, -10.1, -0.1], &[-0.1, -20.1, -0.1]];

    #[test]
    fn the_published_constants() {
        let dpo = score(Loss::Dpo, 0.1, PAIRS);
        for (got, want) in dpo.losses.iter().zip([std::f64::consts::LN_2, 0.3132616875, 0.1269280110]) {
            assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
        assert_eq!(score(Loss::Hinge, 0.1, PAIRS).losses[0], 1.0);
        for (got, want) in score(Loss::Ipo, 0.1, PAIRS).losses.iter().zip([25.0, 25.0, 225.0]) {
            assert!((got - want).abs() < 1e-11, "{got} {want}");
        }
    }

    #[test]
    fn at_the_reference_every_logistic_loss_is_ln_2() {
        let same: [&[f64]; 4] = [&[-3.0], &[-5.0], &[-3.0], &[-5.0]];
        for (loss, smoothing) in [(Loss::Dpo, Smoothing::NONE), (Loss::Dpo, TENTH), (Loss::Robust, TENTH)] {
            let got = smoothed(loss, 0.1, smoothing, same).losses[0];
            assert!((got - std::f64::consts::LN_2).abs() < 2e-16, "{loss:?} {got}");
        }
    }

    #[test]
    fn results_are_finite_for_margins_up_to_ten_thousand() {
        for z in [-1e4, -800.0, 800.0, 1e4] {
            let pairs: [&[f64]; 4] = [&[z], &[0.0], &[0.0], &[0.0]];
            for &loss in Loss::ALL {
                let got = smoothed(loss, 1.0, TENTH, pairs);
                let values = [got.losses[0], got.grad_chosen[0], got.grad_rejected[0]];
                assert!(values.iter().all(|value| value.is_finite()), "{loss:?} {z}");
                // A score that levels off, such as the log-odds of a certain answer, lies closer.
                let of_ratios = loss.about().columns.contains(&"reference");
                assert!(got.counts.saturated == 1 || !of_ratios, "{loss:?} {z}");
            }
        }
    }

    #[test]
    fn the_first_log_probability_that_is_not_finite_is_found() {
        let nan = [0.0, f64::NAN];
        let pairs = Pairs::of([&nan, &[0.0, 0.0], &[0.0, 0.0], &[f64::INFINITY, 0.0]]);
        assert_eq!(first_nonfinite(pairs), Some((0, 3)));
    }
}
