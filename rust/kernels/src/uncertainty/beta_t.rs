//! The beta bootstrap-t: units with random weights in place of counts, studentised.

use super::beta_weights::{BATCH, beta_weights};
use super::design::Units;
use super::replicates::Run;
use super::statistic::{Line, Statistic};
use super::studentized::{Studentized, error_of_data, studentised};
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory;
use crate::random::{Domain, Stream};
use crate::simd::{Isa, Kernel, dispatch, scalar, tree64};
use std::ops::Range;

const LANES: usize = 16;
/// Weights per chunk of work: so many are worth handing to a thread.
const WEIGHTS: usize = 1 << 15;
/// Units of a replicate that are summed in one piece; more are divided.
const PIECE: usize = 1 << 20;

/// Replicates with weights W that are four times a Beta(1/2, 3/2), divided by their mean, and their t: the statistic of
/// the sums `sum W_g s_g`, with the error `sum W_g U_g^2` by the influences U there (Owen, "Better bootstrap t
/// confidence intervals for the mean", arXiv 2508.10083, 2025; for a mean the error is that of the weighted variance,
/// divided by n). No weight is 0, so that every replicate shows the spread of the data.
pub(super) fn beta_t<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    value: f64,
    run: Run,
    progress: Progress<'_>,
) -> Result<Studentized, Stopped> {
    let (n, count) = (units.count(), run.count as usize);
    let error = error_of_data(units, statistic, &mut |_| progress(0))?;
    let stream = |r: usize| run.stream(Domain::BetaWeights, r);
    let mut drawn = memory::with_capacity(count)?;
    if n <= PIECE {
        let each = (WEIGHTS / n).max(1);
        let bytes = count * n * units.bytes();
        let mut progress = |done: usize| progress((done * each).min(count));
        let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
            memory::collected(chunk(part, count, each).map(|r| {
                let all = Weighted { units, within: 0..n, stream: stream(r) };
                let fit = Fit::of(statistic, dispatch(all), n);
                let spread = Spread { units, within: 0..n, stream: stream(r), line: fit.line };
                fit.finished(dispatch(spread))
            }))
        })?;
        drawn = memory::joined(parts)?;
    } else {
        let bytes = n * units.bytes();
        for r in 0..count {
            let within = |piece| chunk(piece, n, PIECE);
            let parts = map_chunks(chunks(n, PIECE), bytes, &mut |_| progress(r), |piece| {
                dispatch(Weighted { units, within: within(piece), stream: stream(r) })
            })?;
            let fit = Fit::of(statistic, scalar(|| added(&parts)), n);
            let parts = map_chunks(chunks(n, PIECE), bytes, &mut |_| progress(r), |piece| {
                dispatch(Spread { units, within: within(piece), stream: stream(r), line: fit.line })
            })?;
            drawn.push(fit.finished(scalar(|| parts.iter().sum())));
        }
    }
    scalar(|| {
        let replicates = memory::collected(drawn.iter().map(|&[replicate, _]| replicate))?;
        let ts = drawn.iter().map(|&[replicate, own]| studentised(replicate - value, own, error));
        Ok(Studentized { replicates, t: Some(memory::collected(ts)?), error })
    })
}

fn added<const K: usize>(parts: &[([f64; K], f64)]) -> ([f64; K], f64) {
    let mut all = ([0.0; K], 0.0);
    for (sums, weight) in parts {
        (0..K).for_each(|k| all.0[k] += sums[k]);
        all.1 += weight;
    }
    all
}

/// What the sums of a replicate say.
struct Fit<const K: usize> {
    value: f64,
    line: Line<K>,
    /// By what weights are multiplied, so that their mean is 1.
    scale: f64,
}

impl<const K: usize> Fit<K> {
    fn of<S: Statistic<K>>(statistic: S, (sums, weight): ([f64; K], f64), units: usize) -> Fit<K> {
        scalar(|| {
            let n = units as f64;
            let scale = n / weight;
            let sums = sums.map(|sum| sum * scale);
            Fit { value: statistic.value(sums), line: statistic.line(sums, n), scale }
        })
    }

