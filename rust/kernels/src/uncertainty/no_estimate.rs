//! The reasons for which there is no estimate.

use super::smooth::Domain;
use crate::grid::Stopped;
use crate::intervals::moments::{Column, Moments};
use crate::memory::NoMemory;
use std::fmt;

/// Why there is no estimate or no interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoEstimate {
    /// A column contains a NaN or an infinity.
    NotFinite {
        /// The index of the column.
        column: usize,
        /// The first such row.
        index: usize,
    },
    /// A sum or a sum of squares exceeds the range of f64.
    TooLarge {
        /// The index of the column.
        column: usize,
        /// Its smallest value.
        low: f64,
        /// Its largest value.
        high: f64,
    },
    /// The cluster of a row lies outside the range of clusters.
    Outside,
    /// All rows are in one cluster.
    OneCluster,
    /// All values are equal except for rounding, so that all resamples would be equal too. (Or there is only one
    /// value.)
    EqualValues {
        /// The number of values.
        n: usize,
    },
    /// A value of a column of labels is neither 0 nor 1.
    NotLabel {
        /// The index of the column.
        column: usize,
        /// The first such row.
        index: usize,
    },
    /// All labels are equal.
    OneLabel {
        /// The label.
        label: bool,
    },
    /// There are more rows than can be sorted.
    TooManyRows {
        /// The most there can be.
        most: usize,
    },
    /// There are more strata than random numbers tell apart.
    TooManyStrata {
        /// The most there can be.
        most: u64,
    },
    /// Whole counts cannot give each stratum its share of the rows.
    UnevenShares {
        /// The most rows that all counts together may be.
        most: u64,
    },
    /// All replicates are equal, although the values differ.
    EqualReplicates {
        /// The number of replicates; 0 for infinitely many.
        n: usize,
    },
    /// The means of all clusters are equal except for rounding.
    EqualMeans {
        /// The number of clusters.
        n: usize,
    },
    /// The denominators add up to 0.
    ZeroDenominator,
    /// The denominators have both signs, and the interval of their sum contains 0.
    Doubtful,
    /// A column holds values that the statistic does not take.
    Domain {
        /// The index of the column.
        column: usize,
        /// What it takes.
        domain: Domain,
        /// The smallest value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// The values of a column are so far from 0 beside their spread that powers of them do not tell it.
    Blurred {
        /// The index of the column.
        column: usize,
        /// Its smallest value.
        low: f64,
        /// Its largest value.
        high: f64,
    },
    /// The values of a column are so small that their powers leave the range of f64.
    TooSmall {
        /// The index of the column.
        column: usize,
        /// Its smallest value.
        low: f64,
        /// Its largest value.
        high: f64,
    },
    /// The statistic of all rows, or of all rows of a stratum, is not defined.
    NoAnswer,
    /// The statistic of all rows is infinite.
    Infinite,
    /// The statistic is one of sorted rows, which has no interval by sums.
    SortedRows,
    /// Two statistics of which there is no quotient: of different columns, or a sum, which grows with the rows.
    NoQuotient,
    /// The denominators of a resample add up to 0, or the statistic of it is not defined for another reason.
    EmptyResample,
    /// A limit would lie beyond the extreme replicate.
    Beyond {
        /// The number of replicates.
        count: usize,
        /// The share of replicates that should lie below the limit.
        level: f64,
    },
    /// All replicates lie on one side of the value, or the denominator of BCa's correction is not positive.
    Undefined,
    /// The method needs the replicates themselves, and infinitely many were asked for.
    NeedsReplicates,
    /// The method makes its limits without replicates.
    NoReplicates,
    /// The limits of ABC lie where the statistic does not rise any more, or nowhere.
    Bent,
    /// The method needs the error of each replicate by the influences of the units, which is not known for a statistic
    /// of sorted rows and under designs.
    NeedsInfluences,
    /// A limit lies among replicates without spread, whose t is infinite.
    NoSpread {
        /// The number of replicates.
        count: usize,
        /// How many of them have no spread.
        without: usize,
    },
    /// The ideal studentised bootstrap of data whose resamples are too many to list, on no two lattices of few points.
    TooManyResamples {
        /// The most that are listed.
        most: usize,
    },
    /// A limit of the ideal bootstrap lies among resamples without spread, whose t is infinite.
    StillResamples {
        /// Their share.
        share: f64,
    },
    /// The ideal bootstrap of a mean (or difference) of ratios whose denominators vary.
    UnevenUnits,
    /// The numerical error of the ideal bootstrap is too large.
    Uncertified {
        /// The error of a probability.
        error: f64,
    },
}

