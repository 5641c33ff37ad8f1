//! The distribution of a quantile over all resamples in strata.
//!
//! Of the n rows of a stratum F lie up to row i, so that Bin(n, F/n) of its draws do, and the number of all such draws has
//! the generating function `prod (a z + b)^n` over the strata, with `a = F/n` and `b = 1 - a`. With b the share of the
//! rows beyond a later row j, its coefficient at `z^m` is the probability that exactly m draws fall up to row i and none
//! between i and j, which is what two neighbouring order statistics need. Coefficients and their sums are finite Fourier
//! sums over points of the unit circle: one more than there are draws, or so many that their number is never that far
//! from its mean, but for a probability of 1e-15 by Bernstein's inequality.

use super::quantile::Place;
use crate::grid::{Pace, Stopped};
use crate::math::{angle, cos, exp, log, log1p, sin};
use crate::memory::{self, NoMemory};
use crate::uncertainty::no_estimate::{Ended, NoEstimate};
use crate::uncertainty::ordered::{Entry, between};
use std::f64::consts::PI;

/// `log(2/1e-15)`.
const UNLIKELY: f64 = 35.3;
/// Rows that have no draw are fewer than this, but for a probability of `exp(-40)`.
const GAP: f64 = 40.0;
/// `|phi|` counts as 0 below `exp(-37)`.
const NOTHING: f64 = 37.0;
/// Rows after which rounding errors are left behind: the factors are computed anew.
const ANEW: usize = 256;

/// Sorted rows with their strata.
#[derive(Debug)]
pub(super) struct Counted {
    /// The stratum of each sorted row.
    of: Vec<u32>,
    /// The number of rows of each stratum.
    sizes: Vec<f64>,
}

impl Counted {
    /// Sorted rows whose strata are `codes`, in the order of the data.
    pub fn of(entries: &[Entry], codes: &[i64], count: usize) -> Result<Counted, Ended> {
        let mut sizes = memory::filled(count, 0.0)?;
        for &code in codes {
            match sizes.get_mut(code as usize) {
                Some(size) => *size += 1.0,
                None => return Err(NoEstimate::Outside.into()),
            }
        }
        Ok(Counted { of: memory::collected(entries.iter().map(|entry| codes[entry.row()] as u32))?, sizes })
    }

    /// How many rows each stratum has before the row `at`, whether it has this one, and how many after it.
    pub fn around(&self, at: usize) -> Result<Vec<[f64; 3]>, NoMemory> {
        let mut found = memory::filled(self.sizes.len(), [0.0; 3])?;
        for (i, &stratum) in self.of.iter().enumerate() {
            found[stratum as usize][usize::from(i >= at) + usize::from(i > at)] += 1.0;
        }
        Ok(found)
    }

    /// The possible quantiles of a resample of sorted rows, each with its probability, those that are negligible left
    /// out.
    pub fn distribution(
        &self,
        place: Place,
        values: &[f64],
        pace: &mut Pace<'_>,
    ) -> Result<Vec<(f64, f64)>, Stopped> {
        let (begin, end) = window(place);
        let (mut walk, mut listed) = (Walk::new(self, place, (begin, end), pace)?, Vec::new());
        let (mut before, mut neighbours) = (0.0, Vec::new());
        for i in begin..end {
            walk.step(i);
            let up_to = 1.0 - walk.at_most(place.rank, i);
            let here = above_zero(up_to - before);
            if up_to > before {
                before = up_to;
            }
            if place.part == 0.0 {
                memory::push(&mut listed, (values[i], here))?;
            } else {
                let now = walk.exactly(place.rank + 1, i)?;
                pairs((values, place.part), i, here, (&neighbours, &now), &mut listed)?;
                neighbours = now;
            }
            pace.stride(walk.angles.len())?;
        }
        Ok(listed)
    }
}

