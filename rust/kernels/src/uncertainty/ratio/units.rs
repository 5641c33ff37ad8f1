//! The sums over the units of a ratio, added in the order of the rows.

use super::Columns;
use crate::grid::{self, CHUNK, Pace, Progress, Stopped, chunk, fill_chunks, threads};
use crate::intervals::cluster::{ClusterSums, scale};
use crate::intervals::moments::Moments;
use crate::intervals::spread::STEPS;
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, scalar};
use crate::uncertainty::design::Design;
use crate::uncertainty::no_estimate::{Ended, NoEstimate};
use std::ops::Range;

/// Rows that are read at a time: they stay in the first cache.
const BLOCK: usize = 1 << 10;
/// Rows that are added to clusters before all threads wait for each other.
const SPAN: usize = 1 << 20;
/// The most parts of the clusters that are added up side by side, since each part reads all rows.
const PARTS: usize = 4;

/// What is known about the rows, apart from the sums of the units.
pub(super) struct RowFacts {
    /// The largest `|x - shift y|`.
    pub reach: f64,
    /// Whether `0 <= x <= y` in every row, or the same with both signs changed.
    pub share: bool,
    /// The largest number of rows in a unit.
    pub largest: f64,
    /// An upper bound of the scaled weights.
    pub weight: f64,
}

impl RowFacts {
    /// A bound of the rounding error in the sum of a unit: [`STEPS`] steps for each x and y, and the additions.
    pub fn noise(&self, shift: f64, x: &Moments, y: &Moments) -> f64 {
        scalar(|| {
            let row =
                STEPS * (x.step + shift.abs() * y.step) + self.largest * (2.0 * f64::EPSILON) * self.reach;
            self.weight * self.largest * row
        })
    }
}

/// The sums of `w (x - shift y)` over each unit, and as sizes those of `w y`, added in the order of the rows.
pub(super) fn sums(
    columns: Columns<'_>,
    shift: f64,
    progress: Progress<'_>,
) -> Result<(ClusterSums, RowFacts), Ended> {
    let factor = columns.weights.map_or(Ok(1.0), |weights| scale(weights, &mut Pace::new(&mut *progress)))?;
    let rows = Rows { columns, shift, factor };
    let (sums, signs, largest) = match columns.design {
        Design::Rows => rows.alone(progress)?,
        Design::Clusters { codes, count } => {
            rows.clustered(codes, count, progress)?.ok_or(NoEstimate::Outside)?
        }
    };
    let weight = if columns.weights.is_some() { 2.0 } else { 1.0 };
    let share = signs.up || signs.down;
    Ok((sums, RowFacts { reach: signs.reach, share, largest: largest as f64, weight }))
}

/// The rows of two columns, and what their sums are taken of.
#[derive(Clone, Copy)]
struct Rows<'a> {
    columns: Columns<'a>,
    shift: f64,
    /// What weights are multiplied by.
    factor: f64,
}

/// The sums, what holds for all rows, and the largest number of rows in a unit.
type Found = (ClusterSums, Signs, u64);

