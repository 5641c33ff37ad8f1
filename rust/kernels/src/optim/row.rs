//! A tensor as a step sees it: its arrays, and how they are divided into spans and tiles.

use super::gauge::Tally;
use super::hyper::Hyper;
use super::rules::{Choose, Prepared, Slot, unasked};
use super::storage::{Place, Storage, Stored, TILE, widen};
use super::watch::Sums;
use crate::dtype::{Listed, ListedReal, TypedSlice};
use crate::grid::CHUNK;
use crate::simd::{Bf16, Bf16Pair, Element, Isa};
use crate::with_dtype;
use std::ops::Range;

/// The most moments that a rule keeps.
pub const MOMENTS: usize = 3;

/// A parameter with its gradient and its moments; all have the same number of elements.
///
/// The arithmetic is done in f64 where the parameter is stored as f64, and in f32 otherwise. Where an array has another
/// type its elements are widened before and rounded after, once per step.
pub struct Row<'a> {
    /// The parameter, updated.
    pub param: Stored<'a>,
    /// The gradient, only read.
    pub grad: TypedSlice<'a>,
    /// The moments, updated. For AdamW: the first, the second, and for amsgrad the largest second moment so far.
    pub moments: [Option<Stored<'a>>; MOMENTS],
    /// The index of its [`Hyper`].
    pub hyper: usize,
    /// A number that stays the same over all steps, and is another for each tensor: random rounding is keyed by it.
    pub key: u64,
}

/// Elements of a row for a rule to update: in the type of the computation, or packed, as the rule converts them itself.
pub(super) struct Span<'a, E> {
    pub param: &'a mut [E],
    pub grad: &'a [E],
    pub moments: [Option<&'a mut [E]>; MOMENTS],
}

impl<E> Span<'_, E> {
    /// Divides it into spans of at most a chunk; most tensors are a single one.
    pub(super) fn spans(self, mut take: impl FnMut(Self)) {
        if self.param.len() <= CHUNK {
            return take(self);
        }
        let mut moments = self.moments.map(|moment| moment.map(|x| x.chunks_mut(CHUNK)));
        for (param, grad) in self.param.chunks_mut(CHUNK).zip(self.grad.chunks(CHUNK)) {
            let moments = moments.each_mut().map(|moment| moment.as_mut().and_then(Iterator::next));
            take(Span { param, grad, moments });
        }
    }
}

impl<E> Span<'_, E> {
    /// The elements `range`.
    #[inline(always)]
    pub(super) fn part(&mut self, range: Range<usize>) -> Span<'_, E> {
        let mut moments = [const { None }; MOMENTS];
        for (part, moment) in moments.iter_mut().zip(&mut self.moments) {
            *part = moment.as_mut().map(|x| &mut x[range.clone()]);
        }
        Span { param: &mut self.param[range.clone()], grad: &self.grad[range], moments }
    }
}

impl<'a> Span<'a, Bf16> {
    /// The same elements as pairs, and those that are left over; all of them are left over where an array does not begin
    /// at the address of a pair.
    #[inline(always)]
    pub(super) fn pairs(self) -> (Option<Span<'a, Bf16Pair>>, Span<'a, Bf16>) {
        let begins_a_pair = |x: &[Bf16]| Bf16Pair::of(x).is_some();
        let mut moments = self.moments.iter().flatten();
        if !(begins_a_pair(self.param)
            && begins_a_pair(self.grad)
            && moments.all(|moment| begins_a_pair(moment)))
        {
            return (None, self);
        }
        let split = |x: &'a mut [Bf16]| Bf16Pair::of_mut(x).unwrap_or_default();
        let ((param, last), (grad, last_grad)) =
            (split(self.param), Bf16Pair::of(self.grad).unwrap_or_default());
        let (mut moments, mut rest) = ([const { None }; MOMENTS], [const { None }; MOMENTS]);
        for (index, moment) in self.moments.into_iter().enumerate() {
            (moments[index], rest[index]) = moment.map(split).unzip();
        }
        (Some(Span { param, grad, moments }), Span { param: last, grad: last_grad, moments: rest })
    }
}

impl<'a> Row<'a> {
    /// How many elements.
    pub(super) fn len(&self) -> usize {
        self.grad.len()
    }

    /// The type of the computation.
    #[inline(always)]
    pub(super) fn is_double(&self) -> bool {
        self.param.is_double()
    }

    /// Whether every array is stored as `E`.
    #[inline(always)]
    pub(super) fn lies_as<E: Listed>(&self) -> bool {
        let is = |array: &Stored<'_>| array.dtype() == Some(E::DTYPE);
        is(&self.param) && self.grad.dtype() == E::DTYPE && self.moments.iter().flatten().all(is)
    }

