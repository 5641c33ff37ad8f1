//! The exact interval that counts the observed number of successes half.

use super::MANY;
use crate::math::beta::{self, fraction, left_of_mean, moved};
use crate::math::saddle_point::log_power;
use crate::math::{exp, log, normal};

/// The lower limit: the p with P(X > k) + P(X = k)/2 = `tail` (Lancaster 1961; Berry and Armitage 1995). For a tail above
/// one half the limit is the upper one at 1 - tail.
///
/// That probability is log-concave in the log-odds (its density there is x^k y^(n-k) (k y + (n-k) x), up to a factor),
/// so that each of Newton's steps for its logarithm ends at most at the limit, and the later ones approach it from there.
pub(super) fn lower(hits: f64, misses: f64, tail: f64) -> f64 {
    if tail > 0.5 {
        return 1.0 - lower(misses, hits, 1.0 - tail);
    }
    if hits == 0.0 {
        return 0.0;
    }
    let n = hits + misses;
    if misses == 0.0 {
        return exp(log(2.0 * tail) / n); // p^n/2 = tail
    }
    if hits >= MANY && misses >= MANY {
        return beta::quantile(hits, misses + 1.0, tail);
    }
    let (target, spread) = (log(tail), (1.0 / hits + 1.0 / misses).sqrt());
    let close = if spread < 1.0 { 1e-9 * spread } else { 1e-9 }; // the next error is about its square
    let (mut x, mut y) = moved(hits / n, misses / n, spread * normal::quantile(tail));
    for _ in 0..100 {
        let (reached, inverse_slope) = at_least(hits, misses, x, y);
        let step = (target - reached) * inverse_slope;
        (x, y) = moved(x, y, if step < -500.0 { -500.0 } else { step });
        if step.abs() <= close || x < f64::MIN_POSITIVE {
            break;
        }
    }
    x
}

/// The logarithm of f = P(X > k) + P(X = k)/2 at p = x = 1 - y, and f divided by its derivative with respect to the
/// log-odds of x. Both probabilities are multiples of one power, whose exponential may underflow and is not needed below
/// the mean.
fn at_least(hits: f64, misses: f64, x: f64, y: f64) -> (f64, f64) {
    let (a, b) = (hits, misses + 1.0);
    let power = log_power(a, b, x, y);
    let half = 0.5 / (hits * y); // of P(X = k)
    let rise = half * (hits * y + misses * x);
    if left_of_mean(a, b, x, y) {
        let sum = 1.0 / fraction(a, b, x, y) - half;
        (power + log(sum), sum / rise)
    } else {
        let unit = exp(power);
        let sum = 1.0 - unit * (1.0 / fraction(b, a, y, x) + half);
        (log(sum), sum / (unit * rise))
    }
}
