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

/// What a kernel may read: each value widens exactly to f32 (f64 excepted) and to f64.
pub trait Element: Copy + Send + Sync + 'static {
    /// The name in messages and tests, NumPy's where NumPy has one.
    const NAME: &'static str;
    /// The value in f32; exact but for f64, which rounds to nearest.
    fn to_f32(self) -> f32;
    /// The value in f64, exact.
    fn to_f64(self) -> f64;
}

impl Element for f32 {
    const NAME: &'static str = "float32";
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
