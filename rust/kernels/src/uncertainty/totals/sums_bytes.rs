//! The bytes of [`SumsTotals`]: the statistic in text, `u64 clustered, n, excluded, nan`, the facts of each column, the
//! sums over all rows, then one row per cluster: its id and its sums. A text, an id and a sum are written after their
//! length.
//!
//! With weights or strata it is layout 2: what is kept of these (`design_bytes.rs`) stands behind the counts, and in strata each
//! id is followed by `u64 stratum`, the position of the cluster's stratum among all of them.

use super::boot_bytes::{columns, formula, rows_of_sums};
use super::boot_state::unframed;
use super::design::{Kept, Stratum};
use super::design_bytes::Beside;
use super::facts::LEAST_SUM;
use super::few::OwnSums;
use super::recipe::Recipe;
use super::sums_state::{Named, SumsTotals, recipe_of, rows_of};
use crate::clusters::{Id, Shards};
use crate::exact::{Packed, Sum};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd::scalar;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};
use crate::uncertainty::smooth::Sums;
use std::sync::Arc;

const LAYOUT: u8 = 1;
/// That of rows with weights or strata.
const DESIGNED: u8 = 2;
/// The bytes of an empty text as an id, and its length.
const LEAST_ID: usize = 3;

pub(super) fn write(
    totals: &SumsTotals,
    config: &[u8],
    progress: Progress<'_>,
) -> Result<Option<Vec<u8>>, Stopped> {
    let mut pace = Pace::new(progress);
    let Ok(rows) = u32::try_from(totals.named.len()) else { return Ok(None) };
    let layout = if totals.kept.designed() { DESIGNED } else { LAYOUT };
    let mut writer = Writer::new(Kind::Statistic, layout, config, rows);
    let mut fits = writer.id(&[totals.formula.text().as_bytes()]);
    writer.choice(totals.clustered);
    for count in [totals.n, totals.excluded, totals.nan] {
        writer.u64(count);
    }
    if totals.kept.designed() {
        fits &= totals.kept.write(&mut writer, &mut pace)?;
    }
    let strata = totals.strata_of_clusters()?;
    for facts in &totals.columns {
        fits &= facts.write(&mut writer);
    }
    for sum in &totals.sums {
        fits &= writer.id(&[&sum.to_bytes()]);
    }
    for (cluster, Named(id, sums, _)) in totals.named.iter().enumerate() {
        fits &= id.write(&mut writer);
        if let Some(stratum) = strata.get(cluster) {
            writer.u64(stratum.cast_unsigned());
        }
        for sum in sums.iter() {
            fits &= writer.id(&[&sum.to_bytes()]);
        }
        pace.step()?;
    }
    if fits { writer.finish_at(&mut pace).map(Some) } else { Ok(None) }
}

/// How far the rounding of sums of weights can move them.
const ROUNDING: f64 = 1e-12;

/// Whether `n` rows of 0 and 1 can have these sums: counts, of which the hits are some of those that count; or sums of
/// weights.
fn are_answers(statistic: &dyn Sums, sums: &[f64], n: u64, weighted: bool) -> bool {
    let (hits, size) = (statistic.hits(sums), statistic.size(sums));
    if weighted {
        return sums.iter().all(|&sum| sum >= 0.0) && 0.0 <= hits && hits <= size * (1.0 + ROUNDING);
    }
    let counts = sums.iter().all(|&sum| sum >= 0.0 && sum <= 2.0 * n as f64 && sum as u64 as f64 == sum);
    counts && 0.0 <= hits && hits <= size
}

