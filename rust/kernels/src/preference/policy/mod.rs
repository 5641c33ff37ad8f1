//! Losses of a policy on answers that an older policy wrote, from the log-probabilities of their tokens: the loss, its
//! gradient with respect to every token, and what is told of a step (clipped share, ratios, divergences).
//!
//! All arithmetic is f64. A gradient is within 4 ulp of the exact function of the differences of log-probabilities as
//! f64 computes these (with a reference, of the larger of its two terms) and is rounded once to the type of the
//! log-probabilities. A ratio whose logarithm exceeds [`LIMIT`] goes on in a straight line and is counted as saturated.
//! Sums over an answer are made in a fixed number of lanes by the place of its tokens.

mod answers;
mod losses;
mod power;

use crate::grid::{CHUNK, Progress, Stopped, chunk, fill_chunks};
use crate::memory;
use crate::simd::{Element, dispatch, scalar};
use answers::{Answer, Scoring};
use losses::{Clipped, Formula, Weighted};
use std::ops::Range;

pub use answers::POSITIVE;
pub use losses::{Divisor, Estimator, Loss};
pub use power::LIMIT;

/// The advantages of answers.
#[derive(Clone, Copy)]
pub enum Advantages<'a> {
    /// One an answer, the same for all of its tokens.
    PerAnswer(&'a [f64]),
    /// One a token.
    PerToken(&'a [f64]),
}

/// Answers as rows of `width` tokens.
#[derive(Clone, Copy)]
pub struct Answers<'a, T> {
    /// The number of tokens of a row.
    pub width: usize,
    /// The policy's log-probabilities.
    pub logprob: &'a [T],
    /// Those of the policy that wrote the answers.
    pub old: &'a [T],
    /// Those of a reference; empty without one.
    pub reference: &'a [T],
    /// The advantages.
    pub advantage: Advantages<'a>,
    /// Which tokens count: 0 for those that do not; empty where all do.
    pub counted: &'a [u8],
    /// How many tokens of each row belong to the answer; empty where all do.
    pub lengths: &'a [i64],
}

/// What is the same for every token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// The loss.
    pub loss: Loss,
    /// The lower limit of the ratio.
    pub low: f64,
    /// The upper limit of the ratio.
    pub high: f64,
    /// The factor of the divergence from the reference in the loss.
    pub kl_weight: f64,
    /// How that divergence is estimated.
    pub estimator: Estimator,
    /// What the sum over tokens is divided by, where that is given.
    pub divisor: Option<f64>,
}

/// The sums over the counted tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// The loss, with the divergence from the reference.
    pub loss: f64,
    /// How many ratios were clipped below.
    pub low: f64,
    /// How many ratios were clipped above.
    pub high: f64,
    /// The ratios less 1.
    pub ratio: f64,
    /// `r - 1 - log r`: the divergence of the policy from the old one, by the estimator k3.
    pub kl: f64,
    /// The divergence from the reference.
    pub reference: f64,
}

/// The numbers of tokens of the kinds that callers are told about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The logarithm of a ratio, or of what k3 takes the exponential of, exceeds [`LIMIT`].
    pub saturated: usize,
    /// A log-probability or an advantage is not finite.
    pub nonfinite: usize,
    /// A log-probability is above [`POSITIVE`].
    pub positive: usize,
    /// In how many blocks a gradient is larger than its type holds.
    pub overflows: usize,
}

/// The results of [`policy_loss`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// The sums of each answer.
    pub sums: Vec<Sums>,
    /// The number of counted tokens of each answer.
    pub counts: Vec<f64>,
    /// The loss of each answer, whose mean over answers is the loss.
    pub losses: Vec<f64>,
    /// How many tokens are unusual.
    pub seen: Seen,
}

