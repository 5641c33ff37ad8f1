//! Engine L: the sum of values on a lattice, whose distribution a finite Fourier sum gives exactly.

use super::inversion::{Inverse, Shape, invert};
use super::law::{Engine, Law};
use super::march::March;
use super::nodes::{Column, Columns};
use super::smooth::range;
use super::sum::{Part, Sum, larger, smaller};
use super::tails::BEYOND;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::uncertainty::sign_flip::lattice::{EXACT, refined, step};
use crate::uncertainty::sign_flip::{floor, nearest};

/// The most decimals that are tried.
const DECIMALS: usize = 10;
/// A number is whole where it differs from a whole number by at most two roundings.
pub const WHOLE: f64 = 2.0 * f64::EPSILON;
/// How far rounding to f32 may move a number, as a share of it.
const ROUNDED_OFF: f64 = 1.0 / (1u64 << 23) as f64;
/// Decimals are believed up to this many units: beyond, every f64 would be a whole number of them.
pub const UNITS: f64 = 2e13;

/// Values `(origin + unit k)/per` with whole numbers k.
#[derive(Clone, Debug, PartialEq)]
pub struct Lattice {
    pub origin: f64,
    pub unit: f64,
    pub per: f64,
    /// k of each value, from 0 on.
    pub codes: Vec<f64>,
}

impl Lattice {
    /// The lattice of ascending values that may be off by a share `off` of themselves: multiples of a power of ten
    /// where they are that, otherwise of any step that Euclid's algorithm finds.
    pub fn of(values: &[f64], off: f64) -> Result<Option<Lattice>, Stopped> {
        // Values of f64 may have been rounded to f32 before.
        let single = |v: &f64| f64::from(*v as f32) == *v;
        let decimal = decimals(values, off)
            .or_else(|| if values.iter().all(single) { decimals(values, ROUNDED_OFF) } else { None });
        let Some(decimal) = decimal else { return Lattice::by_steps(values) };
        let whole = memory::collected(values.iter().map(|v| nearest(v * decimal)))?;
        let origin = whole[0];
        let unit = whole.iter().fold(0, |unit, k| common(unit, (k - origin) as u64)) as f64;
        let codes = memory::collected(whole.iter().map(|k| (k - origin) / unit))?;
        Ok(Some(Lattice { origin, unit, per: decimal, codes }))
    }

    fn by_steps(values: &[f64]) -> Result<Option<Lattice>, Stopped> {
        let origin = values[0];
        let above = memory::collected(values.iter().map(|v| v - origin))?;
        let top = above[above.len() - 1];
        let Some(unit) = step(&above, top, EXACT) else { return Ok(None) };
        // What is left of the values beside large numbers may be too little to tell.
        let largest = larger(origin.abs(), values[values.len() - 1].abs());
        if largest * WHOLE > 1e-4 * unit {
            return Ok(None);
        }
        let codes = memory::collected(above.iter().map(|v| nearest(v / unit)))?;
        Ok(Some(Lattice { origin, unit, per: 1.0, codes }))
    }

    /// The distance between its points.
    pub fn step(&self) -> f64 {
        self.unit / self.per
    }
}

/// The smallest power of ten that makes all values whole.
fn decimals(values: &[f64], off: f64) -> Option<f64> {
    let top = larger(values[0].abs(), values[values.len() - 1].abs());
    let off = larger(off, WHOLE);
    let units = if off > WHOLE { 1.0 / (64.0 * off) } else { UNITS };
    let mut ten = 1.0;
    for _ in 0..DECIMALS {
        if top * ten > units {
            return None;
        }
        if values.iter().all(|v| whole(v * ten, off)) {
            return Some(ten);
        }
        ten *= 10.0;
    }
    None
}

/// Whether a number is whole except for rounding.
#[inline(always)]
pub fn whole(v: f64, off: f64) -> bool {
    (v - nearest(v)).abs() <= off * v.abs()
}

