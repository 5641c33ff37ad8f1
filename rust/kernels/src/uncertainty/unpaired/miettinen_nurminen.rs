//! The score interval of the difference of two independent shares.

use crate::bisection;
use crate::intervals::Interval;

/// The d that the score test does not reject (Miettinen and Nurminen 1985): those with
/// |k/n - j/m - d| <= z sqrt((p (1 - p)/n + q (1 - q)/m) N/(N - 1)), N = n + m, where p = q + d and q are the shares of
/// the largest likelihood among those that differ by d. The limits are found by bisection to the last bit.
pub(super) fn interval([k, j]: [f64; 2], [n, m]: [f64; 2], z: f64) -> Interval {
    Interval { low: lower([k, j], [n, m], z), high: -lower([j, k], [m, n], z) }
}

/// At a critical value below 0 the limit is the upper one at -z.
fn lower([k, j]: [f64; 2], [n, m]: [f64; 2], z: f64) -> f64 {
    if z < 0.0 {
        return -lower([j, k], [m, n], -z);
    }
    bisection::edge(-1.0, k / n - j / m, |d| passes([k, j], [n, m], z, d))
}

/// Whether the lower limit of [`interval`] exceeds `d`: one look at the score instead of the search for the limit.
pub(super) fn exceeds([k, j]: [f64; 2], [n, m]: [f64; 2], z: f64, d: f64) -> bool {
    if z < 0.0 {
        return lower([k, j], [n, m], z) > d;
    }
    d < -1.0 || (d < k / n - j / m && !passes([k, j], [n, m], z, d))
}

/// Whether the score test does not reject `d`, at most the difference observed, against a larger one.
fn passes([k, j]: [f64; 2], [n, m]: [f64; 2], z: f64, d: f64) -> bool {
    let factor = (n + m) / (n + m - 1.0);
    let q = restricted([k, j], [n, m], d);
    let p = q + d;
    let variance = (p * (1.0 - p) / n + q * (1.0 - q) / m) * factor;
    k / n - j / m - d <= z * (if variance > 0.0 { variance } else { 0.0 }).sqrt()
}

/// The second share q of the largest likelihood where the first is q + d.
///
/// The derivative of the log-likelihood, times q (1 - q) p (1 - p) for p = q + d, is
/// q (1 - q)(k - n p) + p (1 - p)(j - m q). Its zero lies between the q of either side alone, j/m and k/n - d.
fn restricted([k, j]: [f64; 2], [n, m]: [f64; 2], d: f64) -> f64 {
    let (least, most) = (if d < 0.0 { -d } else { 0.0 }, if d > 0.0 { 1.0 - d } else { 1.0 });
    let inside = |q: f64| {
        if q < least {
            least
        } else if q > most {
            most
        } else {
            q
        }
    };
    let (a, b) = (inside(j / m), inside(k / n - d));
    let (mut low, mut high) = if a < b { (a, b) } else { (b, a) };
    loop {
        let q = low + (high - low) / 2.0;
        if q <= low || q >= high {
            return q;
        }
        let p = q + d;
        if q * (1.0 - q) * (k - n * p) + p * (1.0 - p) * (j - m * q) > 0.0 {
            low = q;
        } else {
            high = q;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: f64 = 1.959963984540054;

    #[test]
    fn shares_of_the_largest_likelihood() {
        // d = 0: the share of both sides together.
        assert!((restricted([7.0, 3.0], [10.0, 20.0], 0.0) - 1.0 / 3.0).abs() < 1e-15);
        // d = the observed difference: the observed share.
        assert!((restricted([7.0, 3.0], [10.0, 20.0], 0.55) - 0.15).abs() < 1e-15);
        for (d, want) in [(1.0, 0.0), (-1.0, 1.0)] {
            assert_eq!(restricted([7.0, 3.0], [10.0, 20.0], d), want);
        }
        // The derivative of the log-likelihood vanishes.
        let ([k, j], [n, m], d) = ([9.0, 3.0], [10.0, 12.0], 0.2);
        let q = restricted([k, j], [n, m], d);
        let p = q + d;
        let slope = k / p - (n - k) / (1.0 - p) + j / q - (m - j) / (1.0 - q);
        assert!(slope.abs() < 1e-12, "{slope}");
    }

    #[test]
    fn below_one_half_the_limits_change_places() {
        let (at, below) = (lower([7.0, 3.0], [10.0, 20.0], 0.5), lower([7.0, 3.0], [10.0, 20.0], -0.5));
        assert!(at < 0.55 && below > 0.55);
        assert_eq!(below, -lower([3.0, 7.0], [20.0, 10.0], 0.5));
        assert!(interval([7.0, 3.0], [10.0, 20.0], Z).low < at);
    }
}
