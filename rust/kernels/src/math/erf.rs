//! The complementary error function.

use crate::simd::scalar;

/// `erfc(x) = 2/sqrt(pi) * integral from x to infinity of exp(-t^2)`, without cancellation for large `x`.
///
/// Error below 3 ulp for normal results (fdlibm's `s_erf.c` as the crate `libm` has it, without a platform
/// call).
pub fn erfc(x: f64) -> f64 {
    scalar(|| libm::erfc(x))
}

#[cfg(test)]
mod tests {
    use super::super::check::{nans64, ulp64};
    use super::erfc;

    /// 30-digit values, rounded.
    #[test]
    fn known_values() {
        for (x, want) in [
            (2.0, 0.004_677_734_981_047_266),
            (-0.3, 1.328_626_759_459_127_4),
            (20.0, 5.395_865_611_607_901e-176),
        ] {
            assert!((erfc(x) - want).abs() <= 3.0 * ulp64(want), "{x}");
        }
    }

    #[test]
    fn edges() {
        assert_eq!(erfc(0.0), 1.0);
        assert_eq!(erfc(f64::INFINITY), 0.0);
        assert_eq!(erfc(f64::NEG_INFINITY), 2.0);
        assert!(nans64().into_iter().all(|x| erfc(x).is_nan()));
    }
}
