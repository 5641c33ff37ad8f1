//! The hypergeometric distribution: how many of `drawn` items are hits, where `hits` of all `drawn + rest` items are.

use super::binomial::power_and_factor;
use super::exp;
use crate::simd::scalar;

/// The probabilities of fewer hits than were observed, of as many, and of more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tails {
    /// `P(X < x)`.
    pub below: f64,
    /// `P(X = x)`.
    pub at: f64,
    /// `P(X > x)`.
    pub above: f64,
}

/// The tails about `x` hits among `drawn` items, where `hits` of `drawn + rest` items are hits; relative error of the
/// tail away from the mode below 1e-12, the other one is its complement. `x` must be possible: at most `drawn` and
/// `hits`, and `hits - x` at most `rest`.
///
/// The tail is summed term by term, outwards from `x`, until a term no longer changes the sum: about nine standard
/// deviations of `X`, whose variance is below a quarter of the number of items.
pub fn tails(x: u64, drawn: u64, rest: u64, hits: u64) -> Tails {
    scalar(|| {
        let others = hits - x;
        let at = point(x, drawn, rest, hits);
        // `x` is at most the mode where the next term is not larger than this one with the ratio turned round.
        let next = (drawn - x) as f64 * others as f64;
        let this = (x + 1) as f64 * (rest - others + 1) as f64;
        if next >= this {
            let below = at * downwards(x, drawn, rest, hits);
            let most = x == drawn || others == 0;
            Tails { below, at, above: if most { 0.0 } else { complement(below + at) } }
        } else {
            // Misses are hits of the other kind: the tail above x is the one below drawn - x.
            let above = at * downwards(drawn - x, drawn, rest, drawn + rest - hits);
            let least = x == 0 || others == rest;
            Tails { below: if least { 0.0 } else { complement(above + at) }, at, above }
        }
    })
}

/// 1 - p, and 0 where rounding made p larger than 1.
fn complement(p: f64) -> f64 {
    if p < 1.0 { 1.0 - p } else { 0.0 }
}

/// `P(X = x)` as a product of three binomial probabilities, whose common p cancels (Loader 2000).
fn point(x: u64, drawn: u64, rest: u64, hits: u64) -> f64 {
    let all = drawn + rest;
    if hits == 0 || hits == all || drawn == 0 || rest == 0 {
        return 1.0; // only one table is possible
    }
    let p = hits as f64 / all as f64;
    let (first, first_factor) = power_and_factor(x, drawn, p);
    let (second, second_factor) = power_and_factor(hits - x, rest, p);
    let (whole, whole_factor) = power_and_factor(hits, all, p);
    exp(first + second - whole) * (first_factor * second_factor / whole_factor)
}

/// `P(X < x) / P(X = x)` for `x` up to the mode, where the terms fall on the way down.
fn downwards(x: u64, drawn: u64, rest: u64, hits: u64) -> f64 {
    let (drawn, rest, hits) = (drawn as f64, rest as f64, hits as f64);
    let (mut term, mut sum, mut j) = (1.0, 0.0, x as f64);
    loop {
        // The last possible table has no hit here, or no miss among the rest: the ratio is then 0.
        term *= j / (drawn - j + 1.0) * ((rest - hits + j) / (hits - j + 1.0));
        let more = sum + term;
        if more <= sum {
            return sum;
        }
        (sum, j) = (more, j - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Tails, tails};

    fn choose(n: u64, k: u64) -> u128 {
        if k > n {
            return 0;
        }
        (0..k).fold(1u128, |c, i| c * u128::from(n - i) / u128::from(i + 1))
    }

    #[test]
    fn equals_exact_counts() {
        for (drawn, rest) in [(1u64, 1u64), (5, 3), (12, 30), (20, 20), (31, 2)] {
            for hits in 0..=drawn + rest {
                let (least, most) = (hits.saturating_sub(rest), hits.min(drawn));
                let ways = |x: u64| choose(drawn, x) * choose(rest, hits - x);
                let total = choose(drawn + rest, hits) as f64;
                for x in least..=most {
                    let got = tails(x, drawn, rest, hits);
                    let below = (least..x).map(ways).sum::<u128>() as f64 / total;
                    let above = (x + 1..=most).map(ways).sum::<u128>() as f64 / total;
                    let want = [below, ways(x) as f64 / total, above];
                    for (got, want) in [got.below, got.at, got.above].into_iter().zip(want) {
                        assert!(
                            (got - want).abs() <= 1e-13,
                            "{x} of {drawn}, {rest}, {hits}: {got:e} {want:e}"
                        );
                    }
                    let (small, exact) = if below < above { (got.below, below) } else { (got.above, above) };
                    assert!((small - exact).abs() <= 1e-12 * exact, "{x} of {drawn}, {rest}, {hits}");
                }
            }
        }
    }

    #[test]
    fn one_table_alone_is_certain() {
        let certain = Tails { below: 0.0, at: 1.0, above: 0.0 };
        assert_eq!(tails(0, 7, 9, 0), certain);
        assert_eq!(tails(7, 7, 9, 16), certain);
    }

    #[test]
    fn large_tables_end() {
        let got = tails(250_000_300, 500_000_000, 500_000_000, 500_000_000);
        assert!(got.above > 0.48 && got.above < 0.5 && (got.below + got.at + got.above - 1.0).abs() < 1e-9);
        let far = tails(500, 500, 500, 500);
        assert!(far.above == 0.0 && far.at > 0.0 && far.at < 1e-299, "{far:?}");
    }
}
