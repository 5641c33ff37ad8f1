//! Engine E: all resamples of few values, by enumeration that meets in the middle.

use super::lattice::{Places, ROUNDING};
use super::law::{Engine, Law};
use super::ratio::PairsOf;
use super::sum::{Part, Sum};
use crate::grid::{Pace, Progress, Stopped};
use crate::math::{exp, lgamma, log, log1p};
use crate::memory;
use crate::sorting::sorted;

/// The most sums that are listed for half of the draws.
const MOST: f64 = 1_200_000.0;

/// The number of ways in which `draws` draws can be distributed over `values` values, which may be infinite.
pub fn multisets(values: usize, draws: f64) -> f64 {
    let (mut ways, more) = (1.0, values as f64 - 1.0);
    let (few, many) = if more < draws { (more, draws) } else { (draws, more) };
    let mut k = 1.0;
    while k <= few && ways < 1e15 {
        ways *= (many + k) / k;
        k += 1.0;
    }
    ways
}

/// The sums of some draws, ascending, with their probabilities.
#[derive(Clone, Debug)]
struct Listed {
    sums: Vec<f64>,
    shares: Vec<f64>,
    /// The probabilities of all sums before each one, and of all.
    before: Vec<f64>,
}

/// A distribution from two lists of sums: a resample is one of each.
#[derive(Debug)]
pub struct Enumerated {
    lists: [Listed; 2],
    /// Sums that differ by at most this are equal.
    tie: f64,
    /// The sum of the data.
    observed: f64,
    /// What turns sums into the statistic: `(origin + unit sum)/per`.
    origin: f64,
    unit: f64,
    per: f64,
}

/// How all draws are divided into two lists, each a few draws from some of the parts: the part, and how many draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Halves {
    groups: [Vec<(usize, f64)>; 2],
    /// The number of sums in the longer list.
    pub longest: f64,
}

/// The two halves of all draws, where they are few enough to be listed.
///
/// The draws of one part are halved. Several parts are dealt to the two lists, the part with the most multisets first,
/// each to the list that is shorter so far.
pub fn halves(sum: &Sum) -> Result<Option<Halves>, Stopped> {
    let ways = |at: usize, draws: f64| multisets(sum.parts[at].values.len(), draws);
    let mut halves = Halves { groups: [Vec::new(), Vec::new()], longest: 1.0 };
    if let [part] = &sum.parts[..] {
        let less = half(part.draws);
        let [long, short] = &mut halves.groups;
        memory::push(long, (0, part.draws - less))?;
        memory::push(short, (0, less))?;
        halves.longest = ways(0, part.draws - less);
    } else {
        let mut parts =
            memory::collected((0..sum.parts.len()).map(|at| (ways(at, sum.parts[at].draws), at)))?;
        parts.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut lengths = [1.0; 2];
        for (length, at) in parts {
            let shorter = usize::from(lengths[1] < lengths[0]);
            lengths[shorter] *= length;
            if lengths[shorter] > MOST {
                return Ok(None);
            }
            memory::push(&mut halves.groups[shorter], (at, sum.parts[at].draws))?;
        }
        halves.longest = if lengths[0] > lengths[1] { lengths[0] } else { lengths[1] };
    }
    Ok((halves.longest <= MOST).then_some(halves))
}

/// Half of the draws, rounded down.
fn half(draws: f64) -> f64 {
    ((draws as u64) / 2) as f64
}

