//! Sums of rows that count a Poisson number of times in each replicate, by numbers that follow from their ids.
//!
//! A unit counts in a replicate as often as a Poisson number with mean 1 says (Chamandy, Muralidharan, Najmi and Naidu,
//! "Estimating uncertainty for massive data streams", 2012), which follows from the seed, the replicate and the unit's id
//! alone. So the rows of a unit count alike wherever and in whatever order they are read, and replicates can be added up.

use super::super::designs::AT_MOST;
use super::super::no_estimate::Ended;
use super::super::paired::Wide;
use super::super::smooth::Sums;
use super::limbs::{Limb, limbs};
use super::products::{BLOCK, NotFinite, Products};
use super::recipe::Recipe;
use super::units::UnitIds;
use crate::exact::{Packed, Sum};
use crate::grid::{CHUNK, Progress, chunk, chunks, map_chunks};
use crate::intervals::moments::Moments;
use crate::memory::{self, NoMemory};
use crate::random::{UNIT_LANES, UnitStream, WORDS};
use crate::simd::{Isa, Kernel, dispatch};

/// Replicates whose counts come from one call of the generator: two of each word.
pub const TOGETHER: usize = 2 * WORDS;
/// Groups of replicates that a task computes.
const GROUPS: usize = 2;
/// The upper halves of the words from which on a unit counts more than k times. Where the upper half of a word is one of
/// them, its lower half decides.
const UPPER: [u16; 8] = {
    let mut upper = [0; 8];
    let mut k = 0;
    while k < 8 {
        upper[k] = (AT_MOST[k] >> 16) as u16;
        k += 1;
    }
    upper
};

// From the eighth on the upper halves are equal.
const _: () = assert!(AT_MOST[7] >> 16 == 0xffff && AT_MOST[6] >> 16 < 0xffff);

/// The rows of a block and their products, as whole numbers.
struct Block<'a> {
    stream: UnitStream,
    numbers: &'a [u64],
    limbs: &'a [Limb],
    /// The first replicate divided by [`TOGETHER`].
    group: u32,
    /// How often the rows count in each replicate, all together.
    drawn: &'a mut [u16; TOGETHER],
    /// The sums of each limb in each replicate, as whole numbers.
    sums: &'a mut [[f64; TOGETHER]],
}

// A row counts at most 12 times.
const _: () = assert!(BLOCK * AT_MOST.len() <= u16::MAX as usize);

impl Kernel for Block<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut drawn = [0; TOGETHER];
        for (row, &number) in self.numbers.iter().enumerate() {
            let times = counts(self.stream, number, self.group);
            let mut counts = [0.0; TOGETHER];
            for r in 0..TOGETHER {
                drawn[r] += times[r];
                counts[r] = f64::from(times[r]);
            }
            for (limb, sums) in self.limbs.iter().zip(self.sums.iter_mut()) {
                let value = limb.values[row];
                if value == 0.0 {
                    continue;
                }
                for r in 0..TOGETHER {
                    sums[r] = I::add_exact_product(counts[r], value, sums[r]);
                }
            }
        }
        *self.drawn = drawn;
    }
}

/// How often a unit counts in each replicate of a group.
#[inline(always)]
fn counts(stream: UnitStream, number: u64, group: u32) -> [u16; TOGETHER] {
    let words = stream.words(number, group, 0);
    let mut upper = [0u16; TOGETHER];
    for i in 0..WORDS {
        upper[i] = words[i] as u16;
        upper[WORDS + i] = (words[i] >> 16) as u16;
    }
    let (mut above, mut equal) = ([0u16; TOGETHER], [0u16; TOGETHER]);
    for bound in UPPER {
        for r in 0..TOGETHER {
            above[r] += u16::from(upper[r] > bound);
            equal[r] |= u16::from(upper[r] == bound);
        }
    }
    let mut undecided = 0;
    for r in 0..TOGETHER {
        undecided |= equal[r];
    }
    if undecided != 0 {
        decide(stream, number, group, &upper, &equal, &mut above);
    }
    above
}

/// Decides by the lower halves of words, which are drawn where they are needed.
#[inline(never)]
fn decide(
    stream: UnitStream,
    number: u64,
    group: u32,
    upper: &[u16; TOGETHER],
    undecided: &[u16; TOGETHER],
    counts: &mut [u16; TOGETHER],
) {
    let words = stream.words(number, group, 1);
    for r in 0..TOGETHER {
        if undecided[r] != 0 {
            let lower = if r < WORDS { words[r] as u16 } else { (words[r - WORDS] >> 16) as u16 };
            let word = u32::from(upper[r]) << 16 | u32::from(lower);
            counts[r] = AT_MOST.iter().filter(|&&bound| word >= bound).count() as u16;
        }
    }
}

/// Which counts are drawn: for the units of the rows, in the replicates of a seed.
pub struct Draws<'a> {
    /// The unit of each row.
    pub ids: &'a UnitIds,
    /// The seed.
    pub seed: u64,
    /// The number of replicates.
    pub replicates: usize,
}

