//! Statistics that are functions of a few sums over units.
//!
//! A [`Statistic`] gives a value for K sums, and the influence of one unit on it; [`super::Units`] says what a unit is
//! and what it adds to the sums. Replicates, acceleration, ties and limits are written once, for these two. Statistics of
//! a second kind, which read sorted rows and their counts instead of sums, are in [`super::ordered`].

use crate::named;
use crate::named::{Bound, Named, Parameter};
use crate::uncertainty::ordered::{self, OrderStatistic, Second};

named! {
    /// The statistics by name.
    pub enum Name: "uncertainty.statistic" {
        /// The mean of one column.
        Mean = "mean" { columns: &["x"] },
        /// The sum of one column divided by the sum of another.
        Ratio = "ratio" { columns: &["x", "y"] },
        /// The middle value, or the mean of the two middle ones.
        Median = "median" { columns: &["x"] },
        /// The quantile at level q, linear between neighbours.
        Quantile = "quantile" {
            columns: &["x"], source: "Hyndman and Fan 1996, definition 7",
            parameters: &[Parameter { name: "q", low: Bound::Closed(0.0), high: Bound::Closed(1.0), default: None }],
        },
        /// The mean without a share of the smallest and of the largest values.
        TrimmedMean = "trimmed_mean" {
            columns: &["x"], source: "Tukey and McLaughlin 1963",
            parameters: &[Parameter { name: "share", low: Bound::Closed(0.0), high: Bound::Open(0.5), default: Some(0.1) }],
        },
        /// The distance between the quartiles.
        Iqr = "iqr" { columns: &["x"] },
        /// The median of the distances from the median.
        Mad = "mad" { columns: &["x"], source: "Hampel 1974" },
        /// The area under the ROC curve: the probability that a row with target 1 scores higher than one with target 0.
        Auc = "auc" { columns: &["scores", "targets"], source: "Hanley and McNeil 1982" },
        /// The Gini coefficient of a classifier, 2 AUC - 1.
        Gini = "gini" { columns: &["scores", "targets"], source: "Somers 1962" },
        /// The mean precision over the rows with target 1, as a sum of steps over the thresholds.
        AveragePrecision = "average_precision" { columns: &["scores", "targets"] },
        /// The largest distance between the score distributions of the two targets.
        Ks = "ks" { columns: &["scores", "targets"], source: "Kolmogorov 1933, Smirnov 1939" },
        /// The correlation of the ranks of two columns.
        Spearman = "spearman" { columns: &["x", "y"], source: "Spearman 1904" },
    }
}

impl Name {
    /// The statistic of sorted rows of this name with its parameters, in the order of its row, and what its second
    /// column is; `None` for a statistic of sums.
    pub fn ordered(self, parameters: &[f64]) -> Option<(Box<dyn OrderStatistic>, Second)> {
        let statistic: Box<dyn OrderStatistic> = match self {
            Name::Mean | Name::Ratio => return None,
            Name::Median => Box::new(ordered::Quantile { q: 0.5 }),
            Name::Quantile => Box::new(ordered::Quantile { q: parameters[0] }),
            Name::TrimmedMean => Box::new(ordered::TrimmedMean { share: parameters[0] }),
            Name::Iqr => Box::new(ordered::InterquartileRange),
            Name::Mad => Box::new(ordered::MedianAbsoluteDeviation),
            Name::Auc => Box::new(ordered::Auc),
            Name::Gini => Box::new(ordered::Gini),
            Name::AveragePrecision => Box::new(ordered::AveragePrecision),
            Name::Ks => Box::new(ordered::KolmogorovSmirnov),
            Name::Spearman => Box::new(ordered::Spearman),
        };
        let second = match self.about().columns {
            [_, "targets"] => Second::Labels,
            [_, _] => Second::Ranked,
            _ => Second::Absent,
        };
        Some((statistic, second))
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