/// All resamples of a sum by their [`halves`]. With `places` its values are whole numbers of steps.
pub fn enumerated(
    sum: &Sum,
    halves: &Halves,
    places: Option<&Places>,
    pace: &mut Pace<'_>,
) -> Result<Enumerated, Stopped> {
    let values = |at: usize| -> Result<Vec<f64>, Stopped> {
        let part = &sum.parts[at];
        Ok(match places {
            Some(places) => memory::copied(&places.codes[at])?,
            None => memory::collected(part.values.iter().map(|v| part.weight * (v - part.mean)))?,
        })
    };
    let mut list = |group: &[(usize, f64)]| -> Result<Listed, Stopped> {
        let mut found = memory::filled(1, (0.0, 1.0))?;
        for &(at, draws) in group {
            let own = listed(&sum.parts[at].shares, &values(at)?, draws, pace)?;
            found = added(&found, &own, pace)?;
        }
        Listed::new(found, pace)
    };
    let [long, short] = &halves.groups;
    let first = list(long)?;
    let lists = if long == short { [first.clone(), first] } else { [first, list(short)?] };
    let Some(places) = places else {
        let tie = 1e-11 * sum.spread().deviation;
        let origin = sum.value * sum.per;
        return Ok(Enumerated { lists, tie, observed: 0.0, origin, unit: 1.0, per: sum.per });
    };
    let mean = |(part, codes): (&Part, &Vec<f64>)| {
        part.draws * codes.iter().zip(&part.shares).map(|(k, p)| k * p).sum::<f64>()
    };
    let observed = sum.parts.iter().zip(&places.codes).map(mean).sum();
    let per = places.per * sum.per;
    Ok(Enumerated { lists, tie: 0.25, observed, origin: places.origin, unit: places.unit, per })
}

/// Sums with their probabilities, in any order.
type Sums = Vec<(f64, f64)>;

/// The sums of one of each list, which are drawn independently.
fn added(a: &Sums, b: &Sums, pace: &mut Pace<'_>) -> Result<Sums, Stopped> {
    let mut all = memory::with_capacity(a.len() * b.len())?;
    for &(sum, share) in a {
        all.extend(b.iter().map(|&(other, part)| (sum + other, share * part)));
        pace.stride(b.len())?;
    }
    Ok(all)
}

/// All sums of so many draws.
fn listed(shares: &[f64], values: &[f64], draws: f64, pace: &mut Pace<'_>) -> Result<Sums, Stopped> {
    let mut found = Vec::new();
    each_multiset(shares, draws as usize, &mut |times, share| {
        let sum = times.iter().zip(values).map(|(&k, value)| k as f64 * value).sum();
        memory::push(&mut found, (sum, share))?;
        pace.step()
    })?;
    Ok(found)
}

impl Listed {
    fn new(found: Sums, pace: &mut Pace<'_>) -> Result<Listed, Stopped> {
        let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
        let found = sorted(found, order, pace)?;
        let sums = memory::collected(found.iter().map(|pair| pair.0))?;
        let shares = memory::collected(found.iter().map(|pair| pair.1))?;
        let (mut all, mut before) = (0.0, memory::with_capacity(shares.len() + 1)?);
        before.push(0.0);
        for share in &shares {
            all += share;
            before.push(all);
        }
        Ok(Listed { sums, shares, before })
    }
}

/// What is done with how often each value is drawn, and the probability of that.
pub type Visit<'a> = &'a mut dyn FnMut(&[usize], f64) -> Result<(), Stopped>;

/// Calls `visit` with every way in which `draws` draws can be distributed over values, as how often each is drawn, and
/// its probability: value by value, the draws that are left are split between the value and those that follow, which is
/// a binomial choice.
pub fn each_multiset(shares: &[f64], draws: usize, visit: Visit<'_>) -> Result<(), Stopped> {
    let last = shares.len() - 1;
    let factorials = memory::gathered((0..=draws).map(|k| lgamma(k as f64 + 1.0)))?;
    let mut rest = memory::filled(shares.len() + 1, 0.0)?;
    for j in (0..shares.len()).rev() {
        rest[j] = rest[j + 1] + shares[j];
    }
    let odds = memory::collected((0..last).map(|j| {
        let share = shares[j] / rest[j];
        (log(share), log1p(-share))
    }))?;
    // How often each value is drawn, and before it the draws left and the logarithm of the probability.
    let mut times = memory::filled(shares.len(), 0usize)?;
    let mut before = memory::filled(shares.len(), (draws, 0.0))?;
    let mut next = memory::filled(shares.len(), 0usize)?;
    let mut j = 0;
    loop {
        let (left, log_share) = before[j];
        if j == last {
            times[j] = left;
            visit(&times, exp(log_share))?;
        } else if next[j] <= left {
            let k = next[j];
            let ways = factorials[left] - factorials[k] - factorials[left - k];
            let share = log_share + ways + k as f64 * odds[j].0 + (left - k) as f64 * odds[j].1;
            times[j] = k;
            next[j] += 1;
            j += 1;
            next[j] = 0;
            before[j] = (left - k, share);
            continue;
        }
        if j == 0 {
            return Ok(());
        }
        j -= 1;
    }
}

