//! Sampling weights, and the weighted sums of rows.
//!
//! A state keeps unweighted counts for each distinct weight, so that states can be merged exactly. The counts are
//! multiplied by the weights only where errors and limits are computed. All weights are first multiplied by one power
//! of two that brings the largest near 1. This changes no ratio of sums, and where all weights are one power of two the
//! result has the same bits as without weights.

use super::cells::{BinTotals, Cell};
use super::tally::{Bin, units};
use crate::grid::{Pace, Stopped};
use crate::intervals::cluster::near_one;
use crate::memory;
use crate::sorting::sorted;
use std::cmp::Ordering;

/// The smallest value of a scaled weight, 2^-500: smaller ones are raised to it, so that the sums of a bin whose
/// weights are all very small do not underflow to 0.
const LEAST: f64 = f64::from_bits((1023 - 500) << 52);

/// The weight of a row, stored as the bits of a finite f64 above 0, which sort as the numbers do. 0 stands for a state
/// without weights, where every row counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight(u64);

impl Weight {
    /// Stands for a state without weights.
    pub(super) const NONE: Weight = Weight(0);

    /// A weight; `None` where it is not finite or not above 0.
    pub(super) fn new(weight: f64) -> Option<Weight> {
        (weight > 0.0 && weight < f64::INFINITY).then(|| Weight(weight.to_bits()))
    }

    /// The weight as a number.
    pub(super) fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Sums over rows, each row multiplied by its weight (1 in a state without weights).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowSums {
    /// The sum of the weights.
    pub n: f64,
    /// The sum of the weights of the rows that came true.
    pub correct: f64,
    /// The weighted sum of the probabilities, minus `correct`.
    pub excess: f64,
}

impl RowSums {
    /// The sums of rows that have the same weight: exact integers, each rounded to f64 and multiplied once.
    pub(super) fn of(bin: &Bin, weight: f64) -> RowSums {
        RowSums {
            n: weight * bin.count as f64,
            correct: weight * bin.correct as f64,
            excess: weight * bin.excess(),
        }
    }

    pub(super) fn add(&mut self, other: RowSums) {
        self.n += other.n;
        self.correct += other.correct;
        self.excess += other.excess;
    }

