//! The state of a bootstrap: the sums of a statistic over all rows and over the rows of each replicate.

use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::super::smooth::{Formula, Sums, in_domains};
use super::facts::Facts;
use super::poisson::{Draws, drawn};
use super::products::each_block;
use super::recipe::Recipe;
use super::sums_state::clear;
use super::units::UnitIds;
use super::{Refused, added, boot_bytes, mixed};
use crate::exact::{Packed, Sum};
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::intervals::moments::Moments;
use crate::memory::{self, NoMemory};
use crate::simd::scalar;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind};
use std::sync::Arc;

/// The most replicates of a state.
pub const MOST: usize = 1 << 20;

/// What a state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The statistic.
    pub formula: Formula,
    /// The number of replicates, up to [`MOST`].
    pub replicates: usize,
    /// The seed of the counts.
    pub seed: u64,
}

/// The state.
#[derive(Debug)]
pub struct BootTotals {
    pub(super) asked: Asked,
    pub(super) n: u64,
    /// Whether rows count by their cluster; `None` before the first row.
    pub(super) clustered: Option<bool>,
    pub(super) columns: Vec<Facts>,
    /// The sums of the products over all rows.
    pub(super) sums: Arc<Vec<Packed>>,
    /// Those over the rows of each replicate.
    pub(super) drawn: Arc<Vec<Packed>>,
    /// The number of rows that the caller excluded.
    pub excluded: u64,
    /// The number of rows that were left out for a NaN.
    pub nan: u64,
}

/// The statistic before anything is known about its columns, whose parts need no centres.
///
/// # Errors
/// Where the statistic is none of sums.
pub fn unframed(formula: Formula) -> Result<Box<dyn Sums>, NoEstimate> {
    let unit = Moments { mean: 0.0, squares: 0.0, min: 0.0, max: 1.0, step: 0.0, binary: false, ones: 0 };
    formula.sums(&vec![unit; formula.columns().len()])
}

/// The statistic of all rows, and of each replicate: NaN where it has none.
pub struct Found {
    /// Of all rows.
    pub value: f64,
    /// Of each replicate.
    pub replicates: Vec<f64>,
}

impl BootTotals {
    /// A state without rows.
    ///
    /// # Errors
    /// Where the statistic is none of sums.
    pub fn new(asked: Asked) -> Result<Self, NoEstimate> {
        let width = Recipe::of(&*unframed(asked.formula)?).products().len();
        Ok(BootTotals {
            asked,
            n: 0,
            clustered: None,
            columns: vec![Facts::default(); asked.formula.columns().len()],
            sums: Arc::new(vec![Packed::default(); width]),
            drawn: Arc::new(vec![Packed::default(); width * asked.replicates]),
            excluded: 0,
            nan: 0,
        })
    }

    /// What the state was asked for.
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.n
    }

    /// Whether rows count by their cluster.
    pub fn clustered(&self) -> bool {
        self.clustered == Some(true)
    }

    /// A state of these rows alone.
    ///
    /// # Errors
    /// Where the statistic does not take the rows.
    pub fn of_rows(
        asked: Asked,
        columns: &[&dyn Wide],
        ids: &UnitIds,
        clustered: bool,
        left_out: [u64; 2],
        progress: Progress<'_>,
    ) -> Result<Result<BootTotals, NoEstimate>, Stopped> {
        answer(of_rows(asked, columns, ids, clustered, left_out, progress))
    }

    /// The statistic of all rows and of the rows of each replicate.
    ///
    /// A sum is that of as many rows as there are: the sum of a replicate is divided by the rows drawn and multiplied by
    /// all rows.
    ///
    /// # Errors
    /// Where there is no statistic of all rows.
    pub fn found(&self, progress: Progress<'_>) -> Result<Result<Found, NoEstimate>, Stopped> {
        answer(self.found_or_ended(progress))
    }

    fn found_or_ended(&self, progress: Progress<'_>) -> Result<Found, Ended> {
        let moments: Vec<Moments> = self.columns.iter().map(|facts| facts.moments(self.n)).collect();
        let statistic = self.asked.formula.sums(&moments)?;
        let (recipe, frames) = (Recipe::of(&*statistic), statistic.frames());
        clear(&recipe, &frames, &self.sums, &moments)?;
        let moves = recipe.moves(&frames);
        let value = value_of(&*statistic, &moves.moved(&self.sums));
        if value.is_nan() {
            return Err(NoEstimate::NoAnswer.into());
        }
        if value.is_infinite() {
            return Err(NoEstimate::Infinite.into());
        }
        let width = recipe.products().len();
        let each = 64;
        let of = |replicate: usize| {
            let sums = &self.drawn[replicate * width..][..width];
            let value = value_of(&*statistic, &moves.moved(sums));
            if statistic.degree() == 0 {
                return value;
            }
            // The first product is 1, whose sum is the number of rows.
            let rows = sums[0].wide::<{ Sum::PLACES }, -1074>().value();
            scalar(|| value / rows * self.n as f64)
        };
        let parts =
            map_chunks(chunks(self.asked.replicates, each), self.drawn.len() * 256, progress, |index| {
                memory::collected(chunk(index, self.asked.replicates, each).map(of))
            })?;
        Ok(Found { value, replicates: memory::joined(parts)? })
    }
}

