//! From differences to magnitudes: finds out whether the data lie on a lattice and which values to keep, and sums the
//! rest.

use super::lattice::{self, Tolerance};
use super::nearest;
use super::sum::{LANES, LOG_COSH, Magnitudes, QUARTERS, REACH, Series, TERMS};
use crate::grid::{self, CHUNK, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::{self, Isa, Kernel, padded, tree64};

/// Up to this many non-zero values, each is kept.
const FEW: usize = 1 << 12;
/// The most steps of a lattice whose multiples are counted in a table.
const TABLE: f64 = (1u64 << 15) as f64;
/// The size of the sample in which a lattice is sought before all values are read.
const SAMPLE: usize = 512;
/// The least number of non-zero values in which a lattice of scores rounded to f32 is believed not to arise by chance.
const EVIDENCE: usize = 12;
/// The most values that may be set apart from the others; the tail is computed for each pattern of their signs.
pub const APART: usize = 6;
/// Up to this many different values, each is kept once with its count.
const DISTINCT: usize = 64;
/// The size of the sample that bounds the characteristic function where the series of the power sums does not converge.
const PROBE: usize = 1024;
/// Sums that differ by less than this share of sum |x| count as equal: 2^-40.
const SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// The values whose signs are flipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Flips {
    /// The magnitudes of all values that are not set apart.
    pub magnitudes: Magnitudes,
    /// The magnitudes of values that do not lie on the lattice of the others.
    pub apart: Vec<f64>,
    /// The observed sum S, with the signs of the data.
    pub sum: f64,
    /// The smaller of the sums of magnitudes over the positive and over the negative values.
    pub less: f64,
    /// Sums that differ by at most this count as equal.
    pub slack: f64,
}

/// The data, and two powers of two, multiplied one after the other, that scale them so that the largest magnitude is in
/// [1, 2). Neither product overflows, and only numbers that are negligible beside the largest underflow.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    x: &'a [f64],
    scale: [f64; 2],
    top: f64,
    /// How far a value may be off by rounding.
    off: f64,
    /// The number of values that are not zero.
    pub nonzero: usize,
}

impl<'a> Data<'a> {
    /// Reads `x` once; `off` is how far its values may be off by rounding.
    pub fn new(x: &'a [f64], off: f64, progress: Progress<'_>) -> Result<Self, Stopped> {
        let extents = in_chunks(x, progress, |x| simd::dispatch(Extent(x)))?;
        let join = |a: (f64, usize), b: (f64, usize)| (if b.0 > a.0 { b.0 } else { a.0 }, a.1 + b.1);
        let (top, nonzero) = extents.into_iter().fold((0.0, 0), join);
        let scale = scaling(top);
        Ok(Data { x, scale, top: scaled(top, scale), off: scaled(off, scale), nonzero })
    }

    /// Within which difference sums count as equal, where the magnitudes add up to `total`. The rounding errors of m
    /// values have both signs, so that they add up to about sqrt(m) times `off`.
    fn slack(&self, total: f64) -> f64 {
        let (usual, rounding) = (total * SLACK, (self.nonzero as f64).sqrt() * self.off);
        if rounding > usual { rounding } else { usual }
    }

    fn magnitude(&self, i: usize) -> f64 {
        scaled(self.x[i].abs(), self.scale)
    }

    /// At most `most` non-zero magnitudes, evenly spread over the data.
    fn sample(&self, most: usize) -> Result<Vec<f64>, NoMemory> {
        let stride = self.x.len().div_ceil(most).max(1);
        memory::gathered((0..self.x.len()).step_by(stride).map(|i| self.magnitude(i)).filter(|&a| a > 0.0))
    }

    /// The values to flip: on a lattice where there is one, otherwise kept one by one, or as power sums where they are
    /// many.
    pub fn flips(&self, progress: Progress<'_>) -> Result<Flips, Stopped> {
        let sample = self.sample(SAMPLE)?;
        let mut step = None;
        for (tolerance, evidence) in [(lattice::EXACT, 0), (lattice::ROUNDED, EVIDENCE)] {
            let enough = self.nonzero >= evidence;
            let tolerance = tolerance.widened(self.off / self.top).filter(|_| enough);
            let lattice = match tolerance {
                Some(tolerance) => self.lattice(&sample, tolerance, &mut *progress)?,
                None => None,
            };
            if let Some(lattice) = lattice {
                match lattice.table {
                    Some(table) => {
                        return Ok(of_table(&table, lattice.step, self.slack(0.0) / lattice.step)?);
                    }
                    None => step = Some(lattice.step),
                }
                break;
            }
        }
        if self.nonzero <= FEW {
            return self.each(step);
        }
        match self.distinct(sample, step, &mut *progress)? {
            Some(flips) => Ok(flips),
            None => self.summed(step, 0.0, progress),
        }
    }

