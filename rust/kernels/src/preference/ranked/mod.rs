//! Losses of ranked answers: for each prompt several answers with labels, of which a higher one is better.
//!
//! An answer whose label is NaN does not count. Answers of one label are not compared with each other; a prompt whose
//! answers all have one label has no loss.

mod lipo;
mod plackett_luce;
mod wide;

use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, fill_chunks};
use crate::math;
use crate::memory::{self, NoMemory};
use crate::named;
use crate::named::{Bound, Parameter};
use crate::simd::{Isa, Kernel, dispatch, scalar};
use std::cmp::Ordering;
use std::ops::Range;

const BETA: Parameter =
    Parameter { name: "beta", low: Bound::Open(0.0), high: Bound::Open(f64::INFINITY), default: Some(0.1) };

named! {
    /// The loss of the answers of a prompt.
    pub enum Ranked: "preference.ranked.loss" {
        /// The likelihood of the order: each answer is the best of itself and all that are below it.
        PlackettLuce = "plackett_luce" { source: "Plackett 1975; Rafailov et al. 2023", parameters: &[BETA] },
        /// The logistic loss of every pair, weighted by what an exchange of both would change in the discounted gain.
        Lipo = "lipo" { source: "Liu et al. 2024", parameters: &[BETA] },
    }
}

/// A label from which on the gain `2^label` would overflow.
pub const HIGHEST_LABEL: f64 = 1000.0;

/// The answers of prompts, in rows of one length.
#[derive(Clone, Copy)]
pub struct Answers<'a> {
    /// The log-ratios or scores.
    pub scores: &'a [f64],
    /// The labels; NaN where an answer does not count.
    pub labels: &'a [f64],
    /// The number of answers of a row, at least 1.
    pub width: usize,
}

/// Where results are written. `gradients` has one number per answer; the others have one per prompt.
pub struct Columns<'a> {
    /// The losses; NaN for a prompt without a comparison.
    pub losses: &'a mut [f64],
    /// The derivatives by the scores; 0 where an answer does not count.
    pub gradients: &'a mut [f64],
    /// The number of pairs of answers with different labels.
    pub compared: &'a mut [f64],
    /// In how many of these the better answer has the higher score; equal scores count one half.
    pub right: &'a mut [f64],
}

/// Computes the loss of each prompt; returns in how many of them an argument of the loss exceeds
/// [`SATURATED`](super::SATURATED).
pub fn ranked_losses(
    answers: Answers<'_>,
    loss: Ranked,
    beta: f64,
    to: Columns<'_>,
    progress: Progress<'_>,
) -> Result<usize, Stopped> {
    let discounts = discounts(answers.width)?;
    match loss {
        Ranked::PlackettLuce => of_rows(answers, plackett_luce::Formula, beta, to, progress),
        Ranked::Lipo => of_rows(answers, lipo::Formula { discounts: &discounts }, beta, to, progress),
    }
}

fn of_rows(
    answers: Answers<'_>,
    formula: impl Formula + Sync,
    beta: f64,
    to: Columns<'_>,
    progress: Progress<'_>,
) -> Result<usize, Stopped> {
    if answers.width > wide::WIDTH {
        return wide::rows(answers, formula, beta, to, progress);
    }
    let Columns { losses, gradients, compared, right } = to;
    let (n, width) = (losses.len(), answers.width);
    let rows = (CHUNK / 8 / width).max(1);
    let mut gradients = gradients.chunks_mut(rows * width);
    let mut compared = compared.chunks_mut(rows).zip(right.chunks_mut(rows));
    let mut losses = losses.chunks_mut(rows);
    let items = memory::collected((0..chunks(n, rows)).map(|_| {
        let (compared, right) = compared.next().unwrap_or_default();
        let (losses, gradients) = (losses.next().unwrap_or_default(), gradients.next().unwrap_or_default());
        Columns { losses, gradients, compared, right }
    }))?;
    let mut rows_done = |done: usize| progress((done * rows).min(n));
    let found = fill_chunks(items, answers.scores.len() * 64, &mut rows_done, |index, to| {
        let rows = chunk(index, n, rows);
        let part = rows.start * width..rows.end * width;
        let answers = Answers { scores: &answers.scores[part.clone()], labels: &answers.labels[part], width };
        let list = List::of(width)?;
        Ok(dispatch(Rows { answers, beta, to, list, formula }))
    })?;
    let mut saturated = 0;
    for count in found {
        saturated += count.map_err(|error: NoMemory| Stopped::from(error))?;
    }
    Ok(saturated)
}

