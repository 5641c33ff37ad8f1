//! The global norm of many gradients, with a small error bound and without overflow.
//!
//! `norm = sqrt(sum x^2)` over every element of every array. The square of a 16- or 32-bit float is exact in
//! f64 and can neither overflow nor underflow there (2^-298 .. 2^256), so that plain f64 lanes suffice for them.
//! Squares of f64 could do both, so a chunk of f64 is first scaled by a power of two where its largest value
//! requires it. Lanes, chunks and the order of summation are fixed: the bits do not depend on threads.
//!
//! Relative error of the sum: below 2^-53 * (chunk / lanes + log2(lanes) + log2(chunks) + 3) in the worst case, under
//! 1e-12 for 1e8 elements.

use super::units::{Units, units};
use crate::dtype::{Listed, TypedSlice, TypedSliceMut};
use crate::grid::{CHUNK, Pace, Progress, Stopped, chunk, chunks, map_chunks, write_chunks};
use crate::memory::{self, NoMemory};
use crate::simd::{Bf16, Element, F16, Isa, Kernel, Real, dispatch, padded, scalar, standard, tree64};
use crate::with_dtype;

const LANES: usize = 32;

/// A sum of squares as `sum * 4^exponent`, which may exceed the range of f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scaled {
    /// The scaled sum; not finite where an element was not.
    pub sum: f64,
    /// The power of four.
    pub exponent: i32,
}

/// `2^e`, for -1022 <= e <= 1023.
#[inline(always)]
pub(super) fn exp2i(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

impl Scaled {
    /// The sum of both, in the scale of the one with the larger exponent.
    fn plus(self, other: Scaled) -> Scaled {
        let (big, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if small.sum == 0.0 {
            return big;
        }
        if big.sum == 0.0 {
            return small;
        }
        let gap = big.exponent - small.exponent;
        // With a gap above 500 the smaller sum is far below half an ulp of the larger one. (Times 0, a NaN stays a
        // NaN.)
        let moved = if gap > 500 { small.sum * 0.0 } else { small.sum * exp2i(-2 * gap) };
        Scaled { sum: big.sum + moved, exponent: big.exponent }
    }

    /// The square root: infinite only where the norm itself exceeds the range of f64.
    pub fn root(self) -> f64 {
        let half = self.exponent / 2;
        standard(|| self.sum.sqrt() * exp2i(half) * exp2i(self.exponent - half))
    }

    /// Whether every element was finite.
    pub fn is_finite(self) -> bool {
        self.sum.is_finite()
    }
}

/// The sum of squares of a span: the squares are exact where f64 can hold those of the element type, and scaled
/// otherwise.
trait SumOfSquares: Element {
    fn sum_of_squares<I: Isa>(x: &[Self]) -> Scaled;
}

macro_rules! exact_squares {
    ($($t:ty),*) => {
        $(impl SumOfSquares for $t {
            #[inline(always)]
            fn sum_of_squares<I: Isa>(x: &[Self]) -> Scaled {
                Scaled { sum: Squares { x, scale: 1.0 }.run::<I>(), exponent: 0 }
            }
        })*
    };
}
exact_squares!(f32, Bf16, F16);

impl SumOfSquares for f64 {
    #[inline(always)]
    fn sum_of_squares<I: Isa>(x: &[f64]) -> Scaled {
        let exponent = Exponent { x }.run::<I>();
        Scaled { sum: Squares { x, scale: exp2i(-exponent) }.run::<I>(), exponent }
    }
}

/// The sum of squares of each span in one unit of work.
struct UnitSquares<'a, 'x> {
    spans: &'a [TypedSlice<'x>],
    sums: &'a mut [Scaled],
}

impl Kernel for UnitSquares<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (sum, span) in self.sums.iter_mut().zip(self.spans) {
            *sum = with_dtype!(*span, x: T => T::sum_of_squares::<I>(x));
        }
    }
}

/// The sum of `(scale * x)^2` over fixed lanes; `scale` is a power of two.
struct Squares<'a, T> {
    x: &'a [T],
    scale: f64,
}

