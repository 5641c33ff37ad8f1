//! The distribution of a quantile over all resamples: how many draws fall up to a row is binomial, so that no
//! characteristic function is needed; in strata it is a sum of binomial numbers ([`super::in_strata`]).

use super::in_strata::Counted;
use super::law::Engine;
use super::steps::Steps;
use super::{Found, Ideal, Question, limits};
use crate::bisection::first;
use crate::grid::{Pace, Progress, Stopped};
use crate::math::{binomial, exp, expm1, log1p};
use crate::memory::{self, NoMemory};
use crate::simd::standard;
use crate::uncertainty::Design;
use crate::uncertainty::influence::{jackknife_acceleration, skewness_of_many};
use crate::uncertainty::limits::Method;
use crate::uncertainty::no_estimate::{Ended, NoEstimate, answer};
use crate::uncertainty::ordered::{Data, Second, between, position, reach};
use crate::uncertainty::paired::Wide;

/// The stratum of each row, inside `0..count`, and the number of strata.
pub type Strata<'a> = (&'a [i64], usize);

/// Values of the resample that have a smaller probability are left out.
const NEGLIGIBLE: f64 = 1e-16;

/// The ideal bootstrap of the quantile at level `q` of rows, each of whose `strata` is resampled within itself. `progress`
/// gets 0 as long as it works.
pub fn quantile(
    x: &dyn Wide,
    q: f64,
    strata: Option<Strata<'_>>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Result<Ideal, NoEstimate>, Stopped> {
    standard(|| answer(quantile_or_ended(x, q, strata, question, &mut |_| progress(0))))
}

fn quantile_or_ended(
    x: &dyn Wide,
    q: f64,
    strata: Option<Strata<'_>>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    if question.method == Method::Studentized {
        return Err(NoEstimate::NeedsInfluences.into());
    }
    let data = Data::of_columns(&[x], Second::Absent, Design::Rows, &mut *progress)?;
    let values = &data.x.values[..];
    let place = Place::of(values.len(), q);
    let value = place.among(|k| values[k]);
    let counted = match strata {
        Some((codes, count)) => Some(Counted::of(&data.x.entries, codes, count)?),
        None => None,
    };
    let mut pace = Pace::new(&mut *progress);
    let listed = match &counted {
        Some(counted) => counted.distribution(place, values, &mut pace)?,
        None => place.distribution(values, &mut pace)?,
    };
    if counted.is_some() && still(&listed) {
        return Err(NoEstimate::EqualReplicates { n: 0 }.into());
    }
    let standard_error = deviation(&listed, value);
    let rounding = 8.0 * f64::EPSILON * reach((values[0], values[values.len() - 1]));
    let acceleration = match (question.method, &counted) {
        (Method::Bca, None) => acceleration(values, q, rounding),
        (Method::Bca, Some(counted)) => stratified_acceleration(values, q, counted, value, rounding)?,
        _ => 0.0,
    };
    let units = values.len() / strata.map_or(1, |(_, count)| count.max(1));
    let law = Steps::new(listed, 0.0, value, Engine::O, &mut *progress)?;
    limits(
        &law,
        Found { value, standard_error, acceleration, binary: false, units: units.max(2) },
        question,
        progress,
    )
}

/// Where the quantile of n sorted rows lies: `part` of the way from the row at `rank`, counted from 0, to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub n: usize,
    pub rank: usize,
    pub part: f64,
}

impl Place {
    fn of(n: usize, q: f64) -> Place {
        let (rank, part) = position(n as u64, q);
        Place { n, rank: rank as usize, part }
    }

    /// The quantile of sorted values.
    fn among(self, value: impl Fn(usize) -> f64) -> f64 {
        between(value(self.rank), value((self.rank + 1).min(self.n - 1)), self.part)
    }

