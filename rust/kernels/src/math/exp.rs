//! The exponential: `exp(x) = 2^n exp(r)` with `n = round(x / ln 2)` and `|r| <= ln 2 / 2`.
//!
//! Adding 1.5 * 2^23 (1.5 * 2^52 in f64) rounds to an integer and leaves it in the low bits of the sum, from where
//! a shift moves it into the exponent. Multiplying by `2^n`, instead of adding `n` to the exponent bits, keeps a NaN a
//! NaN. `ln 2` is split in two parts, the first short enough for `n * LN2_HI` to be exact (Cody and Waite,
//! "Software Manual for the Elementary Functions", 1980). The polynomials are our own minimax fits of
//! `(exp(r) - 1 - r) / r^2`, with the error measured relative to `exp(r)`.

use super::{ROUND_32, ROUND_64};
use crate::simd::Isa;

const LOG2_E_32: f32 = std::f32::consts::LOG2_E;
const LN2_HI_32: f32 = 0.693_145_75;
const LN2_LO_32: f32 = 1.428_606_8e-6;

const LOG2_E_64: f64 = std::f64::consts::LOG2_E;
pub(super) const LN2_HI_64: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
pub(super) const LN2_LO_64: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// `exp(r)` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn reduced32<I: Isa>(r: f32) -> f32 {
    I::fma32(I::fma32(curvature32::<I>(r), r, 1.0), r, 1.0)
}

/// `(exp(r) - 1 - r) / r^2` for `|r| <= ln 2 / 2`, whose error in `exp(r)` is below 0.06 of 2^-24.
#[inline(always)]
fn curvature32<I: Isa>(r: f32) -> f32 {
    let mut q = 0.001_381_460_8;
    for c in [0.008_368_711, 0.041_668_39, 0.166_665_21, 0.499_999_94] {
        q = I::fma32(q, r, c);
    }
    q
}

/// `(exp(r) - 1 - r) / r^2` for `|r| <= ln 2 / 2`; the error of `exp(r)` computed from it, without rounding, is below
/// 0.04 of 2^-53.
#[inline(always)]
fn curvature64<I: Isa>(r: f64) -> f64 {
    let mut q = f64::from_bits(0x3e5a_d7f7_8907_74e4);
    for c in [
        0x3e92_8ad6_8a65_4c29,
        0x3ec7_1df2_53b8_c5ee,
        0x3efa_0199_a16d_e7ec,
        0x3f2a_01a0_12a6_929c,
        0x3f56_c16c_1842_66df,
        0x3f81_1111_1112_7b9d,
        0x3fa5_5555_5555_088c,
        0x3fc5_5555_5555_54fa,
        0x3fe0_0000_0000_000a,
    ] {
        q = I::fma64(q, r, f64::from_bits(c));
    }
    q
}

/// `2^n` for an integral `n` that arrives as `ROUND_32 + 127 + n`.
#[inline(always)]
fn power32(shifted: f32) -> f32 {
    f32::from_bits(shifted.to_bits() << 23)
}

/// `2^n` for an integral `n` that arrives as `ROUND_64 + 1023 + n`.
#[inline(always)]
fn power64(shifted: f64) -> f64 {
    f64::from_bits(shifted.to_bits() << 52)
}

/// `q * 2^n` as two multiplications, so that neither power of two overflows: results that are subnormal or infinite are
/// rounded once.
#[inline(always)]
fn scaled32(q: f32, n: f32) -> f32 {
    let half = n * 0.5 + (ROUND_32 + 127.0);
    let rest = (n - (half - (ROUND_32 + 127.0))) + (ROUND_32 + 127.0);
    q * power32(half) * power32(rest)
}

/// `q * 2^n`; see [`scaled32`].
#[inline(always)]
fn scaled64(q: f64, n: f64) -> f64 {
    let half = n * 0.5 + (ROUND_64 + 1023.0);
    let rest = (n - (half - (ROUND_64 + 1023.0))) + (ROUND_64 + 1023.0);
    q * power64(half) * power64(rest)
}

/// `exp(x)` over the whole range: infinity above 88.72, subnormals below -87.34, zero below -103.97.
///
/// Error below 1 ulp for normal results, below 1 ulp of the smallest subnormal for subnormal ones.
#[inline(always)]
pub fn exp32<I: Isa>(x: f32) -> f32 {
    // Beyond these limits the result is infinite or zero anyway. A NaN fails both comparisons and stays a NaN.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let n = I::fma32(x, LOG2_E_32, ROUND_32) - ROUND_32;
    let r = I::fma32(n, -LN2_LO_32, I::fma32(n, -LN2_HI_32, x));
    scaled32(reduced32::<I>(r), n)
}