impl<T: Element> Kernel for Squares<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let (blocks, tail) = self.x.as_chunks::<LANES>();
        for block in blocks {
            add_squares(&mut lanes, block, self.scale);
        }
        // Padding with +0.0 is neutral: a lane starts at +0.0 and never decreases.
        let mut last = [0.0f64; LANES];
        for (last, x) in last.iter_mut().zip(tail) {
            *last = x.to_f64();
        }
        add_squares(&mut lanes, &last, self.scale);
        sum(&lanes)
    }
}

/// The reduction tree. It is not inlined, because the compiler would then arrange the lanes in the loop for the tree's
/// first step, in pairs, instead of filling the vector registers.
#[inline(never)]
fn sum(lanes: &[f64; LANES]) -> f64 {
    tree64(*lanes)
}

#[inline(always)]
fn add_squares<T: Element>(lanes: &mut [f64; LANES], block: &[T; LANES], scale: f64) {
    for (lane, x) in lanes.iter_mut().zip(block) {
        let x = x.to_f64() * scale;
        *lane += x * x;
    }
}

/// The exponent of the power of two by which a chunk of f64 is divided before squaring: 0 for ordinary values.
struct Exponent<'a> {
    x: &'a [f64],
}

impl Kernel for Exponent<'_> {
    type Out = i32;
    #[inline(always)]
    fn run<I: Isa>(self) -> i32 {
        let mut largest = [0.0f64; LANES];
        let (blocks, tail) = self.x.as_chunks::<LANES>();
        for block in blocks {
            larger(&mut largest, block);
        }
        larger(&mut largest, &padded(tail, 0.0));
        let largest = largest.into_iter().fold(0.0, |a, b| if b > a { b } else { a });
        let exponent = ((largest.to_bits() >> 52) as i32) - 1023;
        // Zero, NaN and infinity are not scaled; values within 2^-480 .. 2^480 can be squared and summed without.
        if largest == 0.0 || largest == f64::INFINITY || (-480..=480).contains(&exponent) {
            0
        } else {
            exponent.clamp(-1000, 1000)
        }
    }
}

#[inline(always)]
fn larger(largest: &mut [f64; LANES], block: &[f64; LANES]) {
    for (largest, x) in largest.iter_mut().zip(block) {
        let x = x.abs();
        *largest = if x > *largest { x } else { *largest };
    }
}

/// The sum of squares of all elements of all arrays; the sums of their spans are added pairwise, in the order of the
/// arrays.
pub fn sum_of_squares(arrays: &[TypedSlice<'_>], progress: Progress<'_>) -> Result<Scaled, Stopped> {
    let spans = arrays.iter().flat_map(|&array| {
        let n = array.len();
        (0..chunks(n, CHUNK)).map(move |i| array.part(chunk(i, n, CHUNK)))
    });
    let units = units(spans, |span| span.len(), CHUNK)?;
    let bytes = arrays.iter().map(|array| array.bytes()).sum();
    let partial = |i: usize| {
        let mut sums = memory::filled(units[i].len(), Scaled::default())?;
        dispatch(UnitSquares { spans: &units[i], sums: &mut sums });
        Ok(sums)
    };
    let parts = map_chunks(units.len(), bytes, progress, partial)?;
    let parts = memory::joined(parts)?;
    Ok(standard(|| fold(&parts)))
}

/// Pairwise summation, so that the error grows with the logarithm of the number of parts.
fn fold(parts: &[Scaled]) -> Scaled {
    match parts {
        [] => Scaled::default(),
        [one] => *one,
        _ => {
            let (left, right) = parts.split_at(parts.len().next_power_of_two() / 2);
            fold(left).plus(fold(right))
        }
    }
}

/// The factor by which gradients are multiplied, as `factor * 2^exponent`.
///
/// The exponent is 0 unless the whole factor is below the range of f64, as it can be where the norm is above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    factor: f64,
    exponent: i32,
}

impl Clip {
    /// The factor 1: gradients are not clipped.
    pub const NONE: Clip = Clip::by(1.0);

