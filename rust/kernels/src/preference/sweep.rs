//! The mean loss of many settings: the pairs are read once for a group of them, and no column is made.

use super::losses::{Constants, Formula};
use super::mixture::{Term, alone, likelihood};
use super::scores::{FAR, PIECE, Scale, Scores, Scoring};
use super::{Pairs, SATURATED};
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory;
use crate::simd::{Element, Isa, Kernel, dispatch, scalar, tree64};

/// What is known of the losses of all pairs at one setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swept {
    /// Their mean. Its error is below 2^-40 of the mean magnitude for 10^9 pairs.
    pub mean: f64,
    /// The sum of their squared deviations from the mean.
    pub squares: f64,
    /// The smallest loss.
    pub low: f64,
    /// The largest loss.
    pub high: f64,
    /// The largest magnitude of a derivative by a log-probability; 0 where it was not asked for.
    pub slope: f64,
    /// The number of saturated pairs.
    pub saturated: usize,
}

/// Settings that share a reading of the pairs: so many that the scores of a piece cost little beside them, and so few
/// that a chunk is done within a tick.
pub const GROUP: usize = 32;
const LANES: usize = 16;
const BLOCK: usize = 128;

/// The moments of the losses at each setting, and of their slopes where these are asked for. The terms [share their
/// scores](super::share_scores) at all settings. A result that is not finite says that a loss is not.
pub fn preference_sweep<T: Element>(
    pairs: Pairs<'_, T>,
    terms: &[Term],
    settings: &[Constants],
    slopes: bool,
    progress: Progress<'_>,
) -> Result<Vec<Swept>, Stopped> {
    let (n, groups) = (pairs.policy_chosen.len(), chunks(settings.len(), GROUP));
    let Some(first) = settings.first() else { return Ok(Vec::new()) };
    let scale = Scale::of(terms[0].loss, first.divergence, first.alpha);
    let sweep = Sweep { pairs, terms, scale, slopes };
    // The deviations of losses are taken from the mean of the first piece, which keeps the digits of their squares.
    let first = 0..n.min(PIECE);
    let mut shifts = memory::filled(settings.len(), 0.0)?;
    for (shifts, settings) in shifts.chunks_mut(GROUP).zip(settings.chunks(GROUP)) {
        let of_first = sweep.folded(first.clone(), settings, shifts)?;
        for (shift, part) in shifts.iter_mut().zip(of_first) {
            *shift = scalar(|| part.first / first.len() as f64);
        }
    }
    let count = chunks(n, CHUNK) * groups;
    let bytes = n.saturating_mul(settings.len()).saturating_mul(size_of::<f64>());
    let parts = map_chunks(count, bytes, progress, |index| {
        let of = chunk(index % groups, settings.len(), GROUP);
        sweep.folded(chunk(index / groups, n, CHUNK), &settings[of.clone()], &shifts[of])
    })?;
    let mut sums = memory::filled(settings.len(), Part::NONE)?;
    for (index, parts) in parts.into_iter().enumerate() {
        let of = chunk(index % groups, settings.len(), GROUP);
        for (sum, part) in sums[of].iter_mut().zip(parts?) {
            *sum = scalar(|| sum.plus(part));
        }
    }
    let found = sums.into_iter().zip(shifts).map(|(sum, shift)| scalar(|| sum.moments(shift, n)));
    Ok(memory::collected(found)?)
}

/// What is folded over pairs at one setting: sums of deviations from a shift and of their squares, and extremes.
#[derive(Clone, Copy)]
struct Part {
    first: f64,
    second: f64,
    low: f64,
    high: f64,
    slope: f64,
    saturated: usize,
}

impl Part {
    const NONE: Part = Part {
        first: 0.0,
        second: 0.0,
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        slope: 0.0,
        saturated: 0,
    };

    fn plus(self, other: Part) -> Part {
        Part {
            first: self.first + other.first,
            second: self.second + other.second,
            low: if other.low < self.low { other.low } else { self.low },
            high: if other.high > self.high { other.high } else { self.high },
            slope: if other.slope > self.slope { other.slope } else { self.slope },
            saturated: self.saturated + other.saturated,
        }
    }

    fn moments(self, shift: f64, n: usize) -> Swept {
        let Part { first, second, low, high, slope, saturated } = self;
        let squares = second - first * (first / n as f64);
        let (mean, squares) = if low == high { (low, 0.0) } else { (shift + first / n as f64, squares) };
        let squares = if squares > 0.0 || squares.is_nan() { squares } else { 0.0 };
        Swept { mean, squares, low, high, slope, saturated }
    }
}

