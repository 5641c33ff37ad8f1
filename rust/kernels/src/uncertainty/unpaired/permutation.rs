//! The permutation test of two samples of graded scores, counted exactly.
//!
//! Given all N scores of both sides, every choice of k of them for one side is equally likely under the hypothesis. The
//! difference of the means is an increasing function of the sum S over that side, so that p is the share of the choices
//! whose S is as far out as the observed one. Two-sided it is twice the smaller of the one-sided ones.

use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::Alternative;
use crate::memory;
use crate::named;
use crate::simd::scalar;
use crate::uncertainty::shuffles::{DRAWN, MOST, Shuffled, Weights, drawn, p_of};
use crate::uncertainty::sign_flip::lattice::{EXACT, ROUNDED, step};
use crate::uncertainty::sign_flip::{nearest, scaled, scaling};

named! {
    /// The test of two samples of graded scores.
    pub enum ScoresTest: "scores.test" {
        /// Student's t of the difference over its standard error, with Satterthwaite's degrees of freedom.
        T = "t" { title: "Welch's t", source: "Welch 1947" },
        /// The share of all ways to deal the scores to the two sides that are as far out, counted exactly where it can be.
        Permutation = "permutation" { title: "permutation, exact", source: "Pitman 1937" },
    }
}

/// Up to this many choices are made one by one.
pub const WAYS: u64 = 1 << 22;
/// The most cells of the table of sums: 64 MB.
const CELLS: f64 = (1u64 << 23) as f64;
/// The most updates of cells.
const UPDATES: f64 = (1u64 << 32) as f64;
/// Sums that differ by at most this share of sum |x| are equal: 2^-40.
const SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// The p-value of the hypothesis that `new` and `base`, both finite, are samples of one distribution: from random choices
/// where there are too many to count, the same for every call; `None` where there are too many scores for these. The
/// scores may be off by `off` through rounding.
pub fn permutation(
    new: &[f64],
    base: &[f64],
    off: f64,
    alternative: Alternative,
    progress: Progress<'_>,
) -> Result<Option<Shuffled>, Stopped> {
    scalar(|| {
        if let Some(shares) = tails(new, base, off, progress)? {
            return Ok(Some(Shuffled { p: p_of(shares, alternative), drawn: 0 }));
        }
        if new.len() + base.len() > MOST {
            return Ok(None);
        }
        let shares = dealt(new, base, off, progress)?;
        Ok(Some(Shuffled { p: p_of(shares, alternative), drawn: DRAWN }))
    })
}

/// The shares of random choices, and the observed one, as [`tails`].
fn dealt(new: &[f64], base: &[f64], off: f64, progress: Progress<'_>) -> Result<[f64; 2], Stopped> {
    // The smaller side is chosen, and of two as long the one whose first score is smaller, so that p does not depend on which
    // is called new.
    if (new.len(), new) > (base.len(), base) {
        let [less, greater] = dealt(base, new, off, progress)?;
        return Ok([greater, less]);
    }
    let both = || new.iter().chain(base).copied();
    let largest = both().fold(0.0, |top, x| if x.abs() > top { x.abs() } else { top });
    let scale = scaling(largest);
    let n = new.len() + base.len();
    let mut x = memory::with_capacity(n)?;
    x.extend(both().map(|x| scaled(x, scale)));
    let mean = x.iter().sum::<f64>() / n as f64;
    for x in &mut x {
        *x -= mean;
    }
    let slack = SLACK * x.iter().map(|x| x.abs()).sum::<f64>() + scaled(off, scale) * new.len() as f64;
    drawn(&x, Weights::Ones(new.len()), slack, SEED, progress)
}

/// The random choices are the same in every call.
const SEED: u64 = 0;

