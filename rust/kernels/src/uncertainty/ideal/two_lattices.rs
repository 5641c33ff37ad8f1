//! Engine L for a ratio: the joint distribution of two sums on lattices, by a finite Fourier sum in two dimensions.

use super::lattice::Lattice;
use super::nodes::{Complex, LANES, log_of};
use super::ratio::{PairsOf, cell_noise};
use super::smooth::range;
use super::sum::{Spread, larger, smaller};
use crate::grid::{self, Pace, Progress, Stopped};
use crate::math::{cos_sin_turns, exp64};
use crate::memory;
use crate::simd::{self, Isa, Kernel, padded, tree64};
use crate::sorting::sorted;
use crate::uncertainty::sign_flip::{floor, nearest};
use std::f64::consts::TAU;

/// The most cells of the two lattices in a period.
const CELLS: f64 = (1u64 << 20) as f64;
/// The most cells times pairs.
const FACTORS: f64 = (1u64 << 26) as f64;
/// The most additions of the inversion.
const ADDITIONS: f64 = (1u64 << 28) as f64;
/// Sums were shifted and are shifted back, which may move them by this share.
const OFF: f64 = 1e-12;
/// Below this, the logarithm of the characteristic function counts as 0.
const NOTHING: f64 = -42.0;
/// Cells less likely than this are left out.
const UNLIKELY: f64 = 1e-17;

/// What is known of the joint distribution of the two sums.
#[derive(Debug)]
pub enum Joint {
    /// Every pair of sums with its probability, but for those that are negligible.
    Known(Vec<(f64, f64, f64)>),
    /// Both lie on lattices that have too many cells; steps of F may be as high as this.
    Fine(f64),
    /// They do not both lie on a lattice.
    None,
}

/// One of the two sums.
struct Side {
    /// The codes of the pairs of each stratum, about a whole number near their mean.
    codes: Vec<Vec<f64>>,
    /// The number of points in a period.
    points: usize,
    /// The first code of the period that covers the sum.
    first: f64,
    /// The sum at code 0, the unit, and what turns both into the sum.
    origin: f64,
    unit: f64,
    per: f64,
}

/// The joint distribution of the sums of pairs in strata, whose numerators are `a + shift b`.
pub fn joint(strata: &[PairsOf], shift: f64, progress: Progress<'_>) -> Result<Joint, Stopped> {
    let mut plain = memory::with_capacity(strata.len())?;
    let mut below = memory::with_capacity(strata.len())?;
    for pairs in strata {
        plain.push(memory::collected(pairs.a.iter().zip(&pairs.b).map(|(a, b)| a + shift * b))?);
        below.push(memory::copied(&pairs.b)?);
    }
    let (Some(tops), Some(bottoms)) =
        (side(&plain, strata, &mut *progress)?, side(&below, strata, &mut *progress)?)
    else {
        return Ok(Joint::None);
    };
    let cells = tops.points as f64 * bottoms.points as f64;
    let values: usize = strata.iter().map(|pairs| pairs.a.len()).sum();
    if cells > CELLS || cells * values as f64 > FACTORS {
        return Ok(Joint::Fine(fineness(&tops, &bottoms, strata)));
    }
    let rows = live(&tops, &bottoms, strata, &mut *progress)?;
    let nodes: usize = rows.iter().map(|row| row.nodes.len()).sum();
    if nodes as f64 * tops.points as f64 + rows.len() as f64 * cells > ADDITIONS {
        return Ok(Joint::Fine(fineness(&tops, &bottoms, strata)));
    }
    Ok(Joint::Known(inverted(&tops, &bottoms, &rows, progress)?))
}

fn fineness(tops: &Side, bottoms: &Side, strata: &[PairsOf]) -> f64 {
    let [mut xx, mut xy, mut yy] = [0.0; 3];
    for ((tops, bottoms), pairs) in tops.codes.iter().zip(&bottoms.codes).zip(strata) {
        let mean = |codes: &[f64]| codes.iter().zip(&pairs.shares).map(|(k, p)| k * p).sum::<f64>();
        let (x, y) = (mean(tops), mean(bottoms));
        for ((a, b), share) in tops.iter().zip(bottoms).zip(&pairs.shares) {
            let draws = pairs.draws * share;
            xx += draws * (a - x) * (a - x);
            xy += draws * (a - x) * (b - y);
            yy += draws * (b - y) * (b - y);
        }
    }
    let noise = cell_noise(1.0, xx * yy - xy * xy);
    noise * noise
}

