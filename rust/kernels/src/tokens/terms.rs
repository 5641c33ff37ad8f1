//! Sums over a block of logits x whose terms are computed from exp(x - M), where M is the largest logit so far.

use crate::math::{exp_and_bend32, exp_and_bend64, exp32_nonpositive, exp64_nonpositive, tanh32, tanh64};
use crate::simd::{Bf16, Element, F16, Isa, Real, tree64};

/// Lanes of a sum; a multiple of every vector width in use.
pub const LANES: usize = 32;
/// How many terms are added to a lane in its own precision before it is added to an f64 total.
pub const STEPS: usize = 2;
/// Lanes of the f64 totals.
const WIDE: usize = 8;
/// Groups of [`STEPS`] terms a lane that are computed before they are added to the totals.
pub const GROUPS: usize = 4;

/// An element type of logits, with the type in which its exponentials are computed.
pub trait Logit: Element + Default {
    /// The type in which exponentials are computed: f64 for f64, f32 for all others.
    type Real: Exponential + Logit<Real = Self::Real>;
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
    /// exp(x - max) for `x <= max`, NaN for NaN.
    fn term<I: Isa>(x: Self, max: Self) -> Term<Self>;
    /// Where sums of squares start. It is negligible beside a sum of at least 1, and while a sum is not smaller, adding
    /// the square of a negligible term gives no subnormal number, which many processors compute slowly.
    const TINY: Self;
    /// `sum` plus the term, rounded once.
    fn plus<I: Isa>(sum: Self, term: Term<Self>) -> Self;
    /// `sum` plus the square of the term.
    fn plus_square<I: Isa>(sum: Self, term: Term<Self>) -> Self;
    /// The hyperbolic tangent.
    #[must_use]
    fn tanh<I: Isa>(self) -> Self;
    /// exp(x) for `x <= 0`, 0 where it is negligible beside 1.
    fn exp<I: Isa>(x: Self) -> Self;
    /// Where exponentials are computed as 0, and the least argument of [`Self::exp_and_bend`].
    const LEAST: Self;
    /// The coefficients 1 / (2k (2k - 1)) and 1 / (2k - 1) of two series, the highest k first: as many as this precision
    /// needs for the Jensen-Shannon divergence.
    const SERIES: &'static [[Self; 2]];
    /// exp(x), and exp(x) - 1 - x without cancellation, for x from `LEAST` to 0.
    fn exp_and_bend<I: Isa>(x: Self) -> (Self, Self);
}

const fn series64<const N: usize>() -> [[f64; 2]; N] {
    let (mut series, mut i) = ([[0.0; 2]; N], 0);
    while i < N {
        let k = N - i;
        series[i] = [1.0 / (2 * k * (2 * k - 1)) as f64, 1.0 / (2 * k - 1) as f64];
        i += 1;
    }
    series
}

const fn series32<const N: usize>() -> [[f32; 2]; N] {
    let (wide, mut series, mut i) = (series64::<N>(), [[0.0; 2]; N], 0);
    while i < N {
        series[i] = [wide[i][0] as f32, wide[i][1] as f32];
        i += 1;
    }
    series
}

/// exp(x - max) as a product whose second factor is a power of two. The fused multiply-add that adds the term to a sum
/// also multiplies by it, so that the multiplication needs no instruction and no rounding of its own.
#[derive(Clone, Copy)]
pub struct Term<R> {
    /// x - max, rounded, but not so low (-inf) that its product with an exponential of 0 were not 0.
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
    const TINY: f32 = 1e-30;
    const LEAST: f32 = -88.0;
    const SERIES: &'static [[f32; 2]] = &series32::<6>();