    /// The replicate and its error, from the sum of the weighted squares.
    fn finished(&self, squares: f64) -> [f64; 2] {
        scalar(|| [self.value, (squares * self.scale).sqrt()])
    }
}

/// `sum W_g s_g` over a range of units that begins with a batch of weights, and `sum W_g`.
struct Weighted<U, const K: usize> {
    units: U,
    within: Range<usize>,
    stream: Stream,
}

impl<U: Units<K>, const K: usize> Kernel for Weighted<U, K> {
    type Out = ([f64; K], f64);

    #[inline(always)]
    fn run<I: Isa>(self) -> ([f64; K], f64) {
        let (mut sums, mut total) = ([[0.0; LANES]; K], [0.0; LANES]);
        for start in self.within.clone().step_by(BATCH) {
            let filled = BATCH.min(self.within.end - start);
            let mut parts = [[0.0; K]; BATCH];
            self.units.read(start, &mut parts[..filled]);
            let mut weights = beta_weights::<I>(self.stream, (start / BATCH) as u64);
            weights[filled..].fill(0.0);
            for (i, (&weight, part)) in weights.iter().zip(&parts).enumerate() {
                total[i % LANES] += weight;
                for k in 0..K {
                    sums[k][i % LANES] += weight * part[k];
                }
            }
        }
        (sums.map(tree64), tree64(total))
    }
}

/// `sum W_g U_g^2` over a range of units that begins with a batch of weights.
struct Spread<U, const K: usize> {
    units: U,
    within: Range<usize>,
    stream: Stream,
    line: Line<K>,
}

impl<U: Units<K>, const K: usize> Kernel for Spread<U, K> {
    type Out = f64;

    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let mut squares = [0.0; LANES];
        for start in self.within.clone().step_by(BATCH) {
            let filled = BATCH.min(self.within.end - start);
            let mut parts = [[0.0; K]; BATCH];
            self.units.read(start, &mut parts[..filled]);
            let weights = beta_weights::<I>(self.stream, (start / BATCH) as u64);
            for (i, part) in parts[..filled].iter().enumerate() {
                let influence = self.line.at(part);
                squares[i % LANES] += weights[i] * (influence * influence);
            }
        }
        tree64(squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uncertainty::{Mean, Pairs, Quotient, Rows};

    #[test]
    fn a_mean_is_a_quotient_to_ones_and_long_columns_are_divided() {
        for n in [5, 33, 1000, PIECE + 77] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1000) as f64).collect();
            let mean = x.iter().sum::<f64>() / n as f64;
            let rows = Rows { x: &x[..], shift: mean };
            let statistic = Mean { shift: mean, n: n as f64 };
            let found = beta_t(rows, statistic, mean, Run::of_first(6, 4), &mut |_| true).unwrap();
            let pairs = Pairs { sums: &x, sizes: &vec![1.0; n] };
            let ratio =
                beta_t(pairs, Quotient { shift: 0.0 }, mean, Run::of_first(6, 4), &mut |_| true).unwrap();
            let (ours, theirs) = (found.t.unwrap(), ratio.t.unwrap());
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() < 1e-7, "n = {n}: {a} {b}");
            }
            assert!(ours.iter().all(|t| t.abs() < 20.0) && ours[0] != ours[1]);
        }
    }

    #[test]
    fn it_can_be_stopped() {
        for n in [1000, PIECE + 1] {
            let x = vec![1.0; n];
            let statistic = Mean { shift: 0.0, n: n as f64 };
            let rows = Rows { x: &x[..], shift: 0.0 };
            let stopped = beta_t(rows, statistic, 1.0, Run::of_first(100_000, 4), &mut |_| false);
            assert!(matches!(stopped, Err(Stopped::Cancelled)));
        }
    }
}
