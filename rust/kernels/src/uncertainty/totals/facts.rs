//! What is kept about each column, from which the centres of its statistic follow.

use super::super::no_estimate::{Ended, NoEstimate};
use super::super::paired::Wide;
use super::range::Range;
use crate::exact::{Packed, Sum, Units, sum_and_squares, sum_of};
use crate::grid::{CHUNK, Progress, chunk, chunks, map_chunks};
use crate::intervals::moments::Moments;
use crate::memory::{self, NoMemory};
use crate::simd::{Element, scalar};
use crate::state::bytes::{BytesError, Reader, Writer};

/// The exact sum of a column, its range, and whether it holds 0 and 1 alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub(in crate::uncertainty) sum: Packed,
    /// The smallest and the largest value; +infinity and -infinity where there is none.
    pub(in crate::uncertainty) low: f64,
    pub(in crate::uncertainty) high: f64,
    /// See [`Moments::step`].
    pub(in crate::uncertainty) step: f64,
    /// Whether a value is neither 0 nor 1.
    pub(in crate::uncertainty) graded: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            sum: Packed::default(),
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            step: 0.0,
            graded: false,
        }
    }
}

/// What one reading of some values tells.
pub(in crate::uncertainty) struct Summed {
    pub facts: Facts,
    pub squares: Packed,
    pub units: Units,
}

/// Sums the values of a chunk, of a type with this distance from 1 to the next number. An error holds the index of the
/// first value that is not finite.
pub(in crate::uncertainty) fn summed<T: Element>(
    x: &[T],
    epsilon: f64,
) -> Result<Result<Summed, usize>, NoMemory> {
    let (facts, units) = match ranged(x, epsilon) {
        Ok(found) => found,
        Err(bad) => return Ok(Err(bad)),
    };
    let (sum, squares) = sum_and_squares(x.iter().map(|x| x.to_f64()))?;
    Ok(Ok(Summed { facts: Facts { sum: sum.packed(), ..facts }, squares: squares.packed(), units }))
}

/// What is kept about the values of a chunk except their sum, and their binary orders.
fn ranged<T: Element>(x: &[T], epsilon: f64) -> Result<(Facts, Units), usize> {
    let range = Range::of(x)?;
    let Range { low, high, graded, .. } = range;
    let facts = Facts { low, high, graded, ..Facts::default() };
    let step = if x.is_empty() { 0.0 } else { scalar(|| facts.largest() * epsilon) };
    Ok((Facts { step, ..facts }, range.units()))
}

impl Facts {
    /// Of the column `place`, and its binary orders; refused where a value or its square is not finite. Its sum
    /// stays 0 where it is not asked for (`with_sum`).
    pub fn of(
        column: &dyn Wide,
        place: usize,
        with_sum: bool,
        progress: Progress<'_>,
    ) -> Result<(Facts, Units), Ended> {
        let n = column.len();
        let of = |values: &[f64]| {
            let mut found = ranged(values, column.epsilon());
            if let (true, Ok((facts, _))) = (with_sum, &mut found) {
                facts.sum = sum_of(values.iter().copied())?.packed();
            }
            Ok::<_, NoMemory>(found)
        };
        let parts = map_chunks(chunks(n, CHUNK), n * 32, progress, |index| {
            let rows = chunk(index, n, CHUNK);
            let found = if let Some(values) = column.as_f64() {
                of(&values[rows.clone()])?
            } else {
                let mut values = memory::filled(rows.len(), 0.0)?;
                column.widen(rows.start, &mut values);
                of(&values)?
            };
            Ok::<_, NoMemory>(
                found.map_err(|at| NoEstimate::NotFinite { column: place, index: rows.start + at }),
            )
        })?;
        let (mut facts, mut units) = (Facts::default(), Units::NONE);
        for part in parts {
            let (own, own_units) = part??;
            (facts, units) = (facts.plus(&own), units.with(own_units));
        }
        let Facts { low, high, .. } = facts;
        if scalar(|| facts.largest() * facts.largest()).is_infinite() {
            return Err(NoEstimate::TooLarge { column: place, low, high }.into());
        }
        Ok((facts, units))
    }

