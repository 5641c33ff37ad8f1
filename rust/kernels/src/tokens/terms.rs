//! Sums over a block of logits x whose terms are computed from exp(x - M), where M is the largest logit so far.

use crate::simd::{Bf16, Element, F16, Isa, Real, tree64};

/// Lanes of a sum; a multiple of every vector width in use.
pub const LANES: usize = 32;
/// How many terms are added to a lane in its own precision before it is added to an f64 total.
const STEPS: usize = 2;
/// Lanes of the f64 totals.
const WIDE: usize = 8;

/// An element type of logits, with the type in which its exponentials are computed.
pub trait Logit: Element + Default {
    /// The type in which exponentials are computed: f64 for f64, f32 for all others.
    type Real: Exponential;
    /// The value in that type, exactly.
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

/// The operations that sums of exponentials need from f32 or f64.
pub trait Exponential: Real {
    /// -infinity, the neutral element of the maximum.
    const LOWEST: Self;
    /// Where x - max is below this, exp(x - max) is computed as 0 or as a number that is negligible beside 1.
    const NOTHING_BELOW: Self;
    /// exp(x - max) for `x <= max`, NaN for NaN.
    fn term<I: Isa>(x: Self, max: Self) -> Term<Self>;
    /// `sum` plus the term, rounded once.
    fn plus<I: Isa>(sum: Self, term: Term<Self>) -> Self;
}

/// exp(x - max) as a product whose second factor is a power of two. The fused multiply-add that adds the term to a sum
/// also multiplies by it, so that the multiplication needs no instruction and no rounding of its own.
#[derive(Clone, Copy)]
pub struct Term<R> {
    /// x - max, rounded.
    pub difference: R,
    /// The first factor, 2^f.
    power: R,
    /// The second factor, 2^n.
    scale: R,
}

impl<R: Exponential> Term<R> {
    /// The term times a factor.
    #[inline(always)]
    pub fn times(self, factor: R) -> Self {
        Term { power: self.power * factor, ..self }
    }

    /// The term where `condition` holds, otherwise 0.
    #[inline(always)]
    pub fn only_if(self, condition: bool) -> Self {
        Term { power: if condition { self.power } else { R::default() }, ..self }
    }
}

impl Exponential for f32 {
    const LOWEST: f32 = f32::NEG_INFINITY;
    const NOTHING_BELOW: f32 = -87.0;

    /// exp(d) = 2^n 2^f with n = round(d log2 e) and |f| <= 1/2; 2^f by a minimax polynomial with p(0) = 1 (relative
    /// error 1.1e-7 with these f32 coefficients). Adding 1.5 * 2^23 + 127 leaves n + 127, the biased exponent, in the
    /// low bits, so that a shift gives 2^n. Multiplying by it keeps a NaN a NaN, which integer arithmetic on the
    /// exponent would not. Below -87 the result is exp(-87) = 1.6e-38, which is negligible beside a sum of at least 1.
    #[inline(always)]
    fn term<I: Isa>(x: f32, max: f32) -> Term<f32> {
        const BIASED: f32 = 12_583_039.0;
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        let difference = x - max;
        let d = if difference < Self::NOTHING_BELOW { Self::NOTHING_BELOW } else { difference };
        let shifted = I::fma32(d, LOG2_E, BIASED);
        let n = shifted - BIASED;
        let f = I::fma32(d, LOG2_E, -n);
        let mut power = f32::from_bits(0x3aad_dd0a);
        for bits in [0x3c1e_7544, 0x3d63_5ba9, 0x3e75_fcde, 0x3f31_7215, 0x3f80_0000] {
            power = I::fma32(power, f, f32::from_bits(bits));
        }
        Term { difference, power, scale: f32::from_bits(shifted.to_bits() << 23) }
    }

