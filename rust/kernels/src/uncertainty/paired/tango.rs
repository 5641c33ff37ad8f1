//! The score interval of paired 0/1 answers.

use crate::bisection;
use crate::intervals::Interval;

/// Tango's score interval for the difference of paired 0/1 answers (Tango 1998): the d with
/// |b - c - n d| <= z sqrt(n (2 q + d (1 - d))), where q is the restricted maximum likelihood estimate of the
/// probability of a loss: q = (sqrt(B^2 - 4AC) - B)/(2A), A = 2n, B = -b - c + (2n - b + c) d, C = -c d (1 - d).
///
/// There are `wins` b and `losses` c among `n` pairs, which need not be whole numbers (an effective number of pairs,
/// say); `z` is the critical value. The limits are found by bisection to the last bit. At a critical value below 0, which
/// one-sided limits at a level below one half have, a limit is the other one at -z.
pub fn tango(wins: f64, losses: f64, n: f64, z: f64) -> Interval {
    Interval { low: tango_lower(wins, losses, n, z), high: -tango_lower(losses, wins, n, z) }
}

fn tango_lower(b: f64, c: f64, n: f64, z: f64) -> f64 {
    if z < 0.0 {
        return -tango_lower(c, b, n, -z);
    }
    bisection::edge(-1.0, (b - c) / n, |d| passes(b, c, n, z, d))
}

/// Whether the lower limit of [`tango`] exceeds `d`: one look at the score instead of the search for the limit.
pub(crate) fn tango_exceeds(b: f64, c: f64, n: f64, z: f64, d: f64) -> bool {
    if z < 0.0 {
        return tango_lower(b, c, n, z) > d;
    }
    d < -1.0 || (d < (b - c) / n && !passes(b, c, n, z, d))
}

/// Whether the score test does not reject `d`, at most the difference observed, against a larger one.
fn passes(b: f64, c: f64, n: f64, z: f64, d: f64) -> bool {
    let linear = -b - c + (2.0 * n - b + c) * d;
    let constant = -c * d * (1.0 - d);
    let discriminant = linear * linear - 8.0 * n * constant;
    let root = if discriminant > 0.0 { discriminant.sqrt() } else { 0.0 };
    // The same root without cancellation where `linear` is positive.
    let q = if linear > 0.0 { -2.0 * constant / (root + linear) } else { (root - linear) / (4.0 * n) };
    let variance = n * (2.0 * q + d * (1.0 - d));
    b - c - n * d <= z * (if variance > 0.0 { variance } else { 0.0 }).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_one_half_the_limits_change_places() {
        let (b, c, n) = (9.0, 3.0, 32.0);
        let (at, below) = (tango(b, c, n, 0.5), tango(b, c, n, -0.5));
        assert!(at.low < 6.0 / n && 6.0 / n < below.low);
        assert_eq!((below.low, below.high), (at.high, at.low));
    }

    #[test]
    fn tango_solves_its_equation() {
        // The defining equation at the limits, with q by the plain quadratic formula.
        let (b, c, n, z) = (9.0, 3.0, 32.0, 1.959963984540054);
        let limits = tango(b, c, n, z);
        for (d, sign) in [(limits.low, 1.0), (limits.high, -1.0)] {
            let (a2, a1, a0) = (2.0 * n, -b - c + (2.0 * n - b + c) * d, -c * d * (1.0 - d));
            let q = ((a1 * a1 - 4.0 * a2 * a0).sqrt() - a1) / (2.0 * a2);
            let score = (b - c - n * d) / (n * (2.0 * q + d * (1.0 - d))).sqrt();
            assert!((score - sign * z).abs() < 1e-12, "{score}");
        }
    }
}
