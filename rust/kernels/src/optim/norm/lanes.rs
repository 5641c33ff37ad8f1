//! Sums of squares that grow block by block, within a chunk.

use super::largest::largest;
use super::measure::Measured;
use super::scaled::{Scaled, scale_of};
use super::{LANES, sum};
use crate::simd::{Element, Isa, Precision};

/// A sum of squares in f64, over lanes that are filled in turn.
#[derive(Clone, Copy)]
pub(in crate::optim) struct Lanes([f64; LANES]);

impl Lanes {
    pub const EMPTY: Lanes = Lanes([0.0; LANES]);

    /// Adds the squares of the elements that follow the first `at`. An element's lane depends on its index alone, so
    /// that it does not matter how a chunk is divided.
    #[inline(always)]
    pub fn add<T: Element, I: Isa>(&mut self, x: &[T], at: usize) {
        if !at.is_multiple_of(LANES) {
            for (index, x) in x.iter().enumerate() {
                let lane = (at + index) % LANES;
                self.0[lane] = with_square::<T, I>(self.0[lane], x.to_f64());
            }
            return;
        }
        let (blocks, tail) = x.as_chunks::<LANES>();
        // In a variable of their own, so that the lanes stay in registers.
        let mut lanes = *self;
        for block in blocks {
            lanes.add_block::<T, I>(block);
        }
        for (lane, x) in lanes.0.iter_mut().zip(tail) {
            *lane = with_square::<T, I>(*lane, x.to_f64());
        }
        *self = lanes;
    }

    #[inline(always)]
    pub fn add_block<T: Element, I: Isa>(&mut self, block: &[T; LANES]) {
        for k in 0..LANES {
            self.0[k] = with_square::<T, I>(self.0[k], block[k].to_f64());
        }
    }

    /// The sum of all lanes.
    pub fn total(self) -> f64 {
        sum(&self.0)
    }
}

/// A lane with the square of one more element, whose type is `T`. Of all types but f64 the square is exact, so that a
/// fused multiply-add, which is one instruction, gives the same bits as a product and a sum.
#[inline(always)]
pub(super) fn with_square<T: Element, I: Isa>(lane: f64, x: f64) -> f64 {
    if matches!(T::PRECISION, Precision::F64) { lane + x * x } else { I::add_exact_product(x, x, lane) }
}

/// A sum of squares without overflow: over [`Lanes`] where f64 holds the squares of a block, and of sums with a scale
/// otherwise.
#[derive(Clone, Copy)]
pub(in crate::optim) struct Growing {
    lanes: Lanes,
    scaled: Scaled,
    count: usize,
}

impl Growing {
    pub const EMPTY: Growing =
        Growing { lanes: Lanes::EMPTY, scaled: Scaled { sum: 0.0, exponent: 0 }, count: 0 };

    /// Adds the squares of the elements that come next.
    #[inline(always)]
    pub fn add<T: Measured, I: Isa>(&mut self, x: &[T]) {
        if fits(x) {
            self.lanes.add::<T, I>(x, self.count);
        } else {
            self.scaled = self.scaled.plus(T::sum_of_squares::<I>(x));
        }
        self.count += x.len();
    }

    pub fn total(self) -> Scaled {
        self.scaled.plus(Scaled { sum: self.lanes.total(), exponent: 0 })
    }
}

/// Whether f64 holds the squares of the elements, and their sum.
#[inline(always)]
fn fits<T: Measured>(x: &[T]) -> bool {
    !matches!(T::PRECISION, Precision::F64) || scale_of(largest(x)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, dispatch};

    /// The sum of two parts, one after the other.
    struct Parts<'a, T>(&'a [T], &'a [T]);

    impl<T: Measured> Kernel for Parts<'_, T> {
        type Out = Scaled;
        #[inline(always)]
        fn run<I: Isa>(self) -> Scaled {
            let mut sum = Growing::EMPTY;
            sum.add::<T, I>(self.0);
            sum.add::<T, I>(self.1);
            sum.total()
        }
    }

    #[test]
    fn a_chunk_may_be_divided_anywhere() {
        let x: Vec<f32> = (0..1000u16).map(|i| 1.0 / (f32::from(i) + 0.3)).collect();
        let whole = dispatch(Parts(&x, &[]));
        for cut in [0, 1, 31, 32, 64, 333, 999] {
            let (head, tail) = x.split_at(cut);
            assert_eq!(dispatch(Parts(head, tail)), whole);
        }
    }

    #[test]
    fn squares_beyond_f64_are_summed() {
        let sum = dispatch(Parts(&[3e200, 0.0], &[4e200]));
        assert!((sum.root() / 5e200 - 1.0).abs() < 1e-15);
    }
}