    /// The largest magnitude of a value.
    pub(in crate::uncertainty) fn largest(&self) -> f64 {
        if -self.low > self.high { -self.low } else { self.high }
    }

    /// Both together.
    pub fn plus(&self, other: &Facts) -> Facts {
        Facts {
            sum: self.sum.plus::<{ Sum::PLACES }, -1074>(&other.sum),
            low: if other.low < self.low { other.low } else { self.low },
            high: if other.high > self.high { other.high } else { self.high },
            step: if other.step > self.step { other.step } else { self.step },
            graded: self.graded || other.graded,
        }
    }

    /// The moments of a column of `n` values, without its sum of squares.
    pub fn moments(&self, n: u64) -> Moments {
        let sum = self.sum.wide::<{ Sum::PLACES }, -1074>();
        let ones = if self.graded { 0 } else { sum.clone().value() as u64 };
        let (mean, squares) = (sum.over(n), 0.0);
        let Facts { low: min, high: max, step, graded, .. } = *self;
        Moments { mean, squares, min, max, step, binary: !graded, ones }
    }

    pub(super) fn write(&self, writer: &mut Writer) -> bool {
        for x in [self.low, self.high, self.step] {
            writer.u64(x.to_bits());
        }
        writer.u64(u64::from(self.graded));
        writer.id(&[&self.sum.to_bytes()])
    }

    /// Reads what [`Facts::write`] wrote about `n` values.
    pub(super) fn read(reader: &mut Reader<'_>, n: u64) -> Result<Facts, BytesError> {
        let [low, high, step] = [reader.u64()?, reader.u64()?, reader.u64()?].map(f64::from_bits);
        let graded = reader.u64()?;
        let sum = packed(reader, Sum::PLACES)?;
        let facts = Facts { sum, low, high, step, graded: graded == 1 };
        if graded > 1 || !scalar(|| facts.possible(n)) {
            return Err(BytesError::Impossible);
        }
        Ok(facts)
    }

    /// Whether `n` values can be like this.
    pub(in crate::uncertainty) fn possible(&self, n: u64) -> bool {
        if n == 0 {
            let none = Facts::default();
            return self.low == none.low
                && self.high == none.high
                && *self == none
                && self.step.to_bits() == 0;
        }
        let Facts { low, high, step, graded, .. } = *self;
        let largest = self.largest();
        let one_zero = ![low, high, step].iter().any(|x| x.to_bits() == (-0.0f64).to_bits());
        let steps = largest * f64::EPSILON <= step && step <= largest * f64::from(f32::EPSILON);
        let answers = |x: f64| x == 0.0 || x == 1.0;
        low.is_finite()
            && high.is_finite()
            && low <= high
            && one_zero
            && steps
            && (graded || (answers(low) && answers(high)))
            && self.can_sum_to(n, &self.sum)
    }

    /// Whether `n` values in the range can have this sum.
    pub(in crate::uncertainty) fn can_sum_to(&self, n: u64, sum: &Packed) -> bool {
        can_sum_to(self.low, self.high, n, sum)
    }
}

/// Whether `n` values from `low` to `high` can have this sum.
pub(super) fn can_sum_to(low: f64, high: f64, n: u64, sum: &Packed) -> bool {
    let beyond = |limit: f64, side: f64| {
        let mut difference = Sum::new();
        difference.add_times(-side * limit, n);
        difference.merge(&if side < 0.0 { sum.negated() } else { sum.clone() });
        difference.is_positive()
    };
    !beyond(high, 1.0) && !beyond(low, -1.0)
}

/// The bytes of a sum of 0 and its length.
pub(super) const LEAST_SUM: usize = 5;

/// Reads a sum of so many places.
pub(in crate::uncertainty) fn packed(reader: &mut Reader<'_>, places: usize) -> Result<Packed, BytesError> {
    Packed::from_bytes(reader.id()?, places).ok_or(BytesError::Malformed)
}