    /// A factor within the range of f64.
    pub const fn by(factor: f64) -> Clip {
        Clip { factor, exponent: 0 }
    }

    /// The factor for gradients of this norm: exactly 1 for a norm up to `max_norm`, otherwise `max_norm / norm`; NaN
    /// where the norm is. 1 where `max_norm` is `None`.
    pub fn to(max_norm: Option<f64>, norm: Scaled) -> Clip {
        let Some(limit) = max_norm else { return Clip::NONE };
        scalar(|| {
            let root = norm.root();
            if root <= limit {
                return Clip::NONE;
            }
            let factor = limit / root;
            if factor.is_nan() || factor >= f64::MIN_POSITIVE || limit == 0.0 || !norm.is_finite() {
                return Clip::by(factor);
            }
            Clip { factor: limit / norm.sum.sqrt(), exponent: -norm.exponent }
        })
    }

    /// The factor as one f64; where it is below the normal range it is rounded to a subnormal number or 0.
    pub fn value(self) -> f64 {
        scalar(|| times_exp2(self.factor, self.exponent))
    }

    /// The factor as two numbers of the element type, by which gradients are multiplied one after the other. The second
    /// is 1 unless the factor is too small for a single number of full precision.
    pub(super) fn factors<T: Real>(self) -> [T; 2] {
        scalar(|| {
            let one = T::from_f64(times_exp2(self.factor, self.exponent));
            if self.factor == 0.0 || self.factor.is_nan() || one.to_f64() >= exp2i(T::LOWEST_EXPONENT) {
                return [one, T::from_f64(1.0)];
            }
            let large = times_exp2(self.factor, self.exponent - T::LOWEST_EXPONENT);
            [T::from_f64(large), T::from_f64(exp2i(T::LOWEST_EXPONENT))]
        })
    }
}

/// `x * 2^e`, for -2044 <= e <= 2046.
fn times_exp2(x: f64, e: i32) -> f64 {
    x * exp2i(e / 2) * exp2i(e - e / 2)
}

/// The number of elements that are not finite, and where the first one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The number of elements that are not finite, in all arrays.
    pub count: usize,
    /// The index of the first array that has one.
    pub array: usize,
    /// The index of its first element that is not finite.
    pub element: usize,
}

/// Counts the elements that are not finite. This is the slow path, taken only where the sum of squares is not finite.
pub fn count_nonfinite(
    arrays: &[TypedSlice<'_>],
    progress: Progress<'_>,
) -> Result<Option<NonFinite>, Stopped> {
    let mut pace = Pace::new(progress);
    let mut bad: Option<NonFinite> = None;
    for (array, &slice) in arrays.iter().enumerate() {
        let (count, first) = with_dtype!(slice, x => count_in(x, &mut pace))?;
        if let Some(element) = first {
            bad.get_or_insert(NonFinite { count: 0, array, element }).count += count;
        }
    }
    Ok(bad)
}

fn count_in<T: Element>(x: &[T], pace: &mut Pace<'_>) -> Result<(usize, Option<usize>), Stopped> {
    let bad = |x: &T| !x.to_f64().is_finite();
    let (mut count, mut first) = (0, None);
    for (part, start) in x.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let here = part.iter().filter(|x| bad(x)).count();
        if here > 0 && first.is_none() {
            first = part.iter().position(bad).map(|at| start + at);
        }
        count += here;
        pace.stride(1)?;
    }
    Ok((count, first))
}

/// The factors of [`Clip::factors`] in the types in which products are computed.
#[derive(Clone, Copy)]
struct Factors {
    single: [f32; 2],
    double: [f64; 2],
}

/// The product of an element and the factors, in the element's own type.
trait Scale: Element {
    fn times(self, factors: &Factors) -> Self;
}

impl Scale for f32 {
    #[inline(always)]
    fn times(self, Factors { single: [first, second], .. }: &Factors) -> f32 {
        self * *first * *second
    }
}

impl Scale for f64 {
    #[inline(always)]
    fn times(self, Factors { double: [first, second], .. }: &Factors) -> f64 {
        self * *first * *second
    }
}

