//! What one pass over a row of logits computes.
//!
//! The row is walked in blocks that stay in the first-level cache: each block is read for its maximum, then folded
//! against the largest value seen so far; when a block raises that maximum, what was folded before is rescaled
//! (Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867).

use super::columns::{Row, Sums};
use super::terms::{Exponential, LANES, Logit, filled};
use crate::math::exp64;
use crate::simd::{Element, Isa, Real};

/// Elements read twice before the next: 8 KiB of f64, 4 of f32, in the first-level cache.
pub const BLOCK: usize = 1024;

/// Sums over a row, in terms of its largest logit so far.
pub trait Fold<T: Logit>: Copy + Send + Sync {
    /// The sums before the first block.
    const EMPTY: Self;
    /// Adds a block whose elements are at most `max`, which is not -inf.
    fn block<I: Isa>(&mut self, block: &[T], max: T::Real);
    /// Puts the sums in terms of a larger maximum.
    fn rescale(&mut self, raise: Raise);
    /// The sums of the whole row.
    fn finish(self) -> Sums;
}

/// How a larger maximum changes what was summed below the one before.
#[derive(Clone, Copy)]
pub struct Raise {
    /// old - new, below 0
    pub step: f64,
    /// exp(old - new)
    pub scale: f64,
}

/// A row that has been read so far, and the fold of it.
#[derive(Clone, Copy)]
pub struct Folded<T: Logit, F> {
    /// The largest element; -inf before there is one; NaN where there was a NaN among nothing but -inf.
    max: T::Real,
    /// The logit of the target, once it has been passed.
    pub at_target: T::Real,
    fold: F,
}

impl<T: Logit, F: Fold<T>> Folded<T, F> {
    /// A row of which nothing has been read.
    pub fn new() -> Self {
        Folded { max: T::Real::LOWEST, at_target: T::Real::from_f64(f64::NAN), fold: F::EMPTY }
    }

    /// Reads on. Every part of a row but the last must be a multiple of [`BLOCK`] long, or the bits would be others.
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
                // Only -inf so far, where x - max is NaN also for what is not: a real NaN is found here.
                max = T::Real::from_f64(f64::NAN);
            }
        }
        (self.max, self.fold) = (max, fold);
    }

    /// What is known of a row that has been read to its end; none where it has no softmax: it holds a NaN, +inf or
    /// nothing but -inf.
    #[inline(always)]
    pub fn finish(self) -> Option<Row> {
        let sums = self.fold.finish();
        let row = Row { max: self.max.to_f64(), at_target: self.at_target.to_f64(), sums };
        (sums.sum_exp >= 1.0).then_some(row)
    }
}

/// The largest element; NaN is passed over, and found by the sum.
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

/// `a` where it is larger, else `b`: one instruction, and never `a` where it is NaN.
#[inline(always)]
fn larger<R: Exponential>(a: R, b: R) -> R {
    if a > b { a } else { b }
}