    /// exp(d) = 2^n 2^f with n = round(d log2 e) and |f| <= 1/2; 2^f by a minimax polynomial with p(0) = 1 (relative
    /// error 1.1e-7 with these f32 coefficients). Adding 1.5 * 2^23 + 127 leaves n + 127, the biased exponent, in the
    /// low bits, so that a shift gives 2^n. Multiplying by it keeps a NaN a NaN, which integer arithmetic on the
    /// exponent would not. Where d is below -87.7, n is -127, whose biased exponent 0 gives 0 for 2^n.
    #[inline(always)]
    fn term<I: Isa>(x: f32, max: f32) -> Term<f32> {
        const BIASED: f32 = 12_583_039.0;
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        let difference = x - max;
        let d = if difference < Self::LEAST { Self::LEAST } else { difference };
        let shifted = I::fma32(d, LOG2_E, BIASED);
        let n = shifted - BIASED;
        let f = I::fma32(d, LOG2_E, -n);
        let mut power = f32::from_bits(0x3aad_dd0a);
        for bits in [0x3c1e_7544, 0x3d63_5ba9, 0x3e75_fcde, 0x3f31_7215, 0x3f80_0000] {
            power = I::fma32(power, f, f32::from_bits(bits));
        }
        Term { difference: d, power, scale: f32::from_bits(shifted.to_bits() << 23) }
    }

    #[inline(always)]
    fn plus<I: Isa>(sum: f32, term: Term<f32>) -> f32 {
        I::fma32(term.power, term.scale, sum)
    }

    #[inline(always)]
    fn plus_square<I: Isa>(sum: f32, term: Term<f32>) -> f32 {
        let value = term.power * term.scale;
        I::fma32(value, value, sum)
    }

    #[inline(always)]
    fn tanh<I: Isa>(self) -> f32 {
        tanh32::<I>(self)
    }

    #[inline(always)]
    fn exp<I: Isa>(x: f32) -> f32 {
        exp32_nonpositive::<I>(if x < Self::LEAST { Self::LEAST } else { x })
    }

    #[inline(always)]
    fn exp_and_bend<I: Isa>(x: f32) -> (f32, f32) {
        exp_and_bend32::<I>(x)
    }
}

impl Exponential for f64 {
    const LOWEST: f64 = f64::NEG_INFINITY;
    const TINY: f64 = 1e-300;
    const LEAST: f64 = -709.0;
    const SERIES: &'static [[f64; 2]] = &series64::<14>();

    #[inline(always)]
    fn term<I: Isa>(x: f64, max: f64) -> Term<f64> {
        let difference = x - max;
        let d = if difference < Self::LEAST { Self::LEAST } else { difference };
        Term { difference: d, power: exp64_nonpositive::<I>(d), scale: 1.0 }
    }

    #[inline(always)]
    fn plus<I: Isa>(sum: f64, term: Term<f64>) -> f64 {
        sum + term.power
    }

    #[inline(always)]
    fn plus_square<I: Isa>(sum: f64, term: Term<f64>) -> f64 {
        I::fma64(term.power, term.power, sum)
    }

    #[inline(always)]
    fn tanh<I: Isa>(self) -> f64 {
        tanh64::<I>(self)
    }

    #[inline(always)]
    fn exp<I: Isa>(x: f64) -> f64 {
        exp64_nonpositive::<I>(if x < Self::LEAST { Self::LEAST } else { x })
    }

    #[inline(always)]
    fn exp_and_bend<I: Isa>(x: f64) -> (f64, f64) {
        exp_and_bend64::<I>(x)
    }
}

/// `K` sums over the elements of a row whose terms are computed from exp(x - max).
pub trait Terms<const K: usize> {
    /// What each lane starts from.
    #[inline(always)]
    fn start<R: Exponential>() -> [R; K] {
        [R::default(); K]
    }

    /// The sums with the terms of one element added.
    fn add<I: Isa, R: Exponential>(sums: [R; K], x: R, max: R) -> [R; K];
}

