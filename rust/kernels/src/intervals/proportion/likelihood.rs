//! The interval of the likelihood-ratio test.

use crate::math::beta::moved;
use crate::math::saddle_point::deviance;
use crate::math::{exp, log, log1p};

/// The lower limit: the smaller p with 2 (l(k/n) - l(p)) = z^2, l the log-likelihood of p (Wilks 1938). It is 0 at k =
/// 0. For z below 0 the limit is the upper one at -z.
///
/// The log-likelihood is concave in the log-odds, so that each of Newton's steps ends outside of the limit or on it, and
/// the later ones approach it from there.
pub(super) fn lower(hits: f64, misses: f64, z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - lower(misses, hits, -z);
    }
    if hits == 0.0 {
        return 0.0;
    }
    let (n, target) = (hits + misses, z * z / 2.0);
    if misses == 0.0 {
        return exp(-target / n);
    }
    let spread = (1.0 / hits + 1.0 / misses).sqrt();
    let close = if spread < 1.0 { 1e-9 * spread } else { 1e-9 }; // the next error is about its square
    let (mut x, mut y) = moved(hits / n, misses / n, -z * spread);
    for _ in 0..100 {
        let slope = n * x - hits;
        if slope >= 0.0 {
            break; // z is so small that rounding decides
        }
        let step = (target - lost(hits, misses, x, y)) / slope;
        (x, y) = moved(x, y, step);
        if step.abs() <= close || x < f64::MIN_POSITIVE {
            break;
        }
    }
    x
}

/// l(k/n) - l(x) for y = 1 - x and 0 < x < 1: half the deviance.
pub(super) fn lost(hits: f64, misses: f64, x: f64, y: f64) -> f64 {
    let n = hits + misses;
    if hits == 0.0 {
        -n * log1p(-x)
    } else if misses == 0.0 {
        -n * log(x)
    } else {
        deviance(hits, n * x) + deviance(misses, n * y)
    }
}