fn value_of(statistic: &dyn Sums, sums: &[f64]) -> f64 {
    scalar(|| statistic.value(sums))
}

fn of_rows(
    asked: Asked,
    columns: &[&dyn Wide],
    ids: &UnitIds,
    clustered: bool,
    [excluded, nan]: [u64; 2],
    progress: Progress<'_>,
) -> Result<BootTotals, Ended> {
    let empty = BootTotals { excluded, nan, ..BootTotals::new(asked)? };
    let n = columns[0].len();
    if n == 0 {
        return Ok(empty);
    }
    let mut facts = memory::with_capacity(columns.len())?;
    for (place, column) in columns.iter().enumerate() {
        facts.push(Facts::of(*column, place, true, &mut |_| progress(0))?.0);
    }
    let moments: Vec<Moments> = facts.iter().map(|facts| facts.moments(n as u64)).collect();
    let statistic = unframed(asked.formula)?;
    in_domains(&*statistic, &moments)?;
    let recipe = Recipe::of(&*statistic);
    let sums = sums_of(&*statistic, &recipe, columns, &moments, &mut |_| progress(0))?;
    let draws = Draws { ids, seed: asked.seed, replicates: asked.replicates };
    let drawn = drawn(&*statistic, &recipe, columns, &moments, &draws, progress)?;
    Ok(BootTotals {
        n: n as u64,
        clustered: Some(clustered),
        columns: facts,
        sums: Arc::new(sums),
        drawn: Arc::new(drawn),
        ..empty
    })
}

/// The sums of the products of all rows.
pub(super) fn sums_of(
    statistic: &dyn Sums,
    recipe: &Recipe,
    columns: &[&dyn Wide],
    moments: &[Moments],
    progress: Progress<'_>,
) -> Result<Vec<Packed>, Ended> {
    let width = recipe.products().len();
    let mut items = Vec::new();
    for _ in 0..chunks(columns[0].len(), CHUNK) {
        memory::push(&mut items, memory::filled(width, Sum::new())?)?;
    }
    let parts =
        each_block(statistic, recipe, columns, moments, items, progress, |sums, _, rows, products| {
            for (place, column) in &products.columns {
                sums[*place].merge(&Packed::of(&column[..rows]));
            }
            Ok(())
        })?;
    let mut all = memory::filled(width, Packed::default())?;
    for part in parts {
        all = together(&all, &memory::collected(part.into_iter().map(Sum::packed))?)?;
    }
    Ok(all)
}

/// The sums of both, place by place.
pub(super) fn together(a: &[Packed], b: &[Packed]) -> Result<Vec<Packed>, NoMemory> {
    memory::collected(a.iter().zip(b).map(|(a, b)| a.plus::<{ Sum::PLACES }, -1074>(b)))
}

impl State for BootTotals {
    const KIND: Kind = Kind::Bootstrap;
    type Refused = Refused;

    fn copied(&self) -> Result<Self, NoMemory> {
        Ok(BootTotals {
            columns: memory::collected(self.columns.iter().cloned())?,
            sums: self.sums.clone(),
            drawn: self.drawn.clone(),
            ..*self
        })
    }

