//! How the gaps of the bins scatter where rows come in clusters: their covariance over clusters, exactly summed.

use super::cells::BinTotals;
use super::tally::Bin;
use super::weights::{BinSums, RowSums, Totals};
use crate::exact::Fixed;
use crate::grid::{Pace, Stopped};
use crate::intervals::cluster::{self, SumFacts};
use crate::intervals::spread::Range;
use crate::intervals::{Alternative, Confidence, Interval};
use crate::memory;
use crate::sorting::sorted;

/// Clusters whose gaps differ by no more than this show one gap: rounding to float32 moves a mean by half as much.
pub(super) const ALIKE: f64 = 1.0 / 16_777_216.0;
/// What the terms of the sums are scaled by, twice: a product of two stays below 2^60, its last place at 2^-122.
const SCALE: f64 = (1u64 << 29) as f64;

/// Standard deviations and correlations of the gaps.
pub(super) struct Covariance {
    /// A standard deviation a bin.
    pub deviations: Vec<f64>,
    /// The correlation of bin b with bin c < b at `b (b - 1)/2 + c`.
    pub correlations: Vec<f64>,
}

/// What clusters say about the gaps of the filled bins.
pub(super) struct Scatter {
    /// How many clusters.
    pub clusters: usize,
    /// Of a calibrated model: `G/(G - 1) sum_g M_gb M_gc / (n_b n_c)`, M the excess of the probabilities.
    pub null: Covariance,
    /// Of another: the same with `M_gb - gap_b n_gb`.
    pub noise: Covariance,
    /// Every cluster shows the gap of its bins: there is no scatter.
    pub alike: bool,
    /// One cluster has all the weight, but for what rounding takes; said of rows with weights alone.
    pub lone: bool,
    /// Sums of the clusters over all bins, in an order that does not depend on their names.
    pub totals: Vec<RowSums>,
    /// Of each bin, rows and right ones of the clusters in it, in order.
    parts: Vec<Vec<[f64; 2]>>,
    /// What is known of the rows of each bin.
    facts: Vec<SumFacts>,
}

/// Exact sums of products, a triangle with its diagonal.
struct Products(Vec<Fixed>);

impl Products {
    fn add(&mut self, at: usize, product: f64) {
        // |M_gb| <= n_gb, and the rest is at most twice that: products sum to 4 at most, which is 2^60 as they are scaled.
        assert!(self.0[at].add(product), "a product beyond the range of the sum");
    }

    fn covariance(&self, bins: usize, factor: f64, pace: &mut Pace<'_>) -> Result<Covariance, Stopped> {
        let sigma = |b: usize, c: usize| self.0[at(b, c)].value() / (SCALE * SCALE) * factor;
        let deviations = memory::collected((0..bins).map(|b| sigma(b, b).sqrt()))?;
        let mut correlations = memory::with_capacity(bins * bins.saturating_sub(1) / 2)?;
        for b in 0..bins {
            for c in 0..b {
                let both = deviations[b] * deviations[c];
                let rho = if both > 0.0 { sigma(b, c) / both } else { 0.0 };
                let size = if rho.abs() > 1.0 { 1.0 } else { rho.abs() };
                correlations.push(size.copysign(rho));
            }
            pace.stride(b)?;
        }
        Ok(Covariance { deviations, correlations })
    }
}

/// Where the pair of bins `b >= c` stands.
fn at(b: usize, c: usize) -> usize {
    b * (b + 1) / 2 + c
}

