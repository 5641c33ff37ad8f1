//! Counts the patterns in the tail where they are few, by the meet-in-the-middle algorithm.

use crate::grid::{Pace, Stopped};
use crate::memory;

/// The most subset sums that are kept for each half of the values: 8 MiB.
const MOST: usize = 1 << 20;

/// How many of the 2^m subsets of `values` (in ascending order) have a sum of at most `limit`; `None` where one half of
/// the values has more than 2^20 such subsets.
///
/// The values are divided into two halves, whose subset sums are kept sorted while values are added (E. Horowitz and S.
/// Sahni, "Computing partitions with applications to the knapsack problem", J. ACM 21, 1974). Sums beyond the limit are
/// dropped at once: 40 values always fit, and thousands do where few sums stay below the limit.
pub fn subsets(values: &[f64], limit: f64, pace: &mut Pace<'_>) -> Result<Option<u64>, Stopped> {
    if limit < 0.0 {
        return Ok(Some(0));
    }
    let Some(left) = sums(values.iter().step_by(2), limit, pace)? else { return Ok(None) };
    let Some(right) = sums(values.iter().skip(1).step_by(2), limit, pace)? else { return Ok(None) };
    let mut rest = right.len();
    let mut count = 0;
    for sums in left.chunks(1 << 16) {
        for &sum in sums {
            while rest > 0 && sum + right[rest - 1] > limit {
                rest -= 1;
            }
            count += rest as u64;
        }
        pace.stride(sums.len())?;
    }
    Ok(Some(count))
}

/// The sorted subset sums up to `limit`; `None` where there are too many.
fn sums<'a>(
    values: impl Iterator<Item = &'a f64>,
    limit: f64,
    pace: &mut Pace<'_>,
) -> Result<Option<Vec<f64>>, Stopped> {
    let mut sums = memory::filled(1, 0.0)?;
    for &value in values {
        if value > limit {
            break;
        }
        let mut longer = memory::filled(2 * sums.len(), 0.0)?;
        merge(&sums, value, &mut longer);
        longer.truncate(longer.partition_point(|&sum| sum <= limit));
        sums = longer;
        if sums.len() > MOST {
            return Ok(None);
        }
        pace.stride(sums.len())?;
    }
    Ok(Some(sums))
}

/// Merges `sums` with `sums + value` into `to`, which is twice as long.
fn merge(sums: &[f64], value: f64, to: &mut [f64]) {
    let (mut old, mut new) = (0, 0);
    for to in to {
        // The new sums never run out before the old ones, since the largest of all is a new one.
        let without = if old < sums.len() { sums[old] } else { f64::INFINITY };
        let with = sums[new] + value;
        // Written so that the compiler selects a number instead of branching: the branch could not be predicted.
        let first = without <= with;
        *to = if first { without } else { with };
        old += usize::from(first);
        new += usize::from(!first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(values: &[f64], limit: f64) -> Option<u64> {
        subsets(values, limit, &mut Pace::new(&mut |_| true)).unwrap()
    }

    #[test]
    fn every_subset_counts_once() {
        let values: Vec<f64> = (1..=13).map(|i| f64::from(i * i % 17) + 0.25).collect();
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        for limit in [-1.0, 0.0, 3.0, 20.0, 51.5, 1e3] {
            let sum = |set: u32| (0..13).filter(|i| set >> i & 1 == 1).map(|i| values[i]).sum::<f64>();
            let by_hand = (0..1u32 << 13).filter(|&set| sum(set) <= limit).count();
            assert_eq!(count(&sorted, limit), Some(by_hand as u64), "{limit}");
        }
    }

    #[test]
    fn forty_values_fit_and_a_thousand_with_a_low_limit_do() {
        assert_eq!(count(&[1.0; 40], 40.0), Some(1 << 40));
        assert_eq!(count(&[1.0; 1000], 1.0), Some(1001));
        assert_eq!(count(&[1.0; 1000], 1.5e3), None);
        assert_eq!(count(&[], 0.0), Some(1));
    }
}
