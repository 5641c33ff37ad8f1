//! The statistics, a file each.

mod accuracy;
mod balanced_accuracy;
mod bleu;
mod brier;
mod chrf;
mod correlation;
mod f1;
mod geometric_mean;
mod kappa;
mod kurtosis;
mod log_loss;
mod mcc;
mod mean;
mod perplexity;
mod precision;
mod r2;
mod ratio;
mod recall;
mod rmse;
mod skewness;
mod slope;
mod std;
mod sum;
mod variance;
mod weighted_mean;

use super::super::statistic::Name;
use super::{Sums, erased};
use crate::intervals::moments::Moments;

/// The statistic of that name, for columns with these moments; `None` for one of sorted rows.
pub(super) fn of_name(name: Name, columns: &[Moments]) -> Option<Box<dyn Sums>> {
    Some(match name {
        Name::Mean => erased(mean::Mean::of(columns), columns),
        Name::Ratio => erased(ratio::Ratio::of(columns), columns),
        Name::Sum => erased(sum::Sum, columns),
        Name::WeightedMean => erased(weighted_mean::WeightedMean::of(columns), columns),
        Name::GeometricMean => erased(geometric_mean::GeometricMean::of(columns), columns),
        Name::Perplexity => erased(perplexity::Perplexity, columns),
        Name::Variance => erased(variance::Variance::of(columns), columns),
        Name::Std => erased(std::Std::of(columns), columns),
        Name::Skewness => erased(skewness::Skewness::of(columns), columns),
        Name::Kurtosis => erased(kurtosis::Kurtosis::of(columns), columns),
        Name::Correlation => erased(correlation::Correlation::of(columns), columns),
        Name::Slope => erased(slope::Slope::of(columns), columns),
        Name::Rmse => erased(rmse::Rmse::of(columns), columns),
        Name::R2 => erased(r2::R2::of(columns), columns),
        Name::Accuracy => erased(accuracy::Accuracy, columns),
        Name::Precision => erased(precision::Precision, columns),
        Name::Recall => erased(recall::Recall, columns),
        Name::F1 => erased(f1::F1, columns),
        Name::BalancedAccuracy => erased(balanced_accuracy::BalancedAccuracy, columns),
        Name::Mcc => erased(mcc::Mcc, columns),
        Name::Kappa => erased(kappa::Kappa, columns),
        Name::Brier => erased(brier::Brier, columns),
        Name::LogLoss => erased(log_loss::LogLoss, columns),
        Name::Bleu => erased(bleu::Bleu, columns),
        Name::Chrf => erased(chrf::Chrf::<18>, columns),
        Name::ChrfPlusPlus => erased(chrf::Chrf::<24>, columns),
        Name::Median
        | Name::Quantile
        | Name::TrimmedMean
        | Name::Iqr
        | Name::Mad
        | Name::Auc
        | Name::Gini
        | Name::AveragePrecision
        | Name::Ks
        | Name::Spearman
        | Name::Ece => return None,
    })
}
