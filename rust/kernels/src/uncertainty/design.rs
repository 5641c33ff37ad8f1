//! The units of the bootstrap, which are resampled: rows, or whole clusters of rows.

use super::paired::Wide;
use crate::simd::Element;

/// Which rows form a unit. Strata, pairs and weights will be further variants.
#[derive(Clone, Copy, Debug)]
pub enum Design<'a> {
    /// Every row is a unit of its own.
    Rows,
    /// The rows of a cluster form a unit.
    Clusters {
        /// The cluster of each row, inside `0..count`.
        codes: &'a [i64],
        /// The number of clusters.
        count: usize,
    },
}

/// The units of a design; each has K numbers, its parts, which it adds to K sums.
pub trait Units<const K: usize>: Copy + Send + Sync {
    /// The number of units.
    fn count(self) -> usize;

    /// The memory that one unit takes, in bytes.
    fn bytes(self) -> usize;

    /// Writes the parts of the units from `start` on until `parts` is full.
    fn read(self, start: usize, parts: &mut [[f64; K]]);
}

/// The rows of one column as units, whose part is the value minus a shift.
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    /// The column.
    pub x: &'a [T],
    /// See [`super::Mean::shift`].
    pub shift: f64,
}

impl<T: Element> Units<1> for Rows<'_, T> {
    #[inline(always)]
    fn count(self) -> usize {
        self.x.len()
    }

    #[inline(always)]
    fn bytes(self) -> usize {
        size_of::<T>()
    }

    #[inline(always)]
    fn read(self, start: usize, parts: &mut [[f64; 1]]) {
        for (part, x) in parts.iter_mut().zip(&self.x[start..]) {
            *part = [x.to_f64() - self.shift];
        }
    }
}

/// The rows of a column of any type as units, as [`Rows`] are.
#[derive(Clone, Copy)]
pub(super) struct WideRows<'a> {
    /// The column.
    pub x: &'a dyn Wide,
    /// See [`super::Mean::shift`].
    pub shift: f64,
}

impl Units<1> for WideRows<'_> {
    #[inline(always)]
    fn count(self) -> usize {
        self.x.len()
    }

    #[inline(always)]
    fn bytes(self) -> usize {
        size_of::<f64>()
    }

    #[inline(always)]
    fn read(self, start: usize, parts: &mut [[f64; 1]]) {
        self.x.widen(start, parts.as_flattened_mut());
        for [part] in parts {
            *part -= self.shift;
        }
    }
}

/// Units with a numerator and a denominator, such as clusters with the sums and sizes of their rows.
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    /// The sums, which are the numerators.
    pub sums: &'a [f64],
    /// The sizes, which are the denominators; as many.
    pub sizes: &'a [f64],
}

impl Units<2> for Pairs<'_> {
    #[inline(always)]
    fn count(self) -> usize {
        self.sums.len()
    }

    #[inline(always)]
    fn bytes(self) -> usize {
        size_of::<[f64; 2]>()
    }

    #[inline(always)]
    fn read(self, start: usize, parts: &mut [[f64; 2]]) {
        for ((part, &sum), &size) in parts.iter_mut().zip(&self.sums[start..]).zip(&self.sizes[start..]) {
            *part = [sum, size];
        }
    }
}

/// Units whose parts are a table.
#[derive(Clone, Copy)]
pub(super) struct Table<'a, const K: usize>(pub &'a [[f64; K]]);

impl<const K: usize> Units<K> for Table<'_, K> {
    #[inline(always)]
    fn count(self) -> usize {
        self.0.len()
    }
    #[inline(always)]
    fn bytes(self) -> usize {
        size_of::<[f64; K]>()
    }
    #[inline(always)]
    fn read(self, start: usize, parts: &mut [[f64; K]]) {
        parts.copy_from_slice(&self.0[start..start + parts.len()]);
    }
}