    /// The probability that the order statistic at `rank` of a resample is row `i` or one before it: that more than
    /// `rank` of the draws fall there.
    fn up_to(self, i: usize) -> f64 {
        binomial::sf(self.rank as u64, self.n as u64, (i + 1) as f64 / self.n as f64)
    }

    /// The probability that it is a row after `i`.
    fn beyond(self, i: usize) -> f64 {
        binomial::cdf(self.rank as u64, self.n as u64, (i + 1) as f64 / self.n as f64)
    }

    /// The possible quantiles of a resample of sorted rows, each with its probability, those that are negligible left
    /// out.
    fn distribution(self, values: &[f64], pace: &mut Pace<'_>) -> Result<Vec<(f64, f64)>, Stopped> {
        let n = self.n as u64;
        let begin = first(0..n, |i| self.up_to(i as usize) > NEGLIGIBLE);
        let end = first(begin..n, |i| self.beyond(i as usize) <= NEGLIGIBLE) as usize;
        let begin = begin as usize;
        let mut listed = Vec::new();
        let mut before = if begin == 0 { 0.0 } else { self.up_to(begin - 1) };
        for i in begin..(end + 1).min(self.n) {
            let up_to = self.up_to(i);
            let here = up_to - before;
            before = up_to;
            if self.part == 0.0 {
                memory::push(&mut listed, (values[i], here))?;
            } else {
                self.pairs(values, i, here, &mut listed, pace)?;
            }
            pace.step()?;
        }
        Ok(listed)
    }

    /// The quantiles between row `i`, which has the probability `here` to be the order statistic at `rank`, and every
    /// row that can be the next order statistic.
    ///
    /// Row j > i is the next one where `rank + 1` draws fall up to row i, at least one of them into it, none into the
    /// rows between, and at least one of the others into row j. Otherwise the next one is row i again.
    fn pairs(
        self,
        values: &[f64],
        i: usize,
        here: f64,
        listed: &mut Vec<(f64, f64)>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stopped> {
        let Place { n, rank, part } = self;
        let (drawn, left, rows_left) = ((rank + 1) as f64, (n - rank - 1) as f64, (n - i - 1) as f64);
        let hit = if i == 0 { 1.0 } else { -expm1(drawn * log1p(-1.0 / (i + 1) as f64)) };
        let apart = binomial::pmf((rank + 1) as u64, n as u64, (i + 1) as f64 / n as f64) * hit;
        memory::push(listed, (values[i], if here > apart { here - apart } else { 0.0 }))?;
        let mut survives = 1.0;
        for j in i + 1..n {
            if apart * survives <= NEGLIGIBLE / n as f64 {
                break;
            }
            // The chance that all draws that are left fall beyond row j.
            let next = if j + 1 == n { 0.0 } else { exp(left * log1p(-((j - i) as f64 / rows_left))) };
            memory::push(listed, (between(values[i], values[j], part), apart * (survives - next)))?;
            survives = next;
            pace.step()?;
        }
        Ok(())
    }
}

/// Whether one value has all of the probability: strata whose rows are all equal.
fn still(listed: &[(f64, f64)]) -> bool {
    let mut likely = listed.iter().filter(|(_, share)| *share > 1e-13);
    let first = likely.next();
    likely.all(|(value, _)| first.is_none_or(|(first, _)| value == first))
}

/// The standard deviation of values with probabilities, about a number near their mean.
fn deviation(listed: &[(f64, f64)], near: f64) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (value, share) in listed {
        let d = value - near;
        mean += share * d;
        squares += share * d * d;
    }
    let variance = squares - mean * mean;
    if variance > 0.0 { variance.sqrt() } else { 0.0 }
}

/// BCa's acceleration by the jackknife, which leaves out every row in turn.
fn acceleration(values: &[f64], q: f64, rounding: f64) -> f64 {
    let ([below, at, beyond], after) = without_each(values, q);
    let last = values.len() - 1 - after;
    let last = if last > 0 { Some((beyond, last as f64)) } else { None };
    jackknife_acceleration([(below, after as f64), (at, 1.0)].into_iter().chain(last), rounding)
}

