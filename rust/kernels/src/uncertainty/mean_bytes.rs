//! The bytes of [`MeanTotals`]: `u64 clustered, n, excluded, nan, graded`, the bits of `low, high, step`, the sums of
//! the values and of their squares, then one row per cluster: `id, u64 n, sum`. Like an id, a sum
//! ([`Packed::to_bytes`]) is written after its length.

use super::mean_state::{MeanTotals, Named, Total, Values};
use super::totals::facts::{Facts, packed};
use crate::clusters::{Id, Shards};
use crate::exact::{Packed, Sum, SumOfSquares, are_moments};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd::scalar;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const LAYOUT: u8 = 1;
/// The fewest bytes that a row can have: an empty text as id (3), a count (8) and a sum of 0 (5).
const LEAST_ROW: usize = 3 + 8 + 5;

pub(super) fn write(
    totals: &MeanTotals,
    config: &[u8],
    progress: Progress<'_>,
) -> Result<Option<Vec<u8>>, Stopped> {
    let mut pace = Pace::new(progress);
    let Ok(rows) = u32::try_from(totals.named.len()) else { return Ok(None) };
    let mut writer = Writer::new(Kind::Estimate, LAYOUT, config, rows);
    let Values { n, facts: Facts { sum, low, high, step, graded }, squares } = &totals.values;
    writer.choice(totals.clustered);
    for count in [*n, totals.excluded, totals.nan, u64::from(*graded)] {
        writer.u64(count);
    }
    for x in [low, high, step] {
        writer.u64(x.to_bits());
    }
    let mut fits = writer.id(&[&sum.to_bytes()]) && writer.id(&[&squares.to_bytes()]);
    for Named(id, total) in totals.named.iter() {
        fits &= id.write(&mut writer);
        writer.u64(total.n);
        fits &= writer.id(&[&total.sum.to_bytes()]);
        pace.step()?;
    }
    if fits { writer.finish_at(&mut pace).map(Some) } else { Ok(None) }
}

