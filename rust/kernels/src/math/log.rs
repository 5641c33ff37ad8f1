//! The natural logarithm: `log(x) = k ln 2 + log(1 + f)` with `1 + f` between `sqrt(1/2)` and `sqrt(2)`.
//!
//! `log(1 + f) = 2 atanh(s)`, `s = f / (2 + f)`, is written as `f - (f^2/2 - s (f^2/2 + R(s^2)))`, in which
//! only the subtraction from `f` rounds at full size (the arrangement of fdlibm's `e_log.c`, Sun
//! Microsystems, 1993). `R` is our own minimax fit of `2 atanh(s)/s - 2`.

use super::exp::{LN2_HI_64, LN2_LO_64};
use crate::simd::Isa;

/// The bits of `sqrt(1/2)`, rounded up so that `1 + f` never exceeds `sqrt(2)` by more than rounding.
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
const ONE: u64 = 0x3ff0_0000_0000_0000;
const FRACTION: u64 = 0x000f_ffff_ffff_ffff;

/// The parts `(k, f)` of a positive, normal, finite `x = 2^k (1 + f)`.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let shifted = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    // An integer below 2^52 is converted by placing it into the fraction bits of 2^52 and subtracting 2^52: there is no
    // vector conversion from 64-bit integers before AVX-512.
    let biased = f64::from_bits((shifted >> 52) | 0x4330_0000_0000_0000) - 4_503_599_627_370_496.0;
    let m = f64::from_bits((shifted & FRACTION) + SQRT_HALF);
    (biased - 1023.0, m - 1.0)
}

/// `k ln 2 + log(1 + f) + small`; `small` must be no larger than about an ulp of `1 + f`.
#[inline(always)]
fn assembled<I: Isa>(k: f64, f: f64, small: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let mut q = f64::from_bits(0x3fc2_f056_7333_bfdd);
    for c in [
        0x3fc3_9a1b_a4ef_a2f5,
        0x3fc7_4663_eecf_3af5,
        0x3fcc_71c5_2094_4969,
        0x3fd2_4924_941f_145a,
        0x3fd9_9999_9997_fdb5,
        0x3fe5_5555_5555_5592,
    ] {
        q = I::fma64(q, z, f64::from_bits(c));
    }
    let half_square = 0.5 * f * f;
    let bend = I::fma64(s, I::fma64(q, z, half_square), I::fma64(k, LN2_LO_64, small));
    I::fma64(k, LN2_HI_64, f - (half_square - bend))
}

/// `log(x)`: -infinity at zero, NaN below. Error below 1 ulp, for subnormal `x` as well.
#[inline(always)]
pub fn log64<I: Isa>(x: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let (k, f) = split(if subnormal { x * 18_014_398_509_481_984.0 } else { x }); // 2^54
    let value = assembled::<I>(if subnormal { k - 54.0 } else { k }, f, 0.0);
    special(x, value)
}

/// `log(1 + x)`: -infinity at -1, NaN below, without cancellation near zero. Error below 1 ulp.
///
/// `1 + x = u + lost` exactly (Knuth's two-sum), and `log(u + lost) = log(u) + lost / u` to double precision.
#[inline(always)]
pub fn log1p_64<I: Isa>(x: f64) -> f64 {
    let u = 1.0 + x;
    let back = u - 1.0;
    let lost = (1.0 - (u - back)) + (x - back);
    let (k, f) = split(u);
    let value = assembled::<I>(k, f, lost / u);
    let value = special(u, value);
    if x == 0.0 { x } else { value } // keeps the sign of zero
}

/// `log(1 + x)` for `0 <= x <= 1`, without cancellation near zero; a NaN stays. Error below 1.1 ulp.
///
/// `1 + x = 2^k (1 + f)` with `k` 0 or 1, so that `f` is `x` itself or `x/2 - 1/2`, whose rounding error is known
/// exactly.
#[inline(always)]
pub fn log1p64_unit<I: Isa>(x: f64) -> f64 {
    let upper = x > 0.414_213_562_373_095_05;
    // These select constants; a choice between two formulas would make the compiler evaluate both completely.
    let k = if upper { 1.0 } else { 0.0 };
    let scale = if upper { 0.5 } else { 1.0 };
    let offset = if upper { -0.5 } else { 0.0 };
    let f = I::fma64(x, scale, offset);
    let lost = I::fma64(x, scale, offset - f);
    assembled::<I>(k, f, lost)
}

