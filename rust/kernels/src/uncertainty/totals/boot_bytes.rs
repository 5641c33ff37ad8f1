//! The bytes of [`BootTotals`]: the statistic in text, `u64 seed, clustered, n, excluded, nan`, the facts of each column,
//! the sums of the products over all rows, then one row per replicate: the same sums over its rows. A text and a sum are
//! written after their length.

use super::boot_state::{Asked, BootTotals, MOST, unframed};
use super::facts::{Facts, LEAST_SUM, packed};
use super::recipe::Recipe;
use crate::exact::{Packed, Sum};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};
use crate::uncertainty::smooth::Formula;
use std::sync::Arc;

const LAYOUT: u8 = 1;
/// The most that a row can count in a replicate.
const MOST_OFTEN: u64 = 12;

pub(super) fn write(
    totals: &BootTotals,
    config: &[u8],
    progress: Progress<'_>,
) -> Result<Option<Vec<u8>>, Stopped> {
    let mut pace = Pace::new(progress);
    let Asked { formula, replicates, seed } = totals.asked;
    let Ok(rows) = u32::try_from(replicates) else { return Ok(None) };
    let mut writer = Writer::new(Kind::Bootstrap, LAYOUT, config, rows);
    let mut fits = writer.id(&[formula.text().as_bytes()]);
    writer.u64(seed);
    writer.choice(totals.clustered);
    for count in [totals.n, totals.excluded, totals.nan] {
        writer.u64(count);
    }
    for facts in &totals.columns {
        fits &= facts.write(&mut writer);
    }
    for sum in totals.sums.iter().chain(totals.drawn.iter()) {
        fits &= writer.id(&[&sum.to_bytes()]);
        pace.step()?;
    }
    if fits { writer.finish_at(&mut pace).map(Some) } else { Ok(None) }
}

pub(super) fn read(bytes: &[u8], progress: Progress<'_>) -> Result<(BootTotals, Vec<u8>), BytesError> {
    let mut pace = Pace::new(progress);
    let mut reader = Reader::open_at(bytes, Kind::Bootstrap, LAYOUT, &mut pace)?;
    let (replicates, config) = (reader.rows() as usize, memory::copied(reader.config())?);
    let formula = formula(&mut reader)?;
    let seed = reader.u64()?;
    let clustered = reader.choice()?;
    let [n, excluded, nan] = [reader.u64()?, reader.u64()?, reader.u64()?];
    let statistic = unframed(formula).map_err(|_| BytesError::Impossible)?;
    let width = Recipe::of(&*statistic).products().len();
    if !reader.holds(LEAST_SUM * width) || replicates > MOST {
        return Err(BytesError::Malformed);
    }
    if clustered.is_some() != (n > 0) {
        return Err(BytesError::Impossible);
    }
    let columns = columns(&mut reader, formula, n)?;
    let sums = rows_of_sums(&mut reader, 1, width, |rows| rows == n, &mut pace)?;
    let most = n.saturating_mul(MOST_OFTEN);
    let drawn = rows_of_sums(&mut reader, replicates, width, |rows| rows <= most, &mut pace)?;
    reader.finish()?;
    let asked = Asked { formula, replicates, seed };
    let (sums, drawn) = (Arc::new(sums), Arc::new(drawn));
    Ok((BootTotals { asked, n, clustered, columns, sums, drawn, excluded, nan }, config))
}

/// Reads a statistic.
pub(super) fn formula(reader: &mut Reader<'_>) -> Result<Formula, BytesError> {
    let text = std::str::from_utf8(reader.id()?).map_err(|_| BytesError::Malformed)?;
    Formula::parse(text).map_err(|_| BytesError::Impossible)
}

/// Reads the facts of the columns of `n` rows.
pub(super) fn columns(reader: &mut Reader<'_>, formula: Formula, n: u64) -> Result<Vec<Facts>, BytesError> {
    formula.columns().iter().map(|_| Facts::read(reader, n)).collect()
}

/// Reads rows of sums, the first of which is a count that `counts` allows; where it is 0 so are the others.
pub(super) fn rows_of_sums(
    reader: &mut Reader<'_>,
    rows: usize,
    width: usize,
    counts: impl Fn(u64) -> bool,
    pace: &mut Pace<'_>,
) -> Result<Vec<Packed>, BytesError> {
    let mut sums = memory::with_capacity(rows * width)?;
    for _ in 0..rows {
        let count = packed(reader, Sum::PLACES)?;
        let rows = count.to_whole().filter(|&rows| counts(rows)).ok_or(BytesError::Impossible)?;
        sums.push(count);
        for _ in 1..width {
            let sum = packed(reader, Sum::PLACES)?;
            if !within(&sum, rows) {
                return Err(BytesError::Impossible);
            }
            sums.push(sum);
        }
        pace.step()?;
    }
    Ok(sums)
}

/// Whether the products of so many rows, a number and what rounding left of it each, can have this sum.
fn within(sum: &Packed, rows: u64) -> bool {
    let mut beyond = Sum::new();
    beyond.merge(&sum.magnitude());
    beyond.add_times(-f64::MAX, rows);
    beyond.add_times(-f64::MAX, rows);
    !beyond.is_positive()
}
