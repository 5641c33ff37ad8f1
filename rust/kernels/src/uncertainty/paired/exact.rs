//! The exact interval of the difference of paired shares that agrees with McNemar's exact test.

use crate::intervals::Interval;
use crate::math::saddle_point::log_power;
use crate::math::{beta, exp, log, normal};

/// From this many pairs on the interval is Tango's: the difference is then of the size of 1/n, and the continued fractions
/// of the beta distributions grow long.
pub(super) const MANY: u64 = 1 << 24;

/// Fay and Lumbard's interval (2021) of the difference D = T (2 B - 1) of the shares of wins and losses: T is the share of
/// discordant pairs and B that of wins among them, of which b wins and c losses of n pairs give the two exact binomial
/// limits. The lower limit of D is where P(T (2 B - 1) < D) passes `tail`, with B ~ Beta(b, c + 1), whose quantiles are
/// Clopper and Pearson's lower limits, and T ~ Beta(b + c, n - b - c + 1) above 0 and Beta(b + c + 1, n - b - c) below it,
/// whichever makes D smaller ("melding": Fay, Proschan and Brittain 2015). P(2 B - 1 < 0) is the p-value of McNemar's exact
/// test, so that the interval leaves 0 out exactly where that test rejects. The upper limit mirrors the lower one.
pub(super) fn interval(wins: u64, losses: u64, n: u64, tail: f64) -> Interval {
    Interval { low: lower(wins, losses, n, tail), high: -lower(losses, wins, n, tail) }
}

fn lower(wins: u64, losses: u64, n: u64, tail: f64) -> f64 {
    let (m, rest) = ((wins + losses) as f64, (n - wins - losses) as f64);
    if wins == 0 {
        // B is 0, and the limit that of the share of discordant pairs.
        return if rest == 0.0 { -1.0 } else { -beta::isf(m + 1.0, rest, tail) };
    }
    let of_wins = Beta { a: wins as f64, b: losses as f64 + 1.0 };
    let at_zero = beta::cdf(of_wins.a, of_wins.b, 0.5);
    if at_zero < tail {
        let of_pairs = Beta { a: m, b: rest + 1.0 };
        return passes(0.0, 1.0, tail, |d| melded(of_pairs, of_wins, d));
    }
    if rest == 0.0 {
        return 2.0 * beta::quantile(of_wins.a, of_wins.b, tail) - 1.0; // every pair is discordant: T is 1
    }
    let of_pairs = Beta { a: m + 1.0, b: rest };
    passes(-1.0, 0.0, tail, |d| melded(of_pairs, of_wins, d))
}

#[derive(Clone, Copy)]
struct Beta {
    a: f64,
    b: f64,
}

/// What lies further out in either tail counts for nothing: less than the rounding of the rest.
const NOTHING: f64 = 1e-17;

impl Beta {
    /// The logits of the smallest and the largest value that count.
    fn reach(self) -> [f64; 2] {
        [[NOTHING, 1.0], [1.0, NOTHING]].map(|[lower, upper]| {
            let (x, y) = beta::solve(self.a, self.b, lower, upper);
            log(x / y)
        })
    }

    /// The probability of values below the one with this logit.
    fn below(self, logit: f64) -> f64 {
        let (x, y) = share(logit);
        beta::tails(self.a, self.b, x, y).0
    }
}

/// P(T (2 B - 1) < d): the chance of B < (1 + d/T)/2, integrated over the logit of T, whose density is log-concave. Where
/// that chance is 1 for sure, it is the tail of T alone.
fn melded(of_pairs: Beta, of_wins: Beta, d: f64) -> f64 {
    if d == 0.0 {
        return beta::cdf(of_wins.a, of_wins.b, 0.5);
    }
    let [least, most] = of_pairs.reach();
    // Where B is at the ends of what counts: T = d/(2 B - 1), of which 2 B - 1 is the tangent hyperbolic of half its logit.
    let [from, to] = of_wins.reach().map(|logit| {
        let e = exp(-logit.abs());
        let centred = (1.0 - e) / (1.0 + e);
        let t = d / if logit < 0.0 { -centred } else { centred };
        if t > 0.0 && t < 1.0 { Some(log(t / (1.0 - t))) } else { None }
    });
    // Above 0 the chance falls from 1 as T grows; below 0 it grows from 0.
    let [first, last] = if d > 0.0 {
        [to.unwrap_or(f64::INFINITY), from.unwrap_or(most)]
    } else {
        [from.unwrap_or(f64::INFINITY), to.unwrap_or(most)]
    };
    let within = |x: f64| {
        if x < least {
            least
        } else if x > most {
            most
        } else {
            x
        }
    };
    let [first, last] = [within(first), within(last)];
    let sure = if d > 0.0 {
        of_pairs.below(first)
    } else if to.is_some() {
        1.0 - of_pairs.below(last)
    } else {
        0.0
    };
    if first >= last {
        return sure;
    }
    let half = 0.5 * (last - first) / PANELS as f64;
    let mut sum = 0.0;
    for panel in 0..PANELS {
        let middle = first + half * (2 * panel + 1) as f64;
        for (node, weight) in GAUSS {
            for logit in [middle - half * node, middle + half * node] {
                let (t, rest) = share(logit);
                let chance = beta::tails(of_wins.a, of_wins.b, 0.5 * (1.0 + d / t), 0.5 * (1.0 - d / t)).0;
                sum += weight * exp(log_power(of_pairs.a, of_pairs.b, t, rest)) * chance;
            }
        }
    }
    sure + half * sum
}