/// The quantiles between row `i`, which has the probability `here` to be the order statistic at the rank, and every row
/// that can be the next order statistic.
///
/// `now[g]` is the probability that exactly `rank + 1` draws fall up to row i, and none into the g rows after it;
/// `before` the same of row i - 1. Their difference is the probability that row i is the order statistic and the next
/// one is beyond row i + g.
fn pairs(
    (values, part): (&[f64], f64),
    i: usize,
    here: f64,
    (before, now): (&[f64], &[f64]),
    listed: &mut Vec<(f64, f64)>,
) -> Result<(), NoMemory> {
    let at = |of: &[f64], g: usize| of.get(g).copied().unwrap_or(0.0);
    let beyond = |g: usize| above_zero(at(now, g) - at(before, g + 1));
    let mut survives = beyond(0);
    memory::push(listed, (values[i], above_zero(here - survives)))?;
    for g in 1..=now.len() {
        let Some(&next) = values.get(i + g) else { break };
        let left = beyond(g);
        memory::push(listed, (between(values[i], next, part), above_zero(survives - left)))?;
        if left < survives {
            survives = left;
        }
    }
    Ok(())
}

/// A probability that rounding may have made negative.
fn above_zero(x: f64) -> f64 {
    if x > 0.0 { x } else { 0.0 }
}

/// How far a sum of independent zeros and ones with this variance may be from its mean, but for a probability of 1e-15.
fn reach(variance: f64) -> f64 {
    UNLIKELY / 3.0 + (UNLIKELY * UNLIKELY / 9.0 + 2.0 * UNLIKELY * variance).sqrt()
}

/// The largest variance that the number of draws up to row `i` can have: that without strata.
fn widest(place: Place, i: usize) -> f64 {
    let up_to = (i + 1) as f64;
    up_to * (1.0 - up_to / place.n as f64)
}

/// The rows that the order statistic may be, but for a probability of 1e-15 on either side.
fn window(place: Place) -> (usize, usize) {
    let (n, rank) = (place.n as u64, place.rank as f64);
    let mean = |i: u64| (i + 1) as f64;
    let spread = |i: u64| reach(widest(place, i as usize));
    let begin = crate::bisection::first(0..n, |i| mean(i) + spread(i) > rank);
    let end = crate::bisection::first(begin..n, |i| mean(i) - spread(i) > rank);
    (begin as usize, (end + 1).min(n) as usize)
}

/// A point of the unit circle, `exp(i theta)`.
#[derive(Clone, Copy)]
struct Angle {
    theta: f64,
    sin: f64,
    cos: f64,
    /// `4 sin(theta/2)^2`.
    chord: f64,
    half_sin: f64,
}

/// The logarithm of the generating function at the points that matter: its real part and its angle.
type Logs = Vec<[f64; 2]>;

/// The generating function of the number of draws up to a row, row after row.
struct Walk<'a> {
    rows: &'a Counted,
    /// The number M of points, and those in the upper half, from 1 on, that matter.
    points: usize,
    angles: Vec<Angle>,
    logs: Logs,
    /// How many rows each stratum has up to the row.
    below: Vec<f64>,
    steps: usize,
    n: usize,
}