/// The sums of `F` over a block: in fixed lanes, which are added to f64 totals after every [`STEPS`] terms, and then by
/// a fixed reduction tree.
#[inline(always)]
pub fn sums_of_terms<I: Isa, T: Logit, F: Terms<K>, const K: usize>(block: &[T], max: T::Real) -> [f64; K] {
    let (body, tail) = block.as_chunks::<LANES>();
    let (groups, rest) = body.as_chunks::<STEPS>();
    let start = started::<T::Real, F, K>();
    let mut totals = Totals::<T::Real, K>::new();
    for groups in groups.chunks(GROUPS) {
        for (lanes, group) in totals.lanes.iter_mut().zip(groups) {
            *lanes = start;
            for chunk in group {
                *lanes = added::<I, T, F, K>(lanes, chunk, max);
            }
        }
        totals.add(groups.len());
    }
    let mut last = start;
    for chunk in rest {
        last = added::<I, T, F, K>(&last, chunk, max);
    }
    if !tail.is_empty() {
        last = added::<I, T::Real, F, K>(&last, &filled(tail), max);
    }
    totals.lanes[0] = last;
    totals.add(1);
    totals.finish()
}

/// The lanes of `K` sums.
pub type Lanes<R, const K: usize> = [[R; LANES]; K];

/// The lanes before anything was added.
#[inline(always)]
fn started<R: Exponential, F: Terms<K>, const K: usize>() -> Lanes<R, K> {
    let start = F::start::<R>();
    let mut lanes = [[R::default(); LANES]; K];
    for k in 0..K {
        lanes[k] = [start[k]; LANES];
    }
    lanes
}

/// The lanes with the terms of a chunk added.
#[inline(always)]
fn added<I: Isa, T: Logit, F: Terms<K>, const K: usize>(
    lanes: &Lanes<T::Real, K>,
    chunk: &[T; LANES],
    max: T::Real,
) -> Lanes<T::Real, K> {
    let mut next = [[T::Real::default(); LANES]; K];
    for i in 0..LANES {
        let mut sums = [T::Real::default(); K];
        for k in 0..K {
            sums[k] = lanes[k][i];
        }
        sums = F::add::<I, T::Real>(sums, chunk[i].real(), max);
        for k in 0..K {
            next[k][i] = sums[k];
        }
    }
    next
}

/// `K` sums: their totals in f64, and the lanes of the groups that are not yet in them.
///
/// The lanes of a few groups are written to memory, in the first-level cache, before any of them is added up. If each group
/// were added up at once, the compiler would take the `K` sums for a vector, and move single lanes between registers.
pub struct Totals<R, const K: usize> {
    pub lanes: [Lanes<R, K>; GROUPS],
    wide: [[f64; WIDE]; K],
}

impl<R: Real + Default, const K: usize> Totals<R, K> {
    /// Before anything was added.
    #[inline(always)]
    pub fn new() -> Self {
        Totals { lanes: [[[R::default(); LANES]; K]; GROUPS], wide: [[0.0; WIDE]; K] }
    }

    /// Adds the first `groups` to the totals.
    #[inline(always)]
    pub fn add(&mut self, groups: usize) {
        for k in 0..K {
            let mut wide = self.wide[k];
            for lanes in self.lanes.iter().take(groups) {
                add_lanes(&mut wide, &lanes[k]);
            }
            self.wide[k] = wide;
        }
    }

    /// The sums of everything that was added.
    #[inline(always)]
    pub fn finish(&self) -> [f64; K] {
        let mut sums = [0.0; K];
        for k in 0..K {
            sums[k] = tree64(self.wide[k]);
        }
        sums
    }
}

/// Halves the lanes until [`WIDE`] are left, and adds these to f64 totals.
#[inline(always)]
fn add_lanes<R: Real + Default>(wide: &mut [f64; WIDE], lanes: &[R; LANES]) {
    let (mut half, mut quarter) = ([R::default(); LANES / 2], [R::default(); WIDE]);
    for i in 0..LANES / 2 {
        half[i] = lanes[i] + lanes[i + LANES / 2];
    }
    for i in 0..WIDE {
        quarter[i] = half[i] + half[i + WIDE];
    }
    for i in 0..WIDE {
        wide[i] += quarter[i].to_f64();
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
