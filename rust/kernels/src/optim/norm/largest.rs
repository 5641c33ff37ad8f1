//! The infinity norm, the largest magnitude.
//!
//! The bits of a float without its sign, read as an integer, grow with its magnitude, and those of a NaN are above those
//! of infinity. So the largest integer is that of the largest magnitude, or of a NaN where there is one: exact, in one
//! vector instruction per block, and independent of the order.

use super::measure::{Measured, Rule};
use super::scaled::Norm;
use crate::simd::{Bf16, Element, F16, Isa, padded};

const LANES: usize = 64;

/// An element type whose magnitudes can be compared as integers.
pub(in crate::optim) trait Magnitude: Element {
    /// An unsigned integer of the same size.
    type Bits: Copy + Ord + Default;
    /// The bits without the sign.
    fn magnitude(self) -> Self::Bits;
    /// The element of this magnitude with the sign of `sign`.
    fn with_sign_of(magnitude: Self::Bits, sign: Self) -> Self;
    /// The magnitude of infinity; those of NaN are above it.
    fn infinity() -> Self::Bits {
        Self::from_f64(f64::INFINITY).magnitude()
    }
}

macro_rules! magnitude {
    ($($t:ty, $bits:ty, $x:ident => $of:expr, $make:expr;)*) => {
        $(impl Magnitude for $t {
            type Bits = $bits;
            #[inline(always)]
            fn magnitude(self) -> $bits {
                let $x = self;
                $of & (<$bits>::MAX >> 1)
            }
            #[inline(always)]
            fn with_sign_of(magnitude: $bits, sign: Self) -> Self {
                let $x = sign;
                $make(($of & !(<$bits>::MAX >> 1)) | magnitude)
            }
        })*
    };
}
magnitude! {
    f32, u32, x => x.to_bits(), f32::from_bits;
    f64, u64, x => x.to_bits(), f64::from_bits;
    Bf16, u16, x => x.0, Bf16;
    F16, u16, x => x.0, F16;
}

/// The infinity norm.
#[derive(Clone, Copy)]
pub(super) struct Infinity;

impl Rule for Infinity {
    type Part = f64;
    #[inline(always)]
    fn part<I: Isa, T: Measured>(self, x: &[T]) -> f64 {
        largest(x)
    }
    fn join(self, a: f64, b: f64) -> f64 {
        if a > b || a.is_nan() { a } else { b }
    }
    fn norm(self, largest: f64) -> Norm {
        Norm::of(largest)
    }
}

/// The largest magnitude; NaN where an element is, 0 where there are none.
#[inline(always)]
pub(super) fn largest<T: Magnitude>(x: &[T]) -> f64 {
    let mut lanes = [T::Bits::default(); LANES];
    let (blocks, tail) = x.as_chunks::<LANES>();
    for block in blocks {
        larger(&mut lanes, block);
    }
    larger(&mut lanes, &padded(tail, T::from_f64(0.0)));
    let largest = lanes.into_iter().max().unwrap_or_default();
    T::with_sign_of(largest, T::from_f64(0.0)).to_f64()
}

#[inline(always)]
fn larger<T: Magnitude>(lanes: &mut [T::Bits; LANES], block: &[T; LANES]) {
    for (lane, x) in lanes.iter_mut().zip(block) {
        let x = x.magnitude();
        *lane = if x > *lane { x } else { *lane };
    }
}
