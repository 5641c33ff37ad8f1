//! What is kept about each column, from which the centres of its statistic follow.

use super::super::no_estimate::{Ended, finite};
use super::super::paired::Wide;
use crate::exact::{Packed, Sum};
use crate::grid::{CHUNK, Progress, chunk, chunks, map_chunks};
use crate::intervals::moments::Moments;
use crate::memory;
use crate::simd::scalar;
use crate::state::bytes::{BytesError, Reader, Writer};

/// The exact sum of a column, its range, and whether it holds 0 and 1 alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    sum: Packed,
    /// The smallest and the largest value; +infinity and -infinity where there is none.
    low: f64,
    high: f64,
    /// See [`Moments::step`].
    step: f64,
    graded: bool,
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

impl Facts {
    /// Of the column `place`, which is refused where it is not finite.
    pub fn of(column: &dyn Wide, place: usize, progress: Progress<'_>) -> Result<Facts, Ended> {
        let Moments { min, max, step, binary, .. } = finite(column.moments(&mut *progress)?, place)?;
        let n = column.len();
        let parts = map_chunks(chunks(n, CHUNK), n * 8, progress, |index| {
            let rows = chunk(index, n, CHUNK);
            let mut wide = memory::filled(rows.len(), 0.0)?;
            column.widen(rows.start, &mut wide);
            Ok(Packed::of(&wide))
        })?;
        let mut sum = Sum::new();
        for part in parts {
            let part: Result<Packed, memory::NoMemory> = part;
            sum.merge(&part?);
        }
        // -0 becomes 0: which of the two is the smallest would depend on their order.
        let (low, high) = scalar(|| (min + 0.0, max + 0.0));
        Ok(Facts { sum: sum.packed(), low, high, step, graded: !binary })
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
        let sum = packed(reader)?;
        let facts = Facts { sum, low, high, step, graded: graded == 1 };
        if graded > 1 || !scalar(|| facts.possible(n)) {
            return Err(BytesError::Impossible);
        }
        Ok(facts)
    }

    /// Whether `n` values can be like this.
    fn possible(&self, n: u64) -> bool {
        if n == 0 {
            let none = Facts::default();
            return self.low == none.low
                && self.high == none.high
                && *self == none
                && self.step.to_bits() == 0;
        }
        let Facts { low, high, step, graded, .. } = *self;
        let largest = if -low > high { -low } else { high };
        let one_zero = ![low, high, step].iter().any(|x| x.to_bits() == (-0.0f64).to_bits());
        let steps = largest * f64::EPSILON <= step && step <= largest * f64::from(f32::EPSILON);
        let answers = |x: f64| x == 0.0 || x == 1.0;
        low.is_finite()
            && high.is_finite()
            && low <= high
            && one_zero
            && steps
            && (graded || (answers(low) && answers(high)))
            && self.within(n)
    }

    /// Whether `n` values in the range can have this sum.
    fn within(&self, n: u64) -> bool {
        let beyond = |limit: f64, side: f64| {
            let mut difference = Sum::new();
            difference.add_times(-side * limit, n);
            difference.merge(&if side < 0.0 { self.sum.negated() } else { self.sum.clone() });
            difference.is_positive()
        };
        !beyond(self.high, 1.0) && !beyond(self.low, -1.0)
    }
}

/// Reads a sum.
pub(super) fn packed(reader: &mut Reader<'_>) -> Result<Packed, BytesError> {
    Packed::from_bytes(reader.id()?, Sum::PLACES).ok_or(BytesError::Malformed)
}