/// The quotients of the sums of all resamples of pairs in strata, with their probabilities.
pub fn listed_pairs(strata: &[PairsOf], pace: &mut Pace<'_>) -> Result<Vec<(f64, f64)>, Stopped> {
    let mut all = memory::filled(1, (0.0, 0.0, 1.0))?;
    for pairs in strata {
        let mut own = Vec::new();
        each_multiset(&pairs.shares, pairs.draws as usize, &mut |times, share| {
            let (mut a, mut b) = (0.0, 0.0);
            for (&k, (x, y)) in times.iter().zip(pairs.a.iter().zip(&pairs.b)) {
                a += k as f64 * x;
                b += k as f64 * y;
            }
            memory::push(&mut own, (a, b, share))?;
            pace.step()
        })?;
        let mut joined = memory::with_capacity(all.len() * own.len())?;
        for &(a, b, share) in &all {
            joined.extend(own.iter().map(|&(x, y, part)| (a + x, b + y, share * part)));
            pace.stride(own.len())?;
        }
        all = joined;
    }
    Ok(memory::collected(all.into_iter().map(|(a, b, share)| (a / b, share)))?)
}

impl Enumerated {
    /// The probability of sums of at most `limit`.
    fn below(&self, limit: f64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let [a, b] = &self.lists;
        let (mut all, mut rest) = (0.0, b.sums.len());
        for (&sum, &share) in a.sums.iter().zip(&a.shares) {
            while rest > 0 && sum + b.sums[rest - 1] > limit {
                rest -= 1;
            }
            if rest == 0 {
                break;
            }
            all += share * b.before[rest];
        }
        pace.stride(a.sums.len())?;
        Ok(all)
    }

    /// The smallest sum above `limit`.
    fn next(&self, limit: f64) -> f64 {
        let [a, b] = &self.lists;
        let (mut next, mut rest) = (f64::INFINITY, b.sums.len());
        for &sum in &a.sums {
            while rest > 0 && sum + b.sums[rest - 1] > limit {
                rest -= 1;
            }
            if rest < b.sums.len() && sum + b.sums[rest] < next {
                next = sum + b.sums[rest];
            }
        }
        next
    }
}

impl Law for Enumerated {
    fn engine(&self) -> Engine {
        Engine::E
    }

    fn error(&self) -> f64 {
        ROUNDING
    }

    fn middle(&self, progress: Progress<'_>) -> Result<f64, Stopped> {
        let pace = &mut Pace::new(progress);
        let at = self.observed;
        Ok(0.5 * (self.below(at + self.tie, pace)? + self.below(at - self.tie, pace)?))
    }

    fn quantile(&self, level: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let pace = &mut Pace::new(progress);
        let level = level - ROUNDING;
        let [a, b] = &self.lists;
        let mut low = a.sums[0] + b.sums[0] - 2.0 * self.tie;
        let mut high = a.sums[a.sums.len() - 1] + b.sums[b.sums.len() - 1];
        while high - low > self.tie {
            let middle = 0.5 * (low + high);
            if self.below(middle, pace)? >= level { high = middle } else { low = middle }
        }
        Ok((self.origin + self.unit * self.next(low)) / self.per)
    }

    fn up_to(&self, value: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let pace = &mut Pace::new(progress);
        self.below((value * self.per - self.origin) / self.unit + self.tie, pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_multisets() {
        assert!((multisets(7, 7.0) / 1716.0 - 1.0).abs() < 1e-12);
        assert!((multisets(2, 1e6) / 1_000_001.0 - 1.0).abs() < 1e-12);
        assert!(multisets(1000, 1000.0) > 1e14);
    }
}