/// The sums of the products of all rows in each replicate: those of replicate r from `r * products` on.
pub fn drawn(
    statistic: &dyn Sums,
    recipe: &Recipe,
    columns: &[&dyn Wide],
    moments: &[Moments],
    draws: &Draws<'_>,
    progress: Progress<'_>,
) -> Result<Vec<Packed>, Ended> {
    let Draws { ids, seed, replicates } = *draws;
    let (rows, width) = (columns[0].len(), recipe.products().len());
    let groups = replicates.div_ceil(TOGETHER);
    let (pieces, bands) = (chunks(rows, CHUNK), groups.div_ceil(GROUPS));
    let stream = UnitStream::new(seed, ids.kind as u8);
    let task = |index: usize| -> Result<Result<Vec<Packed>, NotFinite>, NoMemory> {
        let within = chunk(index / bands, rows, CHUNK);
        let groups = chunk(index % bands, groups, GROUPS);
        let mut sums = memory::filled(groups.len() * TOGETHER * width, Sum::new())?;
        let mut products = Products::of(recipe, columns.len())?;
        let mut cut = memory::with_capacity(products.columns.len())?;
        for start in within.clone().step_by(BLOCK) {
            let length = BLOCK.min(within.end - start);
            if let Err(found) = products.fill(statistic, recipe, columns, start, length) {
                return Ok(Err(found));
            }
            cut.clear();
            // The first product is 1.
            for (place, column) in &products.columns[1..] {
                limbs(*place, &column[..length], &mut cut)?;
            }
            let mut block_sums = memory::filled(cut.len(), [0.0; TOGETHER])?;
            for (at, group) in groups.clone().enumerate() {
                block_sums.fill([0.0; TOGETHER]);
                let mut drawn = [0; TOGETHER];
                dispatch(Block {
                    stream,
                    numbers: &ids.numbers[start..start + length],
                    limbs: &cut,
                    group: group as u32,
                    drawn: &mut drawn,
                    sums: &mut block_sums,
                });
                for (r, &rows) in drawn.iter().enumerate() {
                    sums[(at * TOGETHER + r) * width].add_integer(rows.into(), 0);
                }
                for (limb, of) in cut.iter().zip(&block_sums) {
                    for (r, &sum) in of.iter().enumerate() {
                        let place = (at * TOGETHER + r) * width + limb.place;
                        sums[place].add_integer(sum as i64, limb.exponent);
                    }
                }
            }
        }
        Ok(Ok(memory::collected(sums.into_iter().map(Sum::packed))?))
    };
    // A row takes about as long as reading so many bytes.
    let found = map_chunks(pieces * bands, rows * groups * 1024, progress, task)?;
    let mut totals = memory::filled(replicates * width, Packed::default())?;
    for (index, part) in found.into_iter().enumerate() {
        let part = part?.map_err(|found| found.refusal(moments))?;
        let first = index % bands * GROUPS * TOGETHER * width;
        for (total, sum) in totals[first..].iter_mut().zip(&part) {
            *total = total.plus::<{ Sum::PLACES }, -1074>(sum);
        }
    }
    Ok(totals)
}

const _: () = assert!(WORDS == 4 * UNIT_LANES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_law() {
        let stream = UnitStream::new(5, 0);
        let (mut often, mut sum, mut squares) = ([0u64; 16], 0.0, 0.0);
        for number in 0..20_000 {
            for count in counts(stream, number, 3).map(f64::from) {
                often[count as usize] += 1;
                sum += count;
                squares += count * count;
            }
        }
        let n = 20_000.0 * TOGETHER as f64;
        assert!((sum / n - 1.0).abs() < 4.0 / n.sqrt(), "{}", sum / n);
        assert!((squares / n - 2.0).abs() < 4.0 * 11f64.sqrt() / n.sqrt(), "{}", squares / n);
        let mut share = crate::math::exp(-1.0);
        for (k, &often) in often.iter().enumerate().take(7) {
            assert!((often as f64 - n * share).abs() < 5.0 * (n * share).sqrt(), "{k}");
            share /= (k + 1) as f64;
        }
    }

    #[test]
    fn undecided_counts_are_those_of_the_whole_word() {
        let stream = UnitStream::new(1, 1);
        let mut undecided = 0;
        for number in 0..3_000 {
            let (upper, lower) = (stream.words(number, 0, 0), stream.words(number, 0, 1));
            for (r, count) in counts(stream, number, 0).into_iter().enumerate() {
                let half = |words: &[u32; WORDS]| words[r % WORDS] >> (16 * (r / WORDS)) & 0xffff;
                let word = half(&upper) << 16 | half(&lower);
                assert_eq!(usize::from(count), AT_MOST.iter().filter(|&&bound| word >= bound).count());
                undecided += usize::from(UPPER.iter().any(|&bound| half(&upper) == u32::from(bound)));
            }
        }
        assert!(undecided > 10);
    }
}