impl<'a> Walk<'a> {
    /// Before the row `begin`.
    fn new(
        rows: &'a Counted,
        place: Place,
        (begin, end): (usize, usize),
        pace: &mut Pace<'_>,
    ) -> Result<Walk<'a>, Stopped> {
        let mut below = memory::filled(rows.sizes.len(), 0.0)?;
        for &stratum in &rows.of[..begin] {
            below[stratum as usize] += 1.0;
        }
        let n = place.n;
        // The variance without strata is largest in the middle.
        let middle = (n / 2).clamp(begin, end - 1);
        let most = reach(widest(place, middle) + GAP);
        let wide = 2 * most as usize + 2 * GAP as usize + 7;
        let points = (n + 1).min(wide) | 1;
        let least = rows.least_variance(&below, begin, end) - GAP;
        let mut angles = memory::with_capacity(points / 2 + 1)?;
        for t in 0..=points / 2 {
            let theta = 2.0 * PI * t as f64 / points as f64;
            let half_sin = sin(0.5 * theta);
            let chord = 4.0 * half_sin * half_sin;
            // |phi| <= exp(-V chord/2), since the logarithm of each factor is at most -a b chord/2.
            if least > 0.0 && 0.5 * least * chord > NOTHING {
                break;
            }
            angles.push(Angle { theta, sin: sin(theta), cos: cos(theta), chord, half_sin });
            pace.step()?;
        }
        let logs = memory::filled(angles.len(), [0.0; 2])?;
        Ok(Walk { rows, points, angles, logs, below, steps: 0, n })
    }

    /// Takes the next row, `i`.
    fn step(&mut self, i: usize) {
        let stratum = self.rows.of[i] as usize;
        let (size, old) = (self.rows.sizes[stratum], self.below[stratum]);
        self.below[stratum] += 1.0;
        if self.steps.is_multiple_of(ANEW) {
            self.logs.fill([0.0; 2]);
            // A stratum without rows has no draws.
            for (&size, &below) in self.rows.sizes.iter().zip(&self.below).filter(|(size, _)| **size > 0.0) {
                add(&self.angles, &mut self.logs, 1.0, (size, below, below));
            }
        } else {
            add(&self.angles, &mut self.logs, -1.0, (size, old, old));
            add(&self.angles, &mut self.logs, 1.0, (size, old + 1.0, old + 1.0));
        }
        self.steps += 1;
    }

    /// The probability of at most `rank` draws up to row `i`, which was taken last.
    fn at_most(&self, rank: usize, i: usize) -> f64 {
        let points = self.points as f64;
        // What may occur is `points` numbers from `first` on.
        let first = if self.points > self.n { 0.0 } else { (i + 1) as f64 - (points - 1.0) / 2.0 };
        let count = rank as f64 - first + 1.0;
        if count <= 0.0 {
            return 0.0;
        }
        if count >= points {
            return 1.0;
        }
        let mut sum = 0.0;
        for (angle, [size, turn]) in self.angles.iter().zip(&self.logs).skip(1) {
            let centre = turn - angle.theta * (0.5 * (first + rank as f64));
            sum += exp(*size) * cos(centre) * (sin(0.5 * angle.theta * count) / angle.half_sin);
        }
        (count + 2.0 * sum) / points
    }

    /// The probabilities that exactly `draws` draws fall up to row `i`, and none into the next 0, 1, ... rows.
    fn exactly(&self, draws: usize, i: usize) -> Result<Vec<f64>, NoMemory> {
        let mut logs = memory::copied(&self.logs)?;
        let mut passed = memory::copied(&self.below)?;
        let mut found = Vec::new();
        memory::push(&mut found, self.coefficient(&logs, draws))?;
        for &stratum in &self.rows.of[i + 1..] {
            let stratum = stratum as usize;
            let (size, below, old) = (self.rows.sizes[stratum], self.below[stratum], passed[stratum]);
            passed[stratum] += 1.0;
            if below == 0.0 && old + 1.0 == size {
                break; // the stratum has no row that may be drawn
            }
            add(&self.angles, &mut logs, -1.0, (size, below, old));
            add(&self.angles, &mut logs, 1.0, (size, below, old + 1.0));
            if logs[0][0] < -GAP {
                break;
            }
            memory::push(&mut found, self.coefficient(&logs, draws))?;
        }
        Ok(found)
    }

    /// The coefficient at `z^draws`.
    fn coefficient(&self, logs: &Logs, draws: usize) -> f64 {
        let mut sum = 0.0;
        for (angle, [size, turn]) in self.angles.iter().zip(logs).skip(1) {
            sum += exp(*size) * cos(turn - angle.theta * draws as f64);
        }
        above_zero((exp(logs[0][0]) + 2.0 * sum) / self.points as f64)
    }
}

impl Counted {
    /// The least variance of the number of draws up to one of the rows from `begin` to `end`, with so many rows of each
    /// stratum before them.
    fn least_variance(&self, below: &[f64], begin: usize, end: usize) -> f64 {
        let of = |size: f64, below: f64| if size > 0.0 { below * (1.0 - below / size) } else { 0.0 };
        let mut variance = self.sizes.iter().zip(below).map(|(&size, &below)| of(size, below)).sum::<f64>();
        let mut least = f64::INFINITY;
        // A row changes the variance by 1 - (2 below + 1)/size of its stratum; its own stratum alone knows `below`.
        let mut taken = vec![0.0; below.len()];
        for &stratum in &self.of[begin..end] {
            let stratum = stratum as usize;
            let so_far = below[stratum] + taken[stratum];
            variance += 1.0 - (2.0 * so_far + 1.0) / self.sizes[stratum];
            taken[stratum] += 1.0;
            if variance < least {
                least = variance;
            }
        }
        least
    }
}

