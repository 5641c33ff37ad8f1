//! The expected calibration error, in bins of equal width.

use super::{OrderStatistic, Sample};
use crate::exact::Fixed;
use crate::memory::{self, NoMemory};
use crate::uncertainty::paired::Wide;

/// Fixed point has so many bits below the point, in two halves.
const HALF: f64 = 4_294_967_296.0;

/// `sum_b (n_b/n) |(sum of p - sum of y) / n_b|` over the bins b of equal width that hold rows, from probabilities p and
/// the outcomes y that the labels are. Bins, edges and sums are those of [`crate::calibration`]: an edge lies in the bin
/// below it and is rounded to the type of the probabilities, a probability counts as `floor(p * 2^64)`, and those above
/// 1 by rounding are 1.
#[derive(Clone, Debug)]
pub struct CalibrationError {
    /// The inner edges.
    edges: Vec<f64>,
    bins: usize,
}

impl CalibrationError {
    /// With so many bins.
    pub fn new(bins: usize) -> CalibrationError {
        CalibrationError { edges: Vec::new(), bins }
    }
}

/// A bin that is being added up: the number of its rows, and `sum (p - y)` in two halves.
#[derive(Default)]
struct Bin {
    count: u64,
    high: i64,
    low: i64,
}

impl Bin {
    #[inline(always)]
    fn add(&mut self, p: f64, label: bool, count: u32) {
        let scaled = p * HALF;
        let high = scaled as i64;
        let low = ((scaled - high as f64) * HALF) as i64;
        let outcome = if label { 1 << 32 } else { 0 };
        self.count += u64::from(count);
        self.high += (high - outcome) * i64::from(count);
        self.low += low * i64::from(count);
    }

    /// Its part of the error of `total` rows.
    fn part(&self, total: f64) -> f64 {
        let sum = (i128::from(self.high) << 32) + i128::from(self.low);
        let (excess, n) = (Fixed::from_bytes(sum.to_le_bytes()).value(), self.count as f64);
        if self.count > 0 { n / total * (excess / n).abs() } else { 0.0 }
    }
}

impl OrderStatistic for CalibrationError {
    fn value(&self, sample: Sample<'_>, _: &mut [i64]) -> f64 {
        let (total, mut sum, mut bin) = (sample.total as f64, 0.0, Bin::default());
        let mut edges = self.edges.iter();
        let mut edge = edges.next().copied().unwrap_or(f64::INFINITY);
        for (entry, &p) in sample.x.entries.iter().zip(&sample.x.values) {
            while p > edge {
                sum += bin.part(total);
                bin = Bin::default();
                edge = edges.next().copied().unwrap_or(f64::INFINITY);
            }
            bin.add(if p > 1.0 { 1.0 } else { p }, entry.label(), sample.counts[entry.row()]);
        }
        sum + bin.part(total)
    }

    /// The edges in the type of the column.
    fn of_column(&self, column: &dyn Wide) -> Result<Option<Box<dyn OrderStatistic>>, NoMemory> {
        let edge = |k: usize| column.rounded(k as f64 / self.bins as f64);
        let edges = memory::gathered((1..self.bins).map(edge))?;
        Ok(Some(Box::new(CalibrationError { edges, bins: self.bins })))
    }
}
