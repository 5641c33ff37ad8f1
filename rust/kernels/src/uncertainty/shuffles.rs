//! Random permutations, where there are too many to count, and the test that two columns are independent.
//!
//! The hypothesis makes every order of one column equally likely beside the other. The statistic is the sum of the products
//! x times y about the means, of which the correlation is an increasing function; of ranks, Spearman's. With `drawn` random
//! orders the p is (1 + #{as far out})/(1 + drawn): the observed order is one of them (Phipson and Smyth 2010).

use super::ordered::Sorted;
use super::sign_flip::{scaled, scaling};
use super::unpaired::WAYS;
use crate::grid::{self, Pace, Progress, Stopped};
use crate::intervals::Alternative;
use crate::memory::{self, NoMemory};
use crate::named;
use crate::random::{Domain, Reader, Stream};
use crate::simd::scalar;

named! {
    /// The test that two columns are independent.
    pub enum Of: "independence.test" {
        /// All orders of the values, or random ones: Pearson's correlation.
        Values = "permutation" { title: "permutation", source: "Pitman 1937" },
        /// The same of the ranks, where equal values share their mean rank: Spearman's correlation.
        Ranks = "rank-permutation" { title: "permutation of ranks", source: "Spearman 1904" },
    }
}

/// As many random orders are drawn.
pub const DRAWN: usize = 9_999;
/// The most rows that are shuffled: one order is a chunk of work, and more rows would keep an interrupt waiting.
pub const MOST: usize = 1 << 18;
/// Sums that differ by at most this share of their scale are equal: 2^-40.
const SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// A p-value from permutations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shuffled {
    /// The p-value.
    pub p: f64,
    /// How many random orders were drawn; 0 where all were counted.
    pub drawn: usize,
}

/// The p-value of the one-sided shares of orders with a sum as small and as large as the observed one.
pub(super) fn p_of([less, greater]: [f64; 2], alternative: Alternative) -> f64 {
    let p = match alternative {
        Alternative::Less => less,
        Alternative::Greater => greater,
        Alternative::TwoSided => 2.0 * if less < greater { less } else { greater },
    };
    if p < 1.0 { p } else { 1.0 }
}

/// How far [`independence`] has to go, in units of its `progress`.
pub fn steps(rows: usize) -> usize {
    match orders(rows) {
        Some(orders) => orders as usize,
        None => grid::chunks(DRAWN, each(rows)),
    }
}

/// The number of all orders; `None` where they are too many to count.
fn orders(rows: usize) -> Option<u64> {
    (1..=rows as u64).try_fold(1u64, |all, i| all.checked_mul(i).filter(|&all| all <= WAYS))
}

/// Random orders in a chunk of work.
fn each(rows: usize) -> usize {
    (MOST / rows).max(1)
}

/// The test that `x` and `y`, finite and of one length, are independent; `None` for more than [`MOST`] rows.
pub fn independence(
    x: &[f64],
    y: &[f64],
    of: Of,
    alternative: Alternative,
    seed: u64,
    progress: Progress<'_>,
) -> Result<Option<Shuffled>, Stopped> {
    if x.len() > MOST {
        return Ok(None);
    }
    let (x, y) = match of {
        Of::Values => (scalar(|| centred(x))?, scalar(|| centred(y))?),
        Of::Ranks => {
            let mut tell = |_| progress(0); // sorting is not counted
            (ranks(x, &mut tell)?, ranks(y, &mut tell)?)
        }
    };
    let scale =
        scalar(|| x.iter().map(|v| v * v).sum::<f64>().sqrt() * y.iter().map(|v| v * v).sum::<f64>().sqrt());
    let slack = SLACK * scale;
    if scale == 0.0 {
        return Ok(Some(Shuffled { p: 1.0, drawn: 0 }));
    }
    if let Some(orders) = orders(x.len()) {
        let [less, greater] = scalar(|| every_order(&x, &y, slack, progress))?;
        let shares = scalar(|| [less, greater].map(|count| count as f64 / orders as f64));
        return Ok(Some(Shuffled { p: p_of(shares, alternative), drawn: 0 }));
    }
    let shares = drawn(&y, Weights::Of(&x), slack, seed, progress)?;
    Ok(Some(Shuffled { p: p_of(shares, alternative), drawn: DRAWN }))
}

/// Twice the rank of each value about the mean rank; equal values share their mean rank. They are whole numbers.
fn ranks(x: &[f64], progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
    let sorted = Sorted::new(&x, None, progress)?;
    let (mut all, mut start) = (memory::filled(x.len(), 0.0)?, 0);
    for (i, entry) in sorted.entries.iter().enumerate() {
        if entry.last() {
            let rank = (start + i + 1) as f64 - x.len() as f64;
            sorted.entries[start..=i].iter().for_each(|tied| all[tied.row()] = rank);
            start = i + 1;
        }
    }
    Ok(all)
}

/// The values less their mean, scaled by a power of two so that products do not overflow.
fn centred(x: &[f64]) -> Result<Vec<f64>, NoMemory> {
    let largest = x.iter().fold(0.0, |top, v| if v.abs() > top { v.abs() } else { top });
    let scale = scaling(largest);
    let mut all = memory::collected(x.iter().map(|&v| scaled(v, scale)))?;
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    for v in &mut all {
        *v -= mean;
    }
    let top = all.iter().fold(0.0, |top, v| if v.abs() > top { v.abs() } else { top });
    if top <= SLACK * scaled(largest, scale) {
        all.fill(0.0); // equal but for rounding
    }
    Ok(all)
}

