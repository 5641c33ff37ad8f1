//! The bytes of [`SumsTotals`]: the statistic in text, `u64 clustered, n, excluded, nan`, the facts of each column, the
//! sums over all rows, then one row per cluster: its id and its sums. A text, an id and a sum are written after their
//! length.

use super::boot_bytes::{columns, formula, rows_of_sums};
use super::boot_state::unframed;
use super::few::OwnSums;
use super::recipe::Recipe;
use super::sums_state::{Named, SumsTotals, rows_of};
use crate::clusters::{Id, Shards};
use crate::exact::{Packed, Sum};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd::scalar;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};
use crate::uncertainty::smooth::Sums;

const LAYOUT: u8 = 1;
/// The bytes of a sum of 0 and its length.
const LEAST_SUM: usize = 5;
/// The bytes of an empty text as an id, and its length.
const LEAST_ID: usize = 3;

pub(super) fn write(
    totals: &SumsTotals,
    config: &[u8],
    progress: Progress<'_>,
) -> Result<Option<Vec<u8>>, Stopped> {
    let mut pace = Pace::new(progress);
    let Ok(rows) = u32::try_from(totals.named.len()) else { return Ok(None) };
    let mut writer = Writer::new(Kind::Statistic, LAYOUT, config, rows);
    let mut fits = writer.id(&[totals.formula.text().as_bytes()]);
    writer.choice(totals.clustered);
    for count in [totals.n, totals.excluded, totals.nan] {
        writer.u64(count);
    }
    for facts in &totals.columns {
        fits &= facts.write(&mut writer);
    }
    for sum in &totals.sums {
        fits &= writer.id(&[&sum.to_bytes()]);
    }
    for Named(id, sums) in totals.named.iter() {
        fits &= id.write(&mut writer);
        for sum in sums.iter() {
            fits &= writer.id(&[&sum.to_bytes()]);
        }
        pace.step()?;
    }
    if fits { writer.finish_at(&mut pace).map(Some) } else { Ok(None) }
}

/// Whether `n` rows of 0 and 1 can have these sums: counts, of which the hits are some of those that count.
fn are_answers(statistic: &dyn Sums, sums: &[f64], n: u64) -> bool {
    let (hits, size) = (statistic.hits(sums), statistic.size(sums));
    let counts = sums.iter().all(|&sum| sum >= 0.0 && sum <= 2.0 * n as f64 && sum as u64 as f64 == sum);
    counts && 0.0 <= hits && hits <= size
}

pub(super) fn read(bytes: &[u8], progress: Progress<'_>) -> Result<(SumsTotals, Vec<u8>), BytesError> {
    let mut pace = Pace::new(progress);
    let mut reader = Reader::open_at(bytes, Kind::Statistic, LAYOUT, &mut pace)?;
    let (rows, config) = (reader.rows(), memory::copied(reader.config())?);
    let formula = formula(&mut reader)?;
    let clustered = reader.choice()?;
    let [n, excluded, nan] = [reader.u64()?, reader.u64()?, reader.u64()?];
    if clustered.is_some() != (n > 0) || (rows > 0) != (clustered == Some(true)) {
        return Err(BytesError::Impossible);
    }
    let columns = columns(&mut reader, formula, n)?;
    let statistic = unframed(formula).map_err(|_| BytesError::Impossible)?;
    let recipe =
        if clustered == Some(true) { Recipe::of(&*statistic) } else { Recipe::of_pairs(&*statistic) };
    let width = recipe.products().len();
    let sums = match clustered {
        None => Vec::new(),
        Some(_) => rows_of_sums(&mut reader, 1, width, |rows| rows == n, &mut pace)?,
    };
    if n > 0
        && statistic.answers()
        && !scalar(|| are_answers(&*statistic, &recipe.moved(&statistic.frames(), &sums), n))
    {
        return Err(BytesError::Impossible);
    }
    if !reader.holds(LEAST_ID + LEAST_SUM * width) {
        return Err(BytesError::Malformed);
    }
    let (mut named, mut all) = (Shards::default(), memory::filled(width, Sum::new())?);
    let (mut left, mut before): (u64, Option<Id>) = (n, None);
    for _ in 0..rows {
        let id = Id::from_bytes(reader.id()?)?;
        let own = rows_of_sums(&mut reader, 1, width, |rows| rows > 0, &mut pace)?;
        let follows = before.is_none_or(|before| before < id);
        let (true, Some(rest)) = (follows, left.checked_sub(rows_of(&own))) else {
            return Err(BytesError::Impossible);
        };
        for (all, sum) in all.iter_mut().zip(&own) {
            all.merge(sum);
        }
        left = rest;
        named.push(Named(id.clone(), OwnSums::of(width, |place| own[place].clone())))?;
        before = Some(id);
    }
    reader.finish()?;
    let all: Vec<Packed> = all.into_iter().map(Sum::packed).collect();
    if clustered == Some(true) && (left > 0 || all != sums) {
        return Err(BytesError::Impossible);
    }
    Ok((SumsTotals { formula, n, clustered, columns, sums, named, excluded, nan }, config))
}