/// The quantile without a row below the row after the quantile's own, without that row and without one beyond it, and the
/// index of that row: only three values are possible.
fn without_each(values: &[f64], q: f64) -> ([f64; 3], usize) {
    let rest = values.len() - 1;
    let place = Place::of(rest, q);
    let without = |row: usize| place.among(|k| values[k + usize::from(k >= row)]);
    let after = place.rank + 1;
    ([without(0), without(after), without((after + 1).min(rest))], after)
}

/// The same in strata: the quantile of all rows minus that without one, less the mean of that in the row's stratum.
fn stratified_acceleration(
    values: &[f64],
    q: f64,
    counted: &Counted,
    value: f64,
    rounding: f64,
) -> Result<f64, NoMemory> {
    let (without, after) = without_each(values, q);
    let mut influences = Vec::new();
    for [below, at, beyond] in counted.around(after)? {
        let times = [below, at, beyond];
        let (mut sum, mut rows) = (0.0, 0.0);
        for (without, times) in without.iter().zip(times) {
            sum += times * (value - without);
            rows += times;
        }
        for (without, times) in without.iter().zip(times).filter(|(_, times)| *times > 0.0) {
            memory::push(&mut influences, (value - without - sum / rows, times))?;
        }
    }
    Ok(skewness_of_many(&influences, rounding))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distribution from every resample of n rows.
    fn enumerated(values: &[f64], q: f64) -> Vec<(f64, f64)> {
        let n = values.len();
        let place = Place::of(n, q);
        let share = 1.0 / crate::math::powi(n as f64, n as u64);
        (0..n.pow(n as u32))
            .map(|code| {
                let mut drawn: Vec<usize> = (0..n).map(|d| code / n.pow(d as u32) % n).collect();
                drawn.sort_unstable();
                (place.among(|k| values[drawn[k]]), share)
            })
            .collect()
    }

    #[test]
    fn it_is_the_distribution_over_all_resamples() {
        for values in [&[1.0, 2.5, 7.0][..], &[-1.0, 0.0, 2.0, 3.5, 10.0], &[0.0, 1.0, 1.0, 4.0, 5.0, 9.5]] {
            for q in [0.0, 0.1, 0.25, 0.5, 0.8, 0.95, 1.0] {
                let listed =
                    Place::of(values.len(), q).distribution(values, &mut Pace::new(&mut |_| true)).unwrap();
                let total: f64 = listed.iter().map(|pair| pair.1).sum();
                assert!((total - 1.0).abs() < 1e-12, "q = {q}: {total}");
                let all = enumerated(values, q);
                for limit in all.iter().map(|pair| pair.0 + 1e-9) {
                    let up_to = |of: &[(f64, f64)]| -> f64 {
                        of.iter().filter(|pair| pair.0 <= limit).map(|pair| pair.1).sum()
                    };
                    assert!((up_to(&listed) - up_to(&all)).abs() < 1e-10, "q = {q}, limit = {limit}");
                }
            }
        }
    }

    #[test]
    fn the_jackknife_has_three_values() {
        for n in 2..9 {
            let values: Vec<f64> = (0..n).map(|i| f64::from(i * i)).collect();
            for q in [0.0, 0.1, 0.5, 0.77, 1.0] {
                let all: Vec<(f64, f64)> = (0..values.len())
                    .map(|row| {
                        let place = Place::of(values.len() - 1, q);
                        (place.among(|k| values[k + usize::from(k >= row)]), 1.0)
                    })
                    .collect();
                let (got, want) =
                    (acceleration(&values, q, 1e-12), jackknife_acceleration(all.iter().copied(), 1e-12));
                assert!((got - want).abs() < 1e-12, "n = {n}, q = {q}: {got} {want}");
            }
        }
    }
}