/// Replaces `value` where the formula does not hold: infinity and NaN pass through, the logarithm of zero is -infinity,
/// that of a negative number is NaN.
#[inline(always)]
fn special(x: f64, value: f64) -> f64 {
    let value = if x < f64::INFINITY { value } else { x };
    let value = if x == 0.0 { f64::NEG_INFINITY } else { value };
    if x < 0.0 { f64::NAN } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::check::{nans64, ulp64};
    use super::super::{Function, Log, Log1p, map};
    use super::*;

    struct Log1pUnit;
    impl Function<f64> for Log1pUnit {
        #[inline(always)]
        fn at<I: Isa>(x: f64) -> f64 {
            log1p64_unit::<I>(x)
        }
    }

    #[test]
    fn agrees_with_fdlibm() {
        // Arguments of every exponent, and many close to 1 (close to 0 for log1p).
        for i in 0..400_000u64 {
            let x = f64::from_bits(i * 23_058_430_092_137 + 1);
            let near = 1.0 + (x.to_bits() as f64 / 9.22e18 - 0.5) * 1e-3;
            for x in [x, near, near - 1.0] {
                for (name, got, want) in [
                    ("log", super::super::log(x), libm::log(x)),
                    ("log1p", super::super::log1p(x), libm::log1p(x)),
                ] {
                    let both_nan = got.is_nan() && want.is_nan();
                    assert!(
                        both_nan || (got - want).abs() <= ulp64(want) * 1.01,
                        "{name}({x:e}) = {got:e}, not {want:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn between_0_and_1_it_agrees_with_fdlibm_too() {
        let everywhere = (0..=400_000).map(|i| f64::from(i) / 400_000.0);
        let tiny = (0..2000).map(|i| f64::from_bits(i * 2_305_843_009_213_693));
        // Where `k` changes.
        let seam = (0..20_000).map(|i| 0.414_213_562_373_09 + f64::from(i) * 1e-18);
        let x: Vec<f64> = everywhere.chain(tiny).chain(seam).collect();
        let mut out = vec![0.0; x.len()];
        map(Log1pUnit, &x, &mut out);
        for (&x, got) in x.iter().zip(out) {
            let want = libm::log1p(x);
            assert!((got - want).abs() <= ulp64(want) * 1.1, "log1p({x:e}) = {got:e}, not {want:e}");
        }
    }

    #[test]
    fn edges() {
        let mut out = [0.0f64; 6];
        map(Log, &[0.0, -0.0, f64::INFINITY, 1.0, f64::from_bits(1), -1.0], &mut out);
        assert_eq!(out[..4], [f64::NEG_INFINITY, f64::NEG_INFINITY, f64::INFINITY, 0.0]);
        assert_eq!(out[4], -744.440_071_921_381_2);
        assert!(out[5].is_nan());
        map(Log1p, &[-1.0, f64::INFINITY, -0.0, 1e-310, f64::MAX, -1.5], &mut out);
        assert_eq!(out[..2], [f64::NEG_INFINITY, f64::INFINITY]);
        assert_eq!(out[2].to_bits(), (-0.0f64).to_bits());
        assert_eq!(out[3], 1e-310);
        assert_eq!(out[4], 709.782_712_893_384);
        assert!(out[5].is_nan());
        map(Log, &[f64::NEG_INFINITY], &mut out);
        map(Log1p, &[f64::NEG_INFINITY], &mut out[1..]);
        assert!(out[0].is_nan() && out[1].is_nan());
    }

    #[test]
    fn a_nan_of_any_payload_stays() {
        let x = nans64();
        let mut out = vec![0.0; x.len()];
        map(Log, &x, &mut out);
        assert!(out.iter().all(|y| y.is_nan()));
        map(Log1p, &x, &mut out);
        assert!(out.iter().all(|y| y.is_nan()));
        map(Log1pUnit, &x, &mut out);
        assert!(out.iter().all(|y| y.is_nan()));
    }
}
