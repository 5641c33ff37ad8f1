//! Random whole numbers of a law that is given by a table, and multinomial counts of cells by Poisson counts.
//!
//! In a resample of n battles, cell c is drawn as often as `Multinomial(n; n_c / n)` says. Given their total N, independent
//! Poisson counts with means `n_c (1 - 2.5/sqrt n)` are those of N draws; the n - N draws that are left are made one by
//! one. Where N is above n, which happens once in 160 replicates, all cells count anew: that leaves the counts given N as
//! they are. Cells of one size share a table, so that a cell costs one random number of 64 bits and one look at its table,
//! however many battles it has. Probabilities are right to 1e-15.

use crate::memory::{self, NoMemory};
use crate::random::{Reader, Stream};
use crate::simd::scalar;

/// A law of whole numbers from `first` on.
struct Ladder {
    first: u64,
    /// A number of 64 bits at or above `bounds[k]` is above `first + k`.
    bounds: Vec<u64>,
    /// For the leading bits of a number, the k from which to look.
    guide: Vec<u32>,
    shift: u32,
}

impl Ladder {
    /// From bounds that do not fall, of which the last counts for nothing.
    fn of(first: u64, bounds: Vec<u64>) -> Result<Ladder, NoMemory> {
        let bits = (2 * bounds.len()).next_power_of_two().trailing_zeros();
        let shift = 64 - bits;
        let mut guide = memory::filled(1 << bits, 0u32)?;
        let mut k = 0;
        for (lead, to) in guide.iter_mut().enumerate() {
            while k + 1 < bounds.len() && bounds[k] <= (lead as u64) << shift {
                k += 1;
            }
            *to = k as u32;
        }
        Ok(Ladder { first, bounds, guide, shift })
    }

    /// The Poisson law with a mean above 0: each term from its neighbour, outwards from the largest one.
    fn poisson(mean: f64) -> Result<Ladder, NoMemory> {
        let top = mean as u64;
        let (mut below, mut term, mut k) = (Vec::new(), 1.0, top);
        while k > 0 {
            term *= k as f64 / mean;
            if term < SMALLEST {
                break;
            }
            k -= 1;
            memory::push(&mut below, term)?;
        }
        let mut shares = memory::gathered(below.into_iter().rev().chain([1.0]))?;
        let (first, mut above) = (k, top);
        term = 1.0;
        while term >= SMALLEST {
            above += 1;
            term *= mean / above as f64;
            memory::push(&mut shares, term)?;
        }
        let mut total = 0.0;
        for &share in &shares {
            total += share;
        }
        let mut sum = 0.0;
        for share in &mut shares {
            sum += *share;
            *share = sum;
        }
        let bounds = shares.iter().map(|&sum| (sum / total * TWO_64) as u64);
        Ladder::of(first, memory::collected(bounds)?)
    }

    /// The laws of a cell: the number k with probability `counts[k] / sum counts`, to 2^-64.
    fn cells(counts: &[u64]) -> Result<Ladder, NoMemory> {
        let total = u128::from(counts.iter().sum::<u64>());
        let mut sum = 0u128;
        let bounds = counts.iter().map(|&count| {
            sum += u128::from(count);
            u64::try_from((sum << 64) / total).unwrap_or(u64::MAX)
        });
        Ladder::of(0, memory::collected(bounds)?)
    }

    /// The number that 64 random bits stand for.
    #[inline(always)]
    fn climb(&self, bits: u64) -> usize {
        let mut k = self.guide[(bits >> self.shift) as usize] as usize;
        while k + 1 < self.bounds.len() && bits >= self.bounds[k] {
            k += 1;
        }
        k
    }
}

const TWO_64: f64 = 18_446_744_073_709_551_616.0;
/// Terms below this share of the largest one are left out.
const SMALLEST: f64 = 1e-22;
/// The most battles of a cell that one table stands for; larger cells are drawn in pieces of as many.
const PIECE: u64 = 1 << 16;
/// How many standard deviations of the total the means leave for the draws that are made one by one.
const GAP: f64 = 2.5;

/// The law of the counts of a resample.
pub(super) struct Multinomial {
    total: u64,
    /// A table for each size of a cell, and the cells that read it.
    sizes: Vec<(Ladder, Vec<u32>)>,
    cells: Ladder,
}

