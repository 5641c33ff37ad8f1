//! Limits of a difference from the limits of its two sides.

use crate::intervals::Interval;

/// The limits of the difference of two independent values from the limits of each: the lower one is below the
/// difference by the root of the sum of squares of how far the first value lies above its lower limit and the second
/// below its upper one. Newcombe's interval (1998, method 10) where these limits are Wilson's; in general the variance
/// is "recovered" at the limits (Zou and Donner 2008).
pub fn square_and_add([a, b]: [f64; 2], [of_a, of_b]: [Interval; 2]) -> Interval {
    // At a critical value below 0 the limits have changed places, and so do those of the difference.
    let add = |x: f64, y: f64| if x + y < 0.0 { -(x * x + y * y).sqrt() } else { (x * x + y * y).sqrt() };
    let low = (a - b) - add(a - of_a.low, of_b.high - b);
    let high = (a - b) + add(of_a.high - a, b - of_b.low);
    Interval { low, high }
}