    #[inline(always)]
    fn plus<I: Isa>(sum: f32, term: Term<f32>) -> f32 {
        I::fma32(term.power, term.scale, sum)
    }
}

impl Exponential for f64 {
    const LOWEST: f64 = f64::NEG_INFINITY;
    const NOTHING_BELOW: f64 = -708.396;

    #[inline(always)]
    fn term<I: Isa>(x: f64, max: f64) -> Term<f64> {
        let difference = x - max;
        Term { difference, power: crate::math::exp64_nonpositive::<I>(difference), scale: 1.0 }
    }

    #[inline(always)]
    fn plus<I: Isa>(sum: f64, term: Term<f64>) -> f64 {
        sum + term.power
    }
}

/// `K` sums over the elements of a row whose terms are computed from exp(x - max).
pub trait Terms<const K: usize> {
    /// The sums with the terms of one element added.
    fn add<I: Isa, R: Exponential>(sums: [R; K], x: R, max: R) -> [R; K];
}

/// The sums of `F` over a block: in fixed lanes, which are added to f64 totals after every [`STEPS`] terms, and then by
/// a fixed reduction tree.
#[inline(always)]
pub fn sums_of_terms<I: Isa, T: Logit, F: Terms<K>, const K: usize>(block: &[T], max: T::Real) -> [f64; K] {
    let (body, tail) = block.as_chunks::<LANES>();
    let (groups, rest) = body.as_chunks::<STEPS>();
    let mut wide = [[0.0; WIDE]; K];
    for group in groups {
        let mut lanes = [[T::Real::default(); LANES]; K];
        for chunk in group {
            add::<I, T, F, K>(&mut lanes, chunk, max);
        }
        fold(&mut wide, lanes);
    }
    let mut lanes = [[T::Real::default(); LANES]; K];
    for chunk in rest {
        add::<I, T, F, K>(&mut lanes, chunk, max);
    }
    if !tail.is_empty() {
        let last = filled(tail);
        for i in 0..LANES {
            add_one::<I, T, F, K>(&mut lanes, i, last[i], max);
        }
    }
    fold(&mut wide, lanes);
    let mut sums = [0.0; K];
    for k in 0..K {
        sums[k] = tree64(wide[k]);
    }
    sums
}

#[inline(always)]
fn add<I: Isa, T: Logit, F: Terms<K>, const K: usize>(
    lanes: &mut [[T::Real; LANES]; K],
    chunk: &[T; LANES],
    max: T::Real,
) {
    for i in 0..LANES {
        add_one::<I, T, F, K>(lanes, i, chunk[i].real(), max);
    }
}

/// Adds the terms of `x` to lane `i`.
#[inline(always)]
fn add_one<I: Isa, T: Logit, F: Terms<K>, const K: usize>(
    lanes: &mut [[T::Real; LANES]; K],
    i: usize,
    x: T::Real,
    max: T::Real,
) {
    let mut sums = [T::Real::default(); K];
    for k in 0..K {
        sums[k] = lanes[k][i];
    }
    sums = F::add::<I, T::Real>(sums, x, max);
    for k in 0..K {
        lanes[k][i] = sums[k];
    }
}

/// Halves the lanes until [`WIDE`] are left, and adds these to the f64 totals.
#[inline(always)]
fn fold<R: Real, const K: usize>(wide: &mut [[f64; WIDE]; K], mut lanes: [[R; LANES]; K]) {
    for k in 0..K {
        let mut half = LANES / 2;
        while half >= WIDE {
            for i in 0..half {
                lanes[k][i] = lanes[k][i] + lanes[k][i + half];
            }
            half /= 2;
        }
        for i in 0..WIDE {
            wide[k][i] += lanes[k][i].to_f64();
        }
    }
}

/// A tail filled up with -inf, whose exponential is negligible beside the sum.
#[inline(always)]
pub fn filled<T: Logit>(tail: &[T]) -> [T::Real; LANES] {
    let mut last = [T::Real::LOWEST; LANES];
    for (slot, &x) in last.iter_mut().zip(tail) {
        *slot = x.real();
    }
    last
}
