//! The correlation of ranks.

use super::{OrderStatistic, Sample, Sorted};

/// Spearman's rank correlation: Pearson's of the ranks of two columns, where equal values share their mean rank. NaN
/// where a column is constant.
#[derive(Clone, Copy, Debug)]
pub struct Spearman;

impl OrderStatistic for Spearman {
    fn value(&self, sample: Sample<'_>, scratch: &mut [i64]) -> f64 {
        let Some(y) = sample.y else { return f64::NAN };
        let squares_x = ranks(sample.x, sample, |row, rank, _| scratch[row] = rank);
        let mut products = 0i128;
        let squares_y = ranks(y, sample, |row, rank, count| {
            products += i128::from(count) * i128::from(scratch[row] * rank);
        });
        products as f64 / ((squares_x as f64).sqrt() * (squares_y as f64).sqrt())
    }
}

/// Calls `see(row, rank, count)` for each row, with twice its rank about the mean rank, and returns the sum of the
/// squares of these ranks. They are whole numbers, so that no sum is rounded.
fn ranks(column: &Sorted, sample: Sample<'_>, mut see: impl FnMut(usize, i64, u32)) -> i128 {
    let (mut below, mut start, mut squares) = (0i64, 0, 0i128);
    let mut here = 0i64;
    for (i, entry) in column.entries.iter().enumerate() {
        here += i64::from(sample.counts[entry.row()]);
        if entry.last() {
            let rank = 2 * below + here - sample.total as i64;
            for tied in &column.entries[start..=i] {
                see(tied.row(), rank, sample.counts[tied.row()]);
            }
            squares += i128::from(here) * i128::from(rank * rank);
            (below, start, here) = (below + here, i + 1, 0);
        }
    }
    squares
}
