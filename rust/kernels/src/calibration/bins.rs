//! Bins of equal width. Their edges are rounded to the type of the probabilities, so that a probability that equals an
//! edge, such as 0.3 for ten bins, falls into the bin below it in every element type.

use crate::math::{ROUND_32, ROUND_64};
use crate::memory::{self, NoMemory};
use crate::simd::{Bf16, Element, F16};
use std::ops::{Add, Div, Mul, Sub};

/// The most bins a state may have. Up to here every edge but 0 is a normal float16, and the counters of a chunk stay
/// small.
pub const MAX_BINS: usize = 10_000;

/// The float type in which the bin of a probability is computed.
pub trait Work:
    Copy + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// The largest value that still counts as 1: `1 + 1e-6`.
    const LIMIT: Self;
    /// A constant whose addition rounds a value to the nearest integer, in the last bits of the sum.
    const ROUND: Self;
    /// A number of bins, or the number of an edge, as a float.
    fn from_count(k: usize) -> Self;
    /// The value of `self - ROUND` as an integer, where `self` is a value to which `ROUND` has been added.
    fn rounded(self) -> i32;
    /// The same value as an f64, which is exact.
    fn wide(self) -> f64;
    /// Whether `self`, in [0, 1], may have bits that weigh less than 2^-48.
    fn is_fine(self) -> bool;
    /// The same value as an f32; `None` where that would round it.
    fn single(self) -> Option<f32>;
    /// Whether `self`, in [0, 1], is exactly representable as a bfloat16.
    fn is_bf16(self) -> bool {
        self.single().is_some_and(|x| x.to_bits().trailing_zeros() >= 16)
    }
    /// Whether `self`, in [0, 1], is exactly representable as a float16.
    fn is_f16(self) -> bool {
        const NORMAL: f32 = 1.0 / 16_384.0;
        const LAST_PLACE: f32 = 16_777_216.0;
        self.single().is_some_and(|x| {
            if x >= NORMAL {
                x.to_bits().trailing_zeros() >= 13
            } else {
                (x * LAST_PLACE) as u32 as f32 == x * LAST_PLACE
            }
        })
    }
}

/// How far the sum of a row of class probabilities may be from 1.
pub const SUM_TOLERANCE: f64 = 1e-3;
/// The same for rows of 16-bit floats, also where a wider type holds them: rounding to the 8 bits of bfloat16 moves a
/// sum by up to 2^-8.
pub const SHORT_SUM_TOLERANCE: f64 = 5e-3;

impl Work for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const LIMIT: f32 = 1.000_000_953_674_316_4; // the largest f32 below 1 + 1e-6
    const ROUND: f32 = ROUND_32;
    #[inline(always)]
    fn from_count(k: usize) -> f32 {
        k as f32
    }
    #[inline(always)]
    fn rounded(self) -> i32 {
        self.to_bits().wrapping_sub(Self::ROUND.to_bits()) as i32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    /// An f32 has 24 significant bits. From 2^-25 upwards the last of them weighs 2^-48 or more.
    #[inline(always)]
    fn is_fine(self) -> bool {
        (self > 0.0) & (self < 1.0 / 33_554_432.0)
    }
    fn single(self) -> Option<f32> {
        Some(self)
    }
}

impl Work for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const LIMIT: f64 = 1.000_001;
    const ROUND: f64 = ROUND_64;
    #[inline(always)]
    fn from_count(k: usize) -> f64 {
        k as f64
    }
    #[inline(always)]
    fn rounded(self) -> i32 {
        self.to_bits().wrapping_sub(Self::ROUND.to_bits()) as i32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn is_fine(self) -> bool {
        true
    }
    fn single(self) -> Option<f32> {
        (f64::from(self as f32) == self).then_some(self as f32)
    }
}

/// An element type that probabilities come in.
pub trait Probability: Element {
    /// The float type in which bins are computed; it represents every value of this type exactly.
    type Work: Work + Send + Sync;
    /// Up to this many bins, comparing with the nearest edge is enough to find a bin (see `bin`); for more bins the
    /// edges are searched.
    const NEAREST: usize;
    /// How far the sum of a row of class probabilities of this type may be from 1, whatever values the row has.
    const SUM_TOLERANCE: f64 = SUM_TOLERANCE;
    /// The same value in the work type, which is exact.
    fn widen(self) -> Self::Work;
    /// Rounds a quotient to this type; the result is given in the work type.
    fn round(quotient: Self::Work) -> Self::Work;
}

impl Probability for f32 {
    type Work = f32;
    const NEAREST: usize = MAX_BINS;
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
    #[inline(always)]
    fn round(quotient: f32) -> f32 {
        quotient
    }
}

impl Probability for f64 {
    type Work = f64;
    const NEAREST: usize = MAX_BINS;
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn round(quotient: f64) -> f64 {
        quotient
    }
}

/// Rounds a positive, normal f32 to the nearest value with `drop` fewer bits, ties to even.
///
/// Rounding the quotient twice (to f32, then here) equals rounding it once, because the 24 significant bits of f32 are
/// at least twice those of either 16-bit type (11 and 8) plus two (Figueroa, "When is double rounding innocuous?",
/// SIGNUM Newsletter 30(3), 1995).
#[inline(always)]
fn shorten(x: f32, drop: u32) -> f32 {
    let bits = x.to_bits();
    let half = (1u32 << (drop - 1)) - 1;
    f32::from_bits((bits + half + (bits >> drop & 1)) & !((1u32 << drop) - 1))
}

