//! The cosine.

use crate::simd::scalar;

/// `cos(x)`, `x` in radians: error below 1 ulp (fdlibm's `k_cos` and `rem_pio2` as the crate `libm` has them:
/// plain f64 arithmetic, no platform call). NaN at the infinities.
pub fn cos(x: f64) -> f64 {
    scalar(|| libm::cos(x))
}

#[cfg(test)]
mod tests {
    use super::super::check::nans64;
    use super::cos;
    use std::f64::consts::PI;

    #[test]
    fn what_a_schedule_asks_for() {
        assert_eq!(cos(0.0), 1.0);
        assert_eq!(cos(PI), -1.0);
        assert_eq!(cos(PI / 3.0), 0.500_000_000_000_000_1);
        assert!(cos(PI / 2.0).abs() < 1e-16);
    }

    #[test]
    fn edges() {
        assert!(cos(f64::INFINITY).is_nan());
        assert!(nans64().into_iter().all(|x| cos(x).is_nan()));
        assert_eq!(cos(-1e-310), 1.0);
    }
}
