//! The log-sum-exp of one row, read from memory once.
//!
//! log Z = M + log S with S = sum exp(x - M). The row is walked in blocks that stay in the first-level cache:
//! each block is read for its maximum, then summed against the largest value seen so far; when a block raises
//! that maximum, the sum so far is rescaled (Milakov and Gimelshein, "Online normalizer calculation for
//! softmax", arXiv:1805.02867). The largest element adds exactly 1, so S >= 1 and log S >= 0.
//!
//! Error of log S in f32, u = 2^-24: a relative error of every term is an absolute error of log S. The difference
//! x - M is rounded by up to 2^-21 (for 8 <= M - x < 16; what lies farther has no weight at 262,144 elements), log2 e
//! by 1.4e-8 of up to 9.3, the polynomial is off by 1.1e-7 and its evaluation by 1.4 u, and a term is rounded three
//! times on its way into f64 (one step, two halvings): 9.6e-7 if all of them conspire. The worst that a search over
//! plateaus below one maximum found is 7.0e-7; random rows stay below 2e-7.

use crate::math::exp64;
use crate::simd::{Bf16, Element, F16, Isa, tree64};

/// Lanes of a sum; a multiple of every vector width in use.
const LANES: usize = 32;
/// Steps a lane makes in its own precision before it is folded into f64.
const STEPS: usize = 2;
/// Lanes of the f64 totals.
const WIDE: usize = 8;
/// Elements read twice before the next: 8 KiB of f64, 4 of f32, in the first-level cache.
pub const BLOCK: usize = 1024;

/// An element type of logits, and the precision its exponentials are computed in.
pub trait Logit: Element {
    /// f32, or f64 for f64.
    type Real: Real;
    /// The value, exactly.
    fn real(self) -> Self::Real;
}

macro_rules! logit {
    ($($t:ty => $real:ty, $widen:ident;)*) => {
        $(impl Logit for $t {
            type Real = $real;
            #[inline(always)]
            fn real(self) -> $real {
                self.$widen()
            }
        })*
    };
}
logit! {
    f32 => f32, to_f32;
    Bf16 => f32, to_f32;
    F16 => f32, to_f32;
    f64 => f64, to_f64;
}

/// What the sum needs from its precision.
pub trait Real: Copy + PartialOrd + Element {
    /// The neutral element of the maximum.
    const LOWEST: Self;
    /// Zero.
    const ZERO: Self;
    /// `a + b`
    fn plus(a: Self, b: Self) -> Self;
    /// `sum + exp(x - max)` for `x <= max`, NaN for NaN.
    fn plus_exp<I: Isa>(sum: Self, x: Self, max: Self) -> Self;
}

impl Real for f32 {
    const LOWEST: f32 = f32::NEG_INFINITY;
    const ZERO: f32 = 0.0;

    #[inline(always)]
    fn plus(a: f32, b: f32) -> f32 {
        a + b
    }

    /// exp(d) = 2^n 2^f with n = round(d log2 e) and |f| <= 1/2; 2^f by a minimax polynomial with p(0) = 1
    /// (relative error 1.1e-7 with these f32 coefficients). Adding 1.5 * 2^23 + 127 leaves n, already biased,
    /// in the low bits, so that a shift makes 2^n; multiplying by it inside the sum's own fused
    /// multiply-add rounds once, and carries a NaN, which integer arithmetic on the exponent would lose.
    /// Below -87 the result is exp(-87) = 1.6e-38: nothing beside a sum of at least 1.
    #[inline(always)]
    fn plus_exp<I: Isa>(sum: f32, x: f32, max: f32) -> f32 {
        const BIASED: f32 = 12_583_039.0;
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        let difference = x - max;
        let d = if difference < -87.0 { -87.0 } else { difference };
        let shifted = I::fma32(d, LOG2_E, BIASED);
        let n = shifted - BIASED;
        let f = I::fma32(d, LOG2_E, -n);
        let mut p = f32::from_bits(0x3aad_dd0a);
        for bits in [0x3c1e_7544, 0x3d63_5ba9, 0x3e75_fcde, 0x3f31_7215, 0x3f80_0000] {
            p = I::fma32(p, f, f32::from_bits(bits));
        }
        I::fma32(p, f32::from_bits(shifted.to_bits() << 23), sum)
    }
}

impl Real for f64 {
    const LOWEST: f64 = f64::NEG_INFINITY;
    const ZERO: f64 = 0.0;

