//! Up to [`SLOTS`] units: the draws of a replicate are written down once, and the drawn rows, which hold [`WIDTH`]
//! columns each, are added up.

use super::super::design::Units;
use super::super::sums::DRAWN as LANES;
use crate::memory::{self, NoMemory};
use crate::random::{FIELDS, Few, SLOTS, Stream, draw_few, field};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Columns that are added up together: a register of AVX-512 for each of the twelve lanes. With two of them, the lanes
/// and what they are loaded from no longer fit (1.6 against 1.2 ns for a draw of 16 columns).
const WIDTH: usize = 8;

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

/// The parts of the units of several problems, as tables of rows.
pub(super) struct Tables {
    /// One table for each [`WIDTH`] columns, of [`SLOTS`] rows; those beyond the units are zeros.
    rows: Vec<Row>,
    units: usize,
    columns: usize,
}

impl Tables {
    /// The tables of problems of the same design: problem p has the columns from `p K` on.
    pub fn of<U: Units<K>, const K: usize>(problems: &[U]) -> Result<Tables, NoMemory> {
        let units = problems.first().map_or(0, |problem| problem.count());
        let columns = problems.len() * K;
        let mut rows = memory::filled(columns.div_ceil(WIDTH) * SLOTS, Row::ZERO)?;
        let mut parts = [[0.0; K]; SLOTS];
        for (place, problem) in problems.iter().enumerate() {
            scalar(|| problem.read(0, &mut parts[..units]));
            for (i, part) in parts[..units].iter().enumerate() {
                for (k, &part) in part.iter().enumerate() {
                    let column = place * K + k;
                    rows[column / WIDTH * SLOTS + i].0[column % WIDTH] = part;
                }
            }
        }
        Ok(Tables { rows, units, columns })
    }

    /// The sums of all columns in each replicate.
    pub fn sums(&self, streams: &[Stream]) -> Result<Vec<f64>, NoMemory> {
        let mut drawn = Drawn { places: memory::filled(ROOM, 0)?, at: 0 };
        let mut totals = memory::with_capacity(streams.len() * self.columns)?;
        let mut of_one = memory::filled(self.columns.div_ceil(WIDTH), Row::ZERO)?;
        for &stream in streams {
            drawn.at = 0;
            dispatch(Draw { stream, units: self.units, drawn: &mut drawn });
            dispatch(Add { tables: &self.rows, places: &drawn.places[..drawn.at], totals: &mut of_one });
            totals.extend(of_one.iter().flat_map(|row| row.0).take(self.columns));
        }
        Ok(totals)
    }
}

/// Room for the draws of a replicate with the fields that are none: a batch of words has at least half of its fields
/// below the units, and the last ones are taken one by one.
const ROOM: usize = 4 * SLOTS;

/// The places that the draws of a replicate take, with those beyond the units, whose rows are zeros.
struct Drawn {
    places: Vec<u16>,
    at: usize,
}

impl Few for Drawn {
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        let words = &words[..take.div_ceil(FIELDS)];
        let places = self.places[self.at..].as_chunks_mut::<FIELDS>().0;
        for (places, &word) in places.iter_mut().zip(words) {
            for number in 0..FIELDS {
                places[number] = field(word, number) as u16;
            }
        }
        self.at += take;
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        self.places[self.at..][..offsets.len()].copy_from_slice(offsets);
        self.at += offsets.len();
    }
}

struct Draw<'a> {
    stream: Stream,
    units: usize,
    drawn: &'a mut Drawn,
}

impl Kernel for Draw<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        draw_few(self.stream, self.units, self.drawn);
    }
}

/// Adds up the drawn rows of each table.
struct Add<'a> {
    tables: &'a [Row],
    places: &'a [u16],
    totals: &'a mut [Row],
}

impl Kernel for Add<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (rows, total) in self.tables.as_chunks::<SLOTS>().0.iter().zip(self.totals) {
            *total = gathered(rows, self.places);
        }
    }
}

/// The sum of the drawn rows: draw i in lane `i % LANES`, and the lanes in a tree, as for a column alone.
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
