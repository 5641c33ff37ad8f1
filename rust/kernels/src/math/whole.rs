//! Rounding to the nearest whole number by adding a constant.

/// 1.5 * 2^23: adding it to an f32 of magnitude up to 2^22 rounds that to the nearest whole number, ties to even. The
/// low bits of the sum hold the whole number; subtracting the constant again gives it as an f32.
pub(crate) const ROUND_32: f32 = 12_582_912.0;

/// 1.5 * 2^52: the same for an f64 of magnitude up to 2^51.
pub(crate) const ROUND_64: f64 = 6_755_399_441_055_744.0;
