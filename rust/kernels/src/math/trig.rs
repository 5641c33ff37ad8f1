//! Cosine and sine.

use super::ROUND_64;
use crate::simd::{Isa, scalar};

/// `cos(x)`, `x` in radians: error below 1 ulp (fdlibm's `k_cos` and `rem_pio2` as the crate `libm` has them:
/// plain f64 arithmetic, no platform call). NaN at the infinities.
pub fn cos(x: f64) -> f64 {
    scalar(|| libm::cos(x))
}

/// `sin(x)`, `x` in radians: error below 1 ulp (fdlibm's `k_sin` and `rem_pio2` as the crate `libm` has them).
pub(crate) fn sin(x: f64) -> f64 {
    libm::sin(x)
}

/// The angle of `(x, y)` in radians: error below 1 ulp (fdlibm's `e_atan2.c` as the crate `libm` has it).
pub(crate) fn angle(y: f64, x: f64) -> f64 {
    libm::atan2(y, x)
}

/// `(cos, sin)` of `a * b` full turns, `abs(a b) < 2^48`: error below 2 ulp of the exact product's, next to zeros as
/// well.
///
/// The rounding error of the product is carried along, and whole quarters of a turn are subtracted exactly, so that no
/// multiple of pi has to be. The polynomials are our own minimax fits of `sin(pi r/2)/r` and `(cos(pi r/2) - 1)/r^2`
/// over `abs(r) <= 1/2`, with errors below 0.03 of 2^-53.
#[inline(always)]
pub fn cos_sin_turns<I: Isa>(a: f64, b: f64) -> (f64, f64) {
    let turns = a * b;
    let lost = I::fma64(a, b, -turns);
    let quarters = 4.0 * turns;
    let shifted = quarters + ROUND_64;
    let r = (quarters - (shifted - ROUND_64)) + 4.0 * lost;
    let z = r * r;
    let mut s = f64::from_bits(0x3e6e_3eed_5bc4_bda3);
    for c in [
        0xbece_3006_39ff_429e,
        0x3f25_0782_fca3_87d5,
        0xbf73_2d2c_ce2d_535c,
        0x3fb4_66bc_6775_8700,
        0xbfe4_abbc_e625_be41,
        0x3ff9_21fb_5444_2d18,
    ] {
        s = I::fma64(s, z, f64::from_bits(c));
    }
    let s = s * r;
    let mut c = f64::from_bits(0xbe3b_263c_2a65_b5de);
    for k in [
        0x3e9f_9cc4_0aa5_0d68,
        0xbefa_6d1e_c7e0_81b3,
        0x3f4e_1f50_6836_7acf,
        0xbf95_5d3c_7e3c_9280,
        0x3fd0_3c1f_081b_5aae,
        0xbff3_bd3c_c9be_45de,
    ] {
        c = I::fma64(c, z, f64::from_bits(k));
    }
    let c = I::fma64(c, z, 1.0);
    // The last two bits hold the number of the quarter modulo four.
    let quarter = shifted.to_bits();
    let odd = quarter & 1 == 1;
    let (cos, sin) = (if odd { s } else { c }, if odd { c } else { s });
    let minus_cos = (quarter.wrapping_add(1) >> 1 & 1) << 63;
    let minus_sin = (quarter >> 1 & 1) << 63;
    (f64::from_bits(cos.to_bits() ^ minus_cos), f64::from_bits(sin.to_bits() ^ minus_sin))
}

#[cfg(test)]
mod tests {
    use super::super::check::{nans64, ulp64};
    use super::{cos, cos_sin_turns};
    use crate::simd::{Isa, Kernel, dispatch};
    use std::f64::consts::{PI, TAU};

    #[test]
    fn the_angles_of_a_cosine_schedule() {
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

    struct Turns(f64, f64);
    impl Kernel for Turns {
        type Out = (f64, f64);
        #[inline(always)]
        fn run<I: Isa>(self) -> (f64, f64) {
            cos_sin_turns::<I>(self.0, self.1)
        }
    }

    #[test]
    fn turns_agree_with_fdlibm() {
        for i in -20_000..20_000 {
            let turn = f64::from(i) * 2.467_13e-5;
            let (c, s) = dispatch(Turns(turn, 1.0));
            // Near the zeros the difference is the rounding error of 2 pi t.
            let (x, off) = (TAU * turn, 1e-15);
            assert!((c - libm::cos(x)).abs() < off && (s - libm::sin(x)).abs() < off, "{turn}");
            assert!((c * c + s * s - 1.0).abs() < 4.0 * ulp64(1.0));
            // Adding whole turns (16 i of them) changes nothing but the rounding of the argument.
            let far = dispatch(Turns(turn + f64::from(i) * 16.0, 1.0));
            assert!((far.0 - c).abs() < 1e-9 && (far.1 - s).abs() < 1e-9);
        }
    }

    #[test]
    fn quarters_are_exact() {
        for (quarter, want) in [(0.0, (1.0, 0.0)), (1.0, (0.0, 1.0)), (2.0, (-1.0, 0.0)), (3.0, (0.0, -1.0))]
        {
            for whole in [-1_000_001.0, 0.0, 123_456_789.0] {
                let (c, s) = dispatch(Turns(whole + 0.25 * quarter, 1.0));
                assert_eq!((c + 0.0, s + 0.0), want);
            }
        }
    }

    #[test]
    fn the_rounding_of_the_product_is_carried() {
        // 0.1 in f64 is above a tenth by 5.55e-18: 10^7 of it are 10^6 turns and 5.55e-11 of one.
        let (_, s) = dispatch(Turns(1e7, 0.1));
        assert!((s - TAU * 5.551_115_123_125_783e-11).abs() < 1e-25, "{s:e}");
    }
}