    /// The lattice on which all values lie, or all except at most [`APART`], if there is one.
    fn lattice(
        &self,
        sample: &[f64],
        tolerance: Tolerance,
        progress: Progress<'_>,
    ) -> Result<Option<Lattice>, Stopped> {
        let near = tolerance.share * self.top;
        if self.nonzero > FEW
            && let Some(step) = lattice::majority(sample, self.top, tolerance, APART)
            && nearest(self.top / step) <= TABLE
        {
            let table = self.table(step, near, &mut *progress)?;
            if table.apart.len() <= APART {
                return Ok(Some(Lattice { step, table: Some(table) }));
            }
        }
        let mut step = lattice::step(sample, self.top, tolerance);
        for _ in 0..8 {
            let Some(now) = step else { return Ok(None) };
            let table = self.table(now, near, &mut *progress)?;
            let Some(&off) = table.apart.first() else {
                let table = (!table.counts.is_empty()).then_some(table);
                return Ok(Some(Lattice { step: now, table }));
            };
            step = lattice::refined(now, off.abs(), self.top, tolerance);
        }
        Ok(None)
    }

    /// How often each multiple of `step` occurs (not counted where there are too many steps for a table), and the first
    /// values of each part of the data that are further than `near` from a multiple.
    fn table(&self, step: f64, near: f64, progress: Progress<'_>) -> Result<Table, Stopped> {
        let steps = nearest(self.top / step);
        let counts = if steps <= TABLE { steps as usize + 1 } else { 0 };
        let n = self.x.len();
        let size = CHUNK * n.div_ceil(64 * CHUNK).max(1);
        let part = |index| {
            let (mut table, mut apart) = (memory::filled(counts, 0u32)?, memory::with_capacity(APART + 1)?);
            let x = &self.x[grid::chunk(index, n, size)];
            let (table_of, apart_of) = (&mut table, &mut apart);
            let count = Count { x, scale: self.scale, step, near, table: table_of, apart: apart_of };
            let sum = simd::dispatch(count);
            Ok((sum, table, apart))
        };
        let parts: Vec<Result<_, NoMemory>> =
            grid::map_chunks(grid::chunks(n, size), 16 * n, progress, part)?;
        let mut all = Table { counts: memory::filled(counts, 0u64)?, sum: 0.0, apart: Vec::new() };
        for part in parts {
            let (sum, table, apart) = part?;
            all.sum += sum;
            all.counts.iter_mut().zip(table).for_each(|(all, part)| *all += u64::from(part));
            memory::reserve(&mut all.apart, apart.len())?;
            all.apart.extend(apart);
        }
        Ok(all)
    }

    /// Keeps each different value once with its count; `None` where there are more than [`DISTINCT`].
    fn distinct(
        &self,
        mut sample: Vec<f64>,
        step: Option<f64>,
        progress: Progress<'_>,
    ) -> Result<Option<Flips>, Stopped> {
        sample.sort_unstable_by(f64::total_cmp);
        sample.dedup();
        if sample.len() > DISTINCT {
            return Ok(None);
        }
        let parts = in_chunks(self.x, progress, |x| self.distinct_of(x))?;
        let mut all: Vec<[f64; 3]> = Vec::new();
        for part in parts {
            let Some(part) = part? else { return Ok(None) };
            for row in part {
                match all.binary_search_by(|known| known[0].total_cmp(&row[0])) {
                    Ok(at) => all[at] = [row[0], all[at][1] + row[1], all[at][2] + row[2]],
                    Err(at) => all.insert(at, row),
                }
            }
        }
        if all.len() > DISTINCT {
            return Ok(None);
        }
        let side = |k: usize| all.iter().map(|row| row[0] * row[k]).sum::<f64>();
        let (plus, minus) = (side(1), side(2));
        let pairs = memory::collected(all.iter().map(|row| (row[0], row[1] + row[2])))?;
        let less = if plus < minus { plus } else { minus };
        let (magnitudes, sum, slack) =
            (magnitudes_from(&pairs, step)?, plus - minus, self.slack(plus + minus));
        Ok(Some(Flips { magnitudes, apart: Vec::new(), sum, less, slack }))
    }

