//! The hyperbolic tangent, from the exponential of `-2 |x|`, which cannot overflow.

use super::{exp32_nonpositive, expm1_64};
use crate::simd::Isa;

/// `tanh(x)`; a NaN stays. Error below 2 ulp.
///
/// Up to 0.6 it is `x + x^3 P(x^2)`, with our own minimax fit of `(tanh(x) - x) / x^3`; beyond, `(1 - e) / (1 + e)`
/// with `e = exp(-2 |x|)`, which loses no digits there.
#[inline(always)]
pub fn tanh32<I: Isa>(x: f32) -> f32 {
    let magnitude = x.abs();
    let square = x * x;
    let mut p = -0.005_895_149_7;
    for c in [0.020_795_964, -0.053_783_827, 0.133_319_24, -0.333_332_98] {
        p = I::fma32(p, square, c);
    }
    let near = I::fma32(x * square, p, x);
    let e = exp32_nonpositive::<I>(-2.0 * magnitude);
    let far = (1.0 - e) / (1.0 + e);
    (if magnitude <= 0.6 { near } else { far }).copysign(x)
}

/// `tanh(x)` as `-m / (2 + m)` with `m = exp(-2 |x|) - 1`; a NaN stays. Error below 3 ulp.
#[inline(always)]
pub fn tanh64<I: Isa>(x: f64) -> f64 {
    let m = expm1_64::<I>(-2.0 * x.abs());
    let value = (m / (2.0 + m)).abs().copysign(x);
    if x.is_nan() { x } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_nan_stays, sweep32, ulp32, ulp64};
    use super::super::{Function, map};
    use super::*;

    struct Tanh32;
    impl Function<f32> for Tanh32 {
        #[inline(always)]
        fn at<I: Isa>(x: f32) -> f32 {
            tanh32::<I>(x)
        }
    }

    struct Tanh64;
    impl Function<f64> for Tanh64 {
        #[inline(always)]
        fn at<I: Isa>(x: f64) -> f64 {
            tanh64::<I>(x)
        }
    }

    #[test]
    fn f32_stays_within_its_bound() {
        let error = |x: f32, got: f32| {
            let want = libm::tanh(f64::from(x));
            (f64::from(got) - want).abs() / ulp32(want)
        };
        let worst = sweep32(1_009, |x, y| map(Tanh32, x, y), error);
        println!("worst error {worst} ulp");
        assert!(worst < 2.0, "{worst}");
    }

    #[test]
    fn f64_agrees_with_fdlibm() {
        let x: Vec<f64> = (-200_000..=200_000).map(|i| f64::from(i) * 1.370_01e-4).collect();
        let mut y = vec![0.0; x.len()];
        map(Tanh64, &x, &mut y);
        for (&x, &got) in x.iter().zip(&y) {
            let want = libm::tanh(x);
            assert!((got - want).abs() <= 3.0 * ulp64(want), "tanh({x:e}) = {got:e}, not {want:e}");
        }
    }

    #[test]
    fn edges() {
        assert_nan_stays(Tanh32, Tanh32, Tanh64);
        let mut y = [0.0f32; 4];
        map(Tanh32, &[f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0], &mut y);
        assert_eq!(y.map(f32::to_bits), [1.0f32, -1.0, 0.0, -0.0].map(f32::to_bits));
        let mut y = [0.0; 4];
        map(Tanh64, &[f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0], &mut y);
        assert_eq!(y.map(f64::to_bits), [1.0f64, -1.0, 0.0, -0.0].map(f64::to_bits));
    }
}
