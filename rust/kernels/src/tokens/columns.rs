//! The columns that can be computed for a row of logits: the name and formula of each, and what must be found in the
//! row for it.

use crate::math::{exp64, log1p_64, log64};
use crate::named;
use crate::named::Named;
use crate::simd::Isa;

named! {
    /// The columns of token scores. The logits of a row are x, their largest is M, S = sum exp(x - M), p = exp(x - M) / S
    /// and t is the target. Log-probabilities and differences of logits are in nats.
    pub enum Column: "tokens.columns" {
        /// Negative log-likelihood of the target, log Z - x\[t\] as log S + (M - x\[t\]): infinite at -inf.
        Nll = "nll",
        /// log Z = M + log S, the logarithm of the sum of the exponentials.
        LogZ = "log_z",
        /// The class with the largest logit, the first of equal ones.
        Top = "top",
        /// 1 where the target is the top class, otherwise 0.
        Correct = "correct",
        /// Probability of the top class, 1 / S.
        Confidence = "confidence",
        /// Probability of the target, p\[t\].
        Probability = "probability",
        /// Logit of the target minus the largest of the other classes: below 0 where another class is preferred.
        Margin = "margin",
        /// Entropy of the softmax, log Z - sum p x as log S - sum (x - M) exp(x - M) / S: at least 0.
        Entropy = "entropy",
        /// Variance of -log p under p: sum p (x - M)^2 - (sum p (x - M))^2, in nats squared.
        Varentropy = "varentropy",
        /// Probability that two draws from the softmax are equal, sum p^2.
        Collision = "collision",
        /// 1 plus the number of classes with a larger logit than the target's.
        Rank = "rank",
        /// The number of classes whose logit is at least the target's, itself included.
        RankTies = "rank_ties",
        /// The smallest k for which the target is among the k largest logits, the first of equal ones going first.
        TopK = "top_k",
        /// Cross-entropy against the target smoothed by `label_smoothing` e: (1 - e) nll + e (log Z - sum x / V).
        LabelSmoothed = "label_smoothed",
        /// The square of log Z.
        ZLoss = "z_loss",
        /// Mean of the logits, sum x / V: -inf where a class is masked.
        MeanLogit = "mean_logit",
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
        /// Computes these and sum (x - M)^2 exp(x - M) and sum exp(x - M)^2.
        MomentSums = "varentropy",
    }
}

impl Folds {
    /// The cheapest fold with the sums for all of `columns`.
    pub fn serving(columns: &[Column]) -> Folds {
        columns.iter().map(|column| column.folds()).max().unwrap_or(Folds::ALL[0])
    }
}

/// What is found in a row beside the sums of its fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// Where the largest logit is, and the largest of all others.
    pub largest: bool,
    /// How many logits are larger than the target's, and how many equal it.
    pub ranks: bool,
    /// The sum of the logits.
    pub total: bool,
}

impl Beside {
    /// What `columns` need.
    pub fn serving(columns: &[Column]) -> Beside {
        let any = |of: &[Column]| columns.iter().any(|column| of.contains(column));
        Beside {
            largest: any(&[Column::Top, Column::Correct, Column::Margin]),
            ranks: any(&[Column::Rank, Column::RankTies, Column::TopK]),
            total: any(&[Column::LabelSmoothed, Column::MeanLogit]),
        }
    }
}

/// The result of reading a whole row, from which its columns are computed.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// M, the largest logit.
    pub max: f64,
    /// The sums of the fold.
    pub sums: Sums,
    /// The class of the largest logit, the first of equal ones.
    pub top: usize,
    /// The largest logit of all classes but `top`; -inf where there is no other.
    pub second: f64,
    /// The mean of the logits.
    pub mean: f64,
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
    /// sum (x - M)^2 exp(x - M).
    pub second_moment: f64,
    /// sum exp(x - M)^2, at least 1.
    pub squares: f64,
}

