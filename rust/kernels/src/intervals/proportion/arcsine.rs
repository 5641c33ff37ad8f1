//! The interval of the angle arcsin(sqrt(p)), whose variance hardly depends on p.

use crate::math::{cos, sin};
use std::f64::consts::FRAC_PI_2;

/// The lower limit sin^2(arcsin(sqrt(q)) - z/(2 sqrt(n))) for q = (k + 3/8)/(n + 3/4) (Anscombe 1948). An angle below 0
/// counts as 0 and one above pi/2 as pi/2. The limit is 0 at k = 0.
///
/// The sine of the difference is computed from the sines and cosines of both angles, of which those of the first are
/// the roots of q and 1 - q.
pub(super) fn lower(hits: f64, misses: f64, z: f64) -> f64 {
    if hits == 0.0 {
        return 0.0;
    }
    let n = hits + misses;
    let (s, c) = (((hits + 0.375) / (n + 0.75)).sqrt(), ((misses + 0.375) / (n + 0.75)).sqrt());
    let less = z / (2.0 * n.sqrt());
    if less >= FRAC_PI_2 {
        return 0.0;
    }
    let (sin_less, cos_less) = (sin(less), cos(less));
    if less <= -FRAC_PI_2 || c * cos_less + s * sin_less <= 0.0 {
        return 1.0;
    }
    let root = s * cos_less - c * sin_less;
    let limit = if root > 0.0 { root * root } else { 0.0 };
    if limit < 1.0 { limit } else { 1.0 }
}
