//! The state of a mean: what its interval needs to know about the values, kept so that any split and order of them
//! gives the same bits.
//!
//! All sums are exact ([`crate::exact::Wide`]): those of all values and of their squares and, where rows come in
//! clusters, that of the values of each cluster.

use super::mean_bytes;
use super::totals::facts::{Facts, summed};
use super::totals::{added, mixed};
use crate::clusters::{ByCode, ClusterTotals, Id, Keyed, Names, Shards, exact_sums, outside};
use crate::exact::{Packed, Sum, SumOfSquares, Units, centred_squares};
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::intervals::cluster::ClusterSums;
use crate::intervals::moments::{Moments, epsilon};
use crate::memory::{self, NoMemory};
use crate::simd::{Element, scalar};
use crate::state::State;
use crate::state::bytes::{BytesError, Kind};

const SUM: usize = Sum::PLACES;
const SQUARES: usize = SumOfSquares::PLACES;
const SUM_LOWEST: i32 = -1074;
const SQUARES_LOWEST: i32 = -2148;

/// What is kept about all values together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) n: u64,
    pub(super) facts: Facts,
    pub(super) squares: Packed,
}

impl Values {
    /// Both together; `None` where the count would leave its range.
    fn plus(&self, other: &Values) -> Option<Values> {
        Some(Values {
            n: self.n.checked_add(other.n)?,
            facts: self.facts.plus(&other.facts),
            squares: self.squares.plus::<SQUARES, SQUARES_LOWEST>(&other.squares),
        })
    }
}

/// What is kept about the values of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Total {
    pub(super) n: u64,
    pub(super) sum: Packed,
}

/// A cluster with its name.
#[derive(Clone, Debug)]
pub(super) struct Named(pub Id, pub Total);

impl Keyed for Named {
    type Key = Id;
    fn key(&self) -> &Id {
        &self.0
    }
    fn join(&mut self, other: &Self) -> bool {
        let Some(n) = self.1.n.checked_add(other.1.n) else { return false };
        self.1 = Total { n, sum: self.1.sum.plus::<SUM, SUM_LOWEST>(&other.1.sum) };
        true
    }
}

/// Why a batch or a state is refused; none of its values has been added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refused {
    /// A value is NaN or infinite; holds its index.
    NotFinite(usize),
    /// A code lies outside `0..clusters` (holds its index), or has no name (holds the code).
    Code(usize),
    /// One of the two has clusters and the other has none.
    MixedClusters,
    /// More than 2^64 values.
    TooMany,
}

/// The sums of a batch, whose clusters have codes but no names yet.
pub struct Batch {
    values: Values,
    clusters: Option<ClusterTotals>,
}

/// Sums a batch of values. `codes` holds the cluster of each value, and the number of clusters.
pub fn sum_values<T: Element>(
    x: &[T],
    codes: Option<(&[i64], usize)>,
    progress: Progress<'_>,
) -> Result<Result<Batch, Refused>, Stopped> {
    let n = x.len();
    let parts = map_chunks(chunks(n, CHUNK), size_of_val(x) * 4, &mut *progress, |index| {
        let rows = chunk(index, n, CHUNK);
        let found = summed(&x[rows.clone()], epsilon::<T>())?;
        Ok::<_, NoMemory>(found.map_err(|at| Refused::NotFinite(rows.start + at)))
    })?;
    let (mut values, mut units) = (Values { n: n as u64, ..Values::default() }, Units::NONE);
    for part in parts {
        let part = match part? {
            Ok(part) => part,
            Err(refused) => return Ok(Err(refused)),
        };
        values.facts = values.facts.plus(&part.facts);
        values.squares = values.squares.plus::<SQUARES, SQUARES_LOWEST>(&part.squares);
        units = units.with(part.units);
    }
    let clusters = match codes {
        None => None,
        Some((codes, count)) => {
            if let Some(bad) = outside(codes, count, &mut *progress)? {
                return Ok(Err(Refused::Code(bad)));
            }
            Some(exact_sums(&[(x, units)], codes, count, progress)?)
        }
    };
    Ok(Ok(Batch { values, clusters }))
}

/// The state: what is kept about everything that was added to it.
#[derive(Debug, Default)]
pub struct MeanTotals {
    pub(super) values: Values,
    /// Whether values come in clusters; `None` before the first value.
    pub(super) clustered: Option<bool>,
    pub(super) named: Shards<Named>,
    /// The number of values that the caller excluded.
    pub excluded: u64,
    /// The number of values that were NaN and left out.
    pub nan: u64,
}

impl MeanTotals {
    /// A state without values.
    pub fn new() -> Self {
        MeanTotals::default()
    }

