//! The columns that can be computed for a row of logits: the name and formula of each, and the fold that gives the sums
//! for the formula.

use crate::math::{log1p_64, log64};
use crate::named;
use crate::named::Named;
use crate::simd::Isa;

named! {
    /// The columns of token scores, in nats. The logits of a row are x, their largest is M, and S = sum exp(x - M).
    pub enum Column: "tokens.columns" {
        /// Negative log-likelihood of the target, log Z - x\[target\] as log S + (M - x\[target\]): infinite at -inf.
        Nll = "nll",
        /// log Z = M + log S, the logarithm of the sum of the exponentials.
        LogZ = "log_z",
        /// Entropy of the softmax, log Z - sum p x as log S - sum (x - M) exp(x - M) / S: at least 0.
        Entropy = "entropy",
    }
}

named! {
    /// The folds that are compiled, the cheapest first, each named after the column for which it exists. Each computes
    /// all sums of those before it, with the same bits.
    #[derive(PartialOrd, Ord)]
    pub enum Folds: "tokens.folds" {
        /// Computes S.
        SumExp = "log_z",
        /// Computes S, the same sum over the logits below M, and sum (x - M) exp(x - M).
        EntropySums = "entropy",
    }
}

impl Folds {
    /// The cheapest fold with the sums for all of `columns`.
    pub fn serving(columns: &[Column]) -> Folds {
        columns.iter().map(|column| column.folds()).max().unwrap_or(Folds::ALL[0])
    }
}

/// The result of reading a whole row, from which its columns are computed.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// M, the largest logit.
    pub max: f64,
    /// The logit of the target.
    pub at_target: f64,
    /// The sums over the row.
    pub sums: Sums,
}

/// Sums over a row; those that a fold does not compute are NaN.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// S = sum exp(x - M), at least 1.
    pub sum_exp: f64,
    /// The same sum over the logits below M.
    pub below: f64,
    /// sum (x - M) exp(x - M), at most 0.
    pub moment: f64,
}

impl Sums {
    /// No sum was computed.
    pub const NONE: Sums = Sums { sum_exp: f64::NAN, below: f64::NAN, moment: f64::NAN };
}

impl Column {
    /// The cheapest fold with the sums for [`Column::value`].
    fn folds(self) -> Folds {
        match self {
            Column::Nll | Column::LogZ => Folds::SumExp,
            Column::Entropy => Folds::EntropySums,
        }
    }

    /// The value of this column for one row.
    #[inline(always)]
    pub(super) fn value<I: Isa>(self, row: &Row) -> f64 {
        let Row { max, at_target, sums } = *row;
        match self {
            Column::Nll => log64::<I>(sums.sum_exp) + (max - at_target),
            Column::LogZ => max + log64::<I>(sums.sum_exp),
            Column::Entropy => {
                // Each logit equal to M adds exactly 1 to S. Where there is only one, log S = log(1 + sum below M).
                let alone = sums.sum_exp - sums.below < 1.5;
                let log_sum = if alone { log1p_64::<I>(sums.below) } else { log64::<I>(sums.sum_exp) };
                log_sum - sums.moment / sums.sum_exp
            }
        }
    }
}