pub(super) fn read(bytes: &[u8], progress: Progress<'_>) -> Result<(SumsTotals, Vec<u8>), BytesError> {
    let mut pace = Pace::new(progress);
    let mut reader = Reader::open_at(bytes, Kind::Statistic, DESIGNED, &mut pace)?;
    let (rows, config) = (reader.rows(), memory::copied(reader.config())?);
    let formula = formula(&mut reader)?;
    let clustered = reader.choice()?;
    let [n, excluded, nan] = [reader.u64()?, reader.u64()?, reader.u64()?];
    if clustered.is_some() != (n > 0) || (rows > 0) != (clustered == Some(true)) {
        return Err(BytesError::Impossible);
    }
    let kept = if reader.layout() == DESIGNED {
        Kept::read(&mut reader, Beside { n, nan, clustered }, &mut pace)?
    } else {
        Kept::plain(n)
    };
    let columns = columns(&mut reader, formula, n)?;
    let statistic = unframed(formula).map_err(|_| BytesError::Impossible)?;
    let weighted = kept.has_weights();
    let recipe = match clustered {
        Some(true) => recipe_of(&*statistic, weighted),
        Some(false) | None => Recipe::of_pairs(&*statistic),
    };
    let width = recipe.products().len();
    let sums = match clustered {
        None => Vec::new(),
        Some(_) => rows_of_sums(&mut reader, 1, width, |rows| rows == n, &mut pace)?,
    };
    let mut frames = statistic.frames();
    if weighted {
        frames.push(kept.frame(statistic.degree()));
    }
    if n > 0
        && statistic.answers()
        && !scalar(|| are_answers(&*statistic, &recipe.moved(&frames, &sums), n, weighted))
        || weighted && n > 0 && !kept.can_have(&sums[1], n)
    {
        return Err(BytesError::Impossible);
    }
    if !reader.holds(LEAST_ID + LEAST_SUM * width) {
        return Err(BytesError::Malformed);
    }
    let mut strata = Strata::of(&kept)?;
    let (mut named, mut all) = (Shards::default(), memory::filled(width, Sum::new())?);
    let (mut left, mut before): (u64, Option<Id>) = (n, None);
    for _ in 0..rows {
        let id = Id::from_bytes(reader.id()?)?;
        let place = if kept.stratified == Some(true) { Some(reader.u64()?) } else { None };
        let own = rows_of_sums(&mut reader, 1, width, |rows| rows > 0, &mut pace)?;
        let follows = before.is_none_or(|before| before < id);
        let (true, Some(rest)) = (follows, left.checked_sub(rows_of(&own))) else {
            return Err(BytesError::Impossible);
        };
        for (all, sum) in all.iter_mut().zip(&own) {
            all.merge(sum);
        }
        left = rest;
        if weighted && !kept.can_sum_to(&own[1], rows_of(&own)) {
            return Err(BytesError::Impossible);
        }
        let stratum = match place {
            Some(place) => Some(strata.taken(place, rows_of(&own)).ok_or(BytesError::Impossible)?),
            None => None,
        };
        named.push(Named(id.clone(), OwnSums::of(width, |place| own[place].clone()), stratum))?;
        before = Some(id);
    }
    reader.finish()?;
    let all: Vec<Packed> = all.into_iter().map(Sum::packed).collect();
    if clustered == Some(true) && (left > 0 || all != sums) {
        return Err(BytesError::Impossible);
    }
    Ok((SumsTotals { formula, n, clustered, columns, sums, named, kept, excluded, nan }, config))
}

/// The strata of the clusters that are read, and how many rows more each of them may have.
struct Strata(Vec<(Arc<Id>, u64)>);

impl Strata {
    fn of(kept: &Kept) -> Result<Strata, memory::NoMemory> {
        let all = kept.strata.iter().map(|Stratum(id, rows)| (Arc::new(id.clone()), *rows));
        Ok(Strata(memory::gathered(all)?))
    }

    /// The stratum at a place, from which `rows` are taken; `None` where there is none or it has fewer.
    fn taken(&mut self, place: u64, rows: u64) -> Option<Arc<Id>> {
        let (stratum, left) = self.0.get_mut(usize::try_from(place).ok()?)?;
        *left = left.checked_sub(rows)?;
        Some(stratum.clone())
    }
}
