//! The wild cluster bootstrap-t over all patterns of weights.

use super::residual;
use crate::grid::{Pace, Stopped};
use crate::intervals::cluster::Fit;
use crate::intervals::{Alternative, Confidence, Interval};
use crate::memory;
use crate::simd;

/// The most clusters: 2^19 patterns, since a pattern and its negative have one |t|.
pub const MOST: usize = 20;
/// The most clusters for which the six weights of Webb are used, 3 * 6^7 patterns; signs alone would then be too few.
const MOST_WEBB: usize = 8;
/// Values of t that are this close are equal: a pattern of one weight for all has the t of the data. The second is the
/// share of the sum of squares that its rounding may be.
const TIE: f64 = 1e-10;
const ROUNDING: f64 = 1e-13;
/// Limits beyond this many standard errors are none.
const FAR: f64 = 1_048_576.0;
const HALVINGS: usize = 48;

/// The means that are not rejected: m0 + d s with `s^2 = sum r_g^2 / N^2`, where of all patterns v of weights a share
/// of more than twice the tail has `|t*| >= |d|`.
///
/// Restricted residuals are `u_g = r_g/(s N) - d f_g`; a pattern's mean is off by `A = sum v_g u_g`, and
/// `t*^2 = A^2/sum (v_g u_g - f_g A)^2`. Weights are -1 and 1 (Rademacher), or for up to eight clusters the roots of
/// 1/2, 1 and 3/2 of both signs (Webb).
pub(super) fn interval(
    sums: &[f64],
    sizes: &[f64],
    fit: Fit,
    shift: f64,
    confidence: Confidence,
    pace: &mut Pace<'_>,
) -> Result<Interval, Stopped> {
    let mut clusters = memory::with_capacity(sums.len())?;
    let share = simd::scalar(|| {
        let of = |g: usize| residual(&fit, sums[g], sizes[g]);
        let size = (0..sums.len()).fold(0.0, |sum, g| sum + of(g) * of(g)).sqrt();
        for g in (0..sums.len()).filter(|&g| sizes[g] != 0.0) {
            clusters.push(Cluster { residual: of(g) / size, share: sizes[g] / fit.all });
        }
        size / fit.all
    });
    let tail = confidence.tail();
    let mut wild = Wild::new(clusters);
    let mut limit = |open: Alternative, side: f64| {
        if confidence.alternative == open {
            return Ok(side * f64::INFINITY);
        }
        let found = wild.critical(side, 2.0 * tail, pace)?;
        Ok::<f64, Stopped>(simd::scalar(|| shift + fit.mean + side * found * share))
    };
    let (low, high) = (limit(Alternative::Less, -1.0)?, limit(Alternative::Greater, 1.0)?);
    if low.is_nan() || high.is_nan() {
        return Ok(Interval { low: f64::NAN, high: f64::NAN });
    }
    Ok(Interval { low, high })
}

#[derive(Clone, Copy)]
struct Cluster {
    /// The residual, divided by the root of the sum of their squares.
    residual: f64,
    /// f
    share: f64,
}

/// Sums over some clusters of `v u`, `f v u` and `v^2 u^2`.
type Sums = [f64; 3];

struct Wild {
    clusters: Vec<Cluster>,
    weights: Vec<f64>,
    /// Tables of the sums over the patterns of the first clusters, and over those of the others, of which the last has
    /// positive weights alone.
    first: Vec<Sums>,
    others: Vec<Sums>,
}

impl Wild {
    fn new(clusters: Vec<Cluster>) -> Wild {
        let weights = simd::scalar(|| match clusters.len() {
            0..=MOST_WEBB => {
                vec![1.0, 0.5f64.sqrt(), 1.5f64.sqrt(), -1.0, -(0.5f64.sqrt()), -(1.5f64.sqrt())]
            }
            _ => vec![1.0, -1.0],
        });
        Wild { clusters, weights, first: Vec::new(), others: Vec::new() }
    }

    /// How far on one side means are not rejected; NaN where they never are.
    fn critical(&mut self, side: f64, level: f64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let (mut inside, mut outside) = (0.0, 1.0);
        while self.share(side * outside, pace)? > level {
            (inside, outside) = (outside, 2.0 * outside);
            if outside > FAR {
                return Ok(f64::NAN);
            }
        }
        for _ in 0..HALVINGS {
            let middle = simd::scalar(|| 0.5 * (inside + outside));
            if self.share(side * middle, pace)? > level {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        Ok(inside)
    }

    /// The share of the patterns with `|t*| >= |d|`.
    fn share(&mut self, d: f64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let (first, others) = self.clusters.split_at(self.clusters.len() / 2);
        fill(&mut self.first, first, &self.weights, self.weights.len(), d)?;
        fill(&mut self.others, others, &self.weights, self.weights.len() / 2, d)?;
        let shares = simd::scalar(|| self.clusters.iter().fold(0.0, |sum, of| sum + of.share * of.share));
        let bound = simd::scalar(|| d * d * (1.0 - TIE));
        let mut count = 0u64;
        for other in &self.others {
            count += simd::scalar(|| {
                let mut count = 0u64;
                for sums in &self.first {
                    let [a, b, c] = [sums[0] + other[0], sums[1] + other[1], sums[2] + other[2]];
                    let squares = c - 2.0 * a * b + a * a * shares;
                    count += u64::from(a * a >= bound * (squares - ROUNDING * c));
                }
                count
            });
            pace.stride(self.first.len())?;
        }
        Ok(simd::scalar(|| count as f64 / (self.first.len() * self.others.len()) as f64))
    }
}

/// The sums of all patterns of some clusters, of which the last has the first `last` of the weights alone.
fn fill(
    table: &mut Vec<Sums>,
    clusters: &[Cluster],
    weights: &[f64],
    last: usize,
    d: f64,
) -> Result<(), memory::NoMemory> {
    table.clear();
    memory::push(table, [0.0; 3])?;
    for (place, of) in clusters.iter().enumerate() {
        let weights = if place + 1 == clusters.len() { &weights[..last] } else { weights };
        let mut next = memory::with_capacity(table.len() * weights.len())?;
        simd::scalar(|| {
            let u = of.residual - d * of.share;
            for [a, b, c] in &*table {
                for &v in weights {
                    let pull = v * u;
                    next.push([a + pull, b + of.share * pull, c + pull * pull]);
                }
            }
        });
        *table = next;
    }
    Ok(())
}