impl Scatter {
    /// The scatter of the filled bins of a state with clusters or weights.
    pub(super) fn of(state: &BinTotals, of_bins: &Totals, pace: &mut Pace<'_>) -> Result<Scatter, Stopped> {
        let bins = of_bins.bins.as_slice();
        let mut place = memory::filled(state.tally.bins.len(), 0)?;
        bins.iter().enumerate().for_each(|(b, bin)| place[bin.index] = b);
        let zeros = || memory::filled(at(bins.len(), 0), Fixed::new()).map(Products);
        let (mut null, mut noise) = (zeros()?, zeros()?);
        let weighted = of_bins.effective.is_some();
        let (mut alike, mut lone) = (true, false);
        let (mut totals, mut parts) = (Vec::new(), memory::collected(bins.iter().map(|_| Vec::new()))?);
        // What the cluster has in each bin, and where that is anything.
        let mut mine = memory::filled(bins.len(), RowSums::default())?;
        let mut touched = memory::with_capacity(bins.len())?;
        let (mut sums, mut terms) = (memory::with_capacity(bins.len())?, memory::with_capacity(bins.len())?);
        state.each_cluster(pace, |rows| {
            let mut total = RowSums::default();
            sums.clear();
            for same in rows.chunk_by(|a, b| a.0 == b.0) {
                let weight = of_bins.scaled(same[0].0);
                let mut together = Bin::default();
                for (_, index, bin) in same {
                    let (b, of_weight) = (place[*index], RowSums::of(bin, weight));
                    together.add(bin);
                    if same.len() == rows.len() {
                        sums.push((b, of_weight)); // one weight alone: the sums are those of the cluster
                        continue;
                    }
                    if mine[b].n == 0.0 {
                        touched.push(b); // at most once per bin: there is room
                    }
                    mine[b].add(of_weight);
                }
                total.add(RowSums::of(&together, weight));
            }
            touched.sort_unstable(); // several weights, one after another
            sums.extend(touched.drain(..).map(|b| (b, std::mem::take(&mut mine[b]))));
            terms.clear();
            for &(b, RowSums { n, correct, excess }) in &sums {
                let (of, gap) = (bins[b].sums.n, bins[b].sums.excess / bins[b].sums.n);
                let rest = excess - gap * n;
                alike &= rest.abs() <= ALIKE * n;
                terms.push((b, SCALE * (excess / of), SCALE * (rest / of)));
                memory::push(&mut parts[b], [n, correct])?;
            }
            for (i, &(b, x, rest)) in terms.iter().enumerate() {
                for &(c, y, other) in &terms[..=i] {
                    null.add(at(b, c), x * y);
                    noise.add(at(b, c), rest * other);
                }
            }
            lone |= weighted && 1.0 - total.n / of_bins.all.n <= 0.0;
            memory::push(&mut totals, total)?;
            Ok(())
        })?;
        for part in &mut parts {
            let order = |a: &[f64; 2], b: &[f64; 2]| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]));
            *part = sorted(std::mem::take(part), order, pace)?;
        }
        let clusters = totals.len();
        let factor = clusters as f64 / (clusters as f64 - 1.0);
        let facts =
            |bin: &BinSums| if weighted { facts_of_weights(bin.rows as f64) } else { SumFacts::EXACT };
        Ok(Scatter {
            clusters,
            null: null.covariance(bins.len(), factor, pace)?,
            noise: noise.covariance(bins.len(), factor, pace)?,
            alike,
            lone,
            totals: sorted(totals, RowSums::order, pace)?,
            parts,
            facts: memory::collected(bins.iter().map(facts))?,
        })
    }

    /// Whether there is more than one cluster, so that they can differ.
    pub(super) fn is_known(&self) -> bool {
        self.clusters > 1 && !self.lone
    }

    /// Degrees of freedom.
    pub(super) fn df(&self) -> f64 {
        self.clusters as f64 - 1.0
    }

    /// Limits of the frequency of each bin with `tail` beyond each: clustered Wilson, and all of [0, 1] where one
    /// cluster fills it.
    pub(super) fn frequencies(&self, tail: f64, pace: &mut Pace<'_>) -> Result<Vec<Interval>, Stopped> {
        let confidence = Confidence { level: 1.0 - 2.0 * tail, alternative: Alternative::TwoSided };
        let mut limits = Vec::new();
        for (bin, &facts) in self.parts.iter().zip(&self.facts) {
            let ones = memory::collected(bin.iter().map(|&[_, correct]| correct))?;
            let sizes = memory::collected(bin.iter().map(|&[n, _]| n))?;
            let mut progress = |_| pace.stride(0).is_ok(); // asks for the clock; the values are counted below
            let Interval { low, high } =
                cluster::proportion(&ones, &sizes, facts, confidence, &mut progress)?.interval;
            let known = !low.is_nan();
            memory::push(&mut limits, if known { Interval { low, high } } else { ALL })?;
            pace.stride(bin.len())?;
        }
        Ok(limits)
    }
}

/// Of 0/1 rows with weights: every addition of a weight may round, in both sums.
fn facts_of_weights(rows: f64) -> SumFacts {
    SumFacts { noise: rows * (2.0 * f64::EPSILON), range: Range::Unknown, weighted: Some(rows) }
}

const ALL: Interval = Interval { low: 0.0, high: 1.0 };
