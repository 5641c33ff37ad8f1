//! The element types that kernels read: f32, f64, and the two 16-bit floats, which are converted without the
//! processor's instructions for them.
//!
//! Those instructions are avoided because they do not give the same bits everywhere: f16 hardware turns a signalling
//! NaN into a quiet one, and the bf16 instructions flush subnormal numbers to zero.

/// A bfloat16, as its 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// An IEEE binary16, as its 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The float types in the order of their precision, the most precise first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Precision {
    /// A significand of 53 bits.
    #[default]
    F64 = 0,
    /// 24 bits.
    F32 = 1,
    /// 11 bits.
    F16 = 2,
    /// 8 bits.
    Bf16 = 3,
}

impl Precision {
    /// All of them; each stands at the index that is its discriminant.
    pub const ALL: [Precision; 4] = [Precision::F64, Precision::F32, Precision::F16, Precision::Bf16];

    /// The name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F64 => f64::NAME,
            Precision::F32 => f32::NAME,
            Precision::F16 => F16::NAME,
            Precision::Bf16 => Bf16::NAME,
        }
    }

    /// The unit in the last place of 1: the distance from 1 to the next larger number.
    pub fn step(self) -> f64 {
        match self {
            Precision::F64 => f64::EPSILON,
            Precision::F32 => f64::from(f32::EPSILON),
            Precision::F16 => 1.0 / 1024.0,
            Precision::Bf16 => 1.0 / 128.0,
        }
    }
}

/// An element type: each value widens exactly to f64 and, except for f64 itself, to f32.
pub trait Element: Copy + Send + Sync + 'static {
    /// The name in messages and tests: NumPy's name where NumPy has the type.
    const NAME: &'static str;
    /// The precision of the type.
    const PRECISION: Precision;
    /// The value in f32: exact, except that f64 is rounded to nearest.
    fn to_f32(self) -> f32;
    /// The value in f64, exact.
    fn to_f64(self) -> f64;
    /// The nearest value of this type: rounded once, ties to even, subnormals kept.
    fn from_f64(x: f64) -> Self;
    /// [`Self::from_f64`] of an f32. For the 16-bit types it stays in 32-bit integers, so that a loop of it fills the
    /// vector registers.
    fn from_f32(x: f32) -> Self;
    /// The values themselves, where the type is f64.
    fn as_f64(x: &[Self]) -> Option<&[f64]> {
        let _ = x;
        None
    }
}

impl Element for f32 {
    const NAME: &'static str = "float32";
    const PRECISION: Precision = Precision::F32;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
}

impl Element for f64 {
    const NAME: &'static str = "float64";
    const PRECISION: Precision = Precision::F64;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f64 {
        f64::from(x)
    }
    fn as_f64(x: &[f64]) -> Option<&[f64]> {
        Some(x)
    }
}