/// The lattice of one number of the pairs of all strata, and that of its sum.
fn side(values: &[Vec<f64>], strata: &[PairsOf], progress: Progress<'_>) -> Result<Option<Side>, Stopped> {
    let order = |x: &f64, y: &f64| x.total_cmp(y);
    let column = memory::gathered(values.iter().flatten().copied())?;
    let column = sorted(column, order, &mut Pace::new(progress))?;
    let draws: f64 = strata.iter().map(|pairs| pairs.draws).sum();
    let (low, high) = (column[0], column[column.len() - 1]);
    if low == high {
        let mut codes = memory::with_capacity(values.len())?;
        for values in values {
            codes.push(memory::filled(values.len(), 0.0)?);
        }
        return Ok(Some(Side { codes, points: 1, first: 0.0, origin: draws * low, unit: 1.0, per: 1.0 }));
    }
    let Some(Lattice { origin, unit, per, codes }) = Lattice::of(&column, OFF)? else { return Ok(None) };
    let most = codes[codes.len() - 1];
    let (first, step) = (origin / per, unit / per);
    let mut own = memory::with_capacity(values.len())?;
    let (mut mean, mut variance, mut below, mut above) = (0.0, 0.0, 0.0, 0.0);
    for (values, pairs) in values.iter().zip(strata) {
        let codes = memory::collected(values.iter().map(|v| nearest((v - first) / step)))?;
        let at = codes.iter().zip(&pairs.shares).map(|(k, p)| k * p).sum::<f64>();
        let square = |(k, p): (&f64, &f64)| p * (k - at) * (k - at);
        mean += pairs.draws * at;
        variance += pairs.draws * codes.iter().zip(&pairs.shares).map(square).sum::<f64>();
        below = codes.iter().fold(below, |most, k| larger(most, at - k));
        above = codes.iter().fold(above, |most, k| larger(most, k - at));
        own.push(codes);
    }
    let deviation = variance.sqrt();
    let ((below, above), period) =
        range(Spread { deviation, extent: (below / deviation, above / deviation) });
    let points = smaller(period * deviation + 3.0, draws * most + 1.0);
    if points > CELLS {
        let points = points as usize;
        return Ok(Some(Side { codes: own, points, first: 0.0, origin, unit, per }));
    }
    let points = points as usize + 1;
    let centre = nearest(mean / draws);
    own.iter_mut().flatten().for_each(|code| *code -= centre);
    // The codes of the sum start at 0, or where the distribution does.
    let share = below / (below + above);
    let lowest = floor(mean - share * points as f64);
    let lowest = if lowest > 0.0 { lowest } else { 0.0 };
    Ok(Some(Side {
        codes: own,
        points,
        first: lowest - draws * centre,
        origin: draws * (origin + unit * centre),
        unit,
        per,
    }))
}

/// The nodes of one row (a frequency of the denominators) at which the characteristic function is not negligible.
struct Row {
    /// The frequency.
    of: usize,
    nodes: Vec<(f64, Complex)>,
}

/// The pairs of a stratum, in turns.
struct Turns<'a> {
    tops: Vec<f64>,
    bottoms: Vec<f64>,
    shares: &'a [f64],
    draws: f64,
}

/// One row of the characteristic function.
struct Scan<'a> {
    strata: &'a [Turns<'a>],
    /// The number of frequencies of the numerators.
    points: usize,
    row: f64,
    nodes: &'a mut Vec<(f64, Complex)>,
}

impl Kernel for Scan<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for j in 0..self.points {
            let node = j as f64 - (self.points / 2) as f64;
            let (mut size, mut phase) = (0.0, 0.0);
            for Turns { tops, bottoms, shares, draws } in self.strata {
                let (mut real, mut imaginary) = ([0.0; LANES], [0.0; LANES]);
                let columns = tops.chunks(LANES).zip(bottoms.chunks(LANES)).zip(shares.chunks(LANES));
                for ((tops, bottoms), shares) in columns {
                    let (tops, bottoms) =
                        (padded::<f64, LANES>(tops, 0.0), padded::<f64, LANES>(bottoms, 0.0));
                    let shares = padded::<f64, LANES>(shares, 0.0);
                    for l in 0..LANES {
                        let (c, s) = cos_sin_turns::<I>(0.5, node * tops[l] + self.row * bottoms[l]);
                        let weighted = 2.0 * shares[l] * s;
                        real[l] -= weighted * s;
                        imaginary[l] += weighted * c;
                    }
                }
                let (own, turned) = log_of::<I>((tree64(real), tree64(imaginary)), *draws);
                size += own;
                phase += turned;
            }
            if size > NOTHING {
                let (c, s) = cos_sin_turns::<I>(phase, 1.0 / TAU);
                let size = exp64::<I>(size);
                self.nodes.push((node, (size * c, size * s)));
            }
        }
    }
}

