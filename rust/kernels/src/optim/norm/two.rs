//! The Euclidean norm, `sqrt(sum x^2)`, with a small error bound and without overflow.
//!
//! The square of a 16- or 32-bit float is exact in f64 and can neither overflow nor underflow there (2^-298 .. 2^256),
//! so that plain f64 lanes suffice for them. Squares of f64 could do both, so a chunk of f64 is first scaled by a power
//! of two where its largest value requires it.
//!
//! Relative error of the sum: below 2^-53 * (chunk / lanes + log2(lanes) + log2(chunks) + 3) in the worst case, under
//! 1e-12 for 1e8 elements.

use super::lanes::Lanes;
use super::largest::largest;
use super::measure::{Measured, Rule};
use super::scaled::{Norm, Scaled, exp2i, scale_of};
use super::{LANES, sum};
use crate::simd::{Bf16, Element, F16, Isa};

/// The Euclidean norm.
#[derive(Clone, Copy)]
pub(super) struct Two;

impl Rule for Two {
    type Part = Scaled;
    #[inline(always)]
    fn part<I: Isa, T: Measured>(self, x: &[T]) -> Scaled {
        T::sum_of_squares::<I>(x)
    }
    fn join(self, a: Scaled, b: Scaled) -> Scaled {
        a.plus(b)
    }
    fn norm(self, sum: Scaled) -> Norm {
        sum.into()
    }
}

/// The sum of squares of a span: the squares are exact where f64 can hold those of the element type, and scaled
/// otherwise.
pub(in crate::optim) trait SumOfSquares: Element {
    fn sum_of_squares<I: Isa>(x: &[Self]) -> Scaled;
}

macro_rules! exact_squares {
    ($($t:ty),*) => {
        $(impl SumOfSquares for $t {
            #[inline(always)]
            fn sum_of_squares<I: Isa>(x: &[Self]) -> Scaled {
                let mut lanes = Lanes::EMPTY;
                lanes.add::<Self, I>(x, 0);
                Scaled { sum: lanes.total(), exponent: 0 }
            }
        })*
    };
}
exact_squares!(f32, Bf16, F16);

impl SumOfSquares for f64 {
    #[inline(always)]
    fn sum_of_squares<I: Isa>(x: &[f64]) -> Scaled {
        let exponent = scale_of(largest(x));
        Scaled { sum: scaled_squares(x, exp2i(-exponent)), exponent }
    }
}

/// The sum of `(scale * x)^2` over fixed lanes; `scale` is a power of two.
#[inline(always)]
fn scaled_squares(x: &[f64], scale: f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (blocks, tail) = x.as_chunks::<LANES>();
    for block in blocks {
        for k in 0..LANES {
            let x = block[k] * scale;
            lanes[k] += x * x;
        }
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        let x = x * scale;
        *lane += x * x;
    }
    sum(&lanes)
}
