//! What is estimated: statistics that follow from a few sums over units.
//!
//! A [`Statistic`] says what K sums amount to and how far one unit pulls at the result; a design ([`super::Units`]) says
//! what a unit is and what it adds to the sums. Replicates, acceleration, ties and limits are written once, against the
//! two. A statistic of order (a median, a quantile) is of a second kind, which reads sorted rows with counts in place of
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

    /// The influence of a unit, U: how far it pulls the statistic away from `value`, but for a factor that all units
    /// share and that cancels.
    fn influence(self, unit: [f64; K], value: f64) -> f64;
}

/// A mean of rows that count alike: the one sum of `x - shift` over every resample's n rows.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// What was taken off every value: near the mean, it keeps what large values would round away.
    pub shift: f64,
    /// How many rows there are.
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

/// A quotient of two sums over units: of clusters' sums of `x - shift` and their sizes it is the mean of all rows; of sums of
/// `x - shift y` and of y it is sum x / sum y.
#[derive(Clone, Copy, Debug)]
pub struct Quotient {
    /// What was taken off per unit of the denominator.
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