/// The shares of the choices whose sum over `new` is at most, and at least, the observed one.
fn tails(new: &[f64], base: &[f64], off: f64, progress: Progress<'_>) -> Result<Option<[f64; 2]>, Stopped> {
    // The smaller side is chosen: there are fewer sums of few scores.
    if new.len() > base.len() {
        return Ok(tails(base, new, off, progress)?.map(|[less, greater]| [greater, less]));
    }
    let (k, n) = (new.len(), new.len() + base.len());
    let both = || new.iter().chain(base).copied();
    let (low, high) = both().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (if x < low { x } else { low }, if x > high { x } else { high })
    });
    let scale = scaling(if -low > high { -low } else { high });
    let (low, high) = (scaled(low, scale), scaled(high, scale));
    let (top, share) = (high - low, scaled(off, scale) / (high - low));
    if top <= 4.0 * scaled(off, scale) {
        return Ok(Some([1.0; 2])); // all scores are equal but for rounding
    }
    let mut x = memory::with_capacity(n)?;
    x.extend(both().map(|x| scaled(x, scale) - low));
    let tolerance = EXACT.widened(share).or_else(|| ROUNDED.widened(share));
    if let Some(step) = tolerance.and_then(|tolerance| step(&x, top, tolerance))
        && let Some(found) = on_lattice(&x, k, step, progress)?
    {
        return Ok(Some(found));
    }
    match ways(n, k) {
        Some(ways) => Ok(Some(one_by_one(&x, k, scaled(off, scale), ways, progress)?)),
        None => Ok(None),
    }
}

/// The number of choices of k of n; `None` above [`WAYS`].
fn ways(n: usize, k: usize) -> Option<u64> {
    let mut ways = 1u64;
    for i in 1..=k as u64 {
        ways = ways * (n as u64 - k as u64 + i) / i;
        if ways > WAYS {
            return None;
        }
    }
    Some(ways)
}

/// Makes every choice. The first k of `x` are the observed one.
fn one_by_one(x: &[f64], k: usize, off: f64, ways: u64, progress: Progress<'_>) -> Result<[f64; 2], Stopped> {
    let (n, mut pace) = (x.len(), Pace::new(progress));
    let mean = x.iter().sum::<f64>() / n as f64;
    let about = |i: usize| x[i] - mean;
    let slack = SLACK * (0..n).map(|i| about(i).abs()).sum::<f64>() + off * (k as f64);
    let observed = (0..k).map(about).fold(0.0, |sum, x| sum + x);
    let (mut less, mut greater) = (0u64, 0u64);
    // sums[j] is the sum of the first j chosen.
    let mut chosen = memory::collected(0..k)?;
    let mut sums = memory::filled(k + 1, 0.0)?;
    let mut from = 0;
    loop {
        for j in from..k {
            sums[j + 1] = sums[j] + about(chosen[j]);
        }
        less += u64::from(sums[k] <= observed + slack);
        greater += u64::from(sums[k] >= observed - slack);
        pace.step()?;
        // The next choice: the last index that can move on does, and those after it follow it closely.
        let Some(j) = (0..k).rev().find(|&j| chosen[j] < n - k + j) else { break };
        chosen[j] += 1;
        for i in j + 1..k {
            chosen[i] = chosen[i - 1] + 1;
        }
        from = j;
    }
    Ok([less, greater].map(|count| count as f64 / ways as f64))
}