impl Rows<'_> {
    fn count(&self) -> usize {
        self.columns.x.len()
    }

    /// What some rows from `start` on, at most a [`BLOCK`], add to the two sums.
    fn read(&self, start: usize, tops: &mut [f64], bottoms: &mut [f64]) -> Signs {
        self.columns.x.widen(start, tops);
        self.columns.y.widen(start, bottoms);
        let signs = dispatch(Subtract { tops, bottoms, shift: self.shift });
        if let Some(weights) = self.columns.weights {
            scalar(|| {
                for (i, &weight) in weights[start..start + tops.len()].iter().enumerate() {
                    (tops[i], bottoms[i]) =
                        (weight * self.factor * tops[i], weight * self.factor * bottoms[i]);
                }
            });
        }
        signs
    }

    /// Each row is a unit.
    fn alone(&self, progress: Progress<'_>) -> Result<Found, Stopped> {
        let n = self.count();
        let zeros = || memory::filled(n, 0.0);
        let (mut sums, mut sizes) = (zeros()?, zeros()?);
        let items = memory::collected(sums.chunks_mut(CHUNK).zip(sizes.chunks_mut(CHUNK)))?;
        let signs = fill_chunks(items, n * size_of::<[f64; 4]>(), progress, |index, (sums, sizes)| {
            let (within, mut signs) = (chunk(index, n, CHUNK), Signs::default());
            let blocks = sums.chunks_mut(BLOCK).zip(sizes.chunks_mut(BLOCK));
            for (start, (tops, bottoms)) in within.step_by(BLOCK).zip(blocks) {
                signs = signs.and(&self.read(start, tops, bottoms));
                // Adding to 0 makes 0 of -0, as in a unit of several rows.
                scalar(|| tops.iter_mut().chain(bottoms).for_each(|part| *part += 0.0));
            }
            signs
        })?;
        Ok((ClusterSums { sums, sizes }, all(&signs), 1))
    }

    /// The rows with the same code are a unit; `None` where a code lies outside `0..count`.
    fn clustered(
        &self,
        codes: &[i64],
        count: usize,
        progress: Progress<'_>,
    ) -> Result<Option<Found>, Stopped> {
        self.in_parts(codes, count, count.div_ceil(threads().min(PARTS)).max(1), progress)
    }

    /// [`Self::clustered`], `width` units after another. Each part adds the rows of its units in their order, so that the
    /// sums are the same for any width.
    fn in_parts(
        &self,
        codes: &[i64],
        count: usize,
        width: usize,
        progress: Progress<'_>,
    ) -> Result<Option<Found>, Stopped> {
        let n = self.count();
        let mut units = memory::filled(count, Unit::default())?;
        let (mut signs, mut added) = (Signs::default(), 0);
        for span in 0..grid::chunks(n, SPAN) {
            let within = chunk(span, n, SPAN);
            let bytes = within.len() * size_of::<[f64; 3]>();
            let parts = memory::collected(units.chunks_mut(width))?;
            let found = fill_chunks(parts, bytes, &mut *progress, |part, units| {
                self.add(codes, within.clone(), part * width, units)
            })?;
            for (of_rows, rows) in found {
                signs = signs.and(&of_rows);
                added += rows;
            }
        }
        if added < n {
            return Ok(None);
        }
        let sums = memory::collected(units.iter().map(|unit| unit.sum))?;
        let sizes = memory::collected(units.iter().map(|unit| unit.size))?;
        let largest = units.iter().map(|unit| unit.rows).max().unwrap_or(1);
        Ok(Some((ClusterSums { sums, sizes }, signs, largest)))
    }

    /// Adds some rows to those of their units that are among `units`, which have the codes from `first` on. What holds
    /// for all rows, and how many were added.
    fn add(&self, codes: &[i64], rows: Range<usize>, first: usize, units: &mut [Unit]) -> (Signs, usize) {
        let (mut signs, mut added) = (Signs::default(), 0);
        let (mut tops, mut bottoms, mut own) = ([0.0; BLOCK], [0.0; BLOCK], [0u16; BLOCK]);
        for start in rows.clone().step_by(BLOCK) {
            let length = BLOCK.min(rows.end - start);
            signs = signs.and(&self.read(start, &mut tops[..length], &mut bottoms[..length]));
            let codes = &codes[start..start + length];
            scalar(|| {
                // Without a branch that would depend on the code: any row may be of any part. (A negative code becomes
                // a number that is too large.)
                let mut many = 0;
                for (i, &code) in codes.iter().enumerate() {
                    own[many % BLOCK] = i as u16;
                    many += usize::from((code as usize).wrapping_sub(first) < units.len());
                }
                for &i in &own[..many] {
                    let i = usize::from(i) % BLOCK;
                    units[codes[i] as usize - first].add(tops[i], bottoms[i]);
                }
                added += many;
            });
        }
        (signs, added)
    }
}

/// What holds for all rows.
fn all(signs: &[Signs]) -> Signs {
    signs.iter().fold(Signs::default(), |all, signs| all.and(signs))
}

/// What is added up of a unit, side by side, so that a row touches one line of the cache.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Unit {
    sum: f64,
    size: f64,
    rows: u64,
}

impl Unit {
    #[inline(always)]
    fn add(&mut self, top: f64, bottom: f64) {
        self.sum += top;
        self.size += bottom;
        self.rows += 1;
    }
}