    /// The arrays where they lie; `None` where one is not stored as `E`.
    #[inline(always)]
    pub(super) fn own<E: Listed>(self) -> Option<Span<'a, E>> {
        let moments = self.moments.map(|moment| moment.and_then(Stored::own));
        Some(Span { param: self.param.own()?, grad: E::own(self.grad).ok()?, moments })
    }

    /// The first `n` elements and the rest.
    pub(super) fn split(self, n: usize) -> (Self, Self) {
        let Row { param, grad, moments, hyper, key } = self;
        let (head, tail) = param.split(n);
        let (mut heads, mut tails) = ([const { None }; MOMENTS], [const { None }; MOMENTS]);
        for (index, moment) in moments.into_iter().enumerate() {
            (heads[index], tails[index]) = moment.map(|moment| moment.split(n)).unzip();
        }
        let (near, far) = (grad.part(0..n), grad.part(n..grad.len()));
        let row = |param, grad, moments| Row { param, grad, moments, hyper, key };
        (row(head, near, heads), row(tail, far, tails))
    }
}

/// A part of a row that is computed tile by tile.
pub(super) struct Part<'a> {
    pub row: Row<'a>,
    /// The index in its tensor of the first element.
    start: usize,
    /// The number of its row among those of the call.
    pub number: u32,
}

/// Buffers for one tile of each array of a row.
pub(super) struct Tiles<T> {
    param: [T; TILE],
    grad: [T; TILE],
    moments: [[T; TILE]; MOMENTS],
}

impl<T: ListedReal> Tiles<T> {
    pub(super) fn new() -> Self {
        let tile = [T::default(); TILE];
        Tiles { param: tile, grad: tile, moments: [tile; MOMENTS] }
    }
}

impl<'a> Part<'a> {
    /// Divides a row into parts of at most a chunk.
    pub(super) fn parts(row: Row<'a>, number: u32, mut take: impl FnMut(Part<'a>)) {
        let (mut rest, mut start) = (row, 0);
        while rest.len() > CHUNK {
            let (head, tail) = rest.split(CHUNK);
            take(Part { row: head, start, number });
            (rest, start) = (tail, start + CHUNK);
        }
        take(Part { row: rest, start, number });
    }

    /// Updates all elements.
    #[inline(always)]
    pub(super) fn update<T: Choose, I: Isa>(
        mut self,
        rule: &Prepared,
        hyper: &Hyper,
        buffers: &mut Tiles<T>,
    ) {
        for tile in tiles(0..self.row.len()) {
            self.tile::<T, I, ()>(tile.clone(), rule, hyper, buffers, &mut unasked()[..tile.len()]);
        }
    }

    /// Updates all elements, and sums up what happens to them.
    #[inline(always)]
    pub(super) fn watched<T: Choose, I: Isa>(
        mut self,
        rule: &Prepared,
        hyper: &Hyper,
        buffers: &mut Tiles<T>,
        sums: &mut Sums,
    ) {
        let (mut before, mut after) = ([T::default(); TILE], [T::default(); TILE]);
        let mut changes = [T::default(); TILE];
        for tile in tiles(0..self.row.len()) {
            let n = tile.len();
            let (before, after, changes) = (&mut before[..n], &mut after[..n], &mut changes[..n]);
            self.row.param.read::<T, I>(tile.clone(), before);
            self.tile::<T, I, _>(tile.clone(), rule, hyper, buffers, changes.as_chunks_mut::<1>().0);
            // What is stored, which may be less than what was computed.
            self.row.param.read::<T, I>(tile.clone(), after);
            sums.add::<T, I>(before, after, changes);
            if sums.gradients {
                with_dtype!(self.row.grad.part(tile), x => sums.grad.add::<_, I>(x));
            }
        }
    }

    /// Updates a tile.
    #[inline(always)]
    fn tile<T: Choose, I: Isa, S: Slot<T, 1>>(
        &mut self,
        tile: Range<usize>,
        rule: &Prepared,
        hyper: &Hyper,
        buffers: &mut Tiles<T>,
        changes: &mut [S],
    ) {
        let (n, before) = (tile.len(), Before::of(hyper));
        let Row { param, grad, moments: [first, second, third], key, .. } = &mut self.row;
        let [b1, b2, b3] = &mut buffers.moments;
        let span = Span {
            param: param.open::<T, I>(tile.clone(), &mut buffers.param[..n]),
            grad: gradient(*grad, tile.clone(), &mut buffers.grad[..n], before),
            moments: [
                opened::<T, I>(first, &tile, b1),
                opened::<T, I>(second, &tile, b2),
                opened::<T, I>(third, &tile, b3),
            ],
        };
        rule.update_watched::<T, I, S>(span, changes);
        let element = (self.start + tile.start) as u64;
        let place = |array| Place { key: *key, step: hyper.step, array, element };
        param.close::<T, I>(tile.clone(), &buffers.param[..n], place(0));
        for (index, (moment, buffer)) in [first, second, third].into_iter().zip(&buffers.moments).enumerate()
        {
            if let Some(moment) = moment {
                moment.close::<T, I>(tile.clone(), &buffer[..n], place(1 + index));
            }
        }
    }
}