    /// The different magnitudes in ascending order, each with how often it occurs with positive and with negative sign;
    /// `None` where there are more than [`DISTINCT`].
    fn distinct_of(&self, x: &[f64]) -> Result<Option<Vec<[f64; 3]>>, NoMemory> {
        let mut rows: Vec<[f64; 3]> = memory::with_capacity(DISTINCT + 1)?;
        for &v in x.iter().filter(|&&v| v != 0.0) {
            let a = scaled(v.abs(), self.scale);
            let at = match rows.binary_search_by(|known| known[0].total_cmp(&a)) {
                Ok(at) => at,
                Err(_) if rows.len() == DISTINCT => return Ok(None),
                Err(at) => {
                    rows.insert(at, [a, 0.0, 0.0]);
                    at
                }
            };
            rows[at][if v > 0.0 { 1 } else { 2 }] += 1.0;
        }
        Ok(Some(rows))
    }

    /// Keeps every value in order of magnitude, equal magnitudes once with their count.
    fn each(&self, step: Option<f64>) -> Result<Flips, Stopped> {
        let values = self.x.iter().map(|&v| scaled(v, self.scale)).filter(|&v| v != 0.0);
        let mut values = memory::gathered(values)?;
        // There are at most 4,096. Sorting makes the result independent of the order of the data.
        values.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()).then(a.total_cmp(b)));
        let total: f64 = values.iter().map(|v| v.abs()).sum();
        // The smallest values are dropped as long as their sum is far below the slack, where it cannot matter.
        let mut tiny = 0.0;
        let kept = values.iter().position(|v| {
            tiny += v.abs();
            tiny > total * (SLACK / 16.0)
        });
        let values = &values[kept.unwrap_or(0)..];
        let side = |sign: f64| values.iter().map(|v| v * sign).filter(|&v| v > 0.0).sum::<f64>();
        let (plus, minus) = (side(1.0), side(-1.0));
        let mut pairs: Vec<(f64, f64)> = memory::with_capacity(values.len())?;
        for a in values.iter().map(|v| v.abs()) {
            match pairs.last_mut() {
                Some(last) if last.0 == a => last.1 += 1.0,
                _ => pairs.push((a, 1.0)),
            }
        }
        let magnitudes = magnitudes_from(&pairs, step)?;
        let less = if plus < minus { plus } else { minus };
        Ok(Flips { magnitudes, apart: Vec::new(), sum: plus - minus, less, slack: self.slack(total) })
    }

    /// Keeps only the power sums of most values. The largest values are kept themselves: those for which the series
    /// would not converge up to `reach`, or up to what an approximately normal sum needs.
    pub fn summed(&self, step: Option<f64>, reach: f64, progress: Progress<'_>) -> Result<Flips, Stopped> {
        let totals = in_chunks(self.x, &mut *progress, |x| simd::dispatch(Totals { x, scale: self.scale }))?;
        let [sum, total, squares] = totals.into_iter().fold([0.0; 3], plus);
        let usual = needed(sum.abs(), squares);
        let cut = REACH / if reach > usual { reach } else { usual };
        let parts = in_chunks(self.x, progress, |x| {
            let mut large = Vec::new();
            let sums = simd::dispatch(Split { x, scale: self.scale, cut, large: &mut large });
            sums.map(|sums| (sums, large))
        })?;
        let (mut terms, mut below, mut large) = ([0.0; TERMS], [0.0; QUARTERS], Vec::new());
        for part in parts {
            let ((part_terms, part_below), more) = part?;
            (terms, below) = (plus(terms, part_terms), plus(below, part_below));
            memory::reserve(&mut large, more.len())?;
            large.extend(more);
        }
        terms.iter_mut().zip(LOG_COSH).for_each(|(term, factor)| *term *= factor);
        let pairs = memory::collected(large.into_iter().map(|a| (a, 1.0)))?;
        let mut magnitudes = magnitudes_from(&pairs, step)?;
        magnitudes.rest = Some(Series { cut, terms, below });
        magnitudes.probe = self.sample(PROBE)?;
        magnitudes.ones = memory::filled(magnitudes.probe.len(), 1.0)?;
        (magnitudes.count, magnitudes.squares, magnitudes.largest) = (self.nonzero as f64, squares, self.top);
        let less = 0.5 * (total - sum.abs());
        Ok(Flips { magnitudes, apart: Vec::new(), sum, less, slack: self.slack(total) })
    }
}