/// The 16-bit types are multiplied in f64 and rounded once: a factor rounded to their 8 or 11 bits could itself make
/// the norm exceed the limit by as much as the rounding of the elements does.
macro_rules! scale_stored {
    ($($t:ty),*) => {
        $(impl Scale for $t {
            #[inline(always)]
            fn times(self, factors: &Factors) -> $t {
                <$t>::from_f64(self.to_f64().times(factors))
            }
        })*
    };
}
scale_stored!(Bf16, F16);

/// The scaling of the spans of one unit of work.
struct ScaleUnit<'x> {
    spans: Vec<TypedSliceMut<'x>>,
    factors: Factors,
}

impl Kernel for ScaleUnit<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for span in self.spans {
            with_dtype!(span, x => scale_all(x, self.factors));
        }
    }
}

#[inline(always)]
fn scale_all<T: Scale>(x: &mut [T], factors: Factors) {
    for x in x {
        *x = x.times(&factors);
    }
}

/// Multiplies every element of every array by the factor `clip`. The factor is first rounded to the type in which the
/// product is computed, which is the array's own, or f64 for 16-bit types; where the rounded factor would be subnormal,
/// it is split into two. The product is rounded to the array's type, to nearest, ties to even.
pub fn scale_in_place(arrays: Vec<TypedSliceMut<'_>>, clip: Clip) -> Result<(), NoMemory> {
    let mut units: Units<TypedSliceMut<'_>> = Units::new(CHUNK);
    for array in arrays {
        with_dtype!(array, x: T => {
            x.chunks_mut(CHUNK).for_each(|span| units.push(span.len(), T::typed(span)));
        });
    }
    let bytes = units.elements() * 8;
    let factors = Factors { single: clip.factors(), double: clip.factors() };
    write_chunks(units.finish()?, bytes, |_, spans| dispatch(ScaleUnit { spans, factors }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(arrays: &[TypedSlice<'_>]) -> f64 {
        sum_of_squares(arrays, &mut |_| true).unwrap().root()
    }

    #[test]
    fn huge_and_tiny_values_neither_overflow_nor_vanish() {
        assert_eq!(norm(&[TypedSlice::F32(&[1e20; 4])]), f64::from(1e20f32) * 2.0);
        assert_eq!(norm(&[TypedSlice::F32(&[1e-25; 4])]), f64::from(1e-25f32) * 2.0);
        for value in [1e300, 1e-300, 5e-324, f64::MAX / 4.0] {
            assert_eq!(norm(&[TypedSlice::F64(&[value; 4])]), value * 2.0, "{value:e}");
        }
    }

    #[test]
    fn mixed_scales_add() {
        for unit in [exp2i(700), exp2i(-700)] {
            let arrays = [[3.0 * unit], [4.0 * unit]];
            assert_eq!(norm(&[TypedSlice::F64(&arrays[0]), TypedSlice::F64(&arrays[1])]), 5.0 * unit);
        }
        assert_eq!(norm(&[TypedSlice::F64(&[1e200]), TypedSlice::F32(&[1.0])]), 1e200);
        assert_eq!(norm(&[]), 0.0);
        assert_eq!(norm(&[TypedSlice::F64(&[])]), 0.0);
    }

    #[test]
    fn the_grouping_into_units_changes_no_bit() {
        let x: Vec<f32> = (0..200_003).map(|i| (i % 977) as f32 * 0.37 - 100.0).collect();
        let whole = norm(&[TypedSlice::F32(&x)]);
        let parts: Vec<_> = x.chunks(CHUNK).map(TypedSlice::F32).collect();
        assert_eq!(whole.to_bits(), norm(&parts).to_bits());
    }

    #[test]
    fn elements_that_are_not_finite_are_found() {
        let (good, bad) = ([1.0f64, 2.0], [0.0f64, f64::NAN, f64::INFINITY]);
        let arrays = [TypedSlice::F64(&good), TypedSlice::F64(&bad)];
        assert!(!sum_of_squares(&arrays, &mut |_| true).unwrap().is_finite());
        let count = |arrays| count_nonfinite(arrays, &mut |_| true).unwrap();
        assert_eq!(count(&arrays), Some(NonFinite { count: 2, array: 1, element: 1 }));
        assert_eq!(count(&arrays[..1]), None);
    }

    #[test]
    fn a_norm_beyond_f64_clips_correctly() {
        let x = [f64::MAX; 4];
        let norm = sum_of_squares(&[TypedSlice::F64(&x)], &mut |_| true).unwrap();
        assert_eq!(norm.root(), f64::INFINITY);
        let clip = Clip::to(Some(1.0), norm);
        let mut scaled = x;
        scale_in_place(vec![TypedSliceMut::F64(&mut scaled)], clip).unwrap();
        assert_eq!(scaled, [0.5; 4]);
        assert_eq!(Clip::to(None, norm), Clip::NONE);
        assert_eq!(Clip::to(Some(f64::INFINITY), norm), Clip::NONE);
    }

    #[test]
    fn a_factor_below_the_element_type_keeps_its_digits() {
        let x = [3e38f32, -1e38];
        let norm = sum_of_squares(&[TypedSlice::F32(&x)], &mut |_| true).unwrap();
        for limit in [1.0, 1e-3, 1e-8, 1e-20] {
            let mut scaled = x;
            scale_in_place(vec![TypedSliceMut::F32(&mut scaled)], Clip::to(Some(limit), norm)).unwrap();
            for (got, x) in scaled.iter().zip(x) {
                let want = f64::from(x) * (limit / norm.root());
                assert!((f64::from(*got) / want - 1.0).abs() < 2e-7, "{limit}: {got:e} {want:e}");
            }
        }
    }

    #[test]
    fn clip_factors_at_the_edges() {
        let norm = |sum| Scaled { sum, exponent: 0 };
        assert_eq!(Clip::to(Some(5.0), norm(25.0)), Clip::NONE);
        assert_eq!(Clip::to(Some(1.0), norm(25.0)), Clip::by(0.2));
        assert_eq!(Clip::to(Some(0.0), norm(25.0)), Clip::by(0.0));
        assert_eq!(Clip::to(Some(0.0), norm(0.0)), Clip::NONE);
        assert!(Clip::to(Some(1.0), norm(f64::NAN)).value().is_nan());
        assert_eq!(Clip::to(Some(1.0), norm(f64::INFINITY)).value(), 0.0);
    }

    #[test]
    fn scaling_rounds_once() {
        let (mut a, mut b) = (vec![3.0f32; 70_000], vec![3.0f64; 3]);
        scale_in_place(vec![TypedSliceMut::F32(&mut a), TypedSliceMut::F64(&mut b)], Clip::by(0.1)).unwrap();
        assert!(a.iter().all(|&x| x == 3.0 * 0.1f32));
        assert!(b.iter().all(|&x| x == 3.0 * 0.1f64));
    }

    #[test]
    fn sixteen_bit_types_are_multiplied_in_f64_and_rounded_once() {
        // Subnormal, ordinary and the largest numbers, and numbers that become subnormal.
        let codes = [0x0001, 0x007f, 0x0080, 0x3f80, 0x4049, 0x7bff, 0x8003, 0x8000, 0xfb55];
        let factor = 1.0 / 3.0;
        let (mut a, mut b) = (codes.map(Bf16), codes.map(F16));
        scale_in_place(vec![TypedSliceMut::Bf16(&mut a), TypedSliceMut::F16(&mut b)], Clip::by(factor))
            .unwrap();
        for (index, code) in codes.into_iter().enumerate() {
            assert_eq!(a[index], Bf16::from_f64(Bf16(code).to_f64() * factor));
            assert_eq!(b[index], F16::from_f64(F16(code).to_f64() * factor));
        }
        // The smallest subnormal times 3 becomes the smallest one, and the sign of a zero stays.
        assert_eq!((a[6], a[7], b[6], b[7]), (Bf16(0x8001), Bf16(0x8000), F16(0x8001), F16(0x8000)));
    }
}