impl Element for Bf16 {
    const NAME: &'static str = "bfloat16";
    const PRECISION: Precision = Precision::Bf16;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Bf16 {
        let nearest = with_digits(x, 8, -126);
        Bf16(((nearest as f32).to_bits() >> 16) as u16) // exact, or infinite from 2^128 on
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Bf16 {
        Bf16((Bf16::rounded(x) >> 16) as u16)
    }
}

impl Bf16 {
    /// The nearest bf16 as the upper half of a word; the lower half is of no use. A bf16 is the upper half of an f32, so
    /// that a carry out of the lower half rounds up, to infinity if need be. A NaN is made quiet instead, because its
    /// lower half could be all that it has.
    #[inline(always)]
    pub(super) fn rounded(x: f32) -> u32 {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        if x.is_nan() { bits | 0x0040_0000 } else { rounded }
    }
}

impl Element for F16 {
    const NAME: &'static str = "float16";
    const PRECISION: Precision = Precision::F16;
    /// For normal numbers the exponent is re-biased, twice for infinity and NaN. A subnormal number becomes the lower
    /// bits of a number from 1/2 on, from which 1/2 is then subtracted. So no operand is subnormal in f32, which would
    /// be slow on many processors.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        const BIAS: u32 = 112 << 23;
        let sign = u32::from(self.0 & 0x8000) << 16;
        let magnitude = u32::from(self.0 & 0x7fff);
        let normal = (magnitude << 13) + BIAS + if magnitude >= 0x7c00 { BIAS } else { 0 };
        let subnormal = (f32::from_bits(0.5f32.to_bits() | magnitude) - 0.5).to_bits();
        f32::from_bits(if magnitude < 0x0400 { subnormal } else { normal } | sign)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }
    /// The exponent is re-biased by an exact division by 2^112, the reverse of [`Self::to_f32`].
    #[inline(always)]
    fn from_f64(x: f64) -> F16 {
        let nearest = with_digits(x, 11, -14);
        let nearest = if nearest.abs() >= 65_536.0 { f64::INFINITY.copysign(x) } else { nearest };
        let bits = (nearest as f32 * f32::from_bits(0x0780_0000)).to_bits();
        F16((bits >> 13 & 0x7fff) as u16 | (bits >> 16 & 0x8000) as u16)
    }
    /// For normal numbers the exponent is re-biased and the lower 13 bits are rounded off, where a carry may reach the
    /// exponent. Below 2^-14 an addition of 1/2 rounds instead: the last place of the sum is that of the subnormals.
    #[inline(always)]
    fn from_f32(x: f32) -> F16 {
        let sign = x.to_bits() >> 16 & 0x8000;
        let magnitude = x.to_bits() & 0x7fff_ffff;
        let odd = magnitude >> 13 & 1;
        let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + odd) >> 13;
        let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        let finite = if magnitude < 113 << 23 { subnormal } else { normal };
        let special = if magnitude > 255 << 23 { 0x7e00 } else { 0x7c00 };
        F16((sign | if magnitude < 143 << 23 { finite } else { special }) as u16)
    }
}

