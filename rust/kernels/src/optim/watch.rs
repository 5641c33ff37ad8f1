//! What a step did to each tensor: norms of its gradient, of the parameter and of what was added to it, and how many
//! elements lost what was added. It is summed up in the pass that makes the step, tile by tile, while a tile is in
//! the first-level cache.
//!
//! A rule writes what it adds to each element into a buffer ([`Slot`](super::rules::Slot)). Sums have fixed lanes within
//! a chunk, and those of chunks are added in order, so that the bits do not depend on threads.

use super::norm::{Growing, Scaled};
use super::row::{Span, tiles};
use super::rules::{Choose, Prepared};
use super::storage::TILE;
use crate::simd::{Isa, Real, standard};

/// What a step did to a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The norm of the gradient as it came, before clipping; NaN where it was not asked for.
    pub grad_norm: f64,
    /// The norm of the parameter before the step.
    pub param_norm: f64,
    /// The norm of what was to be added to it: update and decay, before they were rounded into it.
    pub update_norm: f64,
    /// `update_norm / param_norm`; NaN where both are 0.
    pub ratio: f64,
    /// The share of elements that kept their value although something was to be added to them.
    pub lost: f64,
}

impl Change {
    /// Of a tensor that took no part in a step.
    pub const NONE: Change = Change {
        grad_norm: f64::NAN,
        param_norm: f64::NAN,
        update_norm: f64::NAN,
        ratio: f64::NAN,
        lost: f64::NAN,
    };
}

/// What is summed up over the elements of a chunk.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    /// Whether gradients are.
    pub gradients: bool,
    pub grad: Growing,
    param: Growing,
    update: Growing,
    lost: usize,
}

impl Sums {
    pub(super) fn new(gradients: bool) -> Self {
        let empty = Growing::EMPTY;
        Sums { gradients, grad: empty, param: empty, update: empty, lost: 0 }
    }

    /// Adds what happened to the next elements: their values before and after, and what was to be added.
    #[inline(always)]
    pub(super) fn add<T: Choose, I: Isa>(&mut self, before: &[T], after: &[T], changes: &[T]) {
        self.param.add::<T, I>(before);
        self.update.add::<T, I>(changes);
        self.lost += lost(before, after, changes);
    }

    /// The sums of a chunk of row `number`.
    pub(super) fn found(&self, number: u32) -> Found {
        let Sums { grad, param, update, lost, .. } = self;
        Found { number, grad: grad.total(), param: param.total(), update: update.total(), lost: *lost }
    }
}

/// How many elements kept their value although something was to be added; a NaN is nothing.
#[inline(always)]
fn lost<T: Real>(before: &[T], after: &[T], changes: &[T]) -> usize {
    let zero = T::default();
    // Lanes of 32 bits are as many as those of f32, and there are fewer elements than a u32 can count.
    let mut count = 0u32;
    for ((before, after), change) in before.iter().zip(after).zip(changes) {
        count += u32::from((before == after) & ((*change < zero) | (*change > zero)));
    }
    count as usize
}

/// Updates a span, and sums up what happens to its elements, tile by tile: the rule runs over a tile as it does without
/// anyone watching, and leaves its changes in a buffer, from which they are summed.
#[inline(always)]
pub(super) fn watched<T: Choose, I: Isa>(mut span: Span<'_, T>, rule: &Prepared, sums: &mut Sums) {
    let (mut before, mut changes) = ([T::default(); TILE], [T::default(); TILE]);
    for tile in tiles(0..span.param.len()) {
        let (before, changes) = (&mut before[..tile.len()], &mut changes[..tile.len()]);
        let mut part = span.part(tile);
        before.copy_from_slice(part.param);
        if sums.gradients {
            sums.grad.add::<T, I>(part.grad);
        }
        let whole = 0..part.param.len();
        rule.update_watched::<T, I, _>(part.part(whole), changes.as_chunks_mut::<1>().0);
        sums.add::<T, I>(before, part.param, changes);
    }
}

/// The sums of a chunk of a row.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The number of the row among those of the call.
    pub number: u32,
    grad: Scaled,
    param: Scaled,
    update: Scaled,
    lost: usize,
}

/// What was found of all chunks of a row.
#[derive(Clone, Copy, Default)]
pub(super) struct Total {
    grad: Scaled,
    param: Scaled,
    update: Scaled,
    lost: usize,
}

impl Total {
    /// Adds the chunk that comes next.
    pub(super) fn add(&mut self, found: &Found) {
        self.grad = self.grad.plus(found.grad);
        self.param = self.param.plus(found.param);
        self.update = self.update.plus(found.update);
        self.lost += found.lost;
    }

    /// What the step did to a tensor of `n` elements, whose gradient was divided by `grad_scale`.
    pub(super) fn change(&self, n: usize, grad_scale: f64, gradients: bool) -> Change {
        let (param_norm, update_norm) = (self.param.root(), self.update.root());
        standard(|| Change {
            grad_norm: if gradients { self.grad.root() / grad_scale } else { f64::NAN },
            param_norm,
            update_norm,
            ratio: update_norm / param_norm,
            lost: self.lost as f64 / n as f64,
        })
    }
}
