//! A 16-bit array to which a store rounds up or down at random, with the probability that makes the mean of the stored
//! value the value itself. So an update of less than half of the last place, which rounding to nearest would lose
//! each time, is made once in a while.
//!
//! A value is in magnitude `low + fraction * place`, `low` being the nearest smaller number of the type and `place` the
//! distance to the next one; it becomes the larger one if the random number of 16 bits, as a fraction of 2^16, is at least
//! `1 - fraction`. For bfloat16 and for normal float16 numbers `fraction` has at most 16 bits, and the mean is exact. Below
//! 2^-14, where float16 has a fixed place of 2^-24, the bits of the value beyond 2^-40 are cut off first. A value
//! that the type holds is stored as it is, a finite one of bfloat16 never becomes infinite, and one of float16 does from
//! 65536 on.
//!
//! The random numbers are keyed by seed, step, tensor, array and element ([`crate::random`]), so that they do not depend
//! on threads, on how a tensor is divided, or on which steps were computed in this process.

use super::half::{Halves, PerHalf, with_half};
use super::plain::widen;
use super::{Place, Storage, TILE};
use crate::dtype::ListedReal;
use crate::random;
use crate::simd::{Bf16, F16, Isa};
use std::ops::Range;

/// An array of 16-bit floats that is rounded at random.
pub struct Random<'a> {
    /// The array, updated.
    pub array: Halves<'a>,
    /// The seed of the random numbers.
    pub seed: u64,
}

impl<'a> Storage<'a> for Random<'a> {
    #[inline(always)]
    fn split(self, n: usize) -> (Self, Self) {
        let (head, tail) = self.array.split(n);
        (Random { array: head, ..self }, Random { array: tail, ..self })
    }

    #[inline(always)]
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
        with_half!(&self.array, x => widen(&x[tile], buffer));
    }

    #[inline(always)]
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], place: Place) {
        // Steps and tensors for which there are no random numbers have been refused before the step.
        let numbers = random::Halves::new(self.seed, place.key, place.step, place.array as u32);
        with_half!(&mut self.array, x => rounded(buffer, &mut x[tile], numbers, place.element));
    }

    #[inline(always)]
    fn holds<T: ListedReal>(&self, value: T) -> bool {
        let largest = match self.array {
            PerHalf::Bf16(_) => f32::INFINITY,
            PerHalf::F16(_) => 65_536.0,
        };
        value.is_finite() && value.to_f32().abs() < largest
    }
}

/// Rounds elements of which the first one has the index `first` in its tensor.
#[inline(always)]
pub(super) fn rounded<T: ListedReal, H: Half>(
    from: &[T],
    to: &mut [H],
    numbers: Option<random::Halves>,
    mut first: u64,
) {
    let mut drawn = [0; TILE];
    for (from, to) in from.chunks(TILE).zip(to.chunks_mut(TILE)) {
        let drawn = &mut drawn[..from.len()];
        if let Some(numbers) = numbers {
            numbers.fill(first, drawn);
        }
        for ((to, from), drawn) in to.iter_mut().zip(from).zip(drawn) {
            *to = Half::at_random(from.to_f32(), *drawn);
        }
        first += TILE as u64;
    }
}

/// An element type of 16 bits.
pub(super) trait Half: Copy {
    /// One of the two numbers around `x`, chosen by a random number.
    fn at_random(x: f32, random: u16) -> Self;
}

impl Half for Bf16 {
    #[inline(always)]
    fn at_random(x: f32, random: u16) -> Bf16 {
        let bits = x.to_bits();
        let drawn = bits.wrapping_add(random.into()) >> 16;
        let cut = bits >> 16;
        // Beyond the largest finite number there is only infinity, and a NaN must not be carried into a number.
        let quiet = if x.is_nan() { cut | 0x40 } else { cut };
        Bf16(if drawn & 0x7fff >= 0x7f80 { quiet } else { drawn } as u16)
    }
}