impl fmt::Display for NoEstimate {
    #[allow(clippy::too_many_lines)] // a sentence for each reason
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoEstimate::NotFinite { column, index } => {
                write!(f, "columns: expected finite values; got another at index {index} of column {column}")
            }
            NoEstimate::TooLarge { column, low, high } => write!(
                f,
                "columns: expected values whose sum of squares stays finite; got values from {low:e} to {high:e} in \
                 column {column}; scale them down"
            ),
            NoEstimate::Outside => {
                write!(f, "codes: expected the number of a cluster in each row; got another")
            }
            NoEstimate::OneCluster => write!(
                f,
                "clusters: expected at least two clusters; got one; rows of one cluster cannot be resampled"
            ),
            NoEstimate::EqualValues { n } => {
                write!(f, "columns: expected values that differ; got {n} equal ones")
            }
            NoEstimate::NotLabel { column, index } => {
                write!(
                    f,
                    "columns: expected labels of 0 or 1; got another at index {index} of column {column}"
                )
            }
            NoEstimate::OneLabel { label } => {
                write!(f, "columns: expected labels of both kinds; got only {}", u8::from(*label))
            }
            NoEstimate::TooManyRows { most } => {
                write!(f, "columns: expected at most {most} rows for a statistic of sorted rows; got more")
            }
            NoEstimate::TooManyStrata { most } => {
                write!(f, "strata: expected at most {most} strata (of all groups of by=); got more")
            }
            NoEstimate::UnevenShares { most } => {
                write!(
                    f,
                    "sampling: expected draws of which each stratum has its share by whole counts, at most {most} in \
                     all, for a statistic of sorted rows; got others; draw in proportion to the strata"
                )
            }
            NoEstimate::EqualReplicates { n } => {
                write!(f, "columns: expected resamples that differ; got {n} replicates of one value")
            }
            NoEstimate::EqualMeans { n } => {
                write!(f, "columns: expected clusters whose means differ; got {n} of equal means")
            }
            NoEstimate::ZeroDenominator => {
                write!(f, "columns: expected denominators whose sum is not 0; got 0")
            }
            NoEstimate::Doubtful => {
                write!(
                    f,
                    "columns: expected denominators whose sum differs from 0; got one of uncertain sign"
                )
            }
            NoEstimate::Domain { column, domain, low, high } => write!(
                f,
                "columns: expected {} in column {column}; got values from {low:e} to {high:e}",
                domain.words()
            ),
            NoEstimate::Blurred { column, low, high } => write!(
                f,
                "columns[{column}]: expected values whose powers tell their spread; got values from {low} to {high}; \
                 subtract a number near their mean"
            ),
            NoEstimate::TooSmall { column, low, high } => write!(
                f,
                "columns[{column}]: expected values whose powers are numbers of float64; got values from {low} to {high}; scale \
                 them up"
            ),
            NoEstimate::NoAnswer => write!(f, "columns: expected rows that define the statistic; got others"),
            NoEstimate::SortedRows => {
                write!(f, "statistic: expected a statistic of sums; got one of sorted rows")
            }
            NoEstimate::NoQuotient => write!(
                f,
                "statistic: expected a quotient of two statistics of the same columns, neither of them a sum; got \
                 others"
            ),
            NoEstimate::Infinite => write!(f, "columns: expected a finite statistic; got an infinite one"),
            NoEstimate::EmptyResample => {
                write!(f, "columns: expected a value in each resample; got a resample without one")
            }
            NoEstimate::Beyond { count, level } => write!(
                f,
                "n_resamples: expected so many that a limit lies between two replicates; got {count}, and a limit \
                 below which a share of {level:.3e} lies; raise n_resamples or lower confidence_level"
            ),
            NoEstimate::NeedsReplicates => write!(
                f,
                "n_resamples: expected a finite number for a method that needs the replicates themselves; got \
                 infinity; 9999 is usual"
            ),
            NoEstimate::NoReplicates => {
                write!(
                    f,
                    "method: expected one that computes limits from replicates; got abc, which makes none"
                )
            }
            NoEstimate::Bent => write!(
                f,
                "method: expected a statistic that is nearly straight between its limits, which abc needs; got data \
                 too skewed or too few for it; use method=\"bca\" or a lower confidence_level"
            ),
            NoEstimate::NeedsInfluences => write!(
                f,
                "method: expected percentile, expanded, basic, normal, bc or bca for a statistic of sorted rows, and \
                 with weights, strata, blocks or several kinds of clusters; got one that needs the sums of units that are \
                 drawn alike"
            ),
            NoEstimate::NoSpread { count, without } => write!(
                f,
                "method: expected resamples that show a spread, which studentized divides by; got {without} of \
                 {count} without; use method=\"beta_t\""
            ),
            NoEstimate::TooManyResamples { most } => write!(
                f,
                "n_resamples: expected a finite number for the method studentized, unless at most {most} resamples \
                 differ or values are a few steps apart; got infinity; 9999 is usual"
            ),
            NoEstimate::StillResamples { share } => write!(
                f,
                "method: expected resamples that show a spread, which studentized divides by; got a share of \
                 {share:.3e} of all resamples without; use method=\"bca\""
            ),
            NoEstimate::UnevenUnits => write!(
                f,
                "n_resamples: expected a finite number for a mean or a difference of ratios, each of units of \
                 different sizes (clusters, weights or denominators); got infinity; 9999 is usual"
            ),
            NoEstimate::Uncertified { error } => write!(
                f,
                "n_resamples: expected a finite number for these data; got infinity, and a distribution that is only \
                 known within {error:.1e}; 9999 is usual"
            ),
            NoEstimate::Undefined => write!(
                f,
                "method: expected replicates on both sides of the value, which BCa needs; got data too skewed or too \
                 few for it; use method=\"percentile\" or steelyard.estimate"
            ),
        }
    }
}

