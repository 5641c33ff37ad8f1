//! The exponential of a difference of log-probabilities, finite for every finite difference.

use crate::math::exp_and_bend64;
use crate::simd::Isa;

/// Beyond this difference an exponential goes on in a straight line, with the slope that it has there. It is 5.5e34:
/// float32 holds its product with advantages up to 6,000.
pub const LIMIT: f64 = 80.0;

/// Below this difference the exponential keeps the value that it has there, 1e-304.
const LOWEST: f64 = -700.0;

/// The exponential of d and what is computed with it, to 1e-14 of each.
pub(super) struct Power {
    /// `exp(d)`
    pub(super) value: f64,
    /// `exp(d) - 1`, without cancellation
    pub(super) less_one: f64,
    /// `exp(d) - 1 - d`, without cancellation and never negative
    pub(super) bend: f64,
    /// `exp(min(d, LIMIT))`: the derivative of `value`
    pub(super) slope: f64,
}

impl Power {
    #[inline(always)]
    pub(super) fn of<I: Isa>(d: f64) -> Power {
        let near = if d > LIMIT { LIMIT } else { d };
        let near = if near < LOWEST { LOWEST } else { near };
        let (power, bend) = exp_and_bend64::<I>(near);
        let past = d - near;
        let value = if past > 0.0 { power + power * past } else { power };
        let less_one = if near.abs() <= 1.0 { near + bend } else { value - 1.0 };
        Power { value, less_one, bend: bend + (power - 1.0) * past, slope: power }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::{bend64, exp, expm1};
    use crate::simd::{Kernel, dispatch};

    struct At(f64);
    impl Kernel for At {
        type Out = (Power, f64);
        #[inline(always)]
        fn run<I: Isa>(self) -> (Power, f64) {
            (Power::of::<I>(self.0), bend64::<I>(self.0))
        }
    }

    #[test]
    fn the_exponential_is_exact_and_keeps_its_digits_near_zero() {
        for step in -8000..=8000 {
            for d in [f64::from(step) / 100.0, f64::from(step) * 1e-9] {
                let (power, bend) = dispatch(At(d));
                let near = |got: f64, want: f64| (got - want).abs() <= 1e-14 * want.abs();
                assert!((power.value - exp(d)).abs() <= 4.5e-16 * exp(d), "{d}");
                assert!(near(power.less_one, expm1(d)) && near(power.bend, bend), "{d}");
                assert_eq!(power.value, power.slope);
            }
        }
        assert_eq!(dispatch(At(0.0)).0.value, 1.0);
    }

    #[test]
    fn beyond_the_limit_it_is_a_straight_line() {
        let end = dispatch(At(LIMIT)).0;
        for past in [1e-3, 1.0, 1e4, 1e200] {
            let here = dispatch(At(LIMIT + past)).0;
            assert_eq!(here.slope, end.slope);
            assert!((here.value / (end.value * (1.0 + past)) - 1.0).abs() < 1e-12 && here.value.is_finite());
            let low = dispatch(At(-LIMIT * past)).0;
            assert!(low.value >= 0.0 && (low.bend - LIMIT * past).abs() <= 1.0 && low.less_one >= -1.0);
        }
    }
}
