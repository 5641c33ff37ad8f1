//! How the gaps of the bins vary where rows come in clusters: their covariance, estimated from the clusters by exact
//! sums.

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

/// Gaps of clusters that differ by no more than this count as equal: rounding probabilities to float32 moves their mean
/// by up to half as much.
pub(super) const ALIKE: f64 = 1.0 / 16_777_216.0;
/// The factor of each term, so that a product of two terms is scaled by its square, 2^58. The sum of products is then
/// at most 2^60, in range of [`Fixed`], and its last place is worth 2^-122 of the unscaled sum.
const SCALE: f64 = (1u64 << 29) as f64;

/// The covariance of the gaps, as standard deviations and correlations.
pub(super) struct Covariance {
    /// One standard deviation per bin.
    pub deviations: Vec<f64>,
    /// The correlation of bin `b` with bin `c < b` is at `b (b - 1)/2 + c`.
    pub correlations: Vec<f64>,
}

/// How the gaps of the bins that hold rows vary over clusters.
pub(super) struct Scatter {
    /// The number of clusters.
    pub clusters: usize,
    /// The covariance for a calibrated model: `G/(G - 1) sum_g M_gb M_gc / (n_b n_c)`, where `M_gb` is the sum of
    /// probability minus outcome over the rows of cluster `g` in bin `b`.
    pub null: Covariance,
    /// The covariance for a model that is not calibrated: the same with `M_gb - gap_b n_gb` instead of `M_gb`.
    pub noise: Covariance,
    /// Whether every cluster has the gaps of its bins, so that nothing varies.
    pub alike: bool,
    /// Whether one cluster has all the weight, up to rounding. Always false in a state without weights.
    pub lone: bool,
    /// The sums of each cluster over all bins, in an order that does not depend on the clusters' names.
    pub totals: Vec<RowSums>,
    /// For each bin, the number of rows of every cluster in it and how many of them came true (or the sums of their
    /// weights), sorted.
    parts: Vec<Vec<[f64; 2]>>,
    /// What the interval of each bin's frequency has to know about the rounding of its sums.
    facts: Vec<SumFacts>,
}

/// Exact sums of products of two bins' terms: the lower triangle of a symmetric matrix, with its diagonal.
struct Products(Vec<Fixed>);

impl Products {
    fn add(&mut self, at: usize, product: f64) {
        // |M_gb| <= n_gb and |M_gb - gap_b n_gb| <= 2 n_gb, so that the products sum to 4 at most, or to 2^60 as they
        // are scaled.
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

/// The position of the pair of bins `b >= c` in the triangle.
fn at(b: usize, c: usize) -> usize {
    b * (b + 1) / 2 + c
}

impl Scatter {
    /// Computes it for a state with clusters or weights.
    pub(super) fn of(state: &BinTotals, of_bins: &Totals, pace: &mut Pace<'_>) -> Result<Scatter, Stopped> {
        let bins = of_bins.bins.as_slice();
        let mut place = memory::filled(state.tally.bins.len(), 0)?;
        bins.iter().enumerate().for_each(|(b, bin)| place[bin.index] = b);
        let zeros = || memory::filled(at(bins.len(), 0), Fixed::new()).map(Products);
        let (mut null, mut noise) = (zeros()?, zeros()?);
        let weighted = of_bins.effective.is_some();
        let (mut alike, mut lone) = (true, false);
        let (mut totals, mut parts) = (Vec::new(), memory::collected(bins.iter().map(|_| Vec::new()))?);
        // The sums of the current cluster in each bin, and the bins in which it has rows.
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
                        sums.push((b, of_weight)); // the cluster has one weight: these are its sums
                        continue;
                    }
                    if mine[b].n == 0.0 {
                        touched.push(b); // at most once per bin, so there is room
                    }
                    mine[b].add(of_weight);
                }
                total.add(RowSums::of(&together, weight));
            }
            touched.sort_unstable(); // the cluster has several weights, whose bins came one weight after another
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

    /// Whether the variation can be estimated, which takes more than one cluster that has weight.
    pub(super) fn is_known(&self) -> bool {
        self.clusters > 1 && !self.lone
    }

    /// The degrees of freedom of Student's t.
    pub(super) fn df(&self) -> f64 {
        self.clusters as f64 - 1.0
    }

    /// Limits of the frequency of each bin, with the probability `tail` beyond each limit, by Wilson's method for
    /// clusters. They are 0 and 1 where all rows of the bin are of one cluster, since nothing is known then.
    pub(super) fn frequencies(&self, tail: f64, pace: &mut Pace<'_>) -> Result<Vec<Interval>, Stopped> {
        let confidence = Confidence { level: 1.0 - 2.0 * tail, alternative: Alternative::TwoSided };
        let mut limits = Vec::new();
        for (bin, &facts) in self.parts.iter().zip(&self.facts) {
            let ones = memory::collected(bin.iter().map(|&[_, correct]| correct))?;
            let sizes = memory::collected(bin.iter().map(|&[n, _]| n))?;
            let mut progress = |_| pace.stride(0).is_ok(); // only looks at the clock; the work is counted below
            let Interval { low, high } =
                cluster::proportion(&ones, &sizes, facts, confidence, &mut progress)?.interval;
            let known = !low.is_nan();
            memory::push(&mut limits, if known { Interval { low, high } } else { ALL })?;
            pace.stride(bin.len())?;
        }
        Ok(limits)
    }
}

/// For rows of 0 and 1 with weights: each addition to either of the two sums may round.
fn facts_of_weights(rows: f64) -> SumFacts {
    SumFacts { noise: rows * (2.0 * f64::EPSILON), range: Range::Unknown, weighted: Some(rows) }
}

const ALL: Interval = Interval { low: 0.0, high: 1.0 };