/// The discounts `1 / log2(1 + rank)` of the ranks from 1 on.
fn discounts(width: usize) -> Result<Vec<f64>, NoMemory> {
    memory::collected((0..width).map(|place| {
        let logarithm = math::log(scalar(|| place as f64 + 2.0));
        scalar(|| std::f64::consts::LN_2 / logarithm)
    }))
}

/// What a loss of a row's answers finds, whose gradients it writes.
#[derive(Clone, Copy)]
struct Found {
    loss: f64,
    extent: f64,
}

impl Found {
    const NONE: Found = Found { loss: 0.0, extent: 0.0 };
}

/// A loss of the answers of a row, which are in the order of their labels, the lowest first.
trait Formula: Copy {
    /// What takes a time in proportion to the number of answers, or little more.
    fn begin<I: Isa>(self, list: &mut List, beta: f64) -> Found;

    /// Adds the comparisons of the answers in `highs` with all that come before them. The ranges of a row come in order.
    #[inline(always)]
    fn compare<I: Isa>(self, _: &mut List, _highs: Range<usize>, _beta: f64, _: &mut Found) {}
}

/// The answers of one row that count, in some order, and memory for what formulas compute of them.
struct List {
    /// The places in the row.
    order: Vec<u32>,
    scores: Vec<f64>,
    labels: Vec<f64>,
    gradients: Vec<f64>,
    /// What a formula needs of each answer.
    first: Vec<f64>,
    second: Vec<f64>,
    places: Vec<u32>,
}

impl List {
    fn of(width: usize) -> Result<List, NoMemory> {
        let column = || memory::with_capacity(width);
        Ok(List {
            order: memory::with_capacity(width)?,
            scores: column()?,
            labels: column()?,
            gradients: column()?,
            first: column()?,
            second: column()?,
            places: memory::with_capacity(width)?,
        })
    }

    /// Takes the answers of a row that count, by label, then by score: an order that does not depend on how they stand.
    fn take(&mut self, scores: &[f64], labels: &[f64]) {
        self.order.clear();
        self.order.extend((0..).zip(labels).filter(|(_, label)| !label.is_nan()).map(|(place, _)| place));
        self.order.sort_unstable_by(|&a, &b| {
            let of = |place: u32| (labels[place as usize], scores[place as usize], place);
            by_two(of(a), of(b))
        });
        let n = self.order.len();
        for (column, from) in [(&mut self.scores, scores), (&mut self.labels, labels)] {
            column.clear();
            column.extend(self.order.iter().map(|&place| from[place as usize]));
        }
        for column in [&mut self.gradients, &mut self.first, &mut self.second] {
            column.clear();
            column.resize(n, 0.0);
        }
    }
}

/// The order by two numbers, neither of them NaN, then by place; both zeros are equal.
fn by_two(a: (f64, f64, u32), b: (f64, f64, u32)) -> Ordering {
    let of = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    of(a.0, b.0).then(of(a.1, b.1)).then(a.2.cmp(&b.2))
}

/// The computation of the losses of some rows.
struct Rows<'a, F> {
    answers: Answers<'a>,
    beta: f64,
    to: Columns<'a>,
    list: List,
    formula: F,
}

