//! Fisher's conditional test of two independent shares, and its normal limit.

use crate::intervals::Alternative;
use crate::math::hypergeometric;
use crate::simd::scalar;
use crate::uncertainty::answers::{Test, normal_p};

/// The p-value of the hypothesis that `hits` of `rows` have one probability on both sides.
///
/// Given the number of all hits, that of the first side is hypergeometric: the p is the probability of as many or more
/// (for `Less` as many or fewer), of which the mid-p counts that of the observed number half; two-sided twice the smaller
/// of the two. The chi-squared test takes as normal the difference of the shares over the root of
/// p (1 - p)(1/n + 1/m) N/(N - 1), N = n + m, p the share of all (Campbell 2007); it rejects where Miettinen and
/// Nurminen's interval does not contain 0.
pub fn fisher(hits: [u64; 2], rows: [u64; 2], alternative: Alternative, test: Test) -> f64 {
    scalar(|| match test {
        Test::MidP => conditional(hits, rows, alternative, 0.5),
        Test::Exact => conditional(hits, rows, alternative, 1.0),
        Test::ChiSquared => normal_p(score(hits, rows), alternative),
    })
}

/// The tails with this `share` of the observed number.
fn conditional(hits: [u64; 2], rows: [u64; 2], alternative: Alternative, share: f64) -> f64 {
    // One order of the sides, so that swapping them changes no bit.
    let swapped = (rows[0], hits[0]) > (rows[1], hits[1]);
    let (i, j) = if swapped { (1, 0) } else { (0, 1) };
    let of = hypergeometric::tails(hits[i], rows[i], rows[j], hits[i] + hits[j]);
    let (less, greater) = (of.below + share * of.at, of.above + share * of.at);
    let p = match alternative {
        Alternative::Greater => {
            if swapped {
                less
            } else {
                greater
            }
        }
        Alternative::Less => {
            if swapped {
                greater
            } else {
                less
            }
        }
        Alternative::TwoSided if rows[0] == rows[1] && hits[0] == hits[1] => 1.0, // by symmetry
        Alternative::TwoSided => 2.0 * if less < greater { less } else { greater },
    };
    if p < 1.0 { p } else { 1.0 }
}

/// The difference of the shares divided by its standard deviation under the hypothesis; 0 where both shares are equal.
fn score(hits: [u64; 2], rows: [u64; 2]) -> f64 {
    let ([k, j], [n, m]) = (hits.map(|x| x as f64), rows.map(|x| x as f64));
    let (difference, all) = (k * m - j * n, n + m);
    if difference == 0.0 {
        return 0.0;
    }
    let (right, wrong) = (k + j, (n - k) + (m - j));
    difference * ((all - 1.0) / (n * m) / (right * wrong)).sqrt()
}
