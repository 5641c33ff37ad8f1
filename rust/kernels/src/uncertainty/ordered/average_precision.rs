//! The area under the precision-recall curve, as a sum of steps.

use super::{OrderStatistic, Sample};

/// `sum (R_k - R_(k-1)) P_k` over the thresholds, with `R_k` and `P_k` the recall and the precision where values of at
/// least the threshold count as 1: scikit-learn's `average_precision_score`. NaN where no row has label 1.
#[derive(Clone, Copy, Debug)]
pub struct AveragePrecision;

impl OrderStatistic for AveragePrecision {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        let (mut above, mut right) = (0u64, 0u64);
        let mut sum = 0.0;
        let mut here = [0u64; 2];
        // From the largest value down: a value ends where the row before it is the last of another.
        let mut entries = sample.x.entries.iter().rev().peekable();
        while let Some(entry) = entries.next() {
            here[usize::from(entry.label())] += u64::from(sample.counts[entry.row()]);
            if entries.peek().is_none_or(|next| next.last()) {
                above += here[0] + here[1];
                right += here[1];
                if here[1] > 0 {
                    sum += here[1] as f64 * (right as f64 / above as f64);
                }
                here = [0; 2];
            }
        }
        // 0/0 where no row has label 1.
        sum / right as f64
    }

    fn rounding(&self, _reach: f64) -> f64 {
        1e-12
    }
}