    /// This state with a batch added, whose clusters have these names. `excluded` and `nan` say how many values of the
    /// batch were left out before it was summed.
    pub fn with(
        &self,
        batch: &Batch,
        names: Names<'_>,
        [excluded, nan]: [u64; 2],
        progress: Progress<'_>,
    ) -> Result<Result<MeanTotals, Refused>, Stopped> {
        let clustered = (batch.values.n > 0).then_some(batch.clusters.is_some());
        let other =
            MeanTotals { values: batch.values.clone(), clustered, excluded, nan, ..MeanTotals::default() };
        let Some(of) = &batch.clusters else { return self.merged_at(&other, progress) };
        if let Some(nameless) = (names.count()..of.len()).find(|&code| of.rows(code) > 0) {
            return Ok(Err(Refused::Code(nameless)));
        }
        let item = |code: usize| {
            let rows = if code < of.len() { of.rows(code) } else { 0 };
            let total = (rows > 0).then(|| Total { n: rows, sum: of.sum(0, code) })?;
            Some(Named(names.id(code)?, total))
        };
        let batch = ByCode { names, item };
        if names.ascend() && !self.named.is_long_beside(of.len()) {
            return self.merged_by(&other, || self.named.with(&batch, progress));
        }
        match batch.list(&mut *progress)? {
            Ok(batch) => self.merged_by(&other, || self.named.merged(&batch, progress)),
            Err(_) => Ok(Err(Refused::TooMany)),
        }
    }

    fn merged_at(
        &self,
        other: &MeanTotals,
        progress: Progress<'_>,
    ) -> Result<Result<MeanTotals, Refused>, Stopped> {
        self.merged_by(other, || self.named.merged(&other.named, progress))
    }

    /// This state and `other` together, with the clusters that `named` merges.
    fn merged_by(
        &self,
        other: &MeanTotals,
        named: impl FnOnce() -> Result<Option<Shards<Named>>, Stopped>,
    ) -> Result<Result<MeanTotals, Refused>, Stopped> {
        if mixed(self.clustered, other.clustered) {
            return Ok(Err(Refused::MixedClusters));
        }
        let counts = added([self.excluded, self.nan], [other.excluded, other.nan]);
        let (Some(values), Some([excluded, nan]), Some(named)) =
            (self.values.plus(&other.values), counts, named()?)
        else {
            return Ok(Err(Refused::TooMany));
        };
        Ok(Ok(MeanTotals { values, clustered: self.clustered.or(other.clustered), named, excluded, nan }))
    }

    /// The number of values, and of clusters.
    pub fn size(&self) -> (u64, usize) {
        (self.values.n, self.named.len())
    }

    /// Whether values come in clusters.
    pub fn clustered(&self) -> bool {
        self.clustered == Some(true)
    }

    /// The moments of all values, as [`crate::intervals::moments::moments`] computes them for a column; the error of
    /// the mean is below 1 ulp, that of the squares below 2 ulp.
    pub fn moments(&self) -> Moments {
        let Values { n, ref facts, ref squares } = self.values;
        let moments = facts.moments(n);
        if moments.binary {
            let ones = moments.ones as f64;
            let squares = scalar(|| ones * ((n as f64 - ones) / n as f64));
            return Moments { squares, ..moments };
        }
        Moments { squares: centred_squares(&facts.sum, squares, n), ..moments }
    }

    /// The sums of `x - shift` and the sizes of the clusters, in the order of their names; each sum is rounded once.
    pub fn cluster_sums(&self, shift: f64, progress: Progress<'_>) -> Result<ClusterSums, Stopped> {
        let clusters: Vec<&Named> = memory::gathered(self.named.iter())?;
        let each = 256;
        let parts = map_chunks(chunks(clusters.len(), each), clusters.len() * 1024, progress, |index| {
            memory::collected(clusters[chunk(index, clusters.len(), each)].iter().map(
                |Named(_, Total { n, sum })| {
                    let mut shifted = sum.wide::<SUM, SUM_LOWEST>();
                    shifted.add_times(-shift, *n);
                    (shifted.value(), *n as f64)
                },
            ))
        })?;
        let mut clustered = ClusterSums {
            sums: memory::with_capacity(clusters.len())?,
            sizes: memory::with_capacity(clusters.len())?,
        };
        for part in parts {
            let (sums, sizes): (Vec<f64>, Vec<f64>) = part?.into_iter().unzip();
            clustered.sums.extend(sums);
            clustered.sizes.extend(sizes);
        }
        Ok(clustered)
    }
}

impl State for MeanTotals {
    const KIND: Kind = Kind::Estimate;
    type Refused = Refused;

