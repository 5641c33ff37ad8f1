//! The norm of any other order p > 0, `(sum |x|^p)^(1/p)`, by logarithm and exponential.
//!
//! A span is first searched for its largest magnitude L. What is summed is `(|x| / L)^p = exp(p log(|x| / L))`: no term
//! is above 1 and the largest is 1, so that nothing overflows, and what becomes 0 is below 2^-1022 of the sum.
//!
//! Relative error of the norm: below `2^-52 * (chunk / (2 lanes) + 2 ln n + log2(chunks) + 8) / min(p, 1)`, for n
//! elements. The sum has the error of its additions; the error of a term t is that of its logarithm, `2^-52 |t ln t|`,
//! and terms below 1/n carry less than the largest; and the root divides the error of the sum by p.
//! That is under `1e-12 / min(p, 1)` for 1e8 elements.

use super::largest::largest;
use super::measure::{Measured, Rule};
use super::scaled::{Norm, exp2i, scale_of};
use super::{LANES, sum};
use crate::math::{exp, exp64_nonpositive, log, log64};
use crate::simd::{Element, Isa, padded};

/// The norm of order `p`.
#[derive(Clone, Copy)]
pub(super) struct Power {
    p: f64,
}

/// The largest magnitude, and the sum of `(|x| / largest)^p`.
#[derive(Clone, Copy, Default)]
pub(super) struct Powers {
    largest: f64,
    sum: f64,
}

impl Power {
    pub(super) fn of(p: f64) -> Power {
        Power { p }
    }
}

impl Rule for Power {
    type Part = Powers;
    #[inline(always)]
    fn part<I: Isa, T: Measured>(self, x: &[T]) -> Powers {
        let largest = largest(x);
        if largest > 0.0 && largest < f64::INFINITY {
            Powers { largest, sum: sum_of_powers::<I, T>(x, largest, self.p) }
        } else {
            Powers { largest, sum: largest }
        }
    }

    fn join(self, a: Powers, b: Powers) -> Powers {
        let (big, small) = if a.largest > b.largest || a.largest.is_nan() { (a, b) } else { (b, a) };
        if small.sum == 0.0 || !big.sum.is_finite() {
            return big;
        }
        let moved =
            if small.largest == big.largest { 1.0 } else { exp(self.p * log(small.largest / big.largest)) };
        Powers { largest: big.largest, sum: big.sum + small.sum * moved }
    }

    fn norm(self, Powers { largest, sum }: Powers) -> Norm {
        if !(largest > 0.0 && largest < f64::INFINITY) {
            return Norm::of(largest);
        }
        let exponent = scale_of(largest);
        Norm { mantissa: exp(log(sum) / self.p) * (largest * exp2i(-exponent)), exponent }
    }
}

#[inline(always)]
fn sum_of_powers<I: Isa, T: Element>(x: &[T], largest: f64, p: f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (blocks, tail) = x.as_chunks::<LANES>();
    for block in blocks {
        add_powers::<I, T>(&mut lanes, block, largest, p);
    }
    add_powers::<I, T>(&mut lanes, &padded(tail, T::from_f64(0.0)), largest, p);
    sum(&lanes)
}

#[inline(always)]
fn add_powers<I: Isa, T: Element>(lanes: &mut [f64; LANES], block: &[T; LANES], largest: f64, p: f64) {
    for (lane, x) in lanes.iter_mut().zip(block) {
        *lane += exp64_nonpositive::<I>(p * log64::<I>(x.to_f64().abs() / largest));
    }
}