impl Sums {
    /// No sum was computed.
    pub const NONE: Sums = Sums {
        sum_exp: f64::NAN,
        below: f64::NAN,
        moment: f64::NAN,
        second_moment: f64::NAN,
        squares: f64::NAN,
    };
}

/// What is known of one target of a row.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its class.
    pub class: usize,
    /// Its logit.
    pub logit: f64,
    /// How many logits are larger.
    pub larger: u64,
    /// How many logits are equal, itself included.
    pub equal: u64,
    /// How many of these come before it.
    pub equal_before: u64,
}

impl Column {
    /// The cheapest fold with the sums for [`Column::value`].
    fn folds(self) -> Folds {
        match self {
            Column::Entropy => Folds::EntropySums,
            Column::Varentropy | Column::Collision => Folds::MomentSums,
            _ => Folds::SumExp,
        }
    }

    /// Whether it depends on the target; the others are the same for every target of a row.
    pub fn of_target(self) -> bool {
        match self {
            Column::Nll
            | Column::Correct
            | Column::Probability
            | Column::Margin
            | Column::Rank
            | Column::RankTies
            | Column::TopK
            | Column::LabelSmoothed => true,
            Column::LogZ
            | Column::Top
            | Column::Confidence
            | Column::Entropy
            | Column::Varentropy
            | Column::Collision
            | Column::ZLoss
            | Column::MeanLogit => false,
        }
    }

    /// The value of this column for one target of a row.
    #[inline(always)]
    pub(super) fn value<I: Isa>(self, row: &Row, target: &Target, label_smoothing: f64) -> f64 {
        let Row { max, sums, .. } = *row;
        match self {
            Column::Nll => nll::<I>(row, target),
            Column::LogZ => log_z::<I>(row),
            Column::Top => row.top as f64,
            Column::Correct => f64::from(u8::from(row.top == target.class)),
            Column::Confidence => 1.0 / sums.sum_exp,
            Column::Probability => exp64::<I>(target.logit - max) / sums.sum_exp,
            Column::Margin => target.logit - if row.top == target.class { row.second } else { max },
            Column::Entropy => entropy::<I>(sums),
            Column::Varentropy => {
                let mean = sums.moment / sums.sum_exp;
                let variance = sums.second_moment / sums.sum_exp - mean * mean;
                // The difference of two rounded numbers may fall below 0.
                if variance > 0.0 { variance } else { 0.0 }
            }
            Column::Collision => sums.squares / (sums.sum_exp * sums.sum_exp),
            Column::Rank => (1 + target.larger) as f64,
            Column::RankTies => (target.larger + target.equal) as f64,
            Column::TopK => (1 + target.larger + target.equal_before) as f64,
            Column::LabelSmoothed => smoothed::<I>(row, target, label_smoothing),
            Column::ZLoss => log_z::<I>(row) * log_z::<I>(row),
            Column::MeanLogit => row.mean,
        }
    }
}

#[inline(always)]
fn log_z<I: Isa>(row: &Row) -> f64 {
    row.max + log64::<I>(row.sums.sum_exp)
}

#[inline(always)]
fn nll<I: Isa>(row: &Row, target: &Target) -> f64 {
    log64::<I>(row.sums.sum_exp) + (row.max - target.logit)
}

#[inline(always)]
fn smoothed<I: Isa>(row: &Row, target: &Target, by: f64) -> f64 {
    // What has no weight must not count where it is infinite.
    let own = if by < 1.0 { (1.0 - by) * nll::<I>(row, target) } else { 0.0 };
    let spread = if by > 0.0 { by * (log64::<I>(row.sums.sum_exp) + (row.max - row.mean)) } else { 0.0 };
    own + spread
}

#[inline(always)]
fn entropy<I: Isa>(sums: Sums) -> f64 {
    // Each logit equal to M adds exactly 1 to S. Where there is only one, log S = log(1 + sum below M).
    let alone = sums.sum_exp - sums.below < 1.5;
    let log_sum = if alone { log1p_64::<I>(sums.below) } else { log64::<I>(sums.sum_exp) };
    log_sum - sums.moment / sums.sum_exp
}