impl<F: Formula> Kernel for Rows<'_, F> {
    type Out = usize;
    #[inline(always)]
    fn run<I: Isa>(self) -> usize {
        let Rows { answers: Answers { scores, labels, width }, beta, mut to, mut list, formula } = self;
        let mut saturated = 0;
        for row in 0..to.losses.len() {
            let range = row * width..(row + 1) * width;
            list.take(&scores[range.clone()], &labels[range.clone()]);
            let all = 0..list.scores.len();
            let pairs = pairs(&list, all.clone());
            let mut found = Found::NONE;
            if pairs.0 > 0 {
                found = formula.begin::<I>(&mut list, beta);
                formula.compare::<I>(&mut list, all, beta, &mut found);
            }
            saturated += usize::from(to.write(row, &list, pairs, found, beta));
        }
        saturated
    }
}

impl Columns<'_> {
    /// Writes what was found of a row whose numbers of pairs are those of [`pairs`]; true where it is saturated.
    #[inline(always)]
    fn write(
        &mut self,
        row: usize,
        list: &List,
        (compared, right): (u64, u64),
        found: Found,
        beta: f64,
    ) -> bool {
        let width = self.gradients.len() / self.losses.len();
        let gradients = &mut self.gradients[row * width..(row + 1) * width];
        gradients.fill(0.0);
        self.compared[row] = compared as f64;
        self.right[row] = right as f64 / 2.0;
        if compared == 0 {
            self.losses[row] = f64::NAN;
            return false;
        }
        self.losses[row] = found.loss;
        for (&place, &gradient) in list.order.iter().zip(&list.gradients) {
            gradients[place as usize] = beta * gradient;
        }
        found.extent > super::SATURATED
    }
}

