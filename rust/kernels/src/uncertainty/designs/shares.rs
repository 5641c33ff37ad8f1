//! Strata whose numbers of draws are not those of their units: how often a draw counts, and how far it moves.

use super::Drawing;
use crate::memory::{self, NoMemory};
use crate::simd::scalar;

/// The most that all counts of a replicate may add up to: as many as rows that can be sorted.
pub const MOST_COUNTED: u64 = 1 << 30;

/// With n units and m draws of a stratum, a draw counts `n/m` times, so that the stratum keeps its share.
///
/// Deviations of a stratum are to be multiplied by `sqrt(m/n)`. The largest of these factors multiplies the deviations
/// of the statistic ([`Shares::scale`]). What a stratum has less than it ([`Shares::pull`], at most 1) moves the
/// weights of its units towards 1, as in the rescaled bootstrap of Rao and Wu ("Resampling inference with complex
/// survey data", 1988). Where all have the same factor, the statistic is that of the draws alone.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// How often a draw of each stratum counts in whole counts; nothing where each counts once.
    times: Vec<u32>,
    /// The factor of each stratum as a share of the largest one; nothing where strata draw as many as they have.
    pulls: Vec<f64>,
    largest: Option<f64>,
}

impl Shares {
    /// Strata of these sizes, drawn as `within` says.
    pub fn of<'a>(sizes: &[usize], within: impl Fn(usize) -> &'a dyn Drawing) -> Result<Shares, NoMemory> {
        let drawn = || sizes.iter().enumerate().map(|(stratum, &size)| (within(stratum), size));
        if drawn().all(|(within, size)| within.draws(size) == size as u64) {
            return Ok(Shares::default());
        }
        let mut pulls = memory::collected(drawn().map(|(within, size)| within.scale(size.max(1))))?;
        let largest = pulls.iter().fold(0.0, |most: f64, &pull| if pull > most { pull } else { most });
        scalar(|| pulls.iter_mut().for_each(|pull| *pull /= largest));
        let draws =
            memory::collected(drawn().map(|(within, size)| (size as u128, within.draws(size).into())))?;
        Ok(Shares { times: whole(&draws)?.unwrap_or_default(), pulls, largest: Some(largest) })
    }

    /// How often a draw of a stratum counts in whole counts.
    pub fn times(&self, stratum: usize) -> u32 {
        self.times.get(stratum).copied().unwrap_or(1)
    }

    /// Whether whole counts give each stratum its share.
    pub fn proportional(&self) -> bool {
        self.pulls.is_empty() || !self.times.is_empty()
    }

    /// The factor of a stratum's deviations as a share of [`Shares::scale`].
    pub fn pull(&self, stratum: usize) -> f64 {
        self.pulls.get(stratum).copied().unwrap_or(1.0)
    }

    /// The largest factor.
    pub fn scale(&self) -> f64 {
        self.largest.unwrap_or(1.0)
    }
}

/// The smallest whole numbers that are to each other as n/m, of pairs of units n and draws m; `None` where the counts of
/// all draws would add up to more than [`MOST_COUNTED`].
fn whole(draws: &[(u128, u128)]) -> Result<Option<Vec<u32>>, NoMemory> {
    // All numbers together are at least n times this one, over a common divisor that is no larger than the largest n.
    let Some(multiple) = draws.iter().try_fold(1, |multiple: u128, &(units, drawn)| {
        let part = drawn / gcd(units, drawn).max(1);
        let next = multiple / gcd(multiple, part) * part;
        (next < 1 << 64).then_some(next)
    }) else {
        return Ok(None);
    };
    let times = || draws.iter().map(|&(units, drawn)| multiple * units / drawn);
    let common = times().fold(0, gcd).max(1);
    let all: u128 = times().zip(draws).map(|(times, &(_, drawn))| times / common * drawn).sum();
    if all > MOST_COUNTED.into() {
        return Ok(None);
    }
    memory::collected(times().map(|times| (times / common) as u32)).map(Some)
}

/// The greatest common divisor.
fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(draws: &[(u128, u128)]) -> Option<Vec<u32>> {
        whole(draws).unwrap()
    }

    #[test]
    fn draws_count_by_the_smallest_whole_numbers() {
        assert_eq!(times(&[(100, 20), (200, 40)]), Some(vec![1, 1]));
        assert_eq!(times(&[(97, 20), (203, 40)]), Some(vec![194, 203]));
        assert_eq!(times(&[(6, 4), (9, 9), (5, 2)]), Some(vec![3, 2, 5]));
        assert_eq!(times(&[(3, 7)]), Some(vec![1]));
    }

    #[test]
    fn counts_that_would_add_up_to_too_much_are_none() {
        let primes = [101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157];
        assert_eq!(times(&primes.map(|m| (1000, m))), None);
        assert_eq!(times(&[(1 << 30, 3), (5, 5)]), None);
    }
}