/// Why a calculation has ended without an estimate.
pub(super) enum Ended {
    Stopped(Stopped),
    NoEstimate(NoEstimate),
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Ended {
        Ended::Stopped(stopped)
    }
}

impl From<NoMemory> for Ended {
    fn from(error: NoMemory) -> Ended {
        Ended::Stopped(error.into())
    }
}

impl From<NoEstimate> for Ended {
    fn from(refused: NoEstimate) -> Ended {
        Ended::NoEstimate(refused)
    }
}

/// Separates the two reasons: that there is no estimate is a result of the call, that it was stopped is not.
pub(super) fn answer<R>(result: Result<R, Ended>) -> Result<Result<R, NoEstimate>, Stopped> {
    match result {
        Ok(estimate) => Ok(Ok(estimate)),
        Err(Ended::NoEstimate(refused)) => Ok(Err(refused)),
        Err(Ended::Stopped(stopped)) => Err(stopped),
    }
}

/// The moments of a column, where its values and its sum of squares are finite.
pub(super) fn finite(column: Column, place: usize) -> Result<Moments, NoEstimate> {
    match column {
        Column::Bad(index) => Err(NoEstimate::NotFinite { column: place, index }),
        Column::Finite(moments) if moments.mean.is_finite() && moments.squares.is_finite() => Ok(moments),
        Column::Finite(Moments { min: low, max: high, .. }) => {
            Err(NoEstimate::TooLarge { column: place, low, high })
        }
    }
}
