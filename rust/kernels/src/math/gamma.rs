//! The logarithm of the gamma function, and the error of Stirling's formula for it.

use super::log1p;
use crate::simd::scalar;

/// `log Gamma(x)` for `x > 0`: infinity at 0 and infinity, NaN below 0.
///
/// Relative error below 5e-16, next to the zeros at 1 and 2 as well (fdlibm's `lgamma_r` as the crate `libm`
/// has it, without a platform call).
pub fn lgamma(x: f64) -> f64 {
    if x < 0.0 { f64::NAN } else { scalar(|| libm::lgamma(x)) }
}

/// `log Gamma(z + 1) - (z + 1/2) log z + z - log(2 pi)/2` for `z > 0`, absolute error below 2e-15.
///
/// The asymptotic series from z = 10 on (its first neglected term is 3e-17 there); below, the recurrence
/// `stirling(z) = stirling(z + 1) + (z + 1/2) log(1 + 1/z) - 1`.
pub(crate) fn stirling(z: f64) -> f64 {
    let (mut z, mut below) = (z, 0.0);
    while z < 10.0 {
        below += (z + 0.5) * log1p(1.0 / z) - 1.0;
        z += 1.0;
    }
    let t = 1.0 / (z * z);
    let mut series = 1.0 / 156.0;
    for c in [-691.0 / 360_360.0, 1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0] {
        series = series * t + c;
    }
    below + series / z
}

#[cfg(test)]
mod tests {
    use super::super::check::nans64;
    use super::super::log;
    use super::{lgamma, stirling};

    #[test]
    fn factorials() {
        let mut factorial = 1.0;
        for n in 1..=20 {
            factorial *= f64::from(n);
            let want = log(factorial);
            assert!((lgamma(f64::from(n) + 1.0) - want).abs() <= 2e-15 * want);
        }
        assert!((lgamma(100.5) - 361.435_540_467_777_6).abs() < 1e-13);
        assert_eq!(lgamma(0.5), 0.572_364_942_924_700_1);
    }

    #[test]
    fn edges() {
        assert_eq!(lgamma(0.0), f64::INFINITY);
        assert_eq!(lgamma(f64::INFINITY), f64::INFINITY);
        assert!(lgamma(-0.5).is_nan() && lgamma(f64::NEG_INFINITY).is_nan());
        assert!(nans64().into_iter().all(|x| lgamma(x).is_nan()));
    }

    /// 30-digit values, rounded.
    #[test]
    fn stirling_below_and_above_ten() {
        for (z, want) in [
            (0.5, 0.153_426_409_720_027_36),
            (3.0, 0.027_677_925_684_998_34),
            (12.5, 0.006_665_247_032_707_682),
        ] {
            assert!((stirling(z) - want).abs() < 2e-15, "{z}");
        }
    }
}