    fn merged(
        &self,
        other: &BootTotals,
        progress: Progress<'_>,
    ) -> Result<Result<BootTotals, Refused>, Stopped> {
        if self.asked != other.asked {
            return Ok(Err(Refused::Other));
        }
        if mixed(self.clustered, other.clustered) {
            return Ok(Err(Refused::MixedClusters));
        }
        let counts = added([self.n, self.excluded, self.nan], [other.n, other.excluded, other.nan]);
        let Some([n, excluded, nan]) = counts else { return Ok(Err(Refused::TooMany)) };
        let drawn = if other.n == 0 {
            self.drawn.clone()
        } else if self.n == 0 {
            other.drawn.clone()
        } else {
            let each = 1 << 12;
            let parts = map_chunks(chunks(self.drawn.len(), each), 0, progress, |index| {
                let within = chunk(index, self.drawn.len(), each);
                together(&self.drawn[within.clone()], &other.drawn[within])
            })?;
            Arc::new(memory::joined(parts)?)
        };
        Ok(Ok(BootTotals {
            asked: self.asked,
            n,
            clustered: self.clustered.or(other.clustered),
            columns: memory::collected(self.columns.iter().zip(&other.columns).map(|(a, b)| a.plus(b)))?,
            sums: Arc::new(together(&self.sums, &other.sums)?),
            drawn,
            excluded,
            nan,
        }))
    }

    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        boot_bytes::write(self, config, progress)
    }

    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError> {
        boot_bytes::read(bytes, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uncertainty::statistic::Name;

    fn asked(name: Name, replicates: usize) -> Asked {
        Asked { formula: Formula::One(name), replicates, seed: 3 }
    }

    fn state(asked: Asked, x: &[f64], first: i64) -> BootTotals {
        let numbers: Vec<i64> = (first..).take(x.len()).collect();
        let ids = UnitIds::numbered(&numbers).unwrap();
        BootTotals::of_rows(asked, &[&x], &ids, false, [1, 2], &mut |_| true).unwrap().unwrap()
    }

    fn values() -> Vec<f64> {
        (0..2_500u64).map(|i| (i.wrapping_mul(2_654_435_761) % 1009) as f64 * 0.37 + 1e4).collect()
    }

    fn bytes(state: &BootTotals) -> Vec<u8> {
        state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap()
    }

    #[test]
    fn every_split_and_order_gives_the_same_bytes() {
        let x = values();
        for name in [Name::Mean, Name::Kurtosis] {
            let asked = asked(name, 300);
            let whole = state(asked, &x, 0);
            let parts =
                [state(asked, &x[..700], 0), state(asked, &x[700..701], 700), state(asked, &x[701..], 701)];
            let merged = |a: &BootTotals, b: &BootTotals| a.merged(b, &mut |_| true).unwrap().unwrap();
            let together = merged(&parts[2], &merged(&parts[0], &parts[1]));
            let same = BootTotals { excluded: 1, nan: 2, ..together };
            assert!(bytes(&same) == bytes(&whole));
            let (read, config) = BootTotals::from_bytes(&bytes(&whole), &mut |_| true).unwrap();
            assert_eq!((bytes(&read), &config[..]), (bytes(&whole), &b"{}"[..]));
        }
    }

    #[test]
    fn replicates_are_the_statistic_of_the_rows_that_count() {
        let x = values();
        let found = state(asked(Name::Mean, 200), &x, 0).found(&mut |_| true).unwrap().unwrap();
        let counts = |replicate: usize| {
            let stream = crate::random::UnitStream::new(3, 0);
            (0..x.len() as u64).map(move |row| {
                let half = |round| {
                    let words = stream.words(row, (replicate / 128) as u32, round);
                    words[replicate % 64] >> (16 * (replicate % 128 / 64)) & 0xffff
                };
                let word = half(0) << 16 | half(1);
                crate::uncertainty::designs::AT_MOST.iter().filter(|&&bound| word >= bound).count() as f64
            })
        };
        for (replicate, got) in found.replicates.iter().enumerate().step_by(37) {
            let (mut sum, mut rows) = (0.0, 0.0);
            for (count, x) in counts(replicate).zip(&x) {
                sum += count * x;
                rows += count;
            }
            assert!((got - sum / rows).abs() < 1e-9, "{replicate}: {got} {}", sum / rows);
        }
    }

    #[test]
    fn replicates_of_a_sum_have_as_many_rows_as_there_are() {
        let x = values();
        let sums = state(asked(Name::Sum, 64), &x, 0).found(&mut |_| true).unwrap().unwrap();
        let means = state(asked(Name::Mean, 64), &x, 0).found(&mut |_| true).unwrap().unwrap();
        for (sum, mean) in sums.replicates.iter().zip(&means.replicates) {
            assert!((sum / mean - 2_500.0).abs() < 1e-8);
        }
    }

    #[test]
    fn the_spread_is_that_of_the_mean() {
        let x = values();
        let found = state(asked(Name::Mean, 2_000), &x, 0).found(&mut |_| true).unwrap().unwrap();
        let spread = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            (x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64).sqrt()
        };
        let ratio = spread(&found.replicates) / (spread(&x) / 50.0);
        assert!((ratio - 1.0).abs() < 0.07, "{ratio}");
    }

    #[test]
    fn fields_that_no_rows_can_give_are_refused() {
        let refused = |change: fn(&mut BootTotals)| {
            let mut state = state(asked(Name::Mean, 3), &[0.5, -2.0, 4.0], 0);
            change(&mut state);
            BootTotals::from_bytes(&bytes(&state), &mut |_| true).is_err()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|state| state.n = 4) && refused(|state| state.clustered = None));
        assert!(refused(|state| state.drawn = Arc::new(vec![Packed::of(&[0.5]); 6])));
        assert!(refused(|state| state.drawn = Arc::new(vec![Packed::of(&[37.0]); 6])));
    }
}
