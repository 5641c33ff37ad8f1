//! Rounding to a whole number by an addition.

/// 1.5 * 2^23: an f32 of magnitude up to 2^22 added to it is rounded to the nearest whole number, of two equally near
/// ones to the even one. Subtracting it again gives that number; before, it stands in the low bits of the sum.
pub(crate) const ROUND_32: f32 = 12_582_912.0;

/// 1.5 * 2^52: the same for an f64 of magnitude up to 2^51.
pub(crate) const ROUND_64: f64 = 6_755_399_441_055_744.0;
