//! What is resampled: rows, or whole clusters of rows.

use crate::simd::Element;

/// Which rows stay together. Strata, pairs and weights will be further variants.
#[derive(Clone, Copy, Debug)]
pub enum Design<'a> {
    /// None: every row is a unit.
    Rows,
    /// Those of one cluster: `codes[i]`, inside `0..count`, is the cluster of row i.
    Clusters {
        /// The cluster of each row.
        codes: &'a [i64],
        /// How many clusters there are.
        count: usize,
    },
}

/// The units of a design, each with its part in K sums.
pub trait Units<const K: usize>: Copy + Send + Sync {
    /// How many units there are.
    fn count(self) -> usize;

    /// The memory that one unit takes, in bytes.
    fn bytes(self) -> usize;

    /// Writes the parts of the units from `start` on, as many as `parts` holds.
    fn read(self, start: usize, parts: &mut [[f64; K]]);
}

/// The rows of one column as units, each less a shift.
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

/// Units of a numerator and a denominator: clusters by the sums and sizes of their rows.
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    /// The sums.
    pub sums: &'a [f64],
    /// The sizes, as many.
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
