//! Sums over resampled units of many problems beside each other, which share the random numbers.
//!
//! The draws of some replicates are written down once, leaf by leaf, as places in the leaf. Then the rows of a leaf, which
//! hold [`WIDTH`] columns each, are added up for all of these replicates while they are in the cache. Every sum is made
//! of the same additions in the same order as that of its column alone ([`super::sums`]), so it has the same bits.

use super::bootstrap::{About, Bootstrap, Options, judged, resampled};
use super::design::Units;
use super::no_estimate::{NoEstimate, answer};
use super::statistic::Statistic;
use super::studentized::Studentized;
use super::sums::LANES;
use crate::grid::{Pace, Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory::{self, NoMemory};
use crate::random::{Domain, FIELDS, SLOTS, Stream, Visit, blocks, ends_block, field, walk};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Columns that are added up together: a register of AVX-512 for each of the twelve lanes. With two of them, the lanes
/// and what they are loaded from no longer fit (1.6 against 1.2 ns for a draw of 16 columns).
const WIDTH: usize = 8;
/// The most replicates whose draws are written down together, and the most draws.
const TOGETHER: usize = 64;
const DRAWS: usize = 1 << 22;
/// The most units: larger replicates are divided, which this module does not.
const MOST: usize = super::replicates::WHOLE;

/// The numbers of one unit in [`WIDTH`] columns: a line of the cache. Rows that lie across two lines take nearly twice as
/// long to add (0.70 against 0.40 ns, AVX-512).
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Row([f64; WIDTH]);

const _: () = assert!(size_of::<Row>() == size_of::<[f64; WIDTH]>());

impl Row {
    const ZERO: Row = Row([0.0; WIDTH]);

    #[inline(always)]
    fn add(&mut self, other: &Row) {
        for k in 0..WIDTH {
            self.0[k] += other.0[k];
        }
    }
}

/// The bootstrap of several problems of one design, where each can be resampled.
pub(super) fn each<U: Units<K>, S: Statistic<K>, const K: usize>(
    problems: Vec<Result<(U, S, About), NoEstimate>>,
    options: Options,
    progress: Progress<'_>,
) -> Result<Vec<Result<Bootstrap, NoEstimate>>, Stopped> {
    let units = memory::gathered(problems.iter().flatten().map(|(units, _, _)| *units))?;
    let alone = units.len() < 2 || units[0].count() > MOST || options.method.reads_units();
    let sums = if alone {
        None
    } else {
        let beside = Beside::of(&units, &mut |_| progress(0))?;
        Some(beside.sums(options.seed, options.count, &mut *progress)?)
    };
    let mut place = 0;
    let mut found = memory::with_capacity(problems.len())?;
    for problem in problems {
        found.push(match (problem, &sums) {
            (Err(refused), _) => Err(refused),
            (Ok((units, statistic, about)), None) => {
                answer(resampled(units, statistic, about, options, &mut *progress))?
            }
            (Ok((units, statistic, about)), Some(sums)) => {
                let sums = sums.of::<K>(place);
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

/// The parts of the units of several problems, as tables of rows.
struct Beside<const K: usize> {
    /// One table for each [`WIDTH`] columns; problem p has the columns from p K on. The last leaf is filled up with
    /// zeros.
    tables: Vec<Vec<Row>>,
    units: usize,
}

impl<const K: usize> Beside<K> {
    /// Reads the units of problems of the same design.
    fn of<U: Units<K>>(problems: &[U], progress: Progress<'_>) -> Result<Self, Stopped> {
        let units = problems.first().map_or(0, |problem| problem.count());
        let mut tables = memory::with_capacity((problems.len() * K).div_ceil(WIDTH))?;
        for _ in 0..tables.capacity() {
            tables.push(memory::filled(units.next_multiple_of(SLOTS), Row::ZERO)?);
        }
        let mut pace = Pace::new(progress);
        let mut parts = [[0.0; K]; SLOTS];
        for (place, problem) in problems.iter().enumerate() {
            for start in (0..units).step_by(SLOTS) {
                let parts = &mut parts[..SLOTS.min(units - start)];
                scalar(|| problem.read(start, parts));
                for (i, part) in parts.iter().enumerate() {
                    for (k, &part) in part.iter().enumerate() {
                        let column = place * K + k;
                        tables[column / WIDTH][start + i].0[column % WIDTH] = part;
                    }
                }
                pace.stride(parts.len())?;
            }
        }
        Ok(Beside { tables, units })
    }

    /// The K sums of each problem in each of `count` replicates; [`Sums::of`] picks one.
    fn sums(&self, seed: u64, count: u32, progress: Progress<'_>) -> Result<Sums, Stopped> {
        let stream = |replicate: usize| Stream::new(seed, Domain::Bootstrap, replicate as u32);
        let (count, groups) = (count as usize, self.tables.len());
        let each = (DRAWS / self.units.max(1)).clamp(1, TOGETHER);
        let mut progress = |done: usize| progress((done * each).min(count));
        let bytes = count * self.units * groups * size_of::<Row>();
        let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
            let mut drawn = memory::with_capacity(each)?;
            for replicate in chunk(part, count, each) {
                drawn.push(Drawn::of(stream(replicate), self.units)?);
            }
            let mut totals = memory::filled(drawn.len() * groups, Row::ZERO)?;
            let mut partial = memory::filled(drawn.len(), Row::ZERO)?;
            for (group, table) in self.tables.iter().enumerate() {
                dispatch(Add {
                    table,
                    units: self.units,
                    drawn: &drawn,
                    partial: &mut partial,
                    group,
                    totals: &mut totals,
                });
            }
            Ok(totals)
        })?;
        Ok(Sums { totals: memory::joined(parts)?, groups })
    }
}

/// The sums of each replicate, in groups of [`WIDTH`].
struct Sums {
    totals: Vec<Row>,
    groups: usize,
}

impl Sums {
    /// The sums of one problem in each replicate.
    fn of<const K: usize>(&self, problem: usize) -> impl ExactSizeIterator<Item = [f64; K]> {
        self.totals.chunks_exact(self.groups).map(move |totals| {
            std::array::from_fn(|k| totals[(problem * K + k) / WIDTH].0[(problem * K + k) % WIDTH])
        })
    }
}

/// The draws of a replicate: for each leaf, places in it.
struct Drawn {
    places: Vec<u16>,
    /// Where the draws of each leaf end.
    ends: Vec<usize>,
    failed: Option<NoMemory>,
}

impl Drawn {
    fn of(stream: Stream, units: usize) -> Result<Drawn, NoMemory> {
        let mut drawn = Drawn {
            places: memory::with_capacity(units + units / 8 + SLOTS)?,
            ends: memory::with_capacity(units.div_ceil(SLOTS))?,
            failed: None,
        };
        dispatch(Draw { stream, units, to: &mut drawn });
        drawn.failed.map_or(Ok(drawn), Err)
    }

    fn leaf(&self, leaf: usize) -> &[u16] {
        &self.places[if leaf == 0 { 0 } else { self.ends[leaf - 1] }..self.ends[leaf]]
    }

    /// Room for more places; without it the replicate is given up.
    fn room(&mut self, more: usize) -> bool {
        self.failed = self.failed.or(memory::reserve(&mut self.places, more).err());
        self.failed.is_none()
    }
}

impl Visit for Drawn {
    #[inline(always)]
    fn enter(&mut self, _start: u64, _slots: usize) {}
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        if self.room(take.next_multiple_of(FIELDS)) {
            let (start, words) = (self.places.len(), &words[..take.div_ceil(FIELDS)]);
            self.places.resize(start + FIELDS * words.len(), 0);
            let places = self.places[start..].as_chunks_mut::<FIELDS>().0;
            for (places, &word) in places.iter_mut().zip(words) {
                for number in 0..FIELDS {
                    places[number] = field(word, number) as u16;
                }
            }
            self.places.truncate(start + take);
        }
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        if self.room(offsets.len()) {
            self.places.extend_from_slice(offsets);
        }
    }
    #[inline(always)]
    fn leave(&mut self) {
        self.ends.push(self.places.len());
    }
}

struct Draw<'a> {
    stream: Stream,
    units: usize,
    to: &'a mut Drawn,
}

impl Kernel for Draw<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for block in blocks(self.stream, self.units as u64) {
            walk(self.stream, self.units as u64, block, self.to);
        }
    }
}

