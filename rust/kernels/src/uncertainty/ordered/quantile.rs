//! Quantiles of a resample.

use super::{OrderStatistic, Sample};

/// The quantile at level `q`, linear between the order statistics around position `(n - 1) q`, counted from 0
/// (definition 7 of Hyndman and Fan 1996, which NumPy calls `linear`).
#[derive(Clone, Copy, Debug)]
pub struct Quantile {
    /// The level, from 0 to 1.
    pub q: f64,
}

impl OrderStatistic for Quantile {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        quantile(sample, self.q)
    }

    fn level(&self) -> Option<f64> {
        Some(self.q)
    }

    fn rounding(&self, reach: f64) -> f64 {
        4.0 * f64::EPSILON * reach
    }
}

/// The quantile of the first column at level `q`.
pub(super) fn quantile(sample: Sample<'_>, q: f64) -> f64 {
    let (rank, part) = position(sample.total, q);
    let (value, next) = neighbours(sample, rank);
    between(value, next, part)
}

/// The whole and the fractional part of `(total - 1) q`.
pub(in crate::uncertainty) fn position(total: u64, q: f64) -> (u64, f64) {
    let at = (total - 1) as f64 * q;
    let rank = at as u64;
    (rank, at - rank as f64)
}

/// The point a `part` of the way from one value to the next.
pub(in crate::uncertainty) fn between(value: f64, next: f64, part: f64) -> f64 {
    if part == 0.0 { value } else { value + (next - value) * part }
}

/// Rows that are counted before the sum is compared with the rank: enough for the loads of counts, which lie anywhere
/// in memory, to overlap.
const BLOCK: usize = 64;

/// The order statistics at `rank` and `rank + 1` of the resample, counted from 0; the largest for a rank beyond it.
pub(super) fn neighbours(sample: Sample<'_>, rank: u64) -> (f64, f64) {
    let Sample { x, counts, .. } = sample;
    let (mut below, mut start) = (0, 0);
    for block in x.entries.chunks(BLOCK) {
        let here: u64 = block.iter().map(|entry| u64::from(counts[entry.row()])).sum();
        if below + here > rank {
            break;
        }
        below += here;
        start += block.len();
    }
    let mut found = None;
    let mut largest = f64::NAN;
    for (entry, &value) in x.entries[start..].iter().zip(&x.values[start..]) {
        let count = u64::from(counts[entry.row()]);
        if count == 0 {
            continue;
        }
        below += count;
        largest = value;
        if below > rank {
            let first = *found.get_or_insert(value);
            if below > rank + 1 {
                return (first, value);
            }
        }
    }
    (found.unwrap_or(largest), largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uncertainty::ordered::Sorted;

    /// The quantile of the values repeated by their counts, sorted anew.
    fn repeated(x: &[f64], counts: &[u32], q: f64) -> f64 {
        let mut all: Vec<f64> =
            x.iter().zip(counts).flat_map(|(&x, &c)| std::iter::repeat_n(x, c as usize)).collect();
        all.sort_unstable_by(f64::total_cmp);
        let at = (all.len() - 1) as f64 * q;
        let below = at as usize;
        let above = all[(below + 1).min(all.len() - 1)];
        if at == below as f64 { all[below] } else { all[below] + (above - all[below]) * (at - below as f64) }
    }

    #[test]
    fn it_is_the_quantile_of_the_repeated_values() {
        for n in [1usize, 2, 5, 64, 65, 200, 1000] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 7919) % 101) as f64 * 0.5).collect();
            let sorted = Sorted::new(&&x[..], None, &mut |_| true).unwrap();
            for shape in 0..4 {
                let counts: Vec<u32> =
                    (0..n).map(|i| if shape == 0 { 1 } else { (i * 31 % (shape + 2)) as u32 }).collect();
                let total = counts.iter().map(|&c| u64::from(c)).sum();
                if total == 0 {
                    continue;
                }
                let sample = Sample { x: &sorted, y: None, counts: &counts, total };
                for q in [0.0, 0.01, 0.25, 0.5, 0.77, 0.999, 1.0] {
                    assert_eq!(quantile(sample, q), repeated(&x, &counts, q), "n = {n}, q = {q}");
                }
            }
        }
    }
}
