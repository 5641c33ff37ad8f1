//! Blaker's exact interval: nested, never longer than that of Clopper and Pearson.

use super::MANY;
use crate::math::beta::{self, moved, tails};
use crate::math::saddle_point::log_power;
use crate::math::{exp, normal};

/// Blaker's test of p (2000): the smaller tail of the observed number of successes, plus the largest tail on the other
/// side that is not larger. Probabilities that differ by their rounding are equal.
pub(super) fn p_value(hits: f64, misses: f64, x: f64, y: f64) -> f64 {
    let (upper, lower) = (at_least(hits, misses, x, y), at_least(misses, hits, y, x));
    let p = if upper <= lower {
        upper + other_tail(hits, misses, x, y, upper * SAME).1
    } else {
        lower + other_tail(misses, hits, y, x, lower * SAME).1
    };
    if p < 1.0 { p } else { 1.0 }
}

/// A tail of at most this times another one is not larger than it.
const SAME: f64 = 1.0 + 1e-11;

/// The lower limit: the smallest p whose p-value is not below 2 `tail`.
///
/// As p grows from the limit of Clopper and Pearson, where P(X >= k) is `tail`, the other tail is P(X <= j) with a j that
/// jumps up by one where P(X <= j + 1) has fallen to P(X >= k). Right after such a jump the p-value is at least 2 `tail`.
/// So the limit is the first jump, or the point before it where the sum of both tails, which falls and then rises,
/// crosses 2 `tail`.
pub(super) fn lower(hits: f64, misses: f64, tail: f64) -> f64 {
    if hits == 0.0 {
        return 0.0;
    }
    let first = beta::solve(hits, misses + 1.0, tail, 1.0 - tail);
    if hits >= MANY && misses >= MANY {
        return first.0;
    }
    let (away, _) = other_tail(hits, misses, first.0, first.1, tail);
    let top = (hits / (hits + misses), misses / (hits + misses));
    let jump = crossing(first, top, first, &Sum { hits, misses, away: away - 1.0, sign: -1.0, total: 0.0 });
    let sum = Sum { hits, misses, away, sign: 1.0, total: 2.0 * tail };
    let limit = if sum.at(jump).0 > 0.0 { crossing(first, jump, jump, &sum) } else { jump };
    // Outwards by the rounding of the search: a p at the very jump (1/2, say) is not rejected.
    let low = moved(limit.0, limit.1, -CLOSE).0;
    if low > first.0 { low } else { first.0 }
}

/// P(X >= hits).
fn at_least(hits: f64, misses: f64, x: f64, y: f64) -> f64 {
    if hits == 0.0 { 1.0 } else { tails(hits, misses + 1.0, x, y).0 }
}

/// P(X <= hits - away).
fn at_most(hits: f64, misses: f64, away: f64, x: f64, y: f64) -> f64 {
    let (a, b) = (hits + 1.0 - away, misses + away);
    if a <= 0.0 { 0.0 } else { tails(a, b, x, y).1 }
}

/// The smallest whole `away` of at least 1 with P(X <= hits - away) <= `bound`, and that probability. It is looked for
/// from the quantile of a normal with the skewness of X on.
fn other_tail(hits: f64, misses: f64, x: f64, y: f64, bound: f64) -> (f64, f64) {
    let n = hits + misses;
    let (sd, z) = ((n * x * y).sqrt(), normal::quantile(if bound < 0.5 { bound } else { 0.5 }));
    let above = if x < y { hits - n * x } else { n * y - misses };
    let distance = above - z * sd - (1.0 - 2.0 * x) * (z * z - 1.0) / 6.0 + 0.5;
    let most = hits + 1.0;
    let mut away = distance.ceil();
    away = if away > 1.0 { away } else { 1.0 };
    away = if away < most { away } else { most };
    let mut p = at_most(hits, misses, away, x, y);
    while p > bound && away < most {
        away += 1.0;
        p = at_most(hits, misses, away, x, y);
    }
    while away > 1.0 {
        let nearer = at_most(hits, misses, away - 1.0, x, y);
        if nearer > bound {
            break;
        }
        (away, p) = (away - 1.0, nearer);
    }
    (away, p)
}

/// P(X >= hits) + sign P(X <= hits - away) - total as a function of p.
struct Sum {
    hits: f64,
    misses: f64,
    away: f64,
    sign: f64,
    total: f64,
}

impl Sum {
    /// The value at p = x = 1 - y, and its derivative with respect to the log-odds.
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let &Sum { hits, misses, away, sign, total } = self;
        let other = at_most(hits, misses, away, x, y);
        let (a, b) = (hits + 1.0 - away, misses + away);
        let fall = if a <= 0.0 { 0.0 } else { exp(log_power(a, b, x, y)) };
        let rise = exp(log_power(hits, misses + 1.0, x, y));
        (at_least(hits, misses, x, y) + sign * other - total, rise - sign * fall)
    }
}

/// The point between `low` and `high` where the sum changes its sign, from below 0 to above: Newton's method in the
/// log-odds, from `start` on, with the middle where a step leaves the bracket.
fn crossing(low: (f64, f64), high: (f64, f64), start: (f64, f64), sum: &Sum) -> (f64, f64) {
    let (mut low, mut high, mut at) = (low, high, start);
    for _ in 0..200 {
        let (value, slope) = sum.at(at);
        if value > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let step = -value / slope;
        let next = moved(at.0, at.1, step);
        if step.abs() <= CLOSE {
            return if next.0 > low.0 && next.0 < high.0 { next } else { at };
        }
        let newton = slope > 0.0 && next.0 > low.0 && next.0 < high.0;
        let middle = (low.0 + (high.0 - low.0) / 2.0, high.1 + (low.1 - high.1) / 2.0);
        if !newton && (middle.0 <= low.0 || middle.0 >= high.0) {
            return high;
        }
        at = if newton { next } else { middle };
    }
    at
}

/// A step of the log-odds as small as their rounding.
const CLOSE: f64 = 1e-13;