impl Half for F16 {
    #[inline(always)]
    fn at_random(x: f32, random: u16) -> F16 {
        let sign = x.to_bits() >> 16 & 0x8000;
        let magnitude = x.to_bits() & 0x7fff_ffff;
        // 13 bits are cut off, for which the upper 13 random ones decide.
        let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(u32::from(random) >> 3) >> 13;
        // In units of 2^-40 the value has at most 26 bits, of which 16 are cut off.
        let small = if magnitude < 113 << 23 { f32::from_bits(magnitude) } else { 0.0 };
        let subnormal = ((small * f32::from_bits((127 + 40) << 23)) as i32 as u32 + u32::from(random)) >> 16;
        let finite = if magnitude < 113 << 23 { subnormal } else { normal.min(0x7bff) };
        let special = if magnitude > 255 << 23 { 0x7e00 } else { 0x7c00 };
        F16((sign | if magnitude < 143 << 23 { finite } else { special }) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Element;

    /// The two numbers of a type around a positive value, and how many of the 2^16 random numbers give the upper one.
    fn split<T: Half + Element>(x: f32) -> (f64, f64, u32) {
        let mut found = std::collections::BTreeMap::<u64, u32>::new();
        for random in 0..=u16::MAX {
            *found.entry(T::at_random(x, random).to_f64().to_bits()).or_default() += 1;
        }
        let mut values = found.into_iter().map(|(bits, count)| (f64::from_bits(bits), count));
        let first = values.next().unwrap();
        let second = values.next().unwrap_or((first.0, 0));
        assert_eq!(values.next(), None);
        (first.0, second.0, second.1)
    }

    /// How far the mean over all random numbers is from the value, in units of the distance of its neighbours.
    fn bias<T: Half + Element>(x: f32) -> f64 {
        let (low, high, above) = split::<T>(x);
        if low == high {
            // 2^-24 is the place of the only values that are cut off before they are rounded.
            return (low - f64::from(x)).abs() * 16_777_216.0;
        }
        let mean = low + (high - low) * f64::from(above) / 65_536.0;
        (mean - f64::from(x)).abs() / (high - low)
    }

    #[test]
    fn the_mean_over_all_random_numbers_is_the_value() {
        let exponents = [-126, -40, -15, -14, -13, -1, 0, 1, 10, 15];
        for exponent in exponents {
            for fraction in [0u32, 1, 0x1000, 0x2001, 0x7fff, 0x8000, 0xffff, 0x1_0001, 0x7f_ffff, 0x55_5555]
            {
                let x = f32::from_bits(((127 + exponent) as u32) << 23 | fraction);
                assert_eq!(bias::<Bf16>(x), 0.0, "{x:e}");
                if x < 65_504.0 {
                    let limit = if exponent < -14 { 1.0 / 65_536.0 } else { 0.0 };
                    assert!(bias::<F16>(x) <= limit, "{x:e}");
                }
            }
        }
        assert_eq!(bias::<Bf16>(f32::from_bits(77_777)), 0.0);
    }

    #[test]
    fn what_the_type_holds_is_stored_as_it_is() {
        for code in 0..=u16::MAX {
            for random in [0, 1, 0x7fff, 0x8000, 0xffff] {
                let (bf16, f16) = (Bf16(code), F16(code));
                let (b, f) = (Bf16::at_random(bf16.to_f32(), random), F16::at_random(f16.to_f32(), random));
                assert!(if bf16.to_f32().is_nan() { b.to_f32().is_nan() } else { b == bf16 }, "{code:04x}");
                assert!(if f16.to_f32().is_nan() { f.to_f32().is_nan() } else { f == f16 }, "{code:04x}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        for random in [0, 0x8000, 0xffff] {
            assert_eq!(Bf16::at_random(f32::MAX, random), Bf16(0x7f7f));
            assert_eq!(Bf16::at_random(-f32::MAX, random), Bf16(0xff7f));
            assert_eq!(F16::at_random(65_535.9, random), F16(0x7bff));
            assert_eq!(F16::at_random(-65_536.0, random), F16(0xfc00));
            assert!(Bf16::at_random(f32::from_bits(0x7f80_0001), random).to_f32().is_nan());
        }
    }
}
