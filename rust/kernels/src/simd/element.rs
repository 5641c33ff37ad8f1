//! The element types a kernel reads: f32, f64, and the two 16-bit floats by integer arithmetic.
//!
//! Hardware conversions are avoided on purpose: f16 hardware quiets a signalling NaN, and the bf16
//! instructions flush subnormals.

/// A bfloat16, as its 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// An IEEE binary16, as its 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The float types by how finely they round, the finest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Precision {
    /// 53 bits.
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
    /// All of them, each at the place of its number.
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

    /// A unit in the last place of 1.
    pub fn step(self) -> f64 {
        match self {
            Precision::F64 => f64::EPSILON,
            Precision::F32 => f64::from(f32::EPSILON),
            Precision::F16 => 1.0 / 1024.0,
            Precision::Bf16 => 1.0 / 128.0,
        }
    }
}

/// What a kernel may read: each value widens exactly to f32 (f64 excepted) and to f64.
pub trait Element: Copy + Send + Sync + 'static {
    /// The name in messages and tests, NumPy's where NumPy has one.
    const NAME: &'static str;
    /// How finely the type rounds.
    const PRECISION: Precision;
    /// The value in f32; exact but for f64, which rounds to nearest.
    fn to_f32(self) -> f32;
    /// The value in f64, exact.
    fn to_f64(self) -> f64;
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
}

impl Element for F16 {
    const NAME: &'static str = "float16";
    const PRECISION: Precision = Precision::F16;
    /// Branch-free: the exponent is re-biased by an exact multiplication with 2^112, which also normalises
    /// subnormals; infinity and NaN, which that would make finite, get their exponent back by a mask.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 & 0x8000) << 16;
        let magnitude = u32::from(self.0 & 0x7fff) << 13;
        let scaled = f32::from_bits(magnitude) * f32::from_bits(0x7780_0000);
        let special = if magnitude >= 0x0f80_0000 { 0x7f80_0000 } else { 0 };
        f32::from_bits(scaled.to_bits() | special | sign)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
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

    /// The definition of binary16, by its fields.
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

    #[test]
    fn every_bf16_widens_exactly() {
        for bits in 0..=u16::MAX {
            assert_eq!(Bf16(bits).to_f32().to_bits(), u32::from(bits) << 16);
        }
    }
}