/// Rounds `x` to a significand of `digits` bits, ties to even. Below `2^lowest` lie the subnormal numbers, which have
/// the same spacing as those just above it.
#[inline(always)]
fn with_digits(x: f64, digits: u32, lowest: i32) -> f64 {
    let drop = 53 - digits;
    let bits = x.to_bits();
    let half = (1u64 << (drop - 1)) - 1;
    let rounded = bits.wrapping_add(half + (bits >> drop & 1)) & !((1u64 << drop) - 1);
    // Added to `shift`, `x` is rounded to the spacing of the subnormal numbers: the last place of the sum has that
    // value.
    let shift = f64::from_bits(((1023 + lowest + drop as i32) as u64) << 52);
    let subnormal = (x.abs() + shift) - shift;
    if x.is_nan() {
        x
    } else if x.abs() < f64::from_bits(((1023 + lowest) as u64) << 52) {
        subnormal.copysign(x)
    } else {
        f64::from_bits(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_lies_between_1_and_the_next_number() {
        let next = |up: f64, precision: Precision| {
            assert_eq!((up - 1.0, Precision::ALL[precision as usize]), (precision.step(), precision));
        };
        next(f64::from_bits(1f64.to_bits() + 1), f64::PRECISION);
        next(f32::from_bits(1f32.to_bits() + 1).into(), f32::PRECISION);
        next(F16(0x3c01).to_f64(), F16::PRECISION);
        next(Bf16(0x3f81).to_f64(), Bf16::PRECISION);
    }

    /// The value of a binary16 by its definition, from sign, exponent and fraction.
    fn by_fields(bits: u16) -> f64 {
        let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023));
        let scale = |e: i32| f64::from_bits(((e + 1023) as u64) << 52);
        let value = match exponent {
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            0 => fraction * scale(-24),
            e => (1.0 + fraction / 1024.0) * scale(e - 15),
        };
        if sign == 1 { -value } else { value }
    }

    #[test]
    fn every_f16_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (got, want) = (F16(bits).to_f64(), by_fields(bits));
            assert!(
                got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                "{bits:04x}: {got} {want}"
            );
        }
    }

    /// Rounds every number of the type, the midpoint between it and the next one, and the f64 neighbours of that
    /// midpoint.
    fn rounds_to_nearest_even<T: Element + PartialEq + std::fmt::Debug>(
        from_code: fn(u16) -> T,
        infinity: u16,
    ) {
        for code in 0..infinity {
            let (low, high) = (from_code(code).to_f64(), from_code(code + 1).to_f64());
            // Beyond the largest number, rounding acts as if the next number came at the same spacing.
            let high = if high == f64::INFINITY { low + (low - from_code(code - 1).to_f64()) } else { high };
            let middle = low + (high - low) / 2.0;
            let beside = |by: i64| f64::from_bits(middle.to_bits().wrapping_add_signed(by));
            let even = code + (code & 1);
            for (x, want) in [(low, code), (beside(-1), code), (middle, even), (beside(1), code + 1)] {
                assert_eq!((x, T::from_f64(x)), (x, from_code(want)));
                assert_eq!((x, T::from_f64(-x)), (x, from_code(want | 0x8000)));
            }
        }
        assert_eq!(T::from_f64(f64::INFINITY), from_code(infinity));
        assert_eq!(T::from_f64(f64::MAX), from_code(infinity));
        assert_eq!(T::from_f64(f64::MIN_POSITIVE / 8.0), from_code(0));
        for nan in [f64::NAN, -f64::NAN, f64::from_bits(u64::MAX), f64::from_bits(u64::MAX >> 1)] {
            assert!(T::from_f64(nan).to_f64().is_nan());
        }
    }

    #[test]
    fn narrowing_rounds_once() {
        rounds_to_nearest_even(Bf16, 0x7f80);
        rounds_to_nearest_even(F16, 0x7c00);
    }

    /// Whether an f32 is narrowed as the f64 of the same value is.
    fn narrows_alike<T: Element>(x: f32) -> bool {
        let (single, double) = (T::from_f32(x).to_f64(), T::from_f64(f64::from(x)).to_f64());
        single.to_bits() == double.to_bits() || single.is_nan() && double.is_nan()
    }

    /// Narrows some f32, given by their bits, to both types.
    fn all_narrow_alike(codes: impl Iterator<Item = u32>) {
        for x in codes.map(f32::from_bits) {
            assert!(narrows_alike::<Bf16>(x) && narrows_alike::<F16>(x), "{x:e} {:08x}", x.to_bits());
        }
    }

    /// All upper halves, and of the lower half, which holds the bits that are rounded off, what lies at and beside the
    /// ends, the ties and the places of both types.
    #[test]
    fn narrowing_an_f32_equals_narrowing_its_f64() {
        let ends = (0..=16).map(|place| (1u32 << place) & 0xffff);
        let lower: Vec<_> = ends.flat_map(|end| [end.wrapping_sub(1) & 0xffff, end, end + 1]).collect();
        all_narrow_alike((0..=0xffffu32).flat_map(|upper| lower.iter().map(move |low| upper << 16 | low)));
    }

    #[test]
    #[ignore = "all 2^32 numbers: a minute"]
    fn narrowing_every_f32_equals_narrowing_its_f64() {
        all_narrow_alike(0..=u32::MAX);
    }

    /// The ties between two f16, of which the subnormal ones lie at a different bit for each exponent.
    #[test]
    fn f32_ties_between_f16_round_to_even() {
        for code in 0..0x7bffu16 {
            let tie = f64::midpoint(F16(code).to_f64(), F16(code + 1).to_f64());
            let bits = (tie as f32).to_bits();
            all_narrow_alike([bits.wrapping_sub(1), bits, bits + 1].into_iter());
            assert_eq!(F16::from_f32(tie as f32), F16(code + (code & 1)));
        }
        assert_eq!(F16::from_f32(65_519.996), F16(0x7bff));
        assert_eq!(F16::from_f32(65_520.0), F16(0x7c00));
        assert!(F16::from_f32(f32::NAN).to_f32().is_nan() && Bf16::from_f32(f32::NAN).to_f32().is_nan());
        assert!(Bf16::from_f32(f32::from_bits(0x7f80_0001)).to_f32().is_nan());
    }

    #[test]
    fn every_bf16_widens_exactly() {
        for bits in 0..=u16::MAX {
            assert_eq!(Bf16(bits).to_f32().to_bits(), u32::from(bits) << 16);
        }
    }
}