pub(super) fn read(bytes: &[u8], progress: Progress<'_>) -> Result<(MeanTotals, Vec<u8>), BytesError> {
    let mut pace = Pace::new(progress);
    let mut reader = Reader::open_at(bytes, Kind::Estimate, LAYOUT, &mut pace)?;
    let (rows, config) = (reader.rows(), memory::copied(reader.config())?);
    if !reader.holds(LEAST_ROW) {
        return Err(BytesError::Malformed);
    }
    let clustered = reader.choice()?;
    let [n, excluded, nan, graded] = [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
    let [low, high, step] = [reader.u64()?, reader.u64()?, reader.u64()?].map(f64::from_bits);
    let (sum, squares) = (packed(&mut reader, Sum::PLACES)?, packed(&mut reader, SumOfSquares::PLACES)?);
    let facts = Facts { sum, low, high, step, graded: graded != 0 };
    let values = Values { n, facts, squares };
    if graded > 1 || !scalar(|| possible(&values)) || clustered.is_some() != (n > 0) {
        return Err(BytesError::Impossible);
    }
    let (mut named, mut all, mut left) = (Shards::default(), Sum::new(), n);
    let mut before: Option<Id> = None;
    for _ in 0..rows {
        let id = Id::from_bytes(reader.id()?)?;
        let total = Total { n: reader.u64()?, sum: packed(&mut reader, Sum::PLACES)? };
        let follows = before.is_none_or(|before| before < id);
        let left_after = left.checked_sub(total.n).filter(|_| total.n > 0);
        let (true, Some(rest), true) = (follows, left_after, values.facts.can_sum_to(total.n, &total.sum))
        else {
            return Err(BytesError::Impossible);
        };
        all.merge(&total.sum);
        left = rest;
        named.push(Named(id.clone(), total))?;
        before = Some(id);
        pace.step()?;
    }
    reader.finish()?;
    let whole =
        if clustered == Some(true) { left == 0 && all.packed() == values.facts.sum } else { rows == 0 };
    if !whole {
        return Err(BytesError::Impossible);
    }
    Ok((MeanTotals { values, clustered, named, excluded, nan }, config))
}

/// Whether there are values with these counts, sums and limits.
fn possible(Values { n, facts, squares }: &Values) -> bool {
    let none = *n == 0 && *squares == Packed::default();
    let some = |n: u64| {
        let spread = if facts.graded { could_be_graded(n, facts) } else { are_answers(n, facts, squares) };
        n > 0 && spread && are_moments(&facts.sum, squares, n, facts.largest())
    };
    facts.possible(*n) && (none || some(*n))
}

/// Whether at least one of the values can be neither 0 nor 1. It is one of the limits, or it lies between the limits 0
/// and 1, for which there must be more than two values.
fn could_be_graded(n: u64, &Facts { low, high, .. }: &Facts) -> bool {
    let answers = |x: f64| x == 0.0 || x == 1.0;
    !answers(low) || !answers(high) || (n > 2 && low < high)
}

/// Whether the values can all be 0 or 1: then both sums equal the number of ones, and the limits follow from it.
fn are_answers(n: u64, facts: &Facts, squares: &Packed) -> bool {
    let ones = facts.sum.wide::<{ Sum::PLACES }, -1074>().value() as u64;
    let mut of_ones = SumOfSquares::new();
    of_ones.add_times(1.0, ones);
    let limits = (if ones == n { 1.0 } else { 0.0 }, if ones == 0 { 0.0 } else { 1.0 });
    (facts.low, facts.high) == limits && Packed::whole(ones) == facts.sum && of_ones.packed() == *squares
}

#[cfg(test)]
mod tests {
    use super::super::mean_state::sum_values;
    use super::*;
    use crate::clusters::Names;
    use crate::state::State;

    fn state(x: &[f64], names: Option<&[i64]>) -> MeanTotals {
        let codes: Vec<i64> = (0..x.len() as i64).collect();
        let batch =
            sum_values(x, names.map(|names| (&codes[..], names.len())), &mut |_| true).unwrap().unwrap();
        let names = names.map_or(Names::None, Names::Numbers);
        MeanTotals::new().with(&batch, names, [2, 3], &mut |_| true).unwrap().unwrap()
    }

    fn bytes(state: &MeanTotals) -> Vec<u8> {
        state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let clustered = state(&[0.5, -2.0, 1e300, 1e-300], Some(&[7, 3, 9, -1]));
        for state in [state(&[0.25, 1.0], None), state(&[0.0, 1.0, 1.0], None), clustered, MeanTotals::new()]
        {
            let (read, config) = MeanTotals::from_bytes(&bytes(&state), &mut |_| true).unwrap();
            assert_eq!((bytes(&read), &config[..]), (bytes(&state), &b"{}"[..]));
        }
    }

    /// Whether the bytes of a state are refused some of whose fields were changed before it was written.
    fn refused(change: impl FnOnce(&mut MeanTotals)) -> bool {
        let mut state = state(&[0.5, -2.0, 4.0], Some(&[1, 2, 3]));
        change(&mut state);
        MeanTotals::from_bytes(&bytes(&state), &mut |_| true).err() == Some(BytesError::Impossible)
    }

    #[test]
    fn fields_that_no_values_can_give_are_refused() {
        assert!(!refused(|_| ()));
        assert!(refused(|s| s.values.n = 4) && refused(|s| s.values.n = 2) && refused(|s| s.values.n = 0));
        assert!(refused(|s| s.values.facts.low = 1.0) && refused(|s| s.values.facts.low = f64::NAN));
        assert!(refused(|s| s.values.facts.high = 3.0) && refused(|s| s.values.facts.step = 0.0));
        assert!(refused(|s| s.values.facts.graded = false) && refused(|s| s.values.facts.step = 1.0));
        assert!(refused(|s| s.values.facts.sum = s.values.facts.sum.negated()));
        assert!(refused(|s| s.values.squares = Packed::default()));
        assert!(refused(|s| s.clustered = Some(false)) && refused(|s| s.clustered = None));
        assert!(refused(|s| s.named = Shards::default()));
    }
}