/// How many orders of `y` have a sum of products up to, and from, the observed one.
fn every_order(x: &[f64], y: &[f64], slack: f64, progress: Progress<'_>) -> Result<[u64; 2], Stopped> {
    let (n, mut pace) = (x.len(), Pace::new(progress));
    let observed = x.iter().zip(y).map(|(a, b)| a * b).fold(0.0, |sum, v| sum + v);
    let (mut less, mut greater) = (0u64, 0u64);
    // order[i] is the row of y beside row i of x; sums[i] is the sum over the first i rows.
    let mut order = memory::collected(0..n)?;
    let mut sums = memory::filled(n + 1, 0.0)?;
    let mut from = 0;
    loop {
        for i in from..n {
            sums[i + 1] = sums[i] + x[i] * y[order[i]];
        }
        less += u64::from(sums[n] <= observed + slack);
        greater += u64::from(sums[n] >= observed - slack);
        pace.step()?;
        // The next order in the alphabet: the last place that can grow does, and the rest is turned round.
        let Some(i) = (1..n).rev().find(|&i| order[i - 1] < order[i]) else { break };
        let last = (i..n).rev().find(|&j| order[j] > order[i - 1]).unwrap_or(i);
        order.swap(i - 1, last);
        order[i..].reverse();
        from = i - 1;
    }
    Ok([less, greater])
}

/// What the shuffled values are multiplied by.
#[derive(Clone, Copy)]
pub(super) enum Weights<'a> {
    /// The first values by these.
    Of(&'a [f64]),
    /// So many of them by 1.
    Ones(usize),
}

/// The shares of [`DRAWN`] random orders of `y`, and the observed one, whose sum is up to, and from, the observed one.
pub(super) fn drawn(
    y: &[f64],
    weights: Weights<'_>,
    slack: f64,
    seed: u64,
    progress: Progress<'_>,
) -> Result<[f64; 2], Stopped> {
    let count = match weights {
        Weights::Of(x) => x.len(),
        Weights::Ones(count) => count,
    };
    let weight = |i: usize| match weights {
        Weights::Of(x) => x[i],
        Weights::Ones(_) => 1.0,
    };
    let observed = scalar(|| (0..count).map(|i| weight(i) * y[i]).fold(0.0, |sum, v| sum + v));
    let [most, least] = scalar(|| [observed + slack, observed - slack]);
    let each = each(y.len());
    let bytes = DRAWN * y.len() * 16;
    let found = grid::map_chunks(grid::chunks(DRAWN, each), bytes, progress, |chunk| {
        let (mut less, mut greater) = (0u64, 0u64);
        let mut values = memory::with_capacity(y.len())?;
        for draw in grid::chunk(chunk, DRAWN, each) {
            let mut numbers = Reader::new(Stream::new(seed, Domain::Permutation, draw as u32));
            values.clear();
            values.extend_from_slice(y);
            let sum = scalar(|| {
                let mut sum = 0.0;
                for i in 0..count {
                    values.swap(i, i + numbers.below((y.len() - i) as u64) as usize);
                    sum += weight(i) * values[i];
                }
                sum
            });
            less += u64::from(sum <= most);
            greater += u64::from(sum >= least);
        }
        Ok::<_, NoMemory>([less, greater])
    })?;
    let mut totals = [1u64; 2]; // the observed order
    for part in found {
        let [less, greater] = part?;
        totals = [totals[0] + less, totals[1] + greater];
    }
    Ok(scalar(|| totals.map(|count| count as f64 / (DRAWN + 1) as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(x: &[f64], y: &[f64], alternative: Alternative) -> Shuffled {
        independence(x, y, Of::Values, alternative, 0, &mut |_| true).unwrap().unwrap()
    }

    #[test]
    fn all_orders_of_few_rows_are_counted() {
        // Only one of the 24 orders is as increasing.
        let (x, y) = ([1.0, 2.0, 3.0, 4.0], [0.1, 0.5, 0.6, 2.0]);
        assert_eq!(p(&x, &y, Alternative::Greater), Shuffled { p: 1.0 / 24.0, drawn: 0 });
        assert_eq!(p(&x, &y, Alternative::TwoSided), Shuffled { p: 2.0 / 24.0, drawn: 0 });
        assert_eq!(p(&x, &y, Alternative::Less).p, 1.0);
        assert_eq!(p(&x, &[7.0; 4], Alternative::TwoSided), Shuffled { p: 1.0, drawn: 0 });
    }

    #[test]
    fn ranks_are_those_of_the_values_and_ties_share_theirs() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 9.0], &mut |_| true).unwrap(), [0.0, -3.0, 0.0, 3.0]);
    }

    #[test]
    fn random_orders_come_near_to_all_of_them() {
        let x: Vec<f64> = (0..9u32).map(|i| f64::from(i * i % 11)).collect();
        let y: Vec<f64> = (0..9u32).map(|i| f64::from(i * 5 % 7)).collect();
        let exact = p(&x, &y, Alternative::Greater).p;
        let (a, b) = (centred(&x).unwrap(), centred(&y).unwrap());
        let [_, greater] = drawn(&b, Weights::Of(&a), 1e-12, 3, &mut |_| true).unwrap();
        assert!(
            (greater - exact).abs() < 4.0 * (exact * (1.0 - exact) / DRAWN as f64).sqrt(),
            "{greater} {exact}"
        );
    }
}