/// Adds up the rows of one table for some replicates.
struct Add<'a> {
    table: &'a [Row],
    units: usize,
    drawn: &'a [Drawn],
    /// For each replicate, the sum over the leaves of a block.
    partial: &'a mut [Row],
    group: usize,
    totals: &'a mut [Row],
}

impl Kernel for Add<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let groups = self.totals.len() / self.drawn.len().max(1);
        self.partial.fill(Row::ZERO);
        for (leaf, rows) in self.table.as_chunks::<SLOTS>().0.iter().enumerate() {
            for (r, (drawn, partial)) in self.drawn.iter().zip(&mut *self.partial).enumerate() {
                partial.add(&gathered(rows, drawn.leaf(leaf)));
                if ends_block(leaf, self.units) {
                    self.totals[r * groups + self.group].add(partial);
                    *partial = Row::ZERO;
                }
            }
        }
    }
}

/// The sum of the drawn rows of a leaf: draw i in lane `i % LANES`, and the lanes in a tree, as for a column alone.
#[inline(always)]
fn gathered(rows: &[Row; SLOTS], places: &[u16]) -> Row {
    let (whole, last) = places.as_chunks::<LANES>();
    let mut sums = [Row::ZERO; LANES];
    for places in whole {
        for i in 0..LANES {
            sums[i].add(&rows[usize::from(places[i]) % SLOTS]);
        }
    }
    // Copied before a lane is chosen at run time, which would keep all of them in memory.
    let mut lanes = [Row::ZERO; LANES.next_power_of_two()];
    lanes[..LANES].copy_from_slice(&sums);
    for (lane, &place) in lanes.iter_mut().zip(last) {
        lane.add(&rows[usize::from(place) % SLOTS]);
    }
    let mut half = lanes.len() / 2;
    while half > 0 {
        for i in 0..half {
            let other = lanes[i + half];
            lanes[i].add(&other);
        }
        half /= 2;
    }
    lanes[0]
}
