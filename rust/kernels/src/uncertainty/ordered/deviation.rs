//! Measures of spread by order: the interquartile range and the median absolute deviation.

use super::quantile::{between, neighbours, position, quantile};
use super::{OrderStatistic, Sample};

/// The quantile at .75 minus that at .25.
#[derive(Clone, Copy, Debug)]
pub struct InterquartileRange;

impl OrderStatistic for InterquartileRange {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        quantile(sample, 0.75) - quantile(sample, 0.25)
    }

    fn rounding(&self, reach: f64) -> f64 {
        8.0 * f64::EPSILON * reach
    }
}

/// The median of the distances from the median (not scaled to the standard deviation of a normal distribution).
#[derive(Clone, Copy, Debug)]
pub struct MedianAbsoluteDeviation;

impl OrderStatistic for MedianAbsoluteDeviation {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        let (rank, part) = position(sample.total, 0.5);
        let (value, next) = neighbours(sample, rank);
        let (distance, further) = nearest(sample, between(value, next, part), rank);
        between(distance, further, part)
    }

    fn rounding(&self, reach: f64) -> f64 {
        8.0 * f64::EPSILON * reach
    }
}

/// The distances from `centre` at `rank` and `rank + 1` in ascending order. The values on both sides of the centre are
/// already in the order of their distances, so that a merge finds them.
fn nearest(sample: Sample<'_>, centre: f64, rank: u64) -> (f64, f64) {
    let Sample { x, counts, .. } = sample;
    let mut above = x.values.partition_point(|&value| value < centre);
    let mut left = above;
    let (mut seen, mut found) = (0, None);
    let mut distance = 0.0;
    loop {
        let lower = left.checked_sub(1).map(|i| centre - x.values[i]);
        let upper = x.values.get(above).map(|&value| value - centre);
        let at = match (lower, upper) {
            (Some(down), Some(up)) if down <= up => left - 1,
            (Some(_), None) => left - 1,
            (_, Some(_)) => above,
            (None, None) => return (found.unwrap_or(distance), distance),
        };
        if at < left {
            left = at;
        } else {
            above += 1;
        }
        let count = u64::from(counts[x.entries[at].row()]);
        if count == 0 {
            continue;
        }
        distance = (x.values[at] - centre).abs();
        seen += count;
        if seen > rank {
            let first = *found.get_or_insert(distance);
            if seen > rank + 1 {
                return (first, distance);
            }
        }
    }
}
