//! The area under the ROC curve, and what follows from it.

use super::{OrderStatistic, Sample};

/// The probability that a row with label 1 has a larger value than a row with label 0, where ties count half: the area
/// under the ROC curve (Mann and Whitney 1947). NaN where a label is missing.
#[derive(Clone, Copy, Debug)]
pub struct Auc;

impl OrderStatistic for Auc {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        let (mut positives, mut negatives, mut doubled) = (0u64, 0u64, 0u64);
        // How often rows of the value at hand count: those of label 0, and those of label 1.
        let mut here = [0u64; 2];
        for entry in &sample.x.entries {
            here[usize::from(entry.label())] += u64::from(sample.counts[entry.row()]);
            if entry.last() {
                let [without, with] = here;
                doubled += with * (2 * negatives + without);
                negatives += without;
                positives += with;
                here = [0; 2];
            }
        }
        // 0/0 where a label is missing.
        doubled as f64 / (2 * positives * negatives) as f64
    }
}

/// `2 AUC - 1`, the Gini coefficient of a classifier (Somers' D).
#[derive(Clone, Copy, Debug)]
pub struct Gini;

impl OrderStatistic for Gini {
    fn value(&self, sample: Sample<'_>, scratch: &mut [i64]) -> f64 {
        2.0 * Auc.value(sample, scratch) - 1.0
    }
}
