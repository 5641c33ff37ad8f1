//! What a step did to each tensor: norms of its gradient, of the parameter and of what was added to it, and how many
//! elements lost what was added. It is summed up in the pass that makes the step, block by block, while a block is in
//! the first-level cache.
//!
//! A rule writes what it adds to each element into a buffer ([`Slot`](super::rules::Slot)). Sums have fixed lanes within
//! a chunk, and those of chunks are added in order, so that the bits do not depend on threads.

use super::norm::{Growing, LANES, Scaled};
use super::row::{MOMENTS, Span};
use super::rules::{Choose, Prepared};
use crate::simd::{Isa, Pack, Real, standard};

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
    pub(super) fn add<T: Choose, E: Pack<T, N>, const N: usize, I: Isa>(
        &mut self,
        before: &[T],
        after: &[E],
        changes: &[[T; N]],
    ) {
        self.param.add::<T, I>(before);
        self.update.add::<T, I>(changes.as_flattened());
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
fn lost<T: Real, E: Pack<T, N>, const N: usize>(before: &[T], after: &[E], changes: &[[T; N]]) -> usize {
    let (before, _) = before.as_chunks::<N>();
    let zero = T::default();
    // Lanes of 32 bits are as many as those of f32, and there are fewer elements than a u32 can count.
    let mut count = 0u32;
    for ((before, after), change) in before.iter().zip(after).zip(changes) {
        let after = after.wide();
        for k in 0..N {
            count += u32::from((before[k] == after[k]) & ((change[k] < zero) | (change[k] > zero)));
        }
    }
    count as usize
}

/// How a rule is applied to elements that lie where the caller has them.
pub(super) trait Way<T: Choose, E: Pack<T, N>, const N: usize> {
    fn update<I: Isa>(rule: &Prepared, span: Span<'_, E>, changes: &mut [[T; N]]);
}

/// Elements of the type of the computation.
pub(super) struct Own;

impl<T: Choose> Way<T, T, 1> for Own {
    #[inline(always)]
    fn update<I: Isa>(rule: &Prepared, span: Span<'_, T>, changes: &mut [[T; 1]]) {
        rule.update_watched::<T, I, [T; 1]>(span, changes);
    }
}

/// Elements that the rule converts itself.
pub(super) struct Packed;

impl<T: Choose, E: Pack<T, N>, const N: usize> Way<T, E, N> for Packed {
    #[inline(always)]
    fn update<I: Isa>(rule: &Prepared, span: Span<'_, E>, changes: &mut [[T; N]]) {
        rule.convert_watched::<T, E, N, I, [T; N]>(span, changes);
    }
}

/// Updates a span, and sums up what happens to its elements. A block is `M` of them, `LANES` numbers: so few that they
/// stay in registers from the update to the sums, and that the next block is read from memory meanwhile.
#[inline(always)]
pub(super) fn watched<W: Way<T, E, N>, T: Choose, E: Pack<T, N>, const N: usize, const M: usize, I: Isa>(
    mut span: Span<'_, E>,
    rule: &Prepared,
    sums: &mut Sums,
) {
    let n = span.param.len();
    let (params, _) = span.param.as_chunks_mut::<M>();
    let (grads, _) = span.grad.as_chunks::<M>();
    let mut kept = [const { None }; MOMENTS];
    for (kept, moment) in kept.iter_mut().zip(&mut span.moments) {
        *kept = moment.as_mut().map(|x| x.as_chunks_mut::<M>().0);
    }
    // In a variable of its own, so that the lanes stay in registers.
    let mut own = *sums;
    for index in 0..params.len() {
        let (before, grad) = (params[index], grads[index]);
        let (mut after, mut changes) = (before, [[T::default(); N]; M]);
        let mut copies = [None; MOMENTS];
        for k in 0..MOMENTS {
            copies[k] = kept[k].as_ref().map(|moment| moment[index]);
        }
        let [first, second, third] = &mut copies;
        let moments = [
            first.as_mut().map(<[E; M]>::as_mut_slice),
            second.as_mut().map(<[E; M]>::as_mut_slice),
            third.as_mut().map(<[E; M]>::as_mut_slice),
        ];
        W::update::<I>(rule, Span { param: &mut after, grad: &grad, moments }, &mut changes);
        params[index] = after;
        for k in 0..MOMENTS {
            if let (Some(moment), Some(copy)) = (&mut kept[k], copies[k]) {
                moment[index] = copy;
            }
        }
        let before = spread(&before);
        own.param.add_block::<T, I>(&before);
        own.update.add_block::<T, I>(&flat(&changes));
        if own.gradients {
            own.grad.add_block::<T, I>(&spread(&grad));
        }
        own.lost += lost(&before, &after, &changes);
    }
    *sums = own;
    let mut rest = span.part(n / M * M..n);
    let (mut wide, mut changes) = ([T::default(); LANES], [[T::default(); N]; LANES]);
    let (wide, changes) = (&mut wide[..rest.param.len() * N], &mut changes[..rest.param.len()]);
    widen(rest.param, wide);
    let whole = 0..rest.param.len();
    W::update::<I>(rule, rest.part(whole), changes);
    sums.add::<T, E, N, I>(wide, rest.param, changes);
    if sums.gradients {
        widen(rest.grad, wide);
        sums.grad.add::<T, I>(wide);
    }
}

/// Widens the elements of a block.
#[inline(always)]
fn spread<T: Real, E: Pack<T, N>, const N: usize, const M: usize>(from: &[E; M]) -> [T; LANES] {
    const { assert!(N * M == LANES) };
    let mut to = [T::default(); LANES];
    for (index, from) in from.iter().enumerate() {
        let from = from.wide();
        for k in 0..N {
            to[index * N + k] = from[k];
        }
    }
    to
}

/// The numbers of a block.
#[inline(always)]
fn flat<T: Real, const N: usize, const M: usize>(from: &[[T; N]; M]) -> [T; LANES] {
    const { assert!(N * M == LANES) };
    let mut to = [T::default(); LANES];
    to.copy_from_slice(from.as_flattened());
    to
}

/// Widens elements.
#[inline(always)]
fn widen<T: Real, E: Pack<T, N>, const N: usize>(from: &[E], to: &mut [T]) {
    let (to, _) = to.as_chunks_mut::<N>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.wide();
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