impl Row<'_> {
    /// A copy of a tile.
    #[inline(always)]
    fn copied<'s, T: ListedReal, I: Isa>(
        &'s self,
        tile: Range<usize>,
        before: Before<T>,
        buffers: &'s mut Tiles<T>,
    ) -> Span<'s, T> {
        let n = tile.len();
        let Tiles { param, grad, moments: copies } = buffers;
        self.param.read::<T, I>(tile.clone(), &mut param[..n]);
        let mut moments = [const { None }; MOMENTS];
        for ((moment, copy), slot) in self.moments.iter().zip(copies).zip(&mut moments) {
            if let Some(moment) = moment {
                moment.read::<T, I>(tile.clone(), &mut copy[..n]);
                *slot = Some(&mut copy[..n]);
            }
        }
        Span { param: &mut param[..n], grad: gradient(self.grad, tile, &mut grad[..n], before), moments }
    }

    /// What the rule must know of the elements `range` before it updates any of the row. `range` begins at a multiple of
    /// a tile.
    #[inline(always)]
    pub(super) fn measure<T: Choose, I: Isa>(
        &self,
        range: Range<usize>,
        rule: &Prepared,
        hyper: &Hyper,
        buffers: &mut Tiles<T>,
    ) -> Tally {
        let (before, mut tally) = (Before::of(hyper), Tally::EMPTY);
        for tile in tiles(range) {
            rule.measure::<T, I>(self.copied::<T, I>(tile, before, buffers), &mut tally);
        }
        tally
    }

    /// Computes the update of the elements `range` without storing it: how many of them would get a moment that is
    /// infinite or NaN, and the index of the first one. `range` begins at a multiple of a tile.
    #[inline(always)]
    pub(super) fn overflow<T: Choose, I: Isa>(
        &self,
        range: Range<usize>,
        rule: &Prepared,
        hyper: &Hyper,
    ) -> (usize, Option<usize>) {
        let (before, mut count, mut found) = (Before::of(hyper), 0, None);
        let mut buffers = Tiles::<T>::new();
        for tile in tiles(range) {
            let n = tile.len();
            rule.update::<T, I>(self.copied::<T, I>(tile.clone(), before, &mut buffers));
            for index in 0..n {
                let mut each = self.moments.iter().zip(&buffers.moments);
                if !each.all(|(moment, x)| moment.as_ref().is_none_or(|moment| moment.holds(x[index]))) {
                    count += 1;
                    found = found.or(Some(tile.start + index));
                }
            }
        }
        (count, found)
    }
}

/// The ranges of the tiles in a range of elements.
pub(super) fn tiles(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(TILE).map(move |start| start..range.end.min(start + TILE))
}

/// The elements of a moment that a row has, for a rule to update.
#[inline(always)]
fn opened<'s, T: ListedReal, I: Isa>(
    moment: &'s mut Option<Stored<'_>>,
    tile: &Range<usize>,
    buffer: &'s mut [T; TILE],
) -> Option<&'s mut [T]> {
    let buffer = &mut buffer[..tile.len()];
    moment.as_mut().map(|moment| moment.open::<T, I>(tile.clone(), buffer))
}

/// What happens to gradients before the rule.
#[derive(Clone, Copy)]
struct Before<T> {
    /// What they are divided by, if by anything.
    divisor: Option<T>,
    /// What they are multiplied by before they are rounded to their own type, if so.
    factor: Option<T>,
}

impl<T: ListedReal> Before<T> {
    #[inline(always)]
    fn of(hyper: &Hyper) -> Self {
        let other_than_one = |x: f64| (x != 1.0).then(|| T::from_f64(x));
        Before { divisor: other_than_one(hyper.grad_scale), factor: other_than_one(hyper.grad_factor) }
    }
}

/// The elements of a gradient: where they lie, if they are stored as `T` and need nothing, and otherwise in `buffer`.
#[inline(always)]
fn gradient<'s, 'a: 's, T: ListedReal>(
    grad: TypedSlice<'a>,
    tile: Range<usize>,
    buffer: &'s mut [T],
    before: Before<T>,
) -> &'s [T] {
    match (T::own(grad.part(tile)), before) {
        (Ok(own), Before { divisor: None, factor: None }) => return own,
        (Ok(own), _) => buffer.copy_from_slice(own),
        (Err(other), _) => with_dtype!(other, x => widen(x, buffer)),
    }
    if let Some(divisor) = before.divisor {
        for x in &mut *buffer {
            *x = *x / divisor;
        }
    }
    if let Some(factor) = before.factor {
        with_dtype!(grad.dtype(), type E => scale_and_round::<T, E>(buffer, factor));
    }
    buffer
}

/// Multiplies and rounds to the type `E`.
#[inline(always)]
fn scale_and_round<T: ListedReal, E: Element>(x: &mut [T], factor: T) {
    for x in x {
        *x = T::widen((*x * factor).narrow::<E>());
    }
}
