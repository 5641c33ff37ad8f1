//! The tests of two models' 0/1 answers: McNemar's of pairs and Fisher's of two samples, each of which conditions on
//! what both models together got right, or their normal limit.

use crate::intervals::{Alternative, Interval};
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

/// The difference of two models' shares of right answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The share of the new model minus that of the baseline.
    pub value: f64,
    /// Its standard error, never 0.
    pub standard_error: f64,
    /// The interval of the method that was asked for.
    pub interval: Interval,
    /// The p-value of the test that was asked for.
    pub p: f64,
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
