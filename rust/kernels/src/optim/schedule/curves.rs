//! The curves that schedules are made of, on numbers from 0 to 1, each exact at both ends.

use super::table::{Cooldown, Interpolate};
use crate::math::{exp64, log64};
use crate::simd::Isa;

/// The Taylor coefficients (-1)^k pi^(2k+1) / (2k+1)! of `sin(pi t) / t` in powers of t^2.
const SINPI: [f64; 9] = [
    std::f64::consts::PI,
    -5.167_712_780_049_97,
    2.550_164_039_877_345_5,
    -0.599_264_529_320_792_1,
    0.082_145_886_611_128_23,
    -0.007_370_430_945_714_350_5,
    0.000_466_302_805_767_612_55,
    -2.191_535_344_783_021_7e-5,
    7.952_054_001_475_513e-7,
];

/// sin(pi t) for t in [0, 1/4], within 2 ulp; the first term left out is below 2e-18.
#[inline(always)]
fn sinpi<I: Isa>(t: f64) -> f64 {
    let square = t * t;
    let mut sum = SINPI[8];
    for k in (0..8).rev() {
        sum = I::fma64(sum, square, SINPI[k]);
    }
    t * sum
}

/// `from + (to - from) (1 - cos(pi u)) / 2`, computed as the distance from the nearer end by
/// `(1 - cos(pi t)) / 2 = sin(pi t / 2)^2`, so that it is exactly `from` at u = 0 and exactly `to` at u = 1.
#[inline(always)]
pub fn half_wave<I: Isa>(from: f64, to: f64, u: f64) -> f64 {
    let (from, to, t) = if u < 0.5 { (from, to, u) } else { (to, from, 1.0 - u) };
    let sine = sinpi::<I>(0.5 * t);
    from + (to - from) * (sine * sine)
}

/// The value at the share `done` of the way, exact at both ends.
#[inline(always)]
pub fn between(from: f64, to: f64, done: f64) -> f64 {
    if done < 0.5 { from + (to - from) * done } else { to + (from - to) * (1.0 - done) }
}

/// `x^exponent` for `x >= 0`: within `1 + abs(exponent ln x)` ulp; `x` itself for the exponent 1.
#[inline(always)]
pub fn power<I: Isa>(x: f64, exponent: f64) -> f64 {
    if exponent == 1.0 { x } else { exp64::<I>(exponent * log64::<I>(x)) }
}

/// The largest whole number that is at most `x`, for `x >= 0`; 0 below.
#[inline(always)]
pub fn whole(x: f64) -> f64 {
    (x as u64) as f64
}

/// The rate at the share `u` of a cooldown.
#[inline(always)]
pub fn cooled<I: Isa>(curve: Cooldown, from: f64, to: f64, u: f64) -> f64 {
    match curve {
        Cooldown::Linear => between(from, to, u),
        Cooldown::Cosine => half_wave::<I>(from, to, u),
        Cooldown::OneMinusSqrt => between(from, to, u.sqrt()),
        Cooldown::Square => between(from, to, u * u),
    }
}

/// The rate at `t` on the way through points, whose steps `at` increase; the first value before them and the last
/// one after them.
#[inline(always)]
pub fn through<I: Isa>(curve: Interpolate, at: &[f64], values: &[f64], t: f64) -> f64 {
    let after = at.partition_point(|&knot| knot <= t);
    let value = |index: usize| values.get(index).copied().unwrap_or(0.0);
    let before = after.saturating_sub(1);
    if after == 0 || after == at.len() || curve == Interpolate::Constant {
        return value(before);
    }
    let u = (t - at[before]) / (at[after] - at[before]);
    let (from, to) = (value(before), value(after));
    if curve == Interpolate::Linear { between(from, to, u) } else { half_wave::<I>(from, to, u) }
}