/// `exp(x)` for `x <= 0`, the inner loop of log-sum-exp: zero below -87.33654 (where [`exp32`] becomes
/// subnormal) and for -infinity; a NaN stays. Error below 1 ulp. Positive `x` up to 88 are right as well.
#[inline(always)]
pub fn exp32_nonpositive<I: Isa>(x: f32) -> f32 {
    let shifted = I::fma32(x, LOG2_E_32, ROUND_32 + 127.0);
    let n = shifted - (ROUND_32 + 127.0);
    let r = I::fma32(n, -LN2_LO_32, I::fma32(n, -LN2_HI_32, x));
    let value = reduced32::<I>(r) * power32(shifted);
    if x < -87.336_54 { 0.0 } else { value }
}

/// `exp(x)` over the whole range: infinity above 709.78, subnormals below -708.4, zero below -745.13.
///
/// Error below 1 ulp for normal results, below 1 ulp of the smallest subnormal for subnormal ones.
#[inline(always)]
pub fn exp64<I: Isa>(x: f64) -> f64 {
    let x = if x > 710.0 { 710.0 } else { x };
    let x = if x < -746.0 { -746.0 } else { x };
    let n = I::fma64(x, LOG2_E_64, ROUND_64) - ROUND_64;
    let r = I::fma64(n, -LN2_LO_64, I::fma64(n, -LN2_HI_64, x));
    let q = I::fma64(I::fma64(curvature64::<I>(r), r, 1.0), r, 1.0);
    scaled64(q, n)
}

/// `exp(x)` for `x <= 0`: zero below -708.396 (where [`exp64`] becomes subnormal) and for -infinity; a NaN
/// stays. Error below 1 ulp. Positive `x` up to 709 are right as well.
#[inline(always)]
pub fn exp64_nonpositive<I: Isa>(x: f64) -> f64 {
    let shifted = I::fma64(x, LOG2_E_64, ROUND_64 + 1023.0);
    let n = shifted - (ROUND_64 + 1023.0);
    let r = I::fma64(n, -LN2_LO_64, I::fma64(n, -LN2_HI_64, x));
    let q = I::fma64(I::fma64(curvature64::<I>(r), r, 1.0), r, 1.0);
    let value = q * power64(shifted);
    if x < -708.396 { 0.0 } else { value }
}

/// `(exp(x), exp(x) - 1 - x)` for `-88 <= x <= 0`, the second without cancellation near zero and never below 0: it is 0
/// for 0. Error below 1e-6 of each.
///
/// `exp(x) - 1 - x = (2^n - 1) + (2^n r - x) + 2^n r^2 P(r)`, where the first two are 0 for `n = 0`.
#[inline(always)]
pub fn exp_and_bend32<I: Isa>(x: f32) -> (f32, f32) {
    let shifted = I::fma32(x, LOG2_E_32, ROUND_32 + 127.0);
    let n = shifted - (ROUND_32 + 127.0);
    let r = I::fma32(n, -LN2_LO_32, I::fma32(n, -LN2_HI_32, x));
    let scale = power32(shifted);
    let (curve, square) = (curvature32::<I>(r), scale * (r * r));
    let bend = I::fma32(square, curve, (scale - 1.0) + I::fma32(scale, r, -x));
    (I::fma32(square, curve, I::fma32(scale, r, scale)), bend)
}

/// [`exp_and_bend32`] in f64, for `-709 <= x <= 0` (0 for the exponential at the end). Error below 1e-14 of each.
#[inline(always)]
pub fn exp_and_bend64<I: Isa>(x: f64) -> (f64, f64) {
    let shifted = I::fma64(x, LOG2_E_64, ROUND_64 + 1023.0);
    let n = shifted - (ROUND_64 + 1023.0);
    let r = I::fma64(n, -LN2_LO_64, I::fma64(n, -LN2_HI_64, x));
    let scale = power64(shifted);
    let (curve, square) = (curvature64::<I>(r), scale * (r * r));
    let bend = I::fma64(square, curve, (scale - 1.0) + I::fma64(scale, r, -x));
    (I::fma64(square, curve, I::fma64(scale, r, scale)), bend)
}