/// How many pairs of an answer in `highs` and one before it have different labels, and twice how many of these are in the
/// right order.
#[inline(always)]
fn pairs(list: &List, highs: Range<usize>) -> (u64, u64) {
    let (mut compared, mut right) = (0, 0);
    for high in highs {
        for low in 0..high {
            if list.labels[low] < list.labels[high] {
                let (above, below) = (list.scores[high], list.scores[low]);
                compared += 1;
                right += u64::from(above > below) + u64::from(above >= below);
            }
        }
    }
    (compared, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::preference::{Constants, Loss, Pairs, Scored, Term, preference_loss};

    struct Given {
        losses: Vec<f64>,
        gradients: Vec<f64>,
        compared: Vec<f64>,
        right: Vec<f64>,
        saturated: usize,
    }

    fn of(loss: Ranked, beta: f64, width: usize, scores: &[f64], labels: &[f64]) -> Given {
        let n = scores.len() / width;
        let column = || vec![1.0; n];
        let (mut losses, mut compared, mut right, mut gradients) =
            (column(), column(), column(), vec![1.0; scores.len()]);
        let to = Columns {
            losses: &mut losses,
            gradients: &mut gradients,
            compared: &mut compared,
            right: &mut right,
        };
        let answers = Answers { scores, labels, width };
        let saturated = ranked_losses(answers, loss, beta, to, &mut |_| true).unwrap();
        Given { losses, gradients, compared, right, saturated }
    }

    #[test]
    fn two_answers_are_a_pair_bit_for_bit() {
        let (chosen, rejected) = ([-0.5, -10.0, -1.0, -700.0], [-0.25, -30.0, -21.0, -0.5]);
        let zeros = [0.0; 4];
        let pairs = Pairs::of([&chosen[..], &rejected, &zeros, &zeros]);
        let terms = [Term::of(Loss::Dpo)];
        let want: Scored<f64> =
            preference_loss(pairs, &terms, Constants::DEFAULT, true, &mut |_| true).unwrap();
        let scores: Vec<f64> = chosen.iter().zip(rejected).flat_map(|(&c, r)| [r, c]).collect();
        let labels = [0.0, 1.0].repeat(4);
        let got = of(Ranked::PlackettLuce, 0.1, 2, &scores, &labels);
        assert_eq!(got.losses, want.losses);
        let sides: Vec<f64> =
            want.grad_chosen.iter().zip(&want.grad_rejected).flat_map(|(&c, &r)| [r, c]).collect();
        assert_eq!(got.gradients, sides);
        // The gains differ by 1 and the discounts by 1 - 1/log2(3).
        let weight = 1.0 - math::log(2.0) / math::log(3.0);
        for (got, want) in of(Ranked::Lipo, 0.1, 2, &scores, &labels).losses.iter().zip(&want.losses) {
            assert!((got - weight * want).abs() <= 1e-15 * want, "{got} {want}");
        }
    }

    #[test]
    fn equal_labels_are_not_compared_and_answers_without_one_do_not_count() {
        for &loss in Ranked::ALL {
            let got = of(loss, 1.0, 3, &[1.0, 5.0, 2.0, 1.0, 2.0, 3.0], &[1.0, 1.0, f64::NAN, 2.0, 2.0, 1.0]);
            assert!(got.losses[0].is_nan());
            assert_eq!(got.gradients[..3], [0.0; 3]);
            assert_eq!((got.compared, got.right), (vec![0.0, 2.0], vec![0.0, 0.0]));
            let sum: f64 = got.gradients[3..].iter().sum();
            assert!(sum.abs() < 1e-15, "{loss:?} {sum}");
        }
    }

    #[test]
    fn a_row_in_steps_is_the_row_in_one() {
        let k = 3000; // steps of few answers, on both sides of the limit
        let scores: Vec<f64> = (0..k).map(|i| f64::from((i * 7919) % 1009) / 8.0 - 100.0).collect();
        let labels: Vec<f64> = (0..k).map(|i| f64::from((i * 31) % 7)).collect();
        let answers = Answers { scores: &scores, labels: &labels, width: k as usize };
        let run = |in_steps: bool, loss: Ranked, progress: Progress<'_>| {
            let (mut one, mut other) = ([[0.0]; 3], vec![1.0; k as usize]);
            let [losses, compared, right] = &mut one;
            let to = Columns { losses, gradients: &mut other, compared, right };
            let discounts = discounts(k as usize)?;
            let lipo = lipo::Formula { discounts: &discounts };
            let saturated = match (in_steps, loss) {
                (true, Ranked::Lipo) => wide::rows(answers, lipo, 2.0, to, progress)?,
                (true, _) => wide::rows(answers, plackett_luce::Formula, 2.0, to, progress)?,
                (false, Ranked::Lipo) => {
                    dispatch(Rows { answers, beta: 2.0, to, list: List::of(k as usize)?, formula: lipo })
                }
                (false, _) => {
                    let list = List::of(k as usize)?;
                    dispatch(Rows { answers, beta: 2.0, to, list, formula: plackett_luce::Formula })
                }
            };
            Ok((one, other, saturated))
        };
        for &loss in Ranked::ALL {
            let whole: Result<_, Stopped> = run(false, loss, &mut |_| true);
            assert_eq!(whole, run(true, loss, &mut |_| true), "{loss:?}");
        }
    }

    #[test]
    fn a_wide_row_can_be_stopped() {
        let k = 1 << 17; // 10^10 comparisons
        let scores: Vec<f64> = (0..k).map(f64::from).collect();
        let (mut one, mut gradients) = ([[0.0]; 3], vec![0.0; k as usize]);
        let [losses, compared, right] = &mut one;
        let to = Columns { losses, gradients: &mut gradients, compared, right };
        let labels: Vec<f64> = (0..k).map(|i| f64::from(i % 7)).collect();
        let answers = Answers { scores: &scores, labels: &labels, width: k as usize };
        let mut asked = 0;
        let mut progress = |_| {
            asked += 1;
            asked < 3
        };
        let begun = std::time::Instant::now();
        assert_eq!(ranked_losses(answers, Ranked::Lipo, 1.0, to, &mut progress), Err(Stopped::Cancelled));
        assert!(asked == 3 && begun.elapsed().as_secs() < 5);
    }

    #[test]
    fn answers_far_apart_are_finite_and_counted() {
        for &loss in Ranked::ALL {
            let got = of(loss, 1.0, 3, &[1e4, 0.0, -1e4], &[0.0, 1.0, 2.0]);
            assert!(got.losses[0].is_finite() && got.gradients.iter().all(|g| g.is_finite()), "{loss:?}");
            assert_eq!(got.saturated, 1);
        }
    }
}