struct Sweep<'a, T> {
    pairs: Pairs<'a, T>,
    terms: &'a [Term],
    scale: Scale,
    slopes: bool,
}

impl<T: Element> Sweep<'_, T> {
    /// Folds the pairs in `range` at each setting.
    fn folded(
        &self,
        range: std::ops::Range<usize>,
        settings: &[Constants],
        shifts: &[f64],
    ) -> Result<Vec<Part>, crate::memory::NoMemory> {
        let mut lanes = memory::filled(settings.len(), Lanes::NONE)?;
        let (mut scores, mut policy) = (Scores::NONE, [0.0; PIECE]);
        for start in range.clone().step_by(PIECE) {
            let pairs = self.pairs.part(start..range.end.min(start + PIECE));
            dispatch(Scoring { pairs, scale: self.scale, scores: &mut scores });
            let n = pairs.policy_chosen.len();
            scalar(|| {
                for (wide, policy) in policy.iter_mut().zip(pairs.policy_chosen) {
                    *wide = policy.to_f64();
                }
            });
            let (scores, policy, terms) = (&scores, &policy[..n], self.terms);
            let fold = Fold { scores, policy, terms, settings, shifts, lanes: &mut lanes };
            if self.slopes { dispatch(WithSlopes(fold)) } else { dispatch(fold) }
        }
        memory::collected(lanes.iter().map(Lanes::part))
    }
}

/// [`Part`] in lanes.
#[derive(Clone, Copy)]
struct Lanes {
    first: [f64; LANES],
    second: [f64; LANES],
    low: [f64; LANES],
    high: [f64; LANES],
    slope: [f64; LANES],
    saturated: usize,
}

impl Lanes {
    const NONE: Lanes = Lanes {
        first: [0.0; LANES],
        second: [0.0; LANES],
        low: [f64::INFINITY; LANES],
        high: [f64::NEG_INFINITY; LANES],
        slope: [0.0; LANES],
        saturated: 0,
    };

    fn part(&self) -> Part {
        scalar(|| {
            let mut part = Part {
                first: tree64(self.first),
                second: tree64(self.second),
                saturated: self.saturated,
                ..Part::NONE
            };
            for l in 0..LANES {
                let (low, high, slope) = (self.low[l], self.high[l], self.slope[l]);
                part.low = if low < part.low { low } else { part.low };
                part.high = if high > part.high { high } else { part.high };
                part.slope = if slope > part.slope { slope } else { part.slope };
            }
            part
        })
    }

    #[inline(always)]
    fn add(&mut self, lane: usize, loss: f64, shift: f64) {
        let d = loss - shift;
        self.first[lane] += d;
        self.second[lane] += d * d;
        self.low[lane] = if loss < self.low[lane] { loss } else { self.low[lane] };
        self.high[lane] = if loss > self.high[lane] { loss } else { self.high[lane] };
    }

    /// Adds the losses of a piece: the loss of a row goes to the lane of its place.
    #[inline(always)]
    fn add_all(&mut self, losses: &[f64], shift: f64) {
        let mut lanes = *self; // so that the sums stay in registers
        let (whole, rest) = losses.as_chunks::<LANES>();
        for losses in whole {
            for l in 0..LANES {
                lanes.add(l, losses[l], shift);
            }
        }
        for (l, &loss) in rest.iter().enumerate() {
            lanes.add(l, loss, shift);
        }
        *self = lanes;
    }

    #[inline(always)]
    fn steepest(&mut self, gradients: &[f64]) {
        for gradients in gradients.chunks(LANES) {
            for (slope, gradient) in self.slope.iter_mut().zip(gradients) {
                *slope = if gradient.abs() > *slope { gradient.abs() } else { *slope };
            }
        }
    }
}

/// Losses of a piece and, where they are asked for, their gradients.
pub(super) struct Values {
    losses: [f64; PIECE],
    grad_chosen: [f64; PIECE],
    grad_rejected: [f64; PIECE],
}

impl Values {
    const NONE: Values =
        Values { losses: [0.0; PIECE], grad_chosen: [0.0; PIECE], grad_rejected: [0.0; PIECE] };
}

/// The folding of a piece of pairs at a group of settings.
struct Fold<'a> {
    scores: &'a Scores,
    /// The policy's log-probabilities of the chosen answers.
    policy: &'a [f64],
    terms: &'a [Term],
    settings: &'a [Constants],
    shifts: &'a [f64],
    lanes: &'a mut [Lanes],
}

/// The same, with the largest slope.
struct WithSlopes<'a>(Fold<'a>);

impl Kernel for Fold<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.over::<I, false>();
    }
}

impl Kernel for WithSlopes<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.0.over::<I, true>();
    }
}

