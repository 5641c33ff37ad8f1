//! The signed gap over all rows: the mean probability minus the frequency.

use super::interval::{Gap, Limits};
use super::scatter::{ALIKE, Scatter};
use super::weights::Totals;
use crate::grid::{Pace, Stopped};
use crate::intervals::cluster::{self, Clustered, SumFacts};
use crate::intervals::mean::MeanInterval;
use crate::intervals::spread::{self, Range};
use crate::intervals::{Confidence, Interval};
use crate::memory;

/// An interval cut off at -1 and 1. Where it has one side only, the other limit is -1 or 1.
fn limits(confidence: Confidence, value: f64, standard_error: f64, low: f64, high: f64) -> Limits {
    // A one-sided limit at a level below one half may lie beyond the opposite end.
    let inside = |x: f64| if x.abs() > 1.0 { 1f64.copysign(x) } else { x };
    let (low, high) = (inside(low), inside(high));
    let Interval { low, high } = confidence.open(Interval { low, high }, -1.0, 1.0);
    Limits { value, standard_error: Some(standard_error), low, high }
}

/// The gap where nothing varies over `n` rows. It has limits because both probabilities and outcomes lie in [0, 1].
fn unspread(confidence: Confidence, value: f64, n: f64) -> Limits {
    let MeanInterval { standard_error, interval } = spread::unspread(value, n, Range::Difference, confidence);
    limits(confidence, value, standard_error, interval.low, interval.high)
}

/// The gap of independent rows, which vary within bins and between them. The variance is `n/(n - 1)` times
/// `sum w_b^2 s_b^2 + sum w_b (gap_b - gap)^2/n`; the interval is that of Student's t with `n - 1` degrees of freedom.
pub(super) fn of_rows(totals: &Totals, gaps: &[Gap], confidence: Confidence) -> Limits {
    let n = totals.all.n;
    let value = totals.all.excess / n;
    let within: f64 = gaps.iter().map(|gap| (gap.weight * gap.scatter) * (gap.weight * gap.scatter)).sum();
    let between: f64 =
        gaps.iter().map(|gap| gap.weight * ((gap.signed - value) * (gap.signed - value))).sum();
    let variance = within + between / n;
    if n < 2.0 || variance == 0.0 {
        return unspread(confidence, value, n);
    }
    let error = (variance * (n / (n - 1.0))).sqrt();
    let half = confidence.t(n - 1.0) * error;
    limits(confidence, value, error, value - half, value + half)
}

/// The gap of rows in clusters: a ratio of the clusters' sums, with the variance and degrees of freedom of CR2.
pub(super) fn of_clusters(
    totals: &Totals,
    scatter: &Scatter,
    confidence: Confidence,
    pace: &mut Pace<'_>,
) -> Result<Limits, Stopped> {
    let value = totals.all.excess / totals.all.n;
    let clusters = &scatter.totals;
    if clusters.len() < 2 {
        return Ok(Limits::unknown(value));
    }
    let sums = memory::collected(clusters.iter().map(|sums| sums.excess))?;
    let sizes = memory::collected(clusters.iter().map(|sums| sums.n))?;
    let weighted = totals.effective.map(|_| totals.rows as f64);
    let facts = SumFacts { noise: 2.0 * ALIKE, range: Range::Difference, weighted };
    let mut progress = |_| pace.stride(0).is_ok(); // only looks at the clock: `ratio` counts its own work
    let Clustered { standard_error, interval: Interval { low, high }, .. } =
        cluster::ratio(&sums, &sizes, 0.0, facts, confidence, &mut progress)?;
    Ok(if low.is_nan() {
        Limits::unknown(value)
    } else {
        limits(confidence, value, standard_error, low, high)
    })
}