/// Scores every answer; `progress` gets the number of answers done. `gradient` has the size of the log-probabilities, or is empty where it is not wanted; it is the
/// derivative of the loss of all answers, and 0 for tokens that do not count.
pub fn policy_loss<T: Element>(
    answers: Answers<'_, T>,
    constants: Constants,
    gradient: &mut [T],
    progress: Progress<'_>,
) -> Result<Scored, Stopped> {
    let width = answers.width;
    let n = answers.logprob.len().checked_div(width).unwrap_or(0);
    let size = CHUNK.checked_div(width).unwrap_or(0).max(1);
    let bytes = size_of_val(answers.logprob) * 4;
    let mut counts = memory::filled(n, 0.0)?;
    let items = memory::collected(counts.chunks_mut(size))?;
    let marked = if answers.counted.is_empty() { 0 } else { answers.counted.len() };
    fill_chunks(items, marked, &mut |_| progress(0), |index, counts| {
        for (row, count) in counts.iter_mut().enumerate() {
            *count = answers.count(index * size + row);
        }
    })?;
    let (factors, scale) = scalar(|| factors(&counts, width, constants))?;
    let mut sums = memory::filled(n, Sums::default())?;
    let mut gradients = gradient.chunks_mut((size * width).max(1));
    let items =
        memory::collected(sums.chunks_mut(size).map(|sums| (sums, gradients.next().unwrap_or_default())))?;
    let mut rows_done = |done: usize| progress((done * size).min(n));
    let seen = fill_chunks(items, bytes, &mut rows_done, |index, (sums, gradient)| {
        let rows = chunk(index, n, size);
        let (factors, counts) = (&factors[rows.clone()], &counts[rows.clone()]);
        let part = Part { answers: answers.part(rows), factors, counts, constants, gradient, sums };
        match (constants.loss.is_weighted(), answers.reference.is_empty()) {
            (false, true) => part.score::<Clipped, false>(Clipped),
            (false, false) => part.score::<Clipped, true>(Clipped),
            (true, true) => part.score::<Weighted, false>(Weighted),
            (true, false) => part.score::<Weighted, true>(Weighted),
        }
    })?;
    let mut losses = memory::with_capacity(n)?;
    scalar(|| losses.extend(sums.iter().zip(&scale).map(|(sums, scale)| sums.loss * scale)));
    Ok(Scored { sums, counts, losses, seen: seen.into_iter().fold(Seen::default(), Seen::plus) })
}

/// The factor of the gradients of each answer, and that which makes the sum of its losses its share of the mean.
fn factors(counts: &[f64], width: usize, constants: Constants) -> Result<(Vec<f64>, Vec<f64>), Stopped> {
    let n = counts.len() as f64;
    let mut factors = memory::filled(counts.len(), 0.0)?;
    let mut scale = memory::filled(counts.len(), 0.0)?;
    let whole = match constants.loss.divisor() {
        Divisor::Answers => None,
        Divisor::Tokens => Some(constants.divisor.unwrap_or_else(|| counts.iter().sum())),
        Divisor::Room => Some(constants.divisor.unwrap_or(n * width as f64)),
    };
    for (i, &count) in counts.iter().enumerate() {
        if count > 0.0 {
            factors[i] = 1.0 / whole.unwrap_or(n * count);
            scale[i] = whole.map_or(1.0 / count, |whole| n / whole);
        }
    }
    Ok((factors, scale))
}

/// A chunk of answers, with where its results go.
struct Part<'a, T> {
    answers: Answers<'a, T>,
    factors: &'a [f64],
    counts: &'a [f64],
    constants: Constants,
    gradient: &'a mut [T],
    sums: &'a mut [Sums],
}

impl<T: Element> Part<'_, T> {
    fn score<F: Formula, const REFERENCE: bool>(self, formula: F) -> Seen {
        let Part { answers, factors, counts, constants, gradient, sums } = self;
        dispatch(Scoring::<T, F, REFERENCE> { answers, factors, counts, constants, formula, gradient, sums })
    }
}