/// The greatest common divisor.
pub fn common(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The lattice on which the sum of all parts lies: the sum is `(origin + unit J)/per`, where J adds up `codes`, drawn
/// from each part.
#[derive(Clone, Debug)]
pub struct Places {
    pub origin: f64,
    pub unit: f64,
    pub per: f64,
    /// The codes of the values of each part.
    pub codes: Vec<Vec<f64>>,
}

/// The lattice of a sum, if there is one.
pub fn places(sum: &Sum, off: f64) -> Result<Option<Places>, Stopped> {
    let mut lattices = memory::with_capacity(sum.parts.len())?;
    for part in &sum.parts {
        match Lattice::of(&part.values, off)? {
            Some(lattice) => lattices.push(lattice),
            None => return Ok(None),
        }
    }
    if let ([lattice], [part]) = (&mut lattices[..], &sum.parts[..])
        && part.weight == 1.0
        && sum.constant == 0.0
    {
        let codes = std::mem::take(&mut lattice.codes);
        let Lattice { origin, unit, per, .. } = *lattice;
        return Ok(Some(Places { origin: part.draws * origin, unit, per, codes: vec![codes] }));
    }
    together(sum, lattices)
}

/// The lattice of the sum of several weighted parts.
fn together(sum: &Sum, lattices: Vec<Lattice>) -> Result<Option<Places>, Stopped> {
    let steps =
        memory::collected(lattices.iter().zip(&sum.parts).map(|(l, part)| (l.step() * part.weight).abs()))?;
    let top = steps.iter().fold(0.0, |top, &s| if s > top { s } else { top });
    let Some(unit) = steps.iter().try_fold(top, |unit, &s| refined(unit, s, top, EXACT)) else {
        return Ok(None);
    };
    let (mut origin, mut all) = (sum.constant, memory::with_capacity(lattices.len())?);
    for (lattice, part) in lattices.into_iter().zip(&sum.parts) {
        let times = nearest(lattice.step() * part.weight / unit);
        origin += part.draws * part.weight * (lattice.origin / lattice.per);
        all.push(memory::collected(lattice.codes.iter().map(|k| times * k))?);
    }
    Ok(Some(Places { origin, unit, per: 1.0, codes: all }))
}

/// A distribution on a lattice.
#[derive(Debug)]
pub struct OnLattice {
    inverse: Inverse,
    /// The points in a period.
    points: f64,
    /// The sum at code 0, in units, and what turns codes into the statistic.
    origin: f64,
    unit: f64,
    per: f64,
    /// The mean code.
    mean: f64,
    /// The codes that are possible.
    least: f64,
    most: f64,
    /// The codes outside which F is 0 or 1 up to [`BEYOND`].
    low: f64,
    high: f64,
    /// What was subtracted from all codes.
    centre: f64,
    error: f64,
}

/// The number of points in a period for the sum of all parts.
pub fn points(sum: &Sum, places: &Places) -> f64 {
    let spread = sum.spread();
    range(spread).1 * spread.deviation / (places.unit / places.per)
}

/// The distribution of a sum on a lattice.
pub fn on_lattice(sum: &Sum, places: &Places, progress: Progress<'_>) -> Result<OnLattice, Stopped> {
    let spread = sum.spread();
    let ((below, above), period) = range(spread);
    let step = places.unit / places.per;
    let coded = coded(sum, places);
    let (possible, deviation) = (coded.most - coded.least, spread.deviation / step);
    let wanted = period * deviation + 2.0;
    let wanted = smaller(wanted, possible + 1.0);
    let points = (larger(wanted + 1.0, 4.0) as u64).next_power_of_two() as f64;
    let alias = if points > possible { 0.0 } else { BEYOND };
    let columns = columns(sum, places, points)?;
    let mut march = March::new(&columns)?;
    let shape = Shape { points: Some(points), noise: sum.noise(), deviations: points / deviation };
    let inverse = invert(&columns, shape, &mut march, progress)?;
    // The phase of the product is that of a draw times the number of draws; a draw is up to half a step from 0.
    let phase = f64::EPSILON * coded.drift * 4.0 / deviation;
    let error = inverse.error + alias + phase;
    let least = larger(coded.least, floor(coded.mean - (below + 0.1) * deviation) - 1.0);
    let most = smaller(coded.most, floor(coded.mean + (above + 0.1) * deviation) + 2.0);
    Ok(OnLattice {
        inverse,
        points,
        origin: places.origin,
        unit: places.unit,
        per: places.per * sum.per,
        mean: coded.mean,
        least: coded.least,
        most: coded.most,
        low: least,
        high: most,
        centre: coded.centre,
        error,
    })
}

/// What the codes of all parts add up to.
struct Coded {
    mean: f64,
    least: f64,
    most: f64,
    /// The sum of the codes that stand for 0 in the columns.
    centre: f64,
    /// How far the columns' mean is from 0 in all draws together.
    drift: f64,
}

fn coded(sum: &Sum, places: &Places) -> Coded {
    let mut all = Coded { mean: 0.0, least: 0.0, most: 0.0, centre: 0.0, drift: 0.0 };
    for (part, codes) in sum.parts.iter().zip(&places.codes) {
        let mean = mean_code(part, codes);
        let ends = [codes[0], codes[codes.len() - 1]];
        let (least, most) = if ends[0] < ends[1] { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        all.mean += part.draws * mean;
        all.least += part.draws * least;
        all.most += part.draws * most;
        all.centre += part.draws * nearest(mean);
        all.drift += part.draws * (mean - nearest(mean)).abs();
    }
    all
}

fn mean_code(part: &Part, codes: &[f64]) -> f64 {
    codes.iter().zip(&part.shares).map(|(k, p)| k * p).sum()
}

fn columns(sum: &Sum, places: &Places, points: f64) -> Result<Columns, Stopped> {
    let mut columns = memory::with_capacity(sum.parts.len())?;
    for (part, codes) in sum.parts.iter().zip(&places.codes) {
        let centre = nearest(mean_code(part, codes));
        let turns = memory::collected(codes.iter().map(|k| (k - centre) / points))?;
        columns.push(Column { turns, shares: memory::copied(&part.shares)?, draws: part.draws });
    }
    Ok(Columns(columns))
}

impl OnLattice {
    /// The probability of sums of at most the code.
    fn at(&self, code: f64) -> f64 {
        if code < self.least {
            return 0.0;
        }
        if code >= self.most {
            return 1.0;
        }
        if code < self.low || code > self.high {
            return if code < self.mean { 0.0 } else { 1.0 };
        }
        self.inverse.at((code + 0.5 - self.centre) / self.points).0
    }

    fn value(&self, code: f64) -> f64 {
        (self.origin + self.unit * code) / self.per
    }

    /// The largest code whose value is at most `value`, and whether it is equal to it.
    fn code(&self, value: f64) -> (f64, bool) {
        let at = (value * self.per - self.origin) / self.unit;
        let near = nearest(at);
        if (at - near).abs() < 1e-6 { (near, true) } else { (floor(at), false) }
    }
}

impl Law for OnLattice {
    fn engine(&self) -> Engine {
        Engine::L
    }

    fn error(&self) -> f64 {
        self.error
    }

    fn middle(&self, _: Progress<'_>) -> Result<f64, Stopped> {
        let near = nearest(self.mean);
        // The observed sum is a whole number of steps, unless draws are weighted.
        let on = (self.mean - near).abs() < 1e-4;
        let (code, below) = if on { (near, near - 1.0) } else { (floor(self.mean), floor(self.mean)) };
        Ok(0.5 * (self.at(code) + self.at(below)))
    }

    fn quantile(&self, level: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let mut pace = Pace::new(progress);
        let level = level - ROUNDING;
        let (mut low, mut high) = (self.low - 1.0, self.high);
        while high - low > 1.0 {
            let middle = floor(0.5 * (low + high));
            if self.at(middle) >= level {
                high = middle;
            } else {
                low = middle;
            }
            pace.stride(self.inverse.len())?;
        }
        Ok(self.value(high))
    }

    fn up_to(&self, value: f64, _: Progress<'_>) -> Result<f64, Stopped> {
        Ok(self.at(self.code(value).0))
    }
}

/// A step of F counts as reaching a level that it misses by rounding.
pub const ROUNDING: f64 = 1e-13;
