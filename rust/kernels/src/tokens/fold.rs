//! Sums over a row of logits in one pass: the online log-sum-exp, and what else is summed with it.
//!
//! The row is read in blocks that stay in the first-level cache. The maximum of a block is found first; then its
//! exponentials relative to the largest logit so far are added. When a block raises that maximum, the earlier sums are
//! rescaled (Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867).

use super::columns::{Row, Sums};
use super::terms::{Exponential, LANES, Logit, filled};
use crate::math::exp64;
use crate::simd::{Element, Isa, Real};

/// Elements per block. A block is read twice and stays in the first-level cache between: 8 KiB for f64, 4 KiB for f32.
pub const BLOCK: usize = 1024;

/// Sums over a row, relative to its largest logit so far.
pub trait Fold<T: Logit>: Copy + Send + Sync {
    /// The sums before the first block.
    const EMPTY: Self;
    /// Adds a block whose elements are at most `max`, which is not -inf.
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real);
    /// Makes the sums relative to a larger maximum.
    fn rescale(&mut self, raise: Raise);
    /// The sums of the whole row.
    fn finish(self) -> Sums;
}

/// The change from an old maximum to a larger, new one.
#[derive(Clone, Copy)]
pub struct Raise {
    /// `old - new`, below 0.
    pub step: f64,
    /// `exp(old - new)`.
    pub scale: f64,
}

/// The state of reading a row: its maximum and sums so far.
#[derive(Clone, Copy)]
pub struct Folded<T: Logit, F> {
    /// The largest element; -inf before there is a larger one; NaN where there was a NaN while all others were -inf.
    max: T::Real,
    /// The logit of the target, once it has been read; NaN before.
    pub at_target: T::Real,
    fold: F,
}

impl<T: Logit, F: Fold<T>> Folded<T, F> {
    /// The state before anything was read.
    pub fn new() -> Self {
        Folded { max: T::Real::LOWEST, at_target: T::Real::from_f64(f64::NAN), fold: F::EMPTY }
    }

    /// Reads the next part of the row. Every part but the last must be a multiple of [`BLOCK`] long; otherwise the
    /// blocks, and with them the bits of the sums, would depend on the parts.
    #[inline(always)]
    pub fn read<I: Isa>(&mut self, part: &[T]) {
        let Folded { mut max, mut fold, .. } = *self;
        for block in part.chunks(BLOCK) {
            let top = block_max(block);
            if top > max {
                if max > T::Real::LOWEST {
                    let step = max.to_f64() - top.to_f64();
                    fold.rescale(Raise { step, scale: exp64::<I>(step) });
                }
                max = top;
            }
            if max > T::Real::LOWEST {
                fold.block::<I>(block, max);
            } else if block.iter().any(|x| x.real().is_nan()) {
                // So far all logits are -inf, for which x - max would be NaN; only a logit that is NaN itself counts.
                max = T::Real::from_f64(f64::NAN);
            }
        }
        (self.max, self.fold) = (max, fold);
    }

    /// The result of a row that has been read completely; `None` where it has no softmax because it contains a NaN or
    /// +inf, or because all logits are -inf.
    #[inline(always)]
    pub fn finish(self) -> Option<Row> {
        let sums = self.fold.finish();
        let row = Row { max: self.max.to_f64(), at_target: self.at_target.to_f64(), sums };
        (sums.sum_exp >= 1.0).then_some(row)
    }
}

/// The largest element of a block. A NaN is ignored here; the sum becomes NaN by it.
#[inline(always)]
fn block_max<T: Logit>(block: &[T]) -> T::Real {
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
