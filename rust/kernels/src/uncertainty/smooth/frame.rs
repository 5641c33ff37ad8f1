//! What the statistics share: columns about their centre, and functions of means.

use crate::intervals::cluster::near_one;
use crate::intervals::moments::Moments;
use crate::simd::scalar;

/// A spread that is at most this part of the second moment is the rounding of equal values.
const ROUNDING: f64 = 1e-13;

/// The centre of a column, and a power of two by which its distances from the centre become at most about 1.
///
/// Subtracting the centre keeps the digits of large values with small differences; the scale keeps powers of them from
/// overflowing, and as a power of two it changes no digit.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// What is subtracted from a value.
    pub centre: f64,
    /// What the difference is multiplied by.
    pub scale: f64,
}

impl Frame {
    /// About the mean of a column.
    pub fn of(column: &Moments) -> Frame {
        Frame::about(column.mean, column)
    }

    /// About a centre of its own.
    pub fn about(centre: f64, column: &Moments) -> Frame {
        let (up, down) = scalar(|| (column.max - centre, centre - column.min));
        Frame { centre, scale: scale_of(if up > down { up } else { down }) }
    }

    /// A value in the frame.
    #[inline(always)]
    pub fn at(self, x: f64) -> f64 {
        (x - self.centre) * self.scale
    }
}

/// A power of two by which a number of at least 0 becomes one near 1.
pub(super) fn scale_of(reach: f64) -> f64 {
    if reach > 0.0 { near_one(reach) } else { 1.0 }
}

/// The largest magnitude in a column.
pub(super) fn largest(column: &Moments) -> f64 {
    if -column.min > column.max { -column.min } else { column.max }
}

/// How far the rounding of the columns can move a term near 1: the step of each column on its own scale.
pub(super) fn resolution(columns: &[Moments]) -> f64 {
    scalar(|| {
        columns.iter().fold(f64::EPSILON, |most, column| {
            let step = column.step * Frame::of(column).scale;
            if column.binary || step < most { most } else { step }
        })
    })
}

/// The variance from the second and the first moment; 0 where it is the rounding of equal values.
#[inline(always)]
pub(super) fn spread(second: f64, first: f64) -> f64 {
    let variance = second - first * first;
    if variance > ROUNDING * second { variance } else { 0.0 }
}

/// A correlation or a limit of a difference, cut off at -1 and 1, beyond which rounding may have moved it; a NaN stays one.
#[inline(always)]
pub(in crate::uncertainty) fn within_one(r: f64) -> f64 {
    let below = if r > 1.0 { 1.0 } else { r };
    if below < -1.0 { -1.0 } else { below }
}

/// Of `n` units in two classes, of which one has `ones`, the share that counts: 1 for classes of one size, else that of
/// twice the harmonic mean of their sizes.
pub(super) fn balance(ones: f64, n: f64) -> f64 {
    4.0 * (ones / n) * (1.0 - ones / n)
}

/// The means `s_j / s_0` of the sums after the first, which counts the rows.
#[inline(always)]
pub(super) fn means<const K: usize>(sums: [f64; K]) -> [f64; K] {
    sums.map(|sum| sum / sums[0])
}

/// The gradient with respect to the sums, from the derivatives with respect to the means ([`means`], the first of which
/// is 1 and has none).
#[inline(always)]
pub(super) fn of_means<const K: usize>(sums: [f64; K], by_means: [f64; K]) -> [f64; K] {
    let mut gradient = by_means.map(|derivative| derivative / sums[0]);
    let mut back = 0.0;
    for k in 1..K {
        back += by_means[k] * (sums[k] / sums[0]);
    }
    gradient[0] = -back / sums[0];
    gradient
}
