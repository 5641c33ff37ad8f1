//! Arrays of the 16-bit floats, for the ways of storing that only these have.

use crate::simd::{Bf16, F16};

/// Something that has the same form for both 16-bit floats.
pub enum PerHalf<B, F> {
    /// bfloat16.
    Bf16(B),
    /// IEEE binary16.
    F16(F),
}

/// An array of 16-bit floats, for writing.
pub type Halves<'a> = PerHalf<&'a mut [Bf16], &'a mut [F16]>;

/// Runs generic code for the type at hand.
macro_rules! with_half {
    ($array:expr, $x:ident => $run:expr) => {
        match $array {
            $crate::optim::storage::half::PerHalf::Bf16($x) => $run,
            $crate::optim::storage::half::PerHalf::F16($x) => $run,
        }
    };
}
pub(super) use with_half;

impl Halves<'_> {
    /// The first `n` elements and the rest.
    #[inline(always)]
    pub(super) fn split(self, n: usize) -> (Self, Self) {
        match self {
            PerHalf::Bf16(x) => {
                let (head, tail) = x.split_at_mut(n);
                (PerHalf::Bf16(head), PerHalf::Bf16(tail))
            }
            PerHalf::F16(x) => {
                let (head, tail) = x.split_at_mut(n);
                (PerHalf::F16(head), PerHalf::F16(tail))
            }
        }
    }
}
