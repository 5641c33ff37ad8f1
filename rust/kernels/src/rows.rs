//! Rows of a table whose last axis is contiguous. The rows themselves may lie anywhere in memory, or be computed while
//! they are read.

use std::ops::Range;

/// Rows that lie in memory, as a row kernel reads them.
pub trait Rows<T>: Sync {
    /// How many rows.
    fn count(&self) -> usize;
    /// Elements in a row.
    fn width(&self) -> usize;
    /// Row `index`, below `count()`.
    fn row(&self, index: usize) -> &[T];
}

/// Rows that do not lie in memory: a kernel that reads block by block has each block computed when it needs it (from
/// two tables side by side, or as a product of two matrices), so that the whole table never exists.
pub trait MadeRows<T>: Sync {
    /// How many rows.
    fn count(&self) -> usize;
    /// Elements in a row.
    fn width(&self) -> usize;
    /// How many rows are best computed in one call.
    fn together(&self) -> usize {
        16
    }
    /// Whether all rows are computed from the same large table, as a product is from its second matrix: the same columns
    /// of all rows are then best computed before the next, so that the table is read into the cache once.
    fn shares(&self) -> bool {
        false
    }
    /// Computes the elements `columns` of each of `rows` and fills `tile` with them, one row after another. An element
    /// must have the same bits whatever tile it is part of.
    fn make(&self, rows: &[usize], columns: Range<usize>, tile: &mut [T]);
}

/// The rows of a kernel that reads block by block.
pub enum Source<'a, T> {
    /// Rows that lie in memory.
    Lent(&'a dyn Rows<T>),
    /// Rows that are computed while they are read.
    Made(&'a dyn MadeRows<T>),
}

impl<T> Clone for Source<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Source<'_, T> {}

impl<T> Source<'_, T> {
    /// How many rows.
    pub fn count(&self) -> usize {
        match self {
            Source::Lent(rows) => rows.count(),
            Source::Made(rows) => rows.count(),
        }
    }

    /// Elements in a row.
    pub fn width(&self) -> usize {
        match self {
            Source::Lent(rows) => rows.width(),
            Source::Made(rows) => rows.width(),
        }
    }
}

impl<'a, T> Source<'a, T> {
    /// How many rows are best computed together, as many as `most`; 0 for rows that lie in memory.
    pub fn together(self, most: usize) -> usize {
        match self {
            Source::Lent(_) => 0,
            Source::Made(rows) => rows.together().clamp(1, most),
        }
    }

    /// The elements `columns` of a row, computed in `tile` where they do not lie in memory.
    #[inline(always)]
    pub fn part(self, row: usize, columns: Range<usize>, tile: &'a mut [T]) -> &'a [T] {
        match self {
            Source::Lent(rows) => &rows.row(row)[columns],
            Source::Made(rows) => {
                let made = &mut tile[..columns.len()];
                rows.make(&[row], columns, made);
                made
            }
        }
    }
}

/// A table whose rows lie one after another in memory.
pub struct Table<'a, T> {
    data: &'a [T],
    width: usize,
}

impl<'a, T> Table<'a, T> {
    /// Rows of `width` elements; `None` when `data` does not divide into them.
    pub fn new(data: &'a [T], width: usize) -> Option<Self> {
        (width > 0 && data.len().is_multiple_of(width)).then_some(Table { data, width })
    }
}

impl<T: Sync> Rows<T> for Table<'_, T> {
    fn count(&self) -> usize {
        self.data.len() / self.width
    }
    fn width(&self) -> usize {
        self.width
    }
    fn row(&self, index: usize) -> &[T] {
        &self.data[index * self.width..(index + 1) * self.width]
    }
}