impl Fold<'_> {
    #[inline(always)]
    fn over<I: Isa, const SLOPES: bool>(self) {
        let (mut one, mut sum) = (Values::NONE, Values::NONE);
        let n = self.policy.len();
        let far = any_far(self.scores);
        for ((&constants, &shift), lanes) in self.settings.iter().zip(self.shifts).zip(self.lanes) {
            let mixed = alone(self.terms, constants).is_none();
            if mixed {
                let weight = likelihood(self.terms, constants);
                for (loss, &policy) in sum.losses.iter_mut().zip(self.policy) {
                    *loss = -(weight * policy);
                }
                sum.grad_chosen.fill(-weight);
                sum.grad_rejected.fill(0.0);
            }
            let mut rare = far;
            for term in self.terms {
                rare |= term.loss.values::<I, SLOPES>(self.scores, constants, &mut one);
                if mixed {
                    add_scaled(&one.losses, term.weight, &mut sum.losses);
                    if SLOPES {
                        add_scaled(&one.grad_chosen, term.weight, &mut sum.grad_chosen);
                        add_scaled(&one.grad_rejected, term.weight, &mut sum.grad_rejected);
                    }
                }
            }
            let values = if mixed { &sum } else { &one };
            lanes.add_all(&values.losses[..n], shift);
            if SLOPES {
                lanes.steepest(&values.grad_chosen[..n]);
                lanes.steepest(&values.grad_rejected[..n]);
            }
            if rare {
                lanes.saturated += saturated(self.terms, self.scores, n, constants);
            }
        }
    }
}

/// Whether a score has passed the end of its range, at every setting.
#[inline(always)]
fn any_far(scores: &Scores) -> bool {
    let [chosen, rejected, ..] = scores.columns(PIECE);
    let mut far = false;
    for (&x, &y) in chosen.iter().zip(rejected) {
        far |= (x.abs() > FAR) | (y.abs() > FAR);
    }
    far
}

#[inline(always)]
fn add_scaled(from: &[f64; PIECE], weight: f64, to: &mut [f64; PIECE]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += weight * from;
    }
}

/// The number of saturated pairs.
#[inline(never)]
fn saturated(terms: &[Term], scores: &Scores, n: usize, constants: Constants) -> usize {
    let [chosen, rejected, _, _, margins] = scores.columns(n);
    let mut count = 0;
    for (i, (&x, &y)) in chosen.iter().zip(rejected).enumerate() {
        let constants = Constants { gamma: constants.gamma + margins[i], ..constants };
        let far = terms.iter().any(|term| term.loss.extent(x, y, constants) > SATURATED);
        count += usize::from(far | (x.abs() > FAR) | (y.abs() > FAR));
    }
    count
}

/// The losses of a whole piece; true if an argument of the loss of one of the pairs is saturated.
#[inline(always)]
pub(super) fn all_values<I: Isa, const SLOPES: bool>(
    scores: &Scores,
    formula: impl Formula,
    constants: Constants,
    values: &mut Values,
) -> bool {
    let [x, y, by_x, by_y, margins] = scores.columns(PIECE).map(|column| column.as_chunks::<BLOCK>().0);
    let losses = values.losses.as_chunks_mut::<BLOCK>().0;
    let grad_chosen = values.grad_chosen.as_chunks_mut::<BLOCK>().0;
    let grad_rejected = values.grad_rejected.as_chunks_mut::<BLOCK>().0;
    let mut rare = false;
    for i in 0..PIECE / BLOCK {
        rare |= block::<I, SLOPES>(
            [&x[i], &y[i], &by_x[i], &by_y[i], &margins[i]],
            &mut losses[i],
            &mut grad_chosen[i],
            &mut grad_rejected[i],
            formula,
            constants,
        );
    }
    rare
}

#[inline(always)]
fn block<I: Isa, const SLOPES: bool>(
    [x, y, by_x, by_y, margins]: [&[f64; BLOCK]; 5],
    losses: &mut [f64; BLOCK],
    grad_chosen: &mut [f64; BLOCK],
    grad_rejected: &mut [f64; BLOCK],
    formula: impl Formula,
    constants: Constants,
) -> bool {
    let mut rare = false;
    for i in 0..BLOCK {
        let constants = Constants { gamma: constants.gamma + margins[i], ..constants };
        let (loss, by_chosen, by_rejected) = formula.at::<I>(x[i], y[i], constants);
        losses[i] = loss;
        if SLOPES {
            grad_chosen[i] = by_chosen * by_x[i];
            grad_rejected[i] = by_rejected * by_y[i];
        }
        rare |= formula.extent(x[i], y[i], constants) > SATURATED;
    }
    rare
}
