//! The fused multiply-add in software: the same bits as the hardware's, by wider or by integer arithmetic.

/// `a * b + c` rounded once, in f32.
///
/// The product of two f32 is exact in f64. Adding `c` in f64 rounds; when that rounding is to odd (the last bit is set
/// whenever the sum was inexact), the second rounding, to f32, gives the result that a single rounding would give
/// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to
/// odd", IEEE Trans. Computers 57(4), 2008).
#[inline(always)]
pub(super) fn soft_fma32(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let addend = f64::from(c);
    let sum = product + addend;
    // Knuth's two-sum: `lost` is exactly what the addition rounded away.
    let back = sum - product;
    let lost = (product - (sum - back)) + (addend - back);
    let bits = sum.to_bits();
    let towards = if (lost > 0.0) == (sum > 0.0) { 1 } else { u64::MAX };
    // `lost` is NaN where the sum is infinite or NaN: such a sum stays as it is.
    let inexact = (lost < 0.0) | (lost > 0.0);
    let odd = inexact & (bits & 1 == 0);
    f64::from_bits(bits.wrapping_add(if odd { towards } else { 0 })) as f32
}

/// `a * b + c` rounded once, in f64, by integer arithmetic.
#[inline(always)]
pub(super) fn soft_fma64(a: f64, b: f64, c: f64) -> f64 {
    libm::fma(a, b, c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// The oracle is std's `mul_add`, which is correctly rounded where the C library's or the processor's is.
    #[test]
    fn equals_the_hardware_on_random_bits_and_near_cancellation() {
        let mut state = 88_172_645_463_325_252;
        for round in 0..400_000u32 {
            let (x, y) = (xorshift(&mut state), xorshift(&mut state));
            let (a, b) = (f32::from_bits(x as u32), f32::from_bits((x >> 32) as u32));
            let near = -(a * b) * (1.0 + (y & 3) as f32 * f32::EPSILON);
            let c = if round % 4 == 0 { near } else { f32::from_bits(y as u32) };
            let (want, got) = (a.mul_add(b, c), soft_fma32(a, b, c));
            assert!(want.to_bits() == got.to_bits() || (want.is_nan() && got.is_nan()), "{a:e} {b:e} {c:e}");

            let (a, b) = (f64::from_bits(x), f64::from_bits(y));
            let near = -(a * b) * (1.0 + (y & 3) as f64 * f64::EPSILON);
            let c = if round % 4 == 0 { near } else { f64::from_bits(xorshift(&mut state)) };
            let (want, got) = (a.mul_add(b, c), soft_fma64(a, b, c));
            assert!(want.to_bits() == got.to_bits() || (want.is_nan() && got.is_nan()), "{a:e} {b:e} {c:e}");
        }
    }

    #[test]
    fn keeps_subnormals_and_overflow() {
        let tiny = f32::from_bits(1);
        assert_eq!(soft_fma32(tiny, 0.5, tiny).to_bits(), tiny.mul_add(0.5, tiny).to_bits());
        assert_eq!(soft_fma32(f32::MAX, 2.0, -f32::MAX), f32::MAX);
        assert_eq!(soft_fma32(f32::MAX, f32::MAX, 0.0), f32::INFINITY);
        assert_eq!(soft_fma64(f64::MAX, 2.0, -f64::MAX), f64::MAX);
    }
}
