//! The mean of what is left when the smallest and the largest values are cut off.

use super::{OrderStatistic, Sample};

/// The mean of the rows without the `floor(share n)` smallest and as many largest.
#[derive(Clone, Copy, Debug)]
pub struct TrimmedMean {
    /// The share that is cut off at each end, at least 0 and below 0.5.
    pub share: f64,
}

impl OrderStatistic for TrimmedMean {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        let Sample { x, counts, total, .. } = sample;
        let cut = (self.share * total as f64) as u64;
        let (first, end) = (cut, total - cut);
        let (mut below, mut sum) = (0, 0.0);
        for (entry, &value) in x.entries.iter().zip(&x.values) {
            let next = below + u64::from(counts[entry.row()]);
            // How many of this row's copies lie between the two cuts.
            let kept = next.clamp(first, end) - below.clamp(first, end);
            sum += value * kept as f64;
            below = next;
        }
        sum / (end - first) as f64
    }

    fn rounding(&self, reach: f64) -> f64 {
        1e-12 * reach
    }
}