/// What holds for every row of some.
#[derive(Clone, Copy)]
struct Signs {
    /// At most this is `|x - shift y|`.
    reach: f64,
    /// `0 <= x <= y`.
    up: bool,
    /// `0 >= x >= y`.
    down: bool,
}

impl Default for Signs {
    fn default() -> Signs {
        Signs { reach: 0.0, up: true, down: true }
    }
}

impl Signs {
    #[inline(always)]
    fn and(&self, other: &Signs) -> Signs {
        let reach = if other.reach > self.reach { other.reach } else { self.reach };
        Signs { reach, up: self.up & other.up, down: self.down & other.down }
    }
}

/// Writes `x - shift y` in the place of x, and says what holds for all rows.
struct Subtract<'a> {
    tops: &'a mut [f64],
    bottoms: &'a [f64],
    shift: f64,
}

/// Rows that are looked at side by side.
const LANES: usize = 16;

impl Kernel for Subtract<'_> {
    type Out = Signs;

    #[inline(always)]
    fn run<I: Isa>(self) -> Signs {
        // Flags as numbers: 1 once a row is otherwise.
        let (mut reach, mut up, mut down) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for (tops, bottoms) in self.tops.chunks_mut(LANES).zip(self.bottoms.chunks(LANES)) {
            if tops.len() < LANES {
                for (l, (x, &y)) in tops.iter_mut().zip(bottoms).enumerate() {
                    look(x, y, self.shift, [&mut reach[l], &mut up[l], &mut down[l]]);
                }
            } else {
                for l in 0..LANES {
                    look(&mut tops[l], bottoms[l], self.shift, [&mut reach[l], &mut up[l], &mut down[l]]);
                }
            }
        }
        let mut all = Signs::default();
        for l in 0..LANES {
            all = all.and(&Signs { reach: reach[l], up: up[l] == 0.0, down: down[l] == 0.0 });
        }
        all
    }
}

#[inline(always)]
fn look(x: &mut f64, y: f64, shift: f64, [reach, up, down]: [&mut f64; 3]) {
    let rest = *x - shift * y;
    *reach = if rest.abs() > *reach { rest.abs() } else { *reach };
    *up = if 0.0 <= *x && *x <= y { *up } else { 1.0 };
    *down = if 0.0 >= *x && *x >= y { *down } else { 1.0 };
    *x = rest;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_the_parts() {
        let n = SPAN + 2 * BLOCK + 7;
        let x: Vec<f64> = (0..n as u64).map(|i| (i.wrapping_mul(2654435761) % 1009) as f64 * 0.37).collect();
        let y: Vec<f64> = x.iter().map(|x| 1.0 + x * x).collect();
        let codes: Vec<i64> = (0..n as i64).map(|i| i * i % 101).collect();
        let design = Design::Clusters { codes: &codes, count: 101 };
        let columns = Columns { x: &&x[..], y: &&y[..], weights: Some(&y), design };
        let rows = Rows { columns, shift: 0.1, factor: 0.5 };
        let by_hand = |unit: i64| {
            let own = (0..n).filter(|&i| codes[i] == unit);
            own.fold([0.0; 2], |[sum, size], i| {
                let weight = y[i] * 0.5;
                [sum + weight * (x[i] - 0.1 * y[i]), size + weight * y[i]]
            })
        };
        for width in [101, 51, 7, 1000] {
            let (found, signs, largest) = rows.in_parts(&codes, 101, width, &mut |_| true).unwrap().unwrap();
            for unit in [0, 1, 50, 51, 100] {
                assert_eq!([found.sums[unit], found.sizes[unit]], by_hand(unit as i64), "{width}");
            }
            let most = (0..101).map(|unit| codes.iter().filter(|&&code| code == unit).count()).max();
            assert!(signs.up && !signs.down && Some(largest as usize) == most);
        }
        assert!(rows.in_parts(&codes, 100, 50, &mut |_| true).unwrap().is_none());
    }

    #[test]
    fn a_negative_code_is_outside() {
        let design = Design::Clusters { codes: &[0, -1], count: 2 };
        let columns = Columns { x: &&[1.0, 2.0][..], y: &&[1.0, 1.0][..], weights: None, design };
        let rows = Rows { columns, shift: 0.0, factor: 1.0 };
        assert!(rows.clustered(&[0, -1], 2, &mut |_| true).unwrap().is_none());
    }
}