/// `exp(x) - 1` over the whole range, without cancellation near zero. Error below 1 ulp.
///
/// `2^n exp(r) - 1 = 2^n ((1 - 2^-n) + r + r^2 P(r))`. The rounding errors of the first two sums are computed exactly
/// (Knuth's two-sum) and added at the end, so that only the last addition contributes a full rounding error.
#[inline(always)]
pub fn expm1_64<I: Isa>(x: f64) -> f64 {
    let y = if x > 710.0 { 710.0 } else { x };
    let y = if y < -40.0 { -40.0 } else { y }; // below -37.43 the result rounds to -1
    let n = I::fma64(y, LOG2_E_64, ROUND_64) - ROUND_64;
    let first = I::fma64(n, -LN2_HI_64, y);
    let r = I::fma64(n, -LN2_LO_64, first);
    let r_lost = I::fma64(n, -LN2_LO_64, first - r);
    // From n = 64 on, 2^-n is negligible beside 1; without the limit its exponent would leave the range.
    let limited = if n > 64.0 { 64.0 } else { n };
    let inverse = power64((ROUND_64 + 1023.0) - limited);
    let one = 1.0 - inverse;
    let one_lost = (1.0 - one) - inverse;
    let sum = one + r;
    let back = sum - one;
    let sum_lost = (one - (sum - back)) + (r - back);
    let bend = I::fma64(curvature64::<I>(r), r * r, r_lost);
    let value = scaled64(sum + (bend + (sum_lost + one_lost)), n);
    if x == 0.0 { x } else { value } // keeps the sign of zero
}