/// Scores that are multiples of one step: the distribution of the sum of j of the first i, from that of the first i - 1:
/// the i-th is among them with probability j/i. `None` where the table would be too large.
fn on_lattice(x: &[f64], k: usize, step: f64, progress: Progress<'_>) -> Result<Option<[f64; 2]>, Stopped> {
    let n = x.len();
    let top = x.iter().fold(0.0, |top, &x| if x > top { x } else { top });
    let most = nearest(top / step);
    let total = x.iter().map(|x| nearest(x / step)).fold(0.0, |sum, x| sum + x);
    // Counted from the end of the range to which the scores are nearer, the sums are smaller.
    let turned = total > 0.5 * most * n as f64;
    let steps_of = |x: f64| if turned { most - nearest(x / step) } else { nearest(x / step) };
    let mut steps = memory::collected(x.iter().map(|&x| steps_of(x) as usize))?;
    let observed: usize = steps[..k].iter().sum();
    steps.sort_unstable();
    let widest = 1.0 + steps[n - k..].iter().map(|&s| s as f64).sum::<f64>();
    let cells = (k as f64 + 1.0) * widest;
    if cells > CELLS || cells * n as f64 > UPDATES {
        return Ok(None);
    }
    let (width, mut pace) = (widest as usize, Pace::new(progress));
    let mut table = memory::filled((k + 1) * width, 0.0)?;
    let mut reach = memory::filled(k + 1, 0usize)?; // one more than the largest sum of j so far
    (table[0], reach[0]) = (1.0, 1);
    for (i, &score) in (1..=n).zip(&steps) {
        // Of the last N - i scores at most all are chosen, so that rows of fewer than k - (N - i) are of no more use.
        let least = 1.max(k.saturating_sub(n - i));
        for j in (least..=k.min(i)).rev() {
            let (with, without) = (j as f64 / i as f64, (i - j) as f64 / i as f64);
            let (before, own) = table.split_at_mut(j * width);
            let (before, own) = (&before[(j - 1) * width..], &mut own[..width]);
            own[..reach[j]].iter_mut().for_each(|cell| *cell *= without);
            for (cell, other) in own[score..].iter_mut().zip(&before[..reach[j - 1]]) {
                *cell += with * other;
            }
            let further = reach[j - 1] + score;
            if further > reach[j] {
                reach[j] = further;
            }
            pace.stride(reach[j])?;
        }
    }
    let row = &table[k * width..];
    let [mut less, mut greater] = [0.0, 0.0];
    row[..=observed].iter().for_each(|chance| less += chance);
    row[observed..].iter().rev().for_each(|chance| greater += chance);
    Ok(Some(if turned { [greater, less] } else { [less, greater] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(new: &[f64], base: &[f64], alternative: Alternative) -> Option<f64> {
        permutation(new, base, 0.0, alternative, &mut |_| true).unwrap().map(|of| of.p)
    }

    #[test]
    fn three_of_six_by_hand() {
        // Of the 20 choices only the observed one has the largest sum.
        let (new, base) = ([0.9, 0.8, 0.7], [0.1, 0.2, 0.6]);
        assert!((p(&new, &base, Alternative::Greater).unwrap() - 0.05).abs() < 1e-15);
        assert!((p(&new, &base, Alternative::TwoSided).unwrap() - 0.1).abs() < 1e-15);
        assert!((p(&new, &base, Alternative::Less).unwrap() - 1.0).abs() < 1e-14);
        assert_eq!(p(&[0.5; 3], &[0.5; 4], Alternative::TwoSided), Some(1.0));
    }

    #[test]
    fn the_lattice_and_the_choices_one_by_one_agree() {
        let x: Vec<f64> = (0..14u32).map(|i| f64::from(i * i * 7 % 11) / 10.0).collect();
        for k in 1..=7 {
            let low: Vec<f64> = x.iter().map(|v| v * 10.0).collect();
            let table = on_lattice(&low, k, 1.0, &mut |_| true).unwrap().unwrap();
            let listed = one_by_one(&low, k, 0.0, ways(14, k).unwrap(), &mut |_| true).unwrap();
            for (a, b) in table.into_iter().zip(listed) {
                assert!((a - b).abs() < 1e-13, "{k}: {a} {b}");
            }
        }
    }

    #[test]
    fn swapping_the_sides_swaps_the_tails() {
        let (new, base) = ([0.3, 0.7, 0.8], [0.1, 0.9, 0.6, 0.2]);
        for (there, back) in [
            (Alternative::Less, Alternative::Greater),
            (Alternative::Greater, Alternative::Less),
            (Alternative::TwoSided, Alternative::TwoSided),
        ] {
            assert_eq!(p(&new, &base, there), p(&base, &new, back));
        }
    }

    #[test]
    fn too_many_choices_are_drawn() {
        let odd: Vec<f64> = (0..60u32).map(|i| f64::from(i).sqrt()).collect();
        let of = |new: &[f64], base: &[f64]| {
            permutation(new, base, 0.0, Alternative::TwoSided, &mut |_| true).unwrap().unwrap()
        };
        // Every score of one side is larger: no random choice is as far out.
        assert_eq!(of(&odd[..30], &odd[30..]), Shuffled { p: 2.0 / 10_000.0, drawn: DRAWN });
        assert_eq!(of(&odd[..3], &odd[3..]).drawn, 0);
        let tenths: Vec<f64> = (0..60u32).map(|i| f64::from(i * i % 11) / 10.0).collect();
        assert_eq!(of(&tenths[..30], &tenths[30..]).drawn, 0);
        let (even, uneven) =
            (odd.iter().step_by(2).copied().collect::<Vec<_>>(), odd.iter().skip(1).step_by(2));
        let uneven: Vec<f64> = uneven.copied().collect();
        let (there, back) = (of(&even, &uneven), of(&uneven, &even));
        assert!(there == back && there.p > 0.3, "{there:?}");
    }
}