impl Seen {
    fn plus(self, other: Seen) -> Seen {
        Seen {
            saturated: self.saturated + other.saturated,
            nonfinite: self.nonfinite + other.nonfinite,
            positive: self.positive + other.positive,
            overflows: self.overflows + other.overflows,
        }
    }
}

fn cut<'a, T>(column: &'a [T], range: &Range<usize>) -> &'a [T] {
    if column.is_empty() { column } else { &column[range.clone()] }
}

impl<'a, T: Element> Answers<'a, T> {
    /// The rows in `rows` alone.
    fn part(&self, rows: Range<usize>) -> Answers<'a, T> {
        let tokens = rows.start * self.width..rows.end * self.width;
        Answers {
            width: self.width,
            logprob: cut(self.logprob, &tokens),
            old: cut(self.old, &tokens),
            reference: cut(self.reference, &tokens),
            advantage: match self.advantage {
                Advantages::PerAnswer(one) => Advantages::PerAnswer(&one[rows.clone()]),
                Advantages::PerToken(each) => Advantages::PerToken(&each[tokens.clone()]),
            },
            counted: cut(self.counted, &tokens),
            lengths: cut(self.lengths, &rows),
        }
    }

    /// The places of the tokens of a row that belong to the answer.
    #[inline(always)]
    fn tokens(&self, row: usize) -> Range<usize> {
        let start = row * self.width;
        let length = self.lengths.get(row).map_or(self.width, |&length| length.max(0) as usize);
        start..start + length.min(self.width)
    }

    /// A row, as far as it belongs to the answer.
    #[inline(always)]
    fn row(&self, row: usize) -> Answer<'a, T> {
        let tokens = self.tokens(row);
        Answer {
            logprob: &self.logprob[tokens.clone()],
            old: &self.old[tokens.clone()],
            reference: cut(self.reference, &tokens),
            counted: cut(self.counted, &tokens),
        }
    }

    /// The advantage of a row, or those of its tokens.
    #[inline(always)]
    fn advantage_of(&self, row: usize) -> Advantages<'a> {
        match self.advantage {
            Advantages::PerAnswer(one) => Advantages::PerAnswer(&one[row..=row]),
            Advantages::PerToken(each) => {
                Advantages::PerToken(&each[row * self.width..(row + 1) * self.width])
            }
        }
    }

    /// How many tokens of a row count. The conversion is that of a signed number, which gives 0 in every floating-point
    /// mode; that of an unsigned one gives -0 where rounding is downwards.
    fn count(&self, row: usize) -> f64 {
        let tokens = self.tokens(row);
        let count = if self.counted.is_empty() {
            tokens.len()
        } else {
            self.counted[tokens].iter().filter(|&&counted| counted != 0).count()
        };
        count.cast_signed() as f64
    }

    /// The first counted token with a number that `bad` says is none that is expected: its row and place, which of the
    /// columns (log-probabilities of the policy, the old one and the reference, advantages), and the number.
    pub fn first(&self, bad: impl Fn(f64) -> bool, advantages: bool) -> Option<(usize, usize, usize, f64)> {
        let rows = self.logprob.len().checked_div(self.width).unwrap_or(0);
        for row in 0..rows {
            for at in self.tokens(row) {
                if self.counted.get(at) == Some(&0) {
                    continue;
                }
                let advantage = match self.advantage {
                    Advantages::PerAnswer(one) => one[row],
                    Advantages::PerToken(each) => each[at],
                };
                let other = self.reference.get(at).map_or(0.0, |x| x.to_f64());
                let numbers = [self.logprob[at].to_f64(), self.old[at].to_f64(), other, advantage];
                let columns = if advantages { 4 } else { 3 };
                if let Some(which) = numbers[..columns].iter().position(|&x| bad(x)) {
                    return Some((row, at - row * self.width, which, numbers[which]));
                }
            }
        }
        None
    }
}
