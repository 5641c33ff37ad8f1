//! A column in sorted order, with what a scan needs to know about each row.

use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::memory;
use crate::sorting::rows_by_value;
use crate::uncertainty::paired::Wide;

/// Where a row stands among the sorted ones: its index in the data, its label, and whether the next row has another
/// value, packed into 32 bits because scans are bound by memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

impl Entry {
    const LABEL: u32 = 1 << 30;
    const LAST: u32 = 1 << 31;
    /// The most rows that can be told apart.
    pub const ROWS: usize = 1 << 30;

    /// The index of the row in the data.
    #[inline(always)]
    pub fn row(self) -> usize {
        (self.0 & (Self::LABEL - 1)) as usize
    }

    /// The label of the row; false where the data have none.
    #[inline(always)]
    pub fn label(self) -> bool {
        self.0 & Self::LABEL != 0
    }

    /// Whether it is the last of the rows that share its value.
    #[inline(always)]
    pub fn last(self) -> bool {
        self.0 & Self::LAST != 0
    }
}

/// A column in ascending order; rows of equal values are in the order of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted {
    /// The values.
    pub values: Vec<f64>,
    /// The row of each value.
    pub entries: Vec<Entry>,
}

impl Sorted {
    /// Sorts a column without NaN, of at most [`Entry::ROWS`] rows. `labels` has one entry per row, or none.
    pub fn new(x: &dyn Wide, labels: Option<&[bool]>, progress: Progress<'_>) -> Result<Sorted, Stopped> {
        let n = x.len();
        let mut data = memory::filled(n, 0.0)?;
        x.widen(0, &mut data);
        for value in &mut data {
            *value += 0.0; // turns -0 into 0: they are one value
        }
        let mut pace = Pace::new(progress);
        let rows = rows_by_value(&data, &mut pace)?;
        let mut values = memory::with_capacity(n)?;
        for part in rows.chunks(CHUNK) {
            values.extend(part.iter().map(|&row| data[row as usize]));
            pace.stride(part.len())?;
        }
        let mut entries = memory::with_capacity(n)?;
        for (i, (&value, &row)) in values.iter().zip(&rows).enumerate() {
            let labelled = labels.is_some_and(|labels| labels[row as usize]);
            let last = values.get(i + 1).is_none_or(|&next| next != value);
            let flags = if labelled { Entry::LABEL } else { 0 } | if last { Entry::LAST } else { 0 };
            entries.push(Entry(row | flags));
        }
        Ok(Sorted { values, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_equal_values_end_together_and_keep_their_order() {
        let x: &[f64] = &[2.0, 0.0, -0.0, 2.0, -1.0];
        let labels = [true, false, true, false, true];
        let got = Sorted::new(&x, Some(&labels), &mut |_| true).unwrap();
        assert_eq!(got.values, [-1.0, 0.0, 0.0, 2.0, 2.0]);
        let seen: Vec<_> = got.entries.iter().map(|e| (e.row(), e.label(), e.last())).collect();
        let want = [(4, true, true), (1, false, false), (2, true, true), (0, true, false), (3, false, true)];
        assert_eq!(seen, want);
    }
}
