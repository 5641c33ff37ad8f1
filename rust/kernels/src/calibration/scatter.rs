//! How the gaps of the bins scatter where rows come in clusters: their covariance over clusters, exactly summed.

use super::cells::State;
use super::tally::Row;
use crate::exact::Fixed;
use crate::grid::{Pace, Stopped};
use crate::intervals::cluster::{self, SumFacts};
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
    /// Rows of the clusters over all bins, in an order that does not depend on their names.
    pub totals: Vec<Row>,
    /// Of each bin, rows and right ones of the clusters in it, in order.
    parts: Vec<Vec<(u64, u64)>>,
}

/// Exact sums of products, a triangle with its diagonal.
struct Sums(Vec<Fixed>);

impl Sums {
    fn add(&mut self, at: usize, product: f64) {
        // |M_gb| <= n_gb, and the rest is at most twice that: products sum to 4 at most, which is 2^60 as they are scaled.
        let fits = self.0[at].add(product);
        debug_assert!(fits, "a product beyond the range of the sum");
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
    /// The scatter of the filled bins of a state with clusters.
    pub(super) fn of(state: &State, pace: &mut Pace<'_>) -> Result<Scatter, Stopped> {
        let of_bin = |row: &Row| (row.count as f64, row.excess() / row.count as f64);
        let mut place = memory::filled(state.tally.rows.len(), 0)?;
        let mut bins = Vec::new();
        for (index, row) in state.tally.rows.iter().enumerate().filter(|(_, row)| row.count > 0) {
            place[index] = bins.len();
            memory::push(&mut bins, of_bin(row))?;
        }
        let pairs = at(bins.len(), 0);
        let (mut null, mut noise) =
            (Sums(memory::filled(pairs, Fixed::new())?), Sums(memory::filled(pairs, Fixed::new())?));
        let mut alike = true;
        let (mut totals, mut parts) = (Vec::new(), memory::collected(bins.iter().map(|_| Vec::new()))?);
        let mut terms = memory::with_capacity(bins.len())?;
        state.each_cluster(pace, |rows| {
            let mut total = Row::default();
            terms.clear();
            for &(index, row) in rows {
                let (b, (n, excess)) = (place[index], (row.count as f64, row.excess()));
                let (of, gap) = bins[b];
                let rest = excess - gap * n;
                alike &= rest.abs() <= ALIKE * n;
                terms.push((b, SCALE * (excess / of), SCALE * (rest / of)));
                memory::push(&mut parts[b], (row.count, row.correct))?;
                total = total.plus(&row).unwrap_or(total);
            }
            for (i, &(b, x, rest)) in terms.iter().enumerate() {
                for &(c, y, other) in &terms[..=i] {
                    null.add(at(b, c), x * y);
                    noise.add(at(b, c), rest * other);
                }
            }
            memory::push(&mut totals, total)?;
            Ok(())
        })?;
        for part in &mut parts {
            *part = sorted(std::mem::take(part), Ord::cmp, pace)?;
        }
        let clusters = totals.len();
        let factor = clusters as f64 / (clusters as f64 - 1.0);
        Ok(Scatter {
            clusters,
            null: null.covariance(bins.len(), factor, pace)?,
            noise: noise.covariance(bins.len(), factor, pace)?,
            alike,
            totals: sorted(totals, Ord::cmp, pace)?,
            parts,
        })
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
        for bin in &self.parts {
            let ones = memory::collected(bin.iter().map(|&(_, correct)| correct as f64))?;
            let sizes = memory::collected(bin.iter().map(|&(count, _)| count as f64))?;
            let mut watch = |_| pace.stride(0).is_ok(); // asks for the clock; the values are counted below
            let Interval { low, high } =
                cluster::proportion(&ones, &sizes, SumFacts::EXACT, confidence, &mut watch)?.interval;
            let known = !low.is_nan();
            memory::push(&mut limits, if known { Interval { low, high } } else { ALL })?;
            pace.stride(bin.len())?;
        }
        Ok(limits)
    }
}

const ALL: Interval = Interval { low: 0.0, high: 1.0 };
