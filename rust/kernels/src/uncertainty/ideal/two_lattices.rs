//! Engine L for a ratio: the joint distribution of two sums on lattices, by a finite Fourier sum in two dimensions.

use super::lattice::Lattice;
use super::nodes::{Complex, LANES, log_of};
use super::ratio::{PairsOf, cell_noise};
use super::smooth::range;
use super::sum::{Part, Spread, smaller};
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
    /// Every ratio with its probability.
    Known(Vec<(f64, f64)>),
    /// Both lie on lattices that have too many cells; steps of F may be as high as this.
    Fine(f64),
    /// They do not both lie on a lattice.
    None,
}

/// One of the two sums.
struct Side {
    /// The codes of the pairs, about a whole number near their mean.
    codes: Vec<f64>,
    /// The number of points in a period.
    points: usize,
    /// The first code of the period that covers the sum.
    first: f64,
    /// The sum at code 0, the unit, and what turns both into the sum.
    origin: f64,
    unit: f64,
    per: f64,
}

/// The joint distribution of the sums of pairs, whose numerators are `a + shift b`.
pub fn joint(pairs: &PairsOf, shift: f64, progress: Progress<'_>) -> Result<Joint, Stopped> {
    let plain = memory::collected(pairs.a.iter().zip(&pairs.b).map(|(a, b)| a + shift * b))?;
    let (Some(tops), Some(bottoms)) =
        (side(&plain, pairs, &mut *progress)?, side(&pairs.b, pairs, &mut *progress)?)
    else {
        return Ok(Joint::None);
    };
    let cells = tops.points as f64 * bottoms.points as f64;
    if cells > CELLS || cells * pairs.a.len() as f64 > FACTORS {
        return Ok(Joint::Fine(fineness(&tops, &bottoms, pairs)));
    }
    let rows = live(&tops, &bottoms, pairs, &mut *progress)?;
    let nodes: usize = rows.iter().map(|row| row.nodes.len()).sum();
    if nodes as f64 * tops.points as f64 + rows.len() as f64 * cells > ADDITIONS {
        return Ok(Joint::Fine(fineness(&tops, &bottoms, pairs)));
    }
    Ok(Joint::Known(inverted(&tops, &bottoms, &rows, progress)?))
}

fn fineness(tops: &Side, bottoms: &Side, pairs: &PairsOf) -> f64 {
    let [mut xx, mut xy, mut yy] = [0.0; 3];
    let mean = |side: &Side| side.codes.iter().zip(&pairs.shares).map(|(k, p)| k * p).sum::<f64>();
    let (x, y) = (mean(tops), mean(bottoms));
    for ((a, b), share) in tops.codes.iter().zip(&bottoms.codes).zip(&pairs.shares) {
        xx += share * (a - x) * (a - x);
        xy += share * (a - x) * (b - y);
        yy += share * (b - y) * (b - y);
    }
    let noise = cell_noise(1.0, pairs.draws * pairs.draws * (xx * yy - xy * xy));
    noise * noise
}

