//! Statistics that are functions of a few sums over units.
//!
//! The statistics of [`super::smooth`] are all of this kind; the mean and the ratio have kernels of their own besides.
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
        /// The sum of one column.
        Sum = "sum" { columns: &["x"] },
        /// The mean of one column with another as its weights.
        WeightedMean = "weighted_mean" { columns: &["x", "weights"], needs: "weights whose sum is above 0" },
        /// The exponential of the mean of the logarithms.
        GeometricMean = "geometric_mean" { columns: &["x"] },
        /// The exponential of the sum of negative log-likelihoods divided by the number of tokens.
        Perplexity = "perplexity" { columns: &["nll", "tokens"], needs: "at least one token" },
        /// The mean of the squared distances from the mean (divisor n).
        Variance = "variance" { columns: &["x"] },
        /// The square root of the variance (divisor n).
        Std = "std" { columns: &["x"] },
        /// The third central moment divided by the variance to the power 1.5.
        Skewness = "skewness" { columns: &["x"], needs: "values that differ" },
        /// The fourth central moment divided by the squared variance, minus 3.
        Kurtosis = "kurtosis" { columns: &["x"], needs: "values that differ" },
        /// Pearson's correlation of two columns.
        Correlation = "correlation" { columns: &["x", "y"], needs: "two columns whose values differ" },
        /// The slope of the least-squares line of y on x.
        Slope = "slope" { columns: &["x", "y"], needs: "values of x that differ" },
        /// The root of the mean squared difference of predictions and targets.
        Rmse = "rmse" { columns: &["predictions", "targets"] },
        /// 1 - the sum of squared errors divided by that of the targets about their mean.
        R2 = "r2" { columns: &["predictions", "targets"], needs: "targets that differ" },
        /// The share of 0/1 predictions that equal their target.
        Accuracy = "accuracy" { columns: &["predictions", "targets"] },
        /// The share of the predicted ones that are ones.
        Precision = "precision" { columns: &["predictions", "targets"], needs: "a predicted one" },
        /// The share of the ones that are predicted as ones.
        Recall = "recall" { columns: &["predictions", "targets"], needs: "a target that is one" },
        /// The harmonic mean of precision and recall.
        F1 = "f1" { columns: &["predictions", "targets"], needs: "a one among the predictions or the targets" },
        /// The mean of the accuracies of the two classes.
        BalancedAccuracy = "balanced_accuracy" { columns: &["predictions", "targets"], needs: "targets of both classes" },
        /// Matthews' correlation coefficient of 0/1 predictions and targets.
        Mcc = "mcc" { columns: &["predictions", "targets"], needs: "predictions and targets of both classes" },
        /// Cohen's kappa of 0/1 predictions and targets.
        Kappa = "kappa" { columns: &["predictions", "targets"], needs: "predictions and targets that are not all one class" },
        /// The mean squared difference of probabilities and 0/1 targets.
        Brier = "brier" { columns: &["probabilities", "targets"] },
        /// The mean negative log-likelihood of 0/1 targets, in nats.
        LogLoss = "log_loss" { columns: &["probabilities", "targets"] },
        /// BLEU of a corpus, from the counts of n-grams of its sentences.
        Bleu = "bleu" {
            columns: &[
                "system", "reference", "matches_1", "matches_2", "matches_3", "matches_4", "total_1", "total_2", "total_3",
                "total_4",
            ],
            needs: "a reference that is not empty", source: "Papineni and others 2002",
        },
        /// chrF2 of a corpus, from the counts of n-grams of characters of its sentences.
        Chrf = "chrf" {
            columns: CHRF.split_at(18).0, needs: "a reference that is not empty", source: "Popovic 2015",
        },
        /// chrF2++ of a corpus, from the counts of n-grams of characters and words of its sentences.
        ChrfPlusPlus = "chrf++" {
            columns: CHRF, needs: "a reference that is not empty", source: "Popovic 2017",
        },
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
        /// The expected calibration error of probabilities in bins of equal width.
        Ece = "ece" {
            columns: &["probabilities", "outcomes"], source: "Naeini, Cooper and Hauskrecht 2015",
            parameters: &[Parameter {
                name: "n_bins", low: Bound::Closed(1.0), high: Bound::Closed(MOST_BINS), default: Some(15.0),
            }],
        },
    }
}

/// The columns of chrF++; those of chrF come first.
const CHRF: &[&str] = &[
    "system_1",
    "reference_1",
    "matches_1",
    "system_2",
    "reference_2",
    "matches_2",
    "system_3",
    "reference_3",
    "matches_3",
    "system_4",
    "reference_4",
    "matches_4",
    "system_5",
    "reference_5",
    "matches_5",
    "system_6",
    "reference_6",
    "matches_6",
    "system_words_1",
    "reference_words_1",
    "matches_words_1",
    "system_words_2",
    "reference_words_2",
    "matches_words_2",
];

/// The most bins, as in calibration.
const MOST_BINS: f64 = 10_000.0;

impl Name {
    /// The statistic of sorted rows of this name with its parameters, in the order of its row, and what its second
    /// column is; `None` for a statistic of sums.
    pub fn ordered(self, parameters: &[f64]) -> Option<(Box<dyn OrderStatistic>, Second)> {
        let statistic: Box<dyn OrderStatistic> = match self {
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
            Name::Ece => Box::new(ordered::CalibrationError::new(parameters[0] as usize)),
            _ => return None,
        };
        let second = match self.about().columns {
            [_, "targets"] => Second::Labels,
            [_, "outcomes"] => Second::Outcomes,
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

    /// The influences of units on the statistic of these sums, in its own unit; the counts (or weights) of the units
    /// add up to `units`.
    fn line(self, sums: [f64; K], units: f64) -> Line<K>;
}

/// A linear function of the parts of a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<const K: usize> {
    /// What each part is multiplied by.
    pub gradient: [f64; K],
    /// What is added.
    pub constant: f64,
}

impl<const K: usize> Line<K> {
    /// The function of these parts.
    #[inline(always)]
    pub fn at(&self, part: &[f64; K]) -> f64 {
        let mut sum = self.constant;
        for k in 0..K {
            sum += self.gradient[k] * part[k];
        }
        sum
    }
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

    #[inline(always)]
    fn line(self, [sum]: [f64; 1], _units: f64) -> Line<1> {
        Line { gradient: [1.0 / self.n], constant: -(sum / self.n) / self.n }
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

    #[inline(always)]
    fn line(self, [sum, size]: [f64; 2], _units: f64) -> Line<2> {
        Line { gradient: [1.0 / size, -(sum / size) / size], constant: 0.0 }
    }
}
