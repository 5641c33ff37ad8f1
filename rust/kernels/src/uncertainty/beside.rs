//! Sums over resampled units of many problems beside each other, which share the random numbers.
//!
//! Every sum is made of the same additions in the same order as that of its column alone ([`super::sums`]), so it has the
//! same bits.

mod few;
mod many;

use super::bootstrap::{About, Bootstrap, Options, judged, resampled};
use super::design::Units;
use super::no_estimate::{NoEstimate, answer};
use super::statistic::Statistic;
use super::studentized::Studentized;
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory::{self, NoMemory};
use crate::random::{Domain, SLOTS, Stream};
use crate::simd::scalar;

/// The most replicates that are computed together, and the most draws.
const TOGETHER: usize = 64;
const DRAWS: usize = 1 << 22;
/// The most units: larger replicates are divided, which this module does not.
const MOST: usize = super::replicates::WHOLE;

/// The bootstrap of several problems of one design, where each can be resampled.
pub(super) fn each<U: Units<K>, S: Statistic<K>, const K: usize>(
    problems: Vec<Result<(U, S, About), NoEstimate>>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Vec<Result<Bootstrap, NoEstimate>>, Stopped> {
    let units = memory::gathered(problems.iter().flatten().map(|(units, _, _)| *units))?;
    let alone = units.len() < 2 || units[0].count() > MOST || options.method.reads_units();
    let sums = if alone { None } else { Some(Sums::of(&units, options, &mut *progress)?) };
    let mut place = 0;
    let mut found = memory::with_capacity(problems.len())?;
    for problem in problems {
        found.push(match (problem, &sums) {
            (Err(refused), _) => Err(refused),
            (Ok((units, statistic, about)), None) => {
                answer(resampled(units, statistic, about, options, &mut *progress))?
            }
            (Ok((units, statistic, about)), Some(sums)) => {
                let sums = sums.problem(place);
                place += 1;
                let replicates = scalar(|| memory::collected(sums.map(|sums| statistic.value(sums))))?;
                let mut after = |_| progress(options.count as usize);
                let found = Studentized::without_t(replicates);
                answer(judged(units, statistic, about, found, options, &mut after))?
            }
        });
    }
    Ok(found)
}

/// The sums of each replicate: those of all problems, one after the other.
struct Sums<const K: usize> {
    totals: Vec<f64>,
    problems: usize,
}

impl<const K: usize> Sums<K> {
    /// The sums of problems of the same design.
    fn of<U: Units<K>>(
        problems: &[U],
        options: Options<'_>,
        progress: Progress<'_>,
    ) -> Result<Self, Stopped> {
        let units = problems.first().map_or(0, |problem| problem.count());
        let totals = if units <= SLOTS {
            let tables = few::Tables::of(problems)?;
            in_parts(units, problems.len() * K, options, progress, |streams| tables.sums(streams))
        } else {
            let table = many::Table::of(problems, &mut |_| progress(0))?;
            in_parts(units, problems.len() * K, options, progress, |streams| table.sums(streams))
        };
        Ok(Sums { totals: totals?, problems: problems.len() })
    }

    /// The sums of one problem in each replicate.
    fn problem(&self, problem: usize) -> impl ExactSizeIterator<Item = [f64; K]> {
        let all = self.totals.chunks_exact(self.problems * K);
        all.map(move |totals| std::array::from_fn(|k| totals[problem * K + k]))
    }
}

/// The sums of all replicates, some at a time.
fn in_parts(
    units: usize,
    columns: usize,
    options: Options<'_>,
    progress: Progress<'_>,
    sums: impl Fn(&[Stream]) -> Result<Vec<f64>, NoMemory> + Sync,
) -> Result<Vec<f64>, Stopped> {
    let stream = |replicate: usize| Stream::new(options.seed, Domain::Bootstrap, replicate as u32);
    let count = options.count as usize;
    let each = (DRAWS / units.max(1)).clamp(1, TOGETHER);
    let mut progress = |done: usize| progress((done * each).min(count));
    let bytes = count * units * columns * size_of::<f64>();
    let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
        sums(&memory::collected(chunk(part, count, each).map(stream))?)
    })?;
    Ok(memory::joined(parts)?)
}
