//! McNemar's tests of paired 0/1 answers.

use crate::intervals::Alternative;
use crate::math::binomial;
use crate::simd::scalar;
use crate::uncertainty::answers::{Test, normal_p};

/// The p-value of McNemar's test: under the hypothesis, the wins b among the b + c discordant pairs are binomial with
/// probability 1/2. The mid-p-value counts the observed outcome half; it keeps the level in practice without being
/// conservative (Fagerland, Lydersen and Laake 2013). The chi-squared test takes (b - c)/sqrt(b + c) as normal; it
/// rejects where Tango's interval does not contain 0.
pub fn mcnemar(wins: u64, losses: u64, alternative: Alternative, test: Test) -> f64 {
    scalar(|| match test {
        Test::MidP => binomial_p(wins, losses, alternative, true),
        Test::Exact => binomial_p(wins, losses, alternative, false),
        Test::ChiSquared => {
            let (b, c) = (wins as f64, losses as f64);
            normal_p(if b == c { 0.0 } else { (b - c) / (b + c).sqrt() }, alternative)
        }
    })
}

fn binomial_p(wins: u64, losses: u64, alternative: Alternative, mid: bool) -> f64 {
    let discordant = wins + losses;
    // P(X <= k), or for the mid-p-value the mean of P(X <= k) and P(X < k).
    let below = |k: u64| {
        let up_to = binomial::cdf(k, discordant, 0.5);
        if !mid {
            return up_to;
        }
        0.5 * (up_to + if k == 0 { 0.0 } else { binomial::cdf(k - 1, discordant, 0.5) })
    };
    match alternative {
        Alternative::Greater => below(losses),
        Alternative::Less => below(wins),
        // As many wins as losses: the doubled exact tail would exceed 1, and the mid-p-value is 1 by symmetry.
        Alternative::TwoSided if wins == losses => 1.0,
        Alternative::TwoSided => {
            let p = 2.0 * below(if wins < losses { wins } else { losses });
            if p < 1.0 { p } else { 1.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_of_15_and_19() {
        assert!((mcnemar(15, 19, Alternative::TwoSided, Test::Exact) - 0.60759136127308).abs() < 1e-13);
        assert_eq!(
            mcnemar(15, 19, Alternative::TwoSided, Test::MidP),
            mcnemar(19, 15, Alternative::TwoSided, Test::MidP)
        );
    }

    #[test]
    fn one_sided_mid_p_of_both_sides_is_one() {
        for (b, c) in [(0, 0), (0, 5), (3, 3), (12, 10), (60, 35)] {
            let up = mcnemar(b, c, Alternative::Greater, Test::MidP);
            let down = mcnemar(b, c, Alternative::Less, Test::MidP);
            assert!((up + down - 1.0).abs() < 1e-14, "{b} {c}: {up} {down}");
        }
    }

    #[test]
    fn the_chi_squared_p_is_that_of_the_normal_distribution() {
        // (19 - 15)^2/34 = .470588.
        let p = mcnemar(15, 19, Alternative::TwoSided, Test::ChiSquared);
        assert!((p - 0.492_716_677_227_087).abs() < 1e-14, "{p}");
        assert_eq!(mcnemar(0, 0, Alternative::TwoSided, Test::ChiSquared), 1.0);
        assert_eq!(mcnemar(0, 0, Alternative::Less, Test::ChiSquared), 0.5);
        let [less, greater] =
            [Alternative::Less, Alternative::Greater].map(|of| mcnemar(3, 11, of, Test::ChiSquared));
        assert!((less + greater - 1.0).abs() < 1e-15 && less < 0.02);
        assert_eq!(mcnemar(5000, 0, Alternative::TwoSided, Test::ChiSquared), f64::MIN_POSITIVE);
    }
}