impl Multinomial {
    /// The counts of all cells, each at least 1.
    pub fn of(counts: &[u64]) -> Result<Multinomial, NoMemory> {
        let total = counts.iter().sum::<u64>();
        let share = scalar(|| 1.0 - GAP / (total as f64).sqrt());
        let share = if share > 0.5 { share } else { 0.5 };
        let pieces = counts.iter().map(|&count| (count / PIECE) as usize + 1).sum();
        let mut sizes = memory::with_capacity::<(u64, u32)>(pieces)?;
        for (cell, &count) in counts.iter().enumerate() {
            for _ in 0..count / PIECE {
                sizes.push((PIECE, cell as u32));
            }
            if count % PIECE > 0 {
                sizes.push((count % PIECE, cell as u32));
            }
        }
        sizes.sort_unstable();
        let mut tables = Vec::new();
        for group in sizes.chunk_by(|one, other| one.0 == other.0) {
            let members = memory::collected(group.iter().map(|&(_, cell)| cell))?;
            memory::push(&mut tables, (scalar(|| Ladder::poisson(group[0].0 as f64 * share))?, members))?;
        }
        Ok(Multinomial { total, sizes: tables, cells: Ladder::cells(counts)? })
    }

    /// Writes how often each cell is drawn in a replicate.
    #[inline(always)]
    pub fn draw(&self, stream: Stream, to: &mut [f64]) {
        let (mut round, mut drawn) = (0, self.total + 1);
        while drawn > self.total {
            let mut reader = Reader::new(stream.array(ROUNDS + round));
            drawn = 0;
            to.fill(0.0);
            for (ladder, cells) in &self.sizes {
                for &cell in cells {
                    let count = ladder.first + ladder.climb(reader.draw()) as u64;
                    to[cell as usize] += count as f64;
                    drawn += count;
                }
            }
            round += 1;
        }
        let mut reader = Reader::new(stream.array(REST));
        for _ in drawn..self.total {
            to[self.cells.climb(reader.draw())] += 1.0;
        }
    }
}

/// The places of a stream: of the draws that are left, and of the first round.
const REST: u32 = 0;
const ROUNDS: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Domain;

    fn draws(counts: &[u64], replicates: u32) -> Vec<Vec<f64>> {
        let law = Multinomial::of(counts).unwrap();
        let mut to = vec![0.0; counts.len()];
        (0..replicates)
            .map(|r| {
                law.draw(Stream::new(3, Domain::Battles, r), &mut to);
                to.clone()
            })
            .collect()
    }

    #[test]
    fn every_replicate_has_all_battles() {
        for counts in [&[1][..], &[1, 1], &[5, 70_000, 3], &[200_000, 131_072, 9, 9, 9]] {
            let total: u64 = counts.iter().sum();
            for found in draws(counts, 50) {
                assert_eq!(found.iter().sum::<f64>(), total as f64);
            }
        }
    }

    /// Pearson's chi-square over all outcomes of 4 battles in 3 cells: 14 degrees of freedom, .9999 quantile 42.58.
    #[test]
    fn the_law_of_few_battles_is_multinomial() {
        let (counts, replicates) = ([1u64, 1, 2], 200_000);
        let mut seen = std::collections::BTreeMap::<Vec<u64>, f64>::new();
        for found in draws(&counts, replicates) {
            *seen.entry(found.iter().map(|&c| c as u64).collect()).or_default() += 1.0;
        }
        assert_eq!(seen.len(), 15);
        let factorial = |k: u64| (1..=k).map(|k| k as f64).product::<f64>();
        let mut statistic = 0.0;
        for (outcome, &observed) in &seen {
            let mut expected = f64::from(replicates) * factorial(4);
            for (&k, &count) in outcome.iter().zip(&counts) {
                expected *= (0..k).map(|_| count as f64 / 4.0).product::<f64>() / factorial(k);
            }
            statistic += (observed - expected) * (observed - expected) / expected;
        }
        assert!(statistic < 42.58, "{statistic}");
    }

    /// Mean and covariance of the counts of large cells and small ones.
    #[test]
    fn means_and_covariances_are_those_of_the_multinomial() {
        let counts = [100_000u64, 300, 300, 1, 40_000];
        let (total, replicates) = (counts.iter().sum::<u64>() as f64, 40_000);
        let found = draws(&counts, replicates);
        for (i, &a) in counts.iter().enumerate() {
            for (j, &b) in counts.iter().enumerate() {
                let (a, b) = (a as f64, b as f64);
                let products = found.iter().map(|f| (f[i] - a) * (f[j] - b));
                let mean = products.sum::<f64>() / f64::from(replicates);
                let want = if i == j { a * (1.0 - a / total) } else { -a * b / total };
                let scale = ((a * (1.0 - a / total)) * (b * (1.0 - b / total))).sqrt();
                assert!((mean - want).abs() < 0.035 * scale, "{i} {j}: {mean} and not {want}");
            }
        }
    }
}