impl Probability for Bf16 {
    type Work = f32;
    const NEAREST: usize = 128;
    const SUM_TOLERANCE: f64 = SHORT_SUM_TOLERANCE;
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn round(quotient: f32) -> f32 {
        shorten(quotient, 16)
    }
}

impl Probability for F16 {
    type Work = f32;
    const NEAREST: usize = 1024;
    const SUM_TOLERANCE: f64 = SHORT_SUM_TOLERANCE;
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn round(quotient: f32) -> f32 {
        shorten(quotient, 13)
    }
}

/// Edge `k` of `m` bins: `k / m`, rounded to the element type.
#[inline(always)]
fn edge<T: Probability>(k: T::Work, m: T::Work) -> T::Work {
    T::round(k / m)
}

/// The bin of `p` in [0, 1] among `m <= T::NEAREST` bins.
///
/// `k` is the integer nearest to `p * m`. An edge `e_j` is off `j / m` by at most `j / m` times half a unit in the last
/// place u of the type, and `p * m` is rounded once, so with `m u <= 1/4` only edge `k` can lie on either side of `p`:
/// one division, which rounds the edge as its definition does, and one compare give the bin exactly.
#[inline(always)]
pub(super) fn bin<T: Probability>(p: T::Work, m: T::Work) -> i32 {
    let shifted = p * m + T::Work::ROUND;
    let k = shifted - T::Work::ROUND;
    let index = shifted.rounded() - i32::from(p <= edge::<T>(k, m));
    if index < 0 { 0 } else { index }
}

/// The `m + 1` edges of `m` bins in the element type.
pub fn edges<T: Probability>(m: usize) -> Result<Vec<T::Work>, NoMemory> {
    memory::gathered((0..=m).map(|k| edge::<T>(T::Work::from_count(k), T::Work::from_count(m))))
}

/// The bin of `p` by its definition, which is the number of inner edges below `p`. It holds for any number of bins.
pub fn bin_by_edges<W: Work>(p: W, edges: &[W]) -> usize {
    edges[1..edges.len() - 1].partition_point(|&edge| edge < p)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [usize; 14] = [1, 2, 5, 7, 10, 11, 15, 20, 22, 49, 100, 127, 1000, MAX_BINS];

    /// Compares the rule of the nearest edge with the definition, at every edge and its neighbours.
    fn nearest_equals_definition<T: Probability>(neighbours: impl Fn(T::Work) -> Vec<T::Work>) {
        for m in COUNTS.into_iter().filter(|&m| m <= T::NEAREST) {
            let edges = edges::<T>(m).unwrap();
            for &e in &edges {
                for p in neighbours(e).into_iter().filter(|&p| p >= T::Work::ZERO && p <= T::Work::ONE) {
                    let got = bin::<T>(p, T::Work::from_count(m)) as usize;
                    assert_eq!(got, bin_by_edges(p, &edges), "{} {m} {}", T::NAME, p.wide());
                }
            }
        }
    }

    #[test]
    fn f32_edges() {
        nearest_equals_definition::<f32>(|e| {
            (-2..=2).map(|d| f32::from_bits(e.to_bits().saturating_add_signed(d))).collect()
        });
    }

    #[test]
    fn f64_edges() {
        nearest_equals_definition::<f64>(|e| {
            (-2..=2).map(|d| f64::from_bits(e.to_bits().saturating_add_signed(d))).collect()
        });
    }

    #[test]
    fn every_bf16_and_f16_for_every_number_of_bins_that_the_rule_serves() {
        fn all<T: Probability<Work = f32>>(of: impl Fn(u16) -> T, one: u16) {
            for m in 1..=T::NEAREST {
                let edges = edges::<T>(m).unwrap();
                for code in 0..=one {
                    let p = of(code).widen();
                    assert_eq!(
                        bin::<T>(p, m as f32) as usize,
                        bin_by_edges(p, &edges),
                        "{} {m} {p}",
                        T::NAME
                    );
                }
            }
        }
        all(Bf16, 0x3f80);
        all(F16, 0x3c00);
    }

    #[test]
    fn an_edge_belongs_to_the_bin_below_it_in_every_type() {
        for m in 1..=100i32 {
            for k in 1..=m {
                let quotient = f64::from(k) / f64::from(m);
                assert_eq!(bin::<f64>(quotient, f64::from(m)), k - 1, "{k}/{m}");
                assert_eq!(bin::<f32>(quotient as f32, m as f32), k - 1, "{k}/{m}");
                assert_eq!(bin::<F16>(F16::round(quotient as f32), m as f32), k - 1, "{k}/{m}");
                assert_eq!(bin::<Bf16>(Bf16::round(quotient as f32), m as f32), k - 1, "{k}/{m}");
            }
        }
    }

    #[test]
    fn sixteen_bit_floats_are_known_in_wider_types() {
        for code in 0..=0x3f80u16 {
            let x = Bf16(code).to_f32();
            assert!(x.is_bf16() && f64::from(x).is_bf16(), "{x}");
        }
        for code in 0..=0x3c00u16 {
            let x = F16(code).to_f32();
            let next = f32::from_bits(x.to_bits() + 1);
            assert!(x.is_f16() && f64::from(x).is_f16() && !next.is_f16(), "{x}");
        }
        for x in
            [0.1f64, 0.3, 1.0 / 3.0, f64::from(0.1f32), 1e-300, f64::from(f32::from_bits(0x3f80_0000 - 1))]
        {
            assert!(!x.is_bf16() && !x.is_f16(), "{x}");
        }
    }

    #[test]
    fn every_edge_of_float16_is_normal() {
        assert!(1.0 / MAX_BINS as f64 > 1.0 / 16384.0);
    }
}
