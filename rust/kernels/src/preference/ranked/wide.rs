//! Rows of so many answers that one of them takes long: its comparisons, as many as the square of the answers, are made in
//! steps, between which `progress` may stop the work. The order of additions, and so every bit, is that of one step.

use super::{Answers, Columns, Formula, Found, List, pairs};
use crate::grid::{Pace, Progress, Stopped};
use crate::simd::{Isa, Kernel, dispatch};
use std::cell::Cell;
use std::ops::Range;

/// Rows of more answers than this are computed one after another. One of as many takes a few milliseconds.
pub(super) const WIDTH: usize = 1 << 10;
/// The comparisons of a step: about a millisecond.
const STEP: usize = 1 << 17;

/// [`ranked_losses`](super::ranked_losses) of wide rows.
pub(super) fn rows(
    answers: Answers<'_>,
    formula: impl Formula,
    beta: f64,
    mut to: Columns<'_>,
    progress: Progress<'_>,
) -> Result<usize, Stopped> {
    let Answers { scores, labels, width } = answers;
    let done = Cell::new(0);
    let mut rows_done = |_: usize| progress(done.get());
    let mut pace = Pace::new(&mut rows_done);
    let mut list = List::of(width)?;
    let mut saturated = 0;
    for row in 0..to.losses.len() {
        done.set(row);
        let range = row * width..(row + 1) * width;
        list.take(&scores[range.clone()], &labels[range]);
        let n = list.scores.len();
        let mut both = (0, 0);
        for highs in steps(n) {
            let (compared, right) = dispatch(Counting { list: &list, highs });
            both = (both.0 + compared, both.1 + right);
            pace.stride(STEP)?;
        }
        let mut found = Found::NONE;
        if both.0 > 0 {
            found = dispatch(Beginning { list: &mut list, formula, beta });
            for highs in steps(n) {
                found = dispatch(Comparing { list: &mut list, formula, beta, highs, found });
                pace.stride(STEP)?;
            }
        }
        saturated += usize::from(dispatch(Writing { to: &mut to, row, list: &list, both, found, beta }));
    }
    Ok(saturated)
}

/// Ranges of answers, in order, which have about [`STEP`] comparisons with those before them.
fn steps(n: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let range = start..n.min(start + (STEP / (start + 1)).clamp(1, 256));
        start = range.end;
        (!range.is_empty()).then_some(range)
    })
}

struct Counting<'a> {
    list: &'a List,
    highs: Range<usize>,
}

impl Kernel for Counting<'_> {
    type Out = (u64, u64);
    #[inline(always)]
    fn run<I: Isa>(self) -> (u64, u64) {
        pairs(self.list, self.highs)
    }
}

struct Beginning<'a, F> {
    list: &'a mut List,
    formula: F,
    beta: f64,
}

impl<F: Formula> Kernel for Beginning<'_, F> {
    type Out = Found;
    #[inline(always)]
    fn run<I: Isa>(self) -> Found {
        self.formula.begin::<I>(self.list, self.beta)
    }
}

struct Comparing<'a, F> {
    list: &'a mut List,
    formula: F,
    beta: f64,
    highs: Range<usize>,
    found: Found,
}

impl<F: Formula> Kernel for Comparing<'_, F> {
    type Out = Found;
    #[inline(always)]
    fn run<I: Isa>(self) -> Found {
        let mut found = self.found;
        self.formula.compare::<I>(self.list, self.highs, self.beta, &mut found);
        found
    }
}

struct Writing<'a, 'b> {
    to: &'a mut Columns<'b>,
    row: usize,
    list: &'a List,
    both: (u64, u64),
    found: Found,
    beta: f64,
}

impl Kernel for Writing<'_, '_> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        self.to.write(self.row, self.list, self.both, self.found, self.beta)
    }
}