    /// A total order in which only identical sums are equal.
    pub(super) fn order(&self, other: &RowSums) -> Ordering {
        let key = |sums: &RowSums| [sums.n, sums.correct, sums.excess];
        let pairs = key(self).into_iter().zip(key(other));
        pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Compensated sums: what each addition rounds away is kept in `lost` and added at the end, so the error hardly grows
/// with the number of terms.
#[derive(Clone, Copy)]
struct Kept<const N: usize> {
    sums: [f64; N],
    lost: [f64; N],
}

impl<const N: usize> Kept<N> {
    const ZERO: Self = Kept { sums: [0.0; N], lost: [0.0; N] };

    fn add(&mut self, terms: [f64; N]) {
        for ((sum, lost), term) in self.sums.iter_mut().zip(&mut self.lost).zip(terms) {
            let whole = *sum + term;
            let of_term = whole - *sum;
            *lost += (*sum - (whole - of_term)) + (term - of_term);
            *sum = whole;
        }
    }

    fn values(&self) -> [f64; N] {
        std::array::from_fn(|k| self.sums[k] + self.lost[k])
    }
}

/// The sums of a bin that holds rows.
pub(super) struct BinSums {
    /// Its position among all bins.
    pub index: usize,
    /// The number of its rows.
    pub rows: u64,
    /// Their weighted sums.
    pub sums: RowSums,
    /// The weighted sum of the probabilities.
    pub probability: f64,
}

/// The sums of a state's bins, and of all its rows.
pub(super) struct Totals {
    /// The sums of each bin that holds rows, in order.
    pub bins: Vec<BinSums>,
    /// The sums over all rows.
    pub all: RowSums,
    /// The effective sample size `(sum w)^2 / sum w^2`; `None` in a state without weights.
    pub effective: Option<f64>,
    /// The number of rows.
    pub rows: u64,
    /// The power of two by which weights are multiplied.
    factor: f64,
}

impl Totals {
    /// The sums of a state that holds rows.
    pub(super) fn of(state: &BinTotals, pace: &mut Pace<'_>) -> Result<Totals, Stopped> {
        if state.is_weighted() {
            return Totals::weighted(state, pace);
        }
        let sums = |(index, bin): (usize, &Bin)| BinSums {
            index,
            rows: bin.count,
            sums: RowSums::of(bin, 1.0),
            probability: units(bin.sum),
        };
        let bins = memory::gathered(state.tally.filled().map(sums))?;
        let mut all = Bin::default();
        state.tally.filled().for_each(|(_, bin)| all.add(bin));
        Ok(Totals { bins, all: RowSums::of(&all, 1.0), effective: None, rows: all.count, factor: 1.0 })
    }

    fn weighted(state: &BinTotals, pace: &mut Pace<'_>) -> Result<Totals, Stopped> {
        let parts = by_weight(state, pace)?;
        let factor = near_one(parts.last().map_or(1.0, |part| part.weight.value()));
        let mut bins = memory::filled(state.tally.bins.len(), Kept::<4>::ZERO)?;
        let mut all = Kept::<4>::ZERO;
        for same in parts.chunk_by(|a, b| a.weight == b.weight) {
            let weight = scaled(same[0].weight, factor);
            let mut together = Bin::default();
            for Part { index, bin, .. } in same {
                let RowSums { n, correct, excess } = RowSums::of(bin, weight);
                bins[*index as usize].add([n, correct, excess, weight * units(bin.sum)]);
                together.add(bin);
                pace.step()?;
            }
            let RowSums { n, correct, excess } = RowSums::of(&together, weight);
            all.add([n, correct, excess, weight * n]);
        }
        let sums = |(index, bin): (usize, &Bin)| {
            let [n, correct, excess, probability] = bins[index].values();
            BinSums { index, rows: bin.count, sums: RowSums { n, correct, excess }, probability }
        };
        let [n, correct, excess, squares] = all.values();
        Ok(Totals {
            bins: memory::gathered(state.tally.filled().map(sums))?,
            all: RowSums { n, correct, excess },
            effective: Some(n * (n / squares)),
            rows: state.tally.count(),
            factor,
        })
    }

    /// The scaled weight; 1 in a state without weights.
    pub(super) fn scaled(&self, weight: Weight) -> f64 {
        if weight == Weight::NONE { 1.0 } else { scaled(weight, self.factor) }
    }
}

fn scaled(weight: Weight, factor: f64) -> f64 {
    let scaled = weight.value() * factor;
    if scaled > LEAST { scaled } else { LEAST }
}

/// The rows of one weight in one bin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    weight: Weight,
    index: u32,
    bin: Bin,
}

/// The rows of each weight and bin, sorted by both, whatever clusters they belong to.
fn by_weight(state: &BinTotals, pace: &mut Pace<'_>) -> Result<Vec<Part>, Stopped> {
    let mut parts: Vec<Part> = Vec::new();
    let alone =
        state.alone.iter().map(|row| Part { weight: row.weight, index: row.index, bin: row.in_bin() });
    let of_clusters = state.weighted.iter().map(|Cell { key: (_, weight, index), bin }| Part {
        weight: *weight,
        index: *index,
        bin: *bin,
    });
    for part in of_clusters.chain(alone) {
        memory::push(&mut parts, part)?;
        pace.step()?;
    }
    let mut parts = sorted(parts, Ord::cmp, pace)?;
    let mut kept = 0;
    for i in 1..parts.len() {
        let (last, part) = (parts[kept], parts[i]);
        if (last.weight, last.index) == (part.weight, part.index) {
            parts[kept].bin.add(&part.bin);
        } else {
            kept += 1;
            parts[kept] = part;
        }
        pace.step()?;
    }
    parts.truncate(kept + 1);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_finite_and_above_nothing_and_in_the_order_of_their_bits() {
        for bad in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Weight::new(bad), None, "{bad}");
        }
        let rising = [5e-324, 1e-300, 0.3, 1.0, 1.5, f64::MAX].map(|w| Weight::new(w).unwrap());
        assert!(rising.is_sorted() && Weight::NONE < rising[0]);
    }

    #[test]
    fn kept_sums_lose_nothing_that_counts() {
        let mut sum = Kept::<1>::ZERO;
        sum.add([1e16]);
        (0..1000).for_each(|_| sum.add([1.0]));
        sum.add([-1e16]);
        assert_eq!(sum.values(), [1000.0]);
    }
}