/// The share with this logit, and the rest.
fn share(logit: f64) -> (f64, f64) {
    let e = exp(-logit.abs());
    let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
    if logit < 0.0 { (small, large) } else { (large, small) }
}

/// Panels of sixteen nodes each. Most of the densities are some 17 standard deviations long; that of a count of one is 43
/// logits, and rises within 4 of them (to eight nodes a panel that was too steep: limits were off by 1e-8).
const PANELS: usize = 16;

/// Gauss and Legendre's nodes in [-1, 1], of which each stands for two, and their weights.
const GAUSS: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_58),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_88),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_79),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
];

/// Where the increasing function `below` passes `tail`, between `low` and `high`: by the secant of its normal quantiles,
/// which is nearly straight, inside a bracket that shrinks (the Illinois rule).
fn passes(mut low: f64, mut high: f64, tail: f64, below: impl Fn(f64) -> f64) -> f64 {
    let target = normal::quantile(tail);
    let above = |d: f64| {
        let p = below(d);
        let positive = if p > LEAST { p } else { LEAST };
        normal::quantile(if positive < ALMOST { positive } else { ALMOST }) - target
    };
    let (mut at_low, mut at_high) = (above(low), above(high));
    let (mut last, mut side) = (f64::NAN, 0);
    for _ in 0..100 {
        let d = low + (high - low) * (at_low / (at_low - at_high));
        let at = above(d);
        if at == 0.0 || (d - last).abs() <= CLOSE || high - low <= CLOSE {
            return d;
        }
        last = d;
        if at < 0.0 {
            (low, at_low) = (d, at);
            at_high *= if side == -1 { 0.5 } else { 1.0 };
            side = -1;
        } else {
            (high, at_high) = (d, at);
            at_low *= if side == 1 { 0.5 } else { 1.0 };
            side = 1;
        }
    }
    0.5 * (low + high)
}

/// A probability whose normal quantile is finite.
const LEAST: f64 = 1e-300;
/// The largest number below 1.
const ALMOST: f64 = 1.0 - 0.5 * f64::EPSILON;
/// Two limits that are as close as this are the same.
const CLOSE: f64 = 1e-15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::uncertainty::answers::Test;
    use crate::uncertainty::paired::mcnemar;

    const TAIL: f64 = 0.025;

    #[test]
    fn it_leaves_zero_out_where_the_exact_test_rejects() {
        let n = 40;
        for (b, c) in (0..=n).flat_map(|b| (0..=n - b).map(move |c| (b, c))) {
            let Interval { low, high } = interval(b, c, n, TAIL);
            let p = mcnemar(b, c, Alternative::TwoSided, Test::Exact);
            assert_eq!(p < 0.05, low > 0.0 || high < 0.0, "{b} {c}: {p} {low} {high}");
            let value = (b as f64 - c as f64) / n as f64;
            assert!(-1.0 <= low && low <= value && value <= high && high <= 1.0, "{b} {c}: {low} {high}");
        }
    }

    #[test]
    fn pairs_without_wins_or_ties_have_binomial_limits() {
        // No discordant pair: P(T > t) = (1 - t)^n.
        let Interval { low, high } = interval(0, 0, 20, TAIL);
        assert!((high - (1.0 - exp(log(TAIL) / 20.0))).abs() < 1e-14 && low == -high);
        // Only discordant ones: Clopper and Pearson's limits of B.
        let Interval { low, high } = interval(7, 13, 20, TAIL);
        assert!((low - (2.0 * beta::quantile(7.0, 14.0, TAIL) - 1.0)).abs() < 1e-14);
        assert!((high - (2.0 * beta::isf(8.0, 13.0, TAIL) - 1.0)).abs() < 1e-14);
        assert_eq!(interval(0, 20, 20, TAIL).low, -1.0);
    }

    #[test]
    fn the_root_solves_its_equation_for_many_pairs() {
        let Interval { low, high } = interval(1200, 1000, 20_000, TAIL);
        // Close to Tango's, and a little wider.
        let tango = crate::uncertainty::paired::tango(1200.0, 1000.0, 20_000.0, 1.959963984540054);
        assert!(low < tango.low && high > tango.high, "{low} {high} {tango:?}");
        assert!((low - tango.low).abs() < 1e-4 && (high - tango.high).abs() < 1e-4);
    }
}