    fn copied(&self) -> Result<Self, NoMemory> {
        Ok(MeanTotals { values: self.values.clone(), named: self.named.copied()?, ..*self })
    }

    fn merged(
        &self,
        other: &MeanTotals,
        progress: Progress<'_>,
    ) -> Result<Result<MeanTotals, Refused>, Stopped> {
        self.merged_at(other, progress)
    }

    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        mean_bytes::write(self, config, progress)
    }

    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError> {
        mean_bytes::read(bytes, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::moments::{self, Column};

    fn state(x: &[f64], codes: Option<&[i64]>) -> MeanTotals {
        let names: Vec<i64> = (0..50).collect();
        let batch = sum_values(x, codes.map(|codes| (codes, 50)), &mut |_| true).unwrap().unwrap();
        MeanTotals::new().with(&batch, Names::Numbers(&names), [0; 2], &mut |_| true).unwrap().unwrap()
    }

    fn values(n: usize) -> (Vec<f64>, Vec<i64>) {
        let x = (0..n as u64).map(|i| (i.wrapping_mul(2654435761) % 1009) as f64 * 0.37 + 1e6).collect();
        (x, (0..n as i64).map(|i| i * i % 47).collect())
    }

    #[test]
    fn the_moments_are_those_of_a_column() {
        for (x, bound) in [(values(20_000).0, 1e-12), (vec![0.0, 1.0, 1.0], 0.0), (vec![0.1; 7], 0.0)] {
            let Column::Finite(column) = moments::moments(&x, &mut |_| true).unwrap() else { panic!() };
            let got = state(&x, None).moments();
            assert!((got.mean - column.mean).abs() <= bound * column.mean);
            assert!((got.squares - column.squares).abs() <= bound * column.squares);
            let facts = |m: &Moments| (m.min, m.max, m.step, m.binary, m.ones);
            assert_eq!(facts(&got), facts(&column));
        }
    }

    #[test]
    fn clusters_sum_exactly_in_any_split() {
        let (x, codes) = values(10_000);
        let whole = state(&x, Some(&codes));
        let sums = whole.cluster_sums(1e6, &mut |_| true).unwrap();
        for split in [0, 1, 4000] {
            let (a, b) =
                (state(&x[..split], Some(&codes[..split])), state(&x[split..], Some(&codes[split..])));
            let merged = b.merged(&a, &mut |_| true).unwrap().unwrap();
            assert_eq!(merged.values, whole.values);
            assert_eq!(merged.cluster_sums(1e6, &mut |_| true).unwrap(), sums);
        }
        let direct = crate::intervals::cluster::cluster_sums(&x, &codes, 47, 1e6, None, &mut |_| true);
        let direct = direct.unwrap().unwrap();
        let held: Vec<_> = (0..47).filter(|&c| direct.sizes[c] > 0.0).collect();
        assert_eq!(held.len(), sums.sums.len());
        for (at, &c) in held.iter().enumerate() {
            assert_eq!(sums.sizes[at], direct.sizes[c]);
            assert!((sums.sums[at] - direct.sums[c]).abs() <= 1e-12 * direct.sums[c].abs());
        }
    }

    #[test]
    fn values_that_cannot_be_added_are_refused() {
        let refused =
            |x: &[f64], codes: Option<(&[i64], usize)>| sum_values(x, codes, &mut |_| true).unwrap().err();
        assert_eq!(refused(&[1.0, f64::NAN], None), Some(Refused::NotFinite(1)));
        assert_eq!(refused(&[1.0, 2.0], Some((&[0, 1], 1))), Some(Refused::Code(1)));
        let (plain, clustered) = (state(&[1.0], None), state(&[1.0], Some(&[0])));
        assert_eq!(plain.merged(&clustered, &mut |_| true).unwrap().err(), Some(Refused::MixedClusters));
        assert_eq!(plain.merged(&MeanTotals::new(), &mut |_| true).unwrap().unwrap().size(), (1, 0));
    }

    #[test]
    fn impossible_sums_are_recognised() {
        let values = state(&[-1.0, 3.0], None).values;
        let sum = |x: f64| {
            let mut sum = Sum::new();
            sum.add(x);
            sum.packed()
        };
        assert!(
            values.facts.can_sum_to(2, &sum(6.0))
                && values.facts.can_sum_to(2, &sum(-2.0))
                && values.facts.can_sum_to(0, &sum(0.0))
        );
        assert!(
            !values.facts.can_sum_to(2, &sum(6.5))
                && !values.facts.can_sum_to(2, &sum(-2.5))
                && !values.facts.can_sum_to(0, &sum(1.0))
        );
    }
}
