//! Sums over a row of logits in one pass: the online log-sum-exp, and what else is summed with it.
//!
//! The row is read in blocks that stay in the first-level cache. The maximum of a block is found first; then its
//! exponentials relative to the largest logit so far are added. When a block raises that maximum, the earlier sums are
//! rescaled (Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867).

use super::columns::{Beside, Row, Sums};
use super::largest::Largest;
use super::terms::{Exponential, LANES, Logit, filled};
use crate::math::exp64;
use crate::simd::{Element, Isa, Real, tree64};

/// Elements per block. A block is read twice and stays in the first-level cache between: 8 KiB for f64, 4 KiB for f32.
pub const BLOCK: usize = 1024;

/// Sums over a row, relative to its largest logit so far.
pub trait Fold<T: Logit>: Copy + Send + Sync {
    /// The sums before the first block.
    const EMPTY: Self;
    /// Adds a block whose elements are at most `max`, which is not -inf; `below` where all of them are less.
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real, below: bool);
    /// Makes the sums relative to a larger maximum.
    fn rescale(&mut self, raise: Raise);
    /// Adds the sums of another part of the row, which are relative to the same maximum.
    fn merge(&mut self, other: Self);
    /// The sums of the whole row.
    fn finish(self) -> Sums;
    /// The state with these sums.
    fn of(sums: Sums) -> Self;
}

/// How many numbers are kept of a row of a shard.
pub const KEPT: usize = 9;

/// The change from an old maximum to a larger, new one.
#[derive(Clone, Copy)]
pub struct Raise {
    /// `old - new`, below 0.
    pub step: f64,
    /// `exp(old - new)`.
    pub scale: f64,
}

impl Raise {
    #[inline(always)]
    fn new<I: Isa, R: Real>(old: R, new: R) -> Self {
        let step = old.to_f64() - new.to_f64();
        Raise { step, scale: exp64::<I>(step) }
    }
}

/// The state of reading a row: its maximum and sums so far.
#[derive(Clone, Copy)]
pub struct Folded<T: Logit, F> {
    /// The largest element; -inf before there is a larger one; NaN where there was a NaN while all others were -inf.
    max: T::Real,
    fold: F,
    /// Where the largest element is, if it was asked for.
    largest: Largest<T::Real>,
    /// The sum of the elements, if it was asked for.
    total: f64,
}

impl<T: Logit, F: Fold<T>> Folded<T, F> {
    /// The state before anything was read.
    pub const fn new() -> Self {
        Folded { max: T::Real::LOWEST, fold: F::EMPTY, largest: Largest::NONE, total: 0.0 }
    }

    /// Reads the next block, whose largest element is `top` and whose first one is that of class `start`. Every block
    /// but the last of a row must have [`BLOCK`] elements.
    #[inline(always)]
    pub fn read<I: Isa>(&mut self, block: &[T], top: T::Real, start: usize, beside: Beside) {
        let Folded { mut max, mut fold, .. } = *self;
        if beside.largest {
            self.largest.read(block, top, start, max);
        }
        if top > max {
            if max > T::Real::LOWEST {
                fold.rescale(Raise::new::<I, _>(max, top));
            }
            max = top;
        }
        if max > T::Real::LOWEST {
            fold.block::<I>(block, max, top < max);
        } else if block.iter().any(|x| x.real().is_nan()) {
            // So far all logits are -inf, for which x - max would be NaN; only a logit that is NaN itself counts.
            max = T::Real::from_f64(f64::NAN);
        }
        if beside.total {
            self.total += total(block);
        }
        (self.max, self.fold) = (max, fold);
    }

    /// Adds the next part of the row.
    #[inline(always)]
    pub fn merge<I: Isa>(&mut self, next: &Self) {
        let mut next = *next;
        self.largest.merge(next.largest, self.max, next.max);
        self.total += next.total;
        if self.max.is_nan() || next.max == T::Real::LOWEST {
            return;
        }
        if self.max == T::Real::LOWEST || next.max.is_nan() {
            (self.max, self.fold) = (next.max, next.fold);
            return;
        }
        if next.max > self.max {
            self.fold.rescale(Raise::new::<I, _>(self.max, next.max));
            self.max = next.max;
        } else if next.max < self.max {
            next.fold.rescale(Raise::new::<I, _>(next.max, self.max));
        }
        self.fold.merge(next.fold);
    }

    /// The result of a row of `width` elements that has been read completely; `None` where it has no softmax because it
    /// contains a NaN or +inf, or because all logits are -inf.
    #[inline(always)]
    pub fn finish(self, width: usize) -> Option<Row> {
        let (sums, (top, second)) = (self.fold.finish(), self.largest.finish());
        let row = Row { max: self.max.to_f64(), sums, top, second, mean: self.total / width as f64 };
        (sums.sum_exp >= 1.0).then_some(row)
    }

    /// What some of the classes leave of a row: the state in f64. `None` where there is a NaN or +inf.
    #[inline(always)]
    pub fn kept(&self) -> Option<[f64; KEPT]> {
        let (sums, (top, second)) = (self.fold.finish(), self.largest.finish());
        let Sums { sum_exp, below, moment, second_moment, squares } = sums;
        let max = self.max.to_f64();
        let kept = [max, sum_exp, below, moment, second_moment, squares, top as f64, second, self.total];
        (sum_exp >= 1.0 || self.max == T::Real::LOWEST).then_some(kept)
    }
}

impl<F: Fold<f64>> Folded<f64, F> {
    /// The state that is kept of classes from `start` on.
    #[inline(always)]
    pub fn of(kept: &[f64; KEPT], start: usize) -> Self {
        let [max, sum_exp, below, moment, second_moment, squares, top, second, total] = *kept;
        let sums = Sums { sum_exp, below, moment, second_moment, squares };
        Folded { max, fold: F::of(sums), largest: Largest::new(start + top as usize, second), total }
    }
}

/// The sum of a block, in f64.
#[inline(always)]
fn total<T: Logit>(block: &[T]) -> f64 {
    let (body, tail) = block.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in body {
        // All lanes are replaced at once: they stay in registers.
        let mut next = [0.0; LANES];
        for i in 0..LANES {
            next[i] = lanes[i] + chunk[i].to_f64();
        }
        lanes = next;
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane += x.to_f64();
    }
    tree64(lanes)
}

/// The largest element of a block. A NaN is ignored here; the sum becomes NaN by it.
#[inline(always)]
pub fn block_max<T: Logit>(block: &[T]) -> T::Real {
    let (body, tail) = block.as_chunks::<LANES>();
    let mut lanes = [T::Real::LOWEST; LANES];
    for chunk in body {
        for i in 0..LANES {
            lanes[i] = larger(chunk[i].real(), lanes[i]);
        }
    }
    if !tail.is_empty() {
        let last = filled(tail);
        for i in 0..LANES {
            lanes[i] = larger(last[i], lanes[i]);
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = larger(lanes[i + half], lanes[i]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `a` where it is larger, otherwise `b`: compiles to one instruction, and never gives `a` where that is NaN.
#[inline(always)]
fn larger<R: Exponential>(a: R, b: R) -> R {
    if a > b { a } else { b }
}
