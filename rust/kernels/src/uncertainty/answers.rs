//! The tests of two models' 0/1 answers: McNemar's of pairs and Fisher's of two samples, each of which conditions on
//! what both models together got right, or their normal limit.

use crate::intervals::Alternative;
use crate::math::normal;
use crate::named;

named! {
    /// How the p-value of 0/1 answers of independent rows is computed.
    pub enum Test: "answers.test" {
        /// The conditional tail that counts the observed outcome half: about the level on average, rarely above it.
        MidP = "mid-p" { title: "mid-p", source: "Lancaster 1961" },
        /// The whole conditional tail: never above the level, and usually far below it.
        Exact = "exact" { title: "exact", source: "McNemar 1947; Fisher 1934" },
        /// The normal test with the variance of the hypothesis, without a correction.
        ChiSquared = "chi-squared" { title: "chi-squared", source: "McNemar 1947; Campbell 2007" },
    }
}

/// The p-value of a statistic that is standard normal under the hypothesis; at least the smallest normal f64.
pub(super) fn normal_p(z: f64, alternative: Alternative) -> f64 {
    let p = match alternative {
        Alternative::Greater => normal::sf(z),
        Alternative::Less => normal::sf(-z),
        Alternative::TwoSided => 2.0 * normal::sf(z.abs()),
    };
    if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p }
}