/// All rows with nodes that matter. Half of the frequencies suffice, since the other half is conjugate.
fn live(
    tops: &Side,
    bottoms: &Side,
    strata: &[PairsOf],
    progress: Progress<'_>,
) -> Result<Vec<Row>, Stopped> {
    let turns = |codes: &[f64], points: usize| memory::collected(codes.iter().map(|k| k / points as f64));
    let mut turned = memory::with_capacity(strata.len())?;
    for ((own, below), pairs) in tops.codes.iter().zip(&bottoms.codes).zip(strata) {
        let (tops, bottoms) = (turns(own, tops.points)?, turns(below, bottoms.points)?);
        turned.push(Turns { tops, bottoms, shares: &pairs.shares, draws: pairs.draws });
    }
    let rows = bottoms.points / 2 + 1;
    let values: usize = strata.iter().map(|pairs| pairs.a.len()).sum();
    let bytes = rows * tops.points * values * 16;
    let found = grid::map_chunks(rows, bytes, progress, |row| {
        let mut nodes = memory::with_capacity(tops.points)?;
        let (strata, points) = (&turned[..], tops.points);
        simd::dispatch(Scan { strata, points, row: row as f64, nodes: &mut nodes });
        Ok(Row { of: row, nodes })
    })?;
    let mut rows = memory::with_capacity(found.len())?;
    for row in found {
        let row: Row = row.map_err(|error: memory::NoMemory| Stopped::NoMemory(error))?;
        if !row.nodes.is_empty() {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The inner sum of one row for one numerator, `sum of Phi exp(-2 pi i node code/points)`.
struct Inner<'a> {
    nodes: &'a [(f64, Complex)],
    shift: f64,
}

impl Kernel for Inner<'_> {
    type Out = Complex;
    #[inline(always)]
    fn run<I: Isa>(self) -> Complex {
        let mut sum = (0.0, 0.0);
        for &(node, (real, imaginary)) in self.nodes {
            let (c, s) = cos_sin_turns::<I>(node, self.shift);
            sum = (sum.0 + real * c + imaginary * s, sum.1 + imaginary * c - real * s);
        }
        sum
    }
}

/// `exp(-2 pi i row code/points)` for all codes of the denominators.
struct Turn<'a> {
    row: f64,
    first: f64,
    points: f64,
    to: &'a mut [Complex],
}

impl Kernel for Turn<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (k, to) in self.to.iter_mut().enumerate() {
            *to = cos_sin_turns::<I>(self.row, (self.first + k as f64) / self.points);
        }
    }
}

/// Adds one row's contribution to the probabilities of all denominators.
struct Outer<'a> {
    inner: Complex,
    turns: &'a [Complex],
    to: &'a mut [f64],
}

impl Kernel for Outer<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (real, imaginary) = self.inner;
        for (to, &(c, s)) in self.to.iter_mut().zip(self.turns) {
            *to += real * c + imaginary * s;
        }
    }
}

/// The sums of all cells and their probabilities.
fn inverted(
    tops: &Side,
    bottoms: &Side,
    rows: &[Row],
    progress: Progress<'_>,
) -> Result<Vec<(f64, f64, f64)>, Stopped> {
    let mut turns = memory::with_capacity(rows.len())?;
    for row in rows {
        let mut to = memory::filled(bottoms.points, (0.0, 0.0))?;
        let (first, points) = (bottoms.first, bottoms.points as f64);
        simd::dispatch(Turn { row: row.of as f64, first, points, to: &mut to });
        turns.push(to);
    }
    let cells = tops.points as f64 * bottoms.points as f64;
    let bytes = 16 * tops.points * bottoms.points * rows.len();
    let found = grid::map_chunks(tops.points, bytes, progress, |k| {
        let code = tops.first + k as f64;
        let mut shares = memory::filled(bottoms.points, 0.0)?;
        for (row, turns) in rows.iter().zip(&turns) {
            // The conjugate row counts as well, unless the row is its own conjugate.
            let own = row.of == 0 || 2 * row.of == bottoms.points;
            let times = if own { 1.0 } else { 2.0 } / cells;
            let (real, imaginary) =
                simd::dispatch(Inner { nodes: &row.nodes, shift: code / tops.points as f64 });
            let inner = (times * real, times * imaginary);
            simd::dispatch(Outer { inner, turns, to: &mut shares });
        }
        let top = (tops.origin + tops.unit * code) / tops.per;
        let bottom = |j: usize| (bottoms.origin + bottoms.unit * (bottoms.first + j as f64)) / bottoms.per;
        let cells = shares.into_iter().enumerate().map(|(j, share)| (top, bottom(j), share));
        memory::gathered(cells.filter(|&(_, _, share)| share > UNLIKELY))
    })?;
    Ok(memory::joined(found)?)
}