    #[inline(always)]
    fn plus(a: f64, b: f64) -> f64 {
        a + b
    }

    #[inline(always)]
    fn plus_exp<I: Isa>(sum: f64, x: f64, max: f64) -> f64 {
        sum + crate::math::exp64_nonpositive::<I>(x - max)
    }
}

/// The maximum of a row and the sum of exp(x - maximum); log Z is `max + log(sum)`.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// The largest element: -inf when all are.
    pub max: f64,
    /// At least 1; NaN exactly when the row holds a NaN or +inf; 0 when every element is -inf.
    pub sum: f64,
}

/// The part of a row that has been read so far.
#[derive(Clone, Copy, Debug)]
pub struct Partial<R> {
    max: R,
    sum: f64,
}

impl<R: Real> Partial<R> {
    /// Before the first element.
    pub fn new() -> Self {
        Partial { max: R::LOWEST, sum: 0.0 }
    }

    /// The peak of a row that has been read to its end.
    #[inline(always)]
    pub fn peak(self) -> Peak {
        Peak { max: self.max.to_f64(), sum: self.sum }
    }
}

/// Finds the [`Peak`] of a row.
#[inline(always)]
pub fn peak<I: Isa, T: Logit>(row: &[T]) -> Peak {
    go_on::<I, T>(Partial::new(), row).peak()
}

/// Reads on. Every part but the last must be a multiple of [`BLOCK`] long, or the bits would be others.
#[inline(always)]
pub fn go_on<I: Isa, T: Logit>(so_far: Partial<T::Real>, part: &[T]) -> Partial<T::Real> {
    let Partial { mut max, mut sum } = so_far;
    for block in part.chunks(BLOCK) {
        let top = block_max(block);
        if top > max {
            sum *= exp64::<I>(max.to_f64() - top.to_f64());
            max = top;
        }
        if max > T::Real::LOWEST {
            sum += block_sum::<I, T>(block, max);
        } else if block.iter().any(|x| x.real() != x.real()) {
            // Only -inf so far, where x - max is NaN also for what is not: a real NaN is found here.
            sum = f64::NAN;
        }
    }
    Partial { max, sum }
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
fn larger<R: Real>(a: R, b: R) -> R {
    if a > b { a } else { b }
}

/// The sum of exp(x - max) over a block: fixed lanes, folded into f64 every [`STEPS`] steps, a fixed tree.
#[inline(always)]
fn block_sum<I: Isa, T: Logit>(block: &[T], max: T::Real) -> f64 {
    let (body, tail) = block.as_chunks::<LANES>();
    let (groups, rest) = body.as_chunks::<STEPS>();
    let mut wide = [0.0; WIDE];
    for group in groups {
        let mut lanes = [T::Real::ZERO; LANES];
        for chunk in group {
            add::<I, T>(&mut lanes, chunk, max);
        }
        fold(&mut wide, lanes);
    }
    let mut lanes = [T::Real::ZERO; LANES];
    for chunk in rest {
        add::<I, T>(&mut lanes, chunk, max);
    }
    if !tail.is_empty() {
        let last = filled(tail);
        for i in 0..LANES {
            lanes[i] = T::Real::plus_exp::<I>(lanes[i], last[i], max);
        }
    }
    fold(&mut wide, lanes);
    tree64(wide)
}

#[inline(always)]
fn add<I: Isa, T: Logit>(lanes: &mut [T::Real; LANES], chunk: &[T; LANES], max: T::Real) {
    for i in 0..LANES {
        lanes[i] = T::Real::plus_exp::<I>(lanes[i], chunk[i].real(), max);
    }
}

#[inline(always)]
fn fold<R: Real>(wide: &mut [f64; WIDE], mut lanes: [R; LANES]) {
    let mut half = LANES / 2;
    while half >= WIDE {
        for i in 0..half {
            lanes[i] = R::plus(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    for i in 0..WIDE {
        wide[i] += lanes[i].to_f64();
    }
}

/// A tail filled up with -inf, whose exponential vanishes beside the sum.
#[inline(always)]
fn filled<T: Logit>(tail: &[T]) -> [T::Real; LANES] {
    let mut last = [T::Real::LOWEST; LANES];
    for (slot, &x) in last.iter_mut().zip(tail) {
        *slot = x.real();
    }
    last
}
