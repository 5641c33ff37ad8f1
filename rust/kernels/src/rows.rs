//! Rows of a table whose last axis is contiguous; the rows themselves may lie anywhere.

/// What a row kernel reads.
pub trait Rows<T>: Sync {
    /// How many rows.
    fn count(&self) -> usize;
    /// Elements in a row.
    fn width(&self) -> usize;
    /// Row `index`, below `count()`.
    fn row(&self, index: usize) -> &[T];
}

/// A table that lies in one piece.
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
