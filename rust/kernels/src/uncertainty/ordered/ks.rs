//! The distance between the distributions of the values of two labels.

use super::{OrderStatistic, Sample};

/// The largest difference between the two empirical distribution functions, `max |F1 - F0|` (Kolmogorov-Smirnov). NaN
/// where a label is missing.
#[derive(Clone, Copy, Debug)]
pub struct KolmogorovSmirnov;

impl OrderStatistic for KolmogorovSmirnov {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        let positives: u64 = sample
            .x
            .entries
            .iter()
            .map(|entry| if entry.label() { u64::from(sample.counts[entry.row()]) } else { 0 })
            .sum();
        let negatives = sample.total - positives;
        // F1 - F0 times both totals, which is a whole number.
        let (mut difference, mut largest) = (0i64, 0u64);
        let steps = [-(positives as i64), negatives as i64];
        for entry in &sample.x.entries {
            difference += steps[usize::from(entry.label())] * i64::from(sample.counts[entry.row()]);
            if entry.last() {
                largest = largest.max(difference.unsigned_abs());
            }
        }
        largest as f64 / (positives * negatives) as f64
    }
}