/// Adds `times` the logarithm of `(a z + b)^n` of a stratum at each point, with `a = below/n` and `b = 1 - passed/n`.
fn add(angles: &[Angle], logs: &mut Logs, times: f64, (n, below, passed): (f64, f64, f64)) {
    let (a, b) = (below / n, (n - passed) / n);
    let all = (n - (passed - below)) / n;
    let (mass, product) = (log(all), a * b / (all * all));
    for (point, [size, turn]) in angles.iter().zip(logs) {
        let lost = product * point.chord;
        let less = if lost < 1.0 { 0.5 * log1p(-lost) } else { -NOTHING };
        *size += times * n * (mass + less);
        *turn += times * n * angle(a * point.sin, a * point.cos + b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::binomial;

    fn place(n: usize, rank: usize, part: f64) -> Place {
        Place { n, rank, part }
    }

    fn up_to(listed: &[(f64, f64)], limit: f64) -> f64 {
        listed.iter().filter(|pair| pair.0 <= limit + 1e-9).map(|pair| pair.1).sum()
    }

    fn listed(of: Vec<u32>, count: usize, place: Place, values: &[f64]) -> Vec<(f64, f64)> {
        let mut sizes = vec![0.0; count];
        for &stratum in &of {
            sizes[stratum as usize] += 1.0;
        }
        Counted { of, sizes }.distribution(place, values, &mut Pace::new(&mut |_| true)).unwrap()
    }

    /// Every resample of rows in strata.
    fn enumerated(of: &[u32], place: Place, values: &[f64]) -> Vec<(f64, f64)> {
        let n = of.len();
        let members: Vec<Vec<usize>> =
            of.iter().map(|s| (0..n).filter(|&row| of[row] == *s).collect()).collect();
        let all: usize = members.iter().map(Vec::len).product();
        (0..all)
            .map(|mut code| {
                let mut drawn: Vec<usize> = members
                    .iter()
                    .map(|members| {
                        let row = members[code % members.len()];
                        code /= members.len();
                        row
                    })
                    .collect();
                drawn.sort_unstable();
                let next = values[drawn[(place.rank + 1).min(n - 1)]];
                (between(values[drawn[place.rank]], next, place.part), 1.0 / all as f64)
            })
            .collect()
    }

    #[test]
    fn it_is_the_distribution_over_all_resamples() {
        let values = [1.0, 2.5, 3.0, 7.0, 8.5, 20.0, 21.0];
        for of in [[0, 1, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 2, 1, 0, 0]] {
            for (rank, part) in [(0, 0.0), (0, 0.4), (2, 0.5), (3, 0.0), (3, 0.25), (5, 0.9), (6, 0.0)] {
                let place = place(7, rank, part);
                let found = listed(of.to_vec(), 3, place, &values);
                let all = enumerated(&of, place, &values);
                for limit in all.iter().map(|pair| pair.0) {
                    let (got, want) = (up_to(&found, limit), up_to(&all, limit));
                    assert!((got - want).abs() < 1e-13, "{of:?}, {rank}, {part}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn one_stratum_is_binomial_for_any_number_of_rows() {
        for (n, rank) in [(7, 3), (100, 50), (2000, 30), (5001, 2500), (20_000, 19_990)] {
            let values: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let found = listed(vec![0; n], 1, place(n, rank, 0.0), &values);
            for i in (0..n).step_by(n / 50 + 1) {
                let want = binomial::sf(rank as u64, n as u64, (i + 1) as f64 / n as f64);
                assert!((up_to(&found, i as f64) - want).abs() < 2e-14, "{n} {rank} {i}");
            }
        }
    }

    #[test]
    fn strata_apart_leave_few_rows() {
        let n = 4000;
        let values: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let of: Vec<u32> = (0..n).map(|i| u32::from(i >= 1990)).collect();
        // The order statistic at 1989 is the largest draw of the first 1,990 rows.
        let found = listed(of, 2, place(n, 1989, 0.0), &values);
        for back in 0..20 {
            let want = crate::math::powi(1.0 - f64::from(back) / 1990.0, 1990);
            assert!((up_to(&found, f64::from(1989 - back)) - want).abs() < 1e-13, "{back}");
        }
    }
}