/// The frequency up to which the series of the power sums should converge, for a tail at `s` of an approximately normal
/// sum whose variance is `squares`.
pub fn needed(s: f64, squares: f64) -> f64 {
    // Beyond 38 standard deviations Hoeffding's bound shows that the tail is too small for an f64.
    let deviations = s / squares.sqrt();
    2.5 * (10.0 + if deviations < 38.0 { deviations } else { 38.0 }) / squares.sqrt()
}

struct Lattice {
    step: f64,
    table: Option<Table>,
}

/// How often each multiple of the step occurs, the sum of all multiples in steps, and the values that are no multiples.
struct Table {
    counts: Vec<u64>,
    sum: f64,
    apart: Vec<f64>,
}

fn of_table(table: &Table, step: f64, least: f64) -> Result<Flips, NoMemory> {
    let occurring = table.counts.iter().enumerate().skip(1).filter(|&(_, &count)| count > 0);
    let pairs = memory::gathered(occurring.map(|(steps, &count)| (steps as f64, count as f64)))?;
    let total: f64 = pairs.iter().map(|(a, times)| a * times).sum();
    let mut magnitudes = magnitudes_from(&pairs, Some(1.0))?;
    magnitudes.total = Some(total);
    let sum = table.sum + table.apart.iter().map(|v| v / step).sum::<f64>();
    let apart = memory::collected(table.apart.iter().map(|v| v.abs() / step))?;
    let all = total + apart.iter().sum::<f64>();
    let slack = if apart.is_empty() {
        0.5
    } else if all * SLACK > least {
        all * SLACK
    } else {
        least
    };
    Ok(Flips { magnitudes, apart, sum, less: 0.5 * (all - sum.abs()), slack })
}

/// The magnitudes from pairs of a distinct value and how often it occurs.
fn magnitudes_from(pairs: &[(f64, f64)], step: Option<f64>) -> Result<Magnitudes, NoMemory> {
    let once = || pairs.iter().filter(|pair| pair.1 == 1.0);
    let ordered = || once().chain(pairs.iter().filter(|pair| pair.1 != 1.0));
    let (mut a, mut times) = (memory::with_capacity(pairs.len())?, memory::with_capacity(pairs.len())?);
    ordered().for_each(|pair| {
        a.push(pair.0);
        times.push(pair.1);
    });
    Ok(Magnitudes {
        a,
        times,
        once: once().count(),
        rest: None,
        probe: Vec::new(),
        ones: Vec::new(),
        largest: pairs.iter().fold(0.0, |top, pair| if pair.0 > top { pair.0 } else { top }),
        count: pairs.iter().map(|pair| pair.1).sum(),
        squares: pairs.iter().map(|pair| pair.1 * (pair.0 * pair.0)).sum(),
        step,
        total: None,
    })
}

fn in_chunks<R: Send>(
    x: &[f64],
    progress: Progress<'_>,
    f: impl Fn(&[f64]) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    grid::map_chunks(grid::chunks(x.len(), CHUNK), size_of_val(x), progress, |i| {
        f(&x[grid::chunk(i, x.len(), CHUNK)])
    })
}

fn plus<const N: usize>(mut a: [f64; N], b: [f64; N]) -> [f64; N] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

/// Two powers of two that scale numbers of magnitude up to `top` one after the other, so that `top` comes into [1, 2).
pub fn scaling(top: f64) -> [f64; 2] {
    let exponent = exponent(top);
    [-exponent / 2, -exponent - -exponent / 2].map(power)
}

/// The exponent of a positive number, subnormal ones included; 0 for 0.
fn exponent(x: f64) -> i32 {
    if x == 0.0 {
        return 0;
    }
    let lift = if x < f64::MIN_POSITIVE { 54 } else { 0 };
    let bits = (x * power(lift)).to_bits();
    (bits >> 52) as i32 - 1023 - lift
}

/// `2^e`, `abs(e) <= 1000`.
pub fn power(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// `v` times both factors, one after the other.
#[inline(always)]
pub fn scaled(v: f64, scale: [f64; 2]) -> f64 {
    v * scale[0] * scale[1]
}

/// The largest magnitude, and how many values are not zero.
struct Extent<'a>(&'a [f64]);

