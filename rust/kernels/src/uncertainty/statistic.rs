//! Statistics that are functions of a few sums over units.
//!
//! A [`Statistic`] gives a value for K sums, and the influence of one unit on it; [`super::Units`] says what a unit is
//! and what it adds to the sums. Replicates, acceleration, ties and limits are written once, for these two. An order
//! statistic (a median, a quantile) would be of a second kind, which reads sorted rows and their counts instead of
//! sums; there is none yet.

use crate::named;

named! {
    /// The statistics by name.
    pub enum Name: "uncertainty.statistic" {
        /// The mean of one column.
        Mean = "mean" { columns: &["x"] },
        /// The sum of one column divided by the sum of another.
        Ratio = "ratio" { columns: &["x", "y"] },
    }
}

/// A statistic as a smooth function of K sums over units.
pub trait Statistic<const K: usize>: Copy + Send + Sync {
    /// The statistic of these sums.
    fn value(self, sums: [f64; K]) -> f64;

    /// The influence U of a unit on the statistic, whose value is `value`, up to a factor that is common to all units
    /// and cancels where influences are used.
    fn influence(self, unit: [f64; K], value: f64) -> f64;
}

/// The mean of rows that count equally, from the one sum of `x - shift` over the n rows of a resample.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// What was subtracted from every value. A shift near the mean keeps digits that large values would round away.
    pub shift: f64,
    /// The number of rows.
    pub n: f64,
}

impl Statistic<1> for Mean {
    #[inline(always)]
    fn value(self, [sum]: [f64; 1]) -> f64 {
        self.shift + sum / self.n
    }

    #[inline(always)]
    fn influence(self, [x]: [f64; 1], value: f64) -> f64 {
        x - (value - self.shift)
    }
}

/// The quotient of two sums over units. From the clusters' sums of `x - shift` and their sizes it gives the mean of all
/// rows; from the units' sums of `x - shift y` and of y it gives sum x / sum y.
#[derive(Clone, Copy, Debug)]
pub struct Quotient {
    /// What was subtracted from the numerator for each 1 in the denominator.
    pub shift: f64,
}

impl Statistic<2> for Quotient {
    #[inline(always)]
    fn value(self, [sum, size]: [f64; 2]) -> f64 {
        self.shift + sum / size
    }

    #[inline(always)]
    fn influence(self, [sum, size]: [f64; 2], value: f64) -> f64 {
        sum - (value - self.shift) * size
    }
}