fn side(values: &[f64], pairs: &PairsOf, progress: Progress<'_>) -> Result<Option<Side>, Stopped> {
    let order = |x: &(f64, f64), y: &(f64, f64)| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1));
    let ascending = memory::collected(values.iter().copied().zip(pairs.shares.iter().copied()))?;
    let ascending = sorted(ascending, order, &mut Pace::new(progress))?;
    let column = memory::collected(ascending.iter().map(|pair| pair.0))?;
    let shares = memory::collected(ascending.iter().map(|pair| pair.1))?;
    let draws = pairs.draws;
    let (low, high) = (column[0], column[column.len() - 1]);
    if low == high {
        let codes = memory::filled(values.len(), 0.0)?;
        return Ok(Some(Side { codes, points: 1, first: 0.0, origin: draws * low, unit: 1.0, per: 1.0 }));
    }
    let Some(lattice) = Lattice::of(&column, OFF)? else { return Ok(None) };
    let Lattice { origin, unit, per, codes } = lattice;
    let most = codes[codes.len() - 1];
    let part = Part::counted(codes, shares, draws, 1.0);
    let deviation = (draws * part.variance()).sqrt();
    let (below, above) = part.extent();
    let ((below, above), period) =
        range(Spread { deviation, extent: (below / deviation, above / deviation) });
    let points = smaller(period * deviation + 3.0, draws * most + 1.0);
    if points > CELLS {
        return Ok(Some(Side {
            codes: memory::copied(values)?,
            points: points as usize,
            first: 0.0,
            origin,
            unit,
            per,
        }));
    }
    let points = points as usize + 1;
    let centre = nearest(part.mean);
    let step = unit / per;
    let first = origin / per;
    let codes = memory::collected(values.iter().map(|v| nearest((v - first) / step) - centre))?;
    // The codes of the sum start at 0, or where the distribution does.
    let share = below / (below + above);
    let lowest = floor(draws * part.mean - share * points as f64);
    let lowest = if lowest > 0.0 { lowest } else { 0.0 };
    Ok(Some(Side {
        codes,
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

/// One row of the characteristic function.
struct Scan<'a> {
    tops: &'a [f64],
    bottoms: &'a [f64],
    shares: &'a [f64],
    draws: f64,
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
            let (mut real, mut imaginary) = ([0.0; LANES], [0.0; LANES]);
            let columns =
                self.tops.chunks(LANES).zip(self.bottoms.chunks(LANES)).zip(self.shares.chunks(LANES));
            for ((tops, bottoms), shares) in columns {
                let (tops, bottoms) = (padded::<f64, LANES>(tops, 0.0), padded::<f64, LANES>(bottoms, 0.0));
                let shares = padded::<f64, LANES>(shares, 0.0);
                for l in 0..LANES {
                    let (c, s) = cos_sin_turns::<I>(0.5, node * tops[l] + self.row * bottoms[l]);
                    let weighted = 2.0 * shares[l] * s;
                    real[l] -= weighted * s;
                    imaginary[l] += weighted * c;
                }
            }
            let (size, phase) = log_of::<I>((tree64(real), tree64(imaginary)), self.draws);
            if size > NOTHING {
                let (c, s) = cos_sin_turns::<I>(phase, 1.0 / TAU);
                let size = exp64::<I>(size);
                self.nodes.push((node, (size * c, size * s)));
            }
        }
    }
}

/// All rows with nodes that matter. Half of the frequencies suffice, since the other half is conjugate.
fn live(tops: &Side, bottoms: &Side, pairs: &PairsOf, progress: Progress<'_>) -> Result<Vec<Row>, Stopped> {
    let turns = |side: &Side| memory::collected(side.codes.iter().map(|k| k / side.points as f64));
    let (top_turns, bottom_turns) = (turns(tops)?, turns(bottoms)?);
    let rows = bottoms.points / 2 + 1;
    let bytes = rows * tops.points * pairs.a.len() * 16;
    let found = grid::map_chunks(rows, bytes, progress, |row| {
        let mut nodes = memory::with_capacity(tops.points)?;
        simd::dispatch(Scan {
            tops: &top_turns,
            bottoms: &bottom_turns,
            shares: &pairs.shares,
            draws: pairs.draws,
            points: tops.points,
            row: row as f64,
            nodes: &mut nodes,
        });
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

/// The ratios of all cells and their probabilities.
fn inverted(
    tops: &Side,
    bottoms: &Side,
    rows: &[Row],
    progress: Progress<'_>,
) -> Result<Vec<(f64, f64)>, Stopped> {
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
        let cells = shares.into_iter().enumerate().map(|(j, share)| (bottom(j), share));
        memory::gathered(
            cells.filter(|&(b, share)| b > 0.0 && share > UNLIKELY).map(|(b, share)| (top / b, share)),
        )
    })?;
    Ok(memory::joined(found)?)
}