impl Kernel for Extent<'_> {
    type Out = (f64, usize);
    #[inline(always)]
    fn run<I: Isa>(self) -> (f64, usize) {
        let (mut top, mut nonzero) = ([0.0; LANES], [0.0; LANES]);
        for block in self.0.chunks(LANES) {
            let block = padded::<f64, LANES>(block, 0.0);
            for l in 0..LANES {
                let a = block[l].abs();
                top[l] = if a > top[l] { a } else { top[l] };
                nonzero[l] += if a > 0.0 { 1.0 } else { 0.0 };
            }
        }
        let largest = top.into_iter().fold(0.0, |top, a| if a > top { a } else { top });
        (largest, tree64(nonzero) as usize)
    }
}

/// Counts the multiples of `step` in `table` and returns their sum in steps; the first values that are further than
/// `near` from a multiple are added to `apart`. With an empty table nothing is counted.
struct Count<'a> {
    x: &'a [f64],
    scale: [f64; 2],
    step: f64,
    near: f64,
    table: &'a mut [u32],
    apart: &'a mut Vec<f64>,
}

impl Kernel for Count<'_> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let mut sum = [0.0; LANES];
        for block in self.x.chunks(LANES) {
            let (mut values, mut steps) = (padded::<f64, LANES>(block, 0.0), [0.0; LANES]);
            let mut beyond = 0.0;
            for l in 0..LANES {
                values[l] = scaled(values[l], self.scale);
                let a = values[l].abs();
                let whole = nearest(a / self.step);
                let fits = (a - whole * self.step).abs() <= self.near;
                steps[l] = if fits { whole } else { 0.0 };
                beyond += if fits { 0.0 } else { 1.0 };
                sum[l] += if values[l] < 0.0 { -steps[l] } else { steps[l] };
            }
            if beyond > 0.0 {
                for l in 0..LANES {
                    let a = values[l].abs();
                    let fits = (a - nearest(a / self.step) * self.step).abs() <= self.near;
                    // One more than may be set apart is recorded, which shows that there are too many.
                    if !fits && self.apart.len() <= APART {
                        self.apart.push(values[l]);
                    }
                }
            }
            if !self.table.is_empty() {
                for &steps in &steps[..block.len()] {
                    self.table[steps as usize] += 1;
                }
            }
        }
        tree64(sum)
    }
}

/// The sums of values, magnitudes and squares.
struct Totals<'a> {
    x: &'a [f64],
    scale: [f64; 2],
}

impl Kernel for Totals<'_> {
    type Out = [f64; 3];
    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; 3] {
        let mut lanes = [[0.0; LANES]; 3];
        for block in self.x.chunks(LANES) {
            let block = padded::<f64, LANES>(block, 0.0);
            for l in 0..LANES {
                let v = scaled(block[l], self.scale);
                lanes[0][l] += v;
                lanes[1][l] += v.abs();
                lanes[2][l] += v * v;
            }
        }
        lanes.map(tree64)
    }
}

/// The power sums of `(a/cut)^2` over the magnitudes up to `cut`, and the sums of squares for [`Series::below`];
/// magnitudes beyond `cut` are added to `large`.
struct Split<'a> {
    x: &'a [f64],
    scale: [f64; 2],
    cut: f64,
    large: &'a mut Vec<f64>,
}

impl Kernel for Split<'_> {
    type Out = Result<([f64; TERMS], [f64; QUARTERS]), NoMemory>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        let (mut lanes, mut below) = ([[0.0; LANES]; TERMS], [[0.0; LANES]; QUARTERS]);
        for block in self.x.chunks(LANES) {
            let block = padded::<f64, LANES>(block, 0.0);
            let (mut a, mut square, mut beyond) = ([0.0; LANES], [0.0; LANES], 0.0);
            for l in 0..LANES {
                a[l] = scaled(block[l].abs(), self.scale);
                let inside = a[l] <= self.cut;
                let share = a[l] / self.cut;
                square[l] = if inside { share * share } else { 0.0 };
                beyond += if inside { 0.0 } else { 1.0 };
            }
            if beyond > 0.0 {
                for &a in a.iter().filter(|&&a| a > self.cut) {
                    memory::push(self.large, a)?;
                }
            }
            let mut limit = 4.0 * self.cut;
            for squares in &mut below {
                for l in 0..LANES {
                    squares[l] += if a[l] <= limit { a[l] * a[l] } else { 0.0 };
                }
                limit *= 0.25;
            }
            let mut power = square;
            for sums in &mut lanes {
                for l in 0..LANES {
                    sums[l] += power[l];
                    power[l] *= square[l];
                }
            }
        }
        Ok((lanes.map(tree64), below.map(tree64)))
    }
}