/// `exp(x) - 1 - x` over the whole range, without cancellation near zero: never negative, and infinite where `exp(x)` is.
/// Error below 1e-14 of it.
#[inline(always)]
pub fn bend64<I: Isa>(x: f64) -> f64 {
    let distance = if x < 0.0 { x } else { -x };
    let near = if distance < -709.0 { -709.0 } else { distance };
    let (power, bend) = exp_and_bend64::<I>(near);
    // For x > 0 it is exp(x) (1 - exp(-x) - x exp(-x)), whose second factor is x^2 - (1 + x) bend(-x) near 0.
    let rest = I::fma64(near, near, -(bend * (1.0 - near)));
    // Far from 0 nothing cancels; the limit keeps infinity from being subtracted from itself.
    let far = (exp64::<I>(x) - 1.0) - if x > 1000.0 { 1000.0 } else { x };
    let right = if x > 1.0 { far } else { rest / power };
    if x <= 0.0 { bend + (near - x) } else { right }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_nan_stays, sweep32, ulp32, ulp64};
    use super::super::{Bend, Exp, Exp32, Expm1, Function, map};
    use super::*;

    struct Nonpositive32;
    impl Function<f32> for Nonpositive32 {
        #[inline(always)]
        fn at<I: Isa>(x: f32) -> f32 {
            exp32_nonpositive::<I>(x)
        }
    }

    struct Nonpositive64;
    impl Function<f64> for Nonpositive64 {
        #[inline(always)]
        fn at<I: Isa>(x: f64) -> f64 {
            exp64_nonpositive::<I>(x)
        }
    }

    /// The error of `exp32` in ulps, infinity counting as 2^128. The oracle is fdlibm's exp in f64.
    fn error32(x: f32, got: f32) -> f64 {
        let top = 3.402_823_669_209_384_6e38; // 2^128
        let want = libm::exp(f64::from(x));
        let want = if want > top { top } else { want };
        let got = if got == f32::INFINITY { top } else { f64::from(got) };
        (got - want).abs() / ulp32(want)
    }

    fn full_range(step: usize) -> f64 {
        sweep32(step, |x, y| map(Exp32, x, y), error32)
    }

    fn nonpositive_range(step: usize) -> f64 {
        sweep32(
            step,
            |x, y| map(Nonpositive32, x, y),
            |x, got| match x {
                _ if x > 88.0 => 0.0, // outside its promise
                _ if x < -87.336_54 && got == 0.0 => 0.0,
                _ if x < -87.336_54 => f64::INFINITY,
                _ => error32(x, got),
            },
        )
    }

    #[test]
    fn f32_stays_within_its_bound() {
        assert!(full_range(10_007) < 0.92);
        assert!(nonpositive_range(10_007) < 0.92);
    }

    #[test]
    #[ignore = "every f32: about a minute in release"]
    fn every_f32_stays_within_its_bound() {
        let (full, nonpositive) = (full_range(1), nonpositive_range(1));
        println!("worst error: exp32 {full} ulp, exp32_nonpositive {nonpositive} ulp");
        assert!(full < 0.92 && nonpositive < 0.92);
    }

    #[test]
    fn f64_agrees_with_fdlibm() {
        for i in -300_000..=300_000 {
            let x = f64::from(i) * 0.002_361_1;
            for (name, got, want) in [
                ("exp", super::super::exp(x), libm::exp(x)),
                ("expm1", super::super::expm1(x), libm::expm1(x)),
            ] {
                assert!((got - want).abs() <= ulp64(want), "{name}({x:e}) = {got:e}, not {want:e}");
            }
        }
    }

    struct Bend32;
    impl Function<f32> for Bend32 {
        #[inline(always)]
        fn at<I: Isa>(x: f32) -> f32 {
            exp_and_bend32::<I>(x).1
        }
    }

    struct Bend64;
    impl Function<f64> for Bend64 {
        #[inline(always)]
        fn at<I: Isa>(x: f64) -> f64 {
            exp_and_bend64::<I>(x).1
        }
    }

    /// `exp(x) - 1 - x` by its series near 0.
    fn bend(x: f64) -> f64 {
        if x < -0.5 {
            return (libm::exp(x) - 1.0) - x;
        }
        let (mut term, mut sum) = (x * x / 2.0, 0.0);
        for k in 3..30 {
            sum += term;
            term *= x / f64::from(k);
        }
        sum
    }

    #[test]
    fn the_bend_keeps_its_digits_near_zero() {
        let x: Vec<f64> = (0..40_000).map(|i| -88.0 * libm::exp(-f64::from(i) * 1e-3)).chain([0.0]).collect();
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let (mut y, mut z) = (vec![0.0; x.len()], vec![0.0f32; x.len()]);
        map(Bend64, &x, &mut y);
        map(Bend32, &single, &mut z);
        for i in 0..x.len() {
            let want = bend(x[i]);
            assert!((y[i] - want).abs() <= 1e-14 * want, "{:e}: {:e} {want:e}", x[i], y[i]);
            let want = bend(f64::from(single[i]));
            // Below 1e-38, f32 has fewer digits.
            let error = (f64::from(z[i]) - want).abs();
            assert!(error <= 1e-6 * want + 1e-45, "{:e}: {:e} {want:e}", single[i], z[i]);
        }
    }

    #[test]
    fn the_bend_has_its_digits_on_both_sides_of_zero() {
        let sizes = (0..60_000).map(|i| 700.0 * libm::exp(-f64::from(i) * 1e-3));
        let x: Vec<f64> = sizes.flat_map(|x| [x, -x]).collect();
        let mut y = vec![0.0; x.len()];
        map(Bend, &x, &mut y);
        for (x, y) in x.into_iter().zip(y) {
            let want = if x > 0.5 { (libm::exp(x) - 1.0) - x } else { bend(x) };
            assert!((y - want).abs() <= 1e-14 * want, "{x:e}: {y:e} {want:e}");
        }
        let mut out = [0.0; 6];
        map(Bend, &[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 710.0, -1e300], &mut out);
        assert_eq!(out, [0.0, 0.0, f64::INFINITY, f64::INFINITY, f64::INFINITY, 1e300]);
        map(Bend, &[f64::NAN], &mut out[..1]);
        assert!(out[0].is_nan());
    }

    #[test]
    fn edges() {
        let mut out = [0.0f64; 8];
        let x = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 709.79, -745.14, -745.13, 1e-310];
        map(Exp, &x, &mut out);
        assert_eq!(out, [1.0, 1.0, f64::INFINITY, 0.0, f64::INFINITY, 0.0, f64::from_bits(1), 1.0]);
        map(Nonpositive64, &x[..4], &mut out[..4]);
        assert_eq!(out[0..2], [1.0, 1.0]);
        assert_eq!(out[3], 0.0);
        map(Nonpositive64, &[-708.395, -708.397], &mut out[..2]);
        assert!(out[0] > f64::MIN_POSITIVE && out[1] == 0.0);
        map(Expm1, &x, &mut out);
        let want = [0.0, -0.0, f64::INFINITY, -1.0, f64::INFINITY, -1.0, -1.0, 1e-310];
        assert_eq!(out.map(f64::to_bits), want.map(f64::to_bits));
        let mut out = [0.0f32; 6];
        map(Exp32, &[0.0, f32::INFINITY, f32::NEG_INFINITY, 88.73, -103.98, -103.97], &mut out);
        assert_eq!(out, [1.0, f32::INFINITY, 0.0, f32::INFINITY, 0.0, f32::from_bits(1)]);
    }

    #[test]
    fn a_nan_of_any_payload_stays() {
        assert_nan_stays(Exp32, Nonpositive32, Exp);
        assert_nan_stays(Exp32, Nonpositive32, Expm1);
        assert_nan_stays(Exp32, Nonpositive32, Nonpositive64);
    }
}
