//! What k of the n answers to a problem would give, from all n: `pass@k` and `maj@k`, both without bias.
//!
//! A problem was answered n times. The k answers are drawn from these n without replacement, every set of k alike, and
//! the chance over the draws is computed exactly; nothing is simulated.

use crate::grid::{Pace, Progress, Stopped};
use crate::math::binomial;
use crate::memory;
use crate::simd::scalar;

/// The chance that at least one of k answers is right, for each problem: `1 - C(n - c, k) / C(n, k)` with c of n
/// answers right (Chen et al., arXiv 2107.03374).
///
/// The quotient is the product of `(i - k) / i` over `n - c < i <= n`, or, which is the same and shorter where c > k, of
/// `(n - c - j) / (n - j)` over `0 <= j < k`: no binomial coefficient that could overflow is computed, and the error is
/// below `min(c, k)` 2^-52. NaN where k is 0 or more than n, or c more than n.
pub fn pass_at(right: &[u64], tried: &[u64], k: u64, progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
    let mut pace = Pace::new(progress);
    let mut chances = memory::with_capacity(right.len())?;
    for (&c, &n) in right.iter().zip(tried) {
        let none = none_right(c, n, k, &mut pace)?;
        chances.push(scalar(|| 1.0 - none));
    }
    Ok(chances)
}

/// The chance that none of k answers is right.
fn none_right(c: u64, n: u64, k: u64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
    if k == 0 || k > n || c > n {
        return Ok(f64::NAN);
    }
    if n - c < k {
        return Ok(0.0); // there are fewer than k wrong answers
    }
    // Both products are of `terms` quotients (n - a - j) / (n - j) with `a` the larger of c and k.
    let (terms, a) = if c < k { (c, k) } else { (k, c) };
    let mut product = 1.0;
    for j in 0..terms {
        scalar(|| product *= (n - a - j) as f64 / (n - j) as f64);
        pace.step()?;
    }
    Ok(product)
}

/// The answers to one problem, counted.
#[derive(Clone, Copy, Debug)]
pub struct Votes<'a> {
    /// How many of the answers are right.
    pub right: u64,
    /// How many times each of the wrong answers was given, above 0.
    pub wrong: &'a [u64],
    /// How many answers there are; those that are neither right nor counted in `wrong` are blank and vote for nothing.
    pub tried: u64,
}

/// The chance that the right answer has the most votes among k answers; an answer that ties with t others for the most
/// votes wins 1 of t + 1 times. NaN where k is 0 or more than there are answers. The error is below 1e-11.
///
/// For every number j of votes for the right answer: the wrong answers are taken one after the other, each gets at most
/// j of the votes that are left (hypergeometric chances), and those that get j are counted as ties.
pub fn majority_at(votes: Votes<'_>, k: u64, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
    let given = votes.wrong.iter().fold(votes.right, |sum, &m| sum.saturating_add(m));
    if k == 0 || k > votes.tried || given > votes.tried {
        return Ok(f64::NAN);
    }
    if k == 1 {
        return Ok(scalar(|| votes.right as f64 / votes.tried as f64));
    }
    let k = k as usize; // there are k answers in memory
    let draws = Draws::of(votes, k, pace)?;
    let mut chance = 0.0;
    for j in 1..=k.min(votes.right as usize) {
        let with_j = draws.right[j];
        if with_j > 0.0 {
            let wins = draws.wins(j, k - j, pace)?;
            scalar(|| chance += with_j * wins);
        }
    }
    Ok(if chance > 1.0 { 1.0 } else { chance })
}

/// The chances of every number of votes: for the right answer of k draws, and for each wrong answer, taken in turn, of
/// the draws that are left.
struct Draws {
    right: Vec<f64>,
    wrong: Vec<Table>,
}

/// `chance[left * width + v]`: the chance of v votes when `left` draws are left.
struct Table {
    chance: Vec<f64>,
    width: usize,
}

impl Draws {
    fn of(votes: Votes<'_>, k: usize, pace: &mut Pace<'_>) -> Result<Self, Stopped> {
        let right = chances(votes.right, votes.tried, k, pace)?;
        let mut rest = votes.tried - votes.right;
        let mut wrong = memory::with_capacity(votes.wrong.len())?;
        for &m in votes.wrong {
            let width = k.min(m as usize) + 1;
            let cells = width.saturating_mul(k + 1);
            let mut chance = memory::filled(cells, 0.0)?;
            for (left, row) in chance.chunks_exact_mut(width).enumerate() {
                if left as u64 <= rest {
                    let of = chances(m, rest, left, pace)?;
                    row[..of.len()].copy_from_slice(&of);
                }
            }
            wrong.push(Table { chance, width });
            rest -= m;
        }
        Ok(Self { right, wrong })
    }

    /// The chance that the right answer wins with j votes, when the other draws are `left`.
    fn wins(&self, j: usize, left: usize, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let most_ties = left / j;
        let ways = most_ties + 1;
        // at[left * ways + ties]: the chance that so many draws are left and so many wrong answers have j votes.
        let mut at = memory::filled((left + 1) * ways, 0.0)?;
        let mut next = memory::filled((left + 1) * ways, 0.0)?;
        at[left * ways] = 1.0;
        for table in &self.wrong {
            next.fill(0.0);
            scalar(|| table.step(&at, &mut next, j, ways));
            std::mem::swap(&mut at, &mut next);
            pace.stride(at.len())?;
        }
        let mut chance = 0.0;
        scalar(|| {
            for row in at.chunks_exact(ways) {
                for (ties, &of) in row.iter().enumerate() {
                    chance += of / (ties + 1) as f64;
                }
            }
        });
        Ok(chance)
    }
}

impl Table {
    /// Gives this wrong answer its votes, at most j of them.
    fn step(&self, at: &[f64], next: &mut [f64], j: usize, ways: usize) {
        for (left, from) in at.chunks_exact(ways).enumerate() {
            let row = &self.chance[left * self.width..][..self.width];
            for (v, &chance) in row.iter().enumerate().take(j.min(left) + 1) {
                let to = &mut next[(left - v) * ways..][..ways];
                let tie = usize::from(v == j);
                for (ties, &of) in from.iter().enumerate().take(ways - tie) {
                    to[ties + tie] += of * chance;
                }
            }
        }
    }
}

/// The chances of 0, 1, ... votes for an answer that is `m` of `n`, of `k` draws without replacement.
///
/// The hypergeometric chance is a quotient of binomial ones (Loader 2000): b(v; m, p) b(k - v; n - m, p) / b(k; n, p)
/// with p = k/n, which neither overflows nor cancels.
fn chances(m: u64, n: u64, k: usize, pace: &mut Pace<'_>) -> Result<Vec<f64>, Stopped> {
    let k = k as u64;
    let most = m.min(k);
    let mut of = memory::with_capacity(most as usize + 1)?;
    let p = if n == 0 { 0.0 } else { scalar(|| k as f64 / n as f64) };
    let all = binomial::pmf(k, n, p);
    for v in 0..=most {
        let rest = k - v;
        let chance = || binomial::pmf(v, m, p) * binomial::pmf(rest, n - m, p) / all;
        of.push(if rest > n - m { 0.0 } else { scalar(chance) });
        pace.step()?;
    }
    Ok(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(c: u64, n: u64, k: u64) -> f64 {
        pass_at(&[c], &[n], k, &mut |_| true).unwrap()[0]
    }

    fn majority(right: u64, wrong: &[u64], tried: u64, k: u64) -> f64 {
        majority_at(Votes { right, wrong, tried }, k, &mut Pace::new(&mut |_| true)).unwrap()
    }

    #[test]
    fn pass_at_one_is_the_share_of_right_answers() {
        assert_eq!((pass(0, 10, 1), pass(10, 10, 1), pass(1, 4, 1)), (0.0, 1.0, 0.25));
        assert!((pass(37, 200, 1) - 0.185).abs() < 1e-15);
    }

    #[test]
    fn pass_at_k_equals_binomial_coefficients() {
        // 1 - C(7, 5) / C(10, 5) = 1 - 21/252, and 1 - C(3, 2) / C(10, 2) = 1 - 3/45.
        assert!((pass(3, 10, 5) - (1.0 - 21.0 / 252.0)).abs() < 1e-15);
        assert!((pass(7, 10, 2) - (1.0 - 3.0 / 45.0)).abs() < 1e-15);
        assert_eq!(pass(7, 10, 4), 1.0);
        assert!(pass(1, 3, 4).is_nan() && pass(1, 3, 0).is_nan() && pass(4, 3, 1).is_nan());
    }

    #[test]
    fn a_majority_of_one_is_the_share_of_right_answers() {
        assert!((majority(3, &[2, 4], 10, 1) - 0.3).abs() < 1e-12);
        assert_eq!(majority(0, &[2, 4], 6, 3), 0.0);
        assert!((majority(5, &[], 5, 5) - 1.0).abs() < 1e-12);
        assert!((majority(2, &[], 5, 1) - 0.4).abs() < 1e-12); // three blank answers
    }

    #[test]
    fn ties_are_split() {
        // All four drawn: two right, two wrong of one kind.
        assert!((majority(2, &[2], 4, 4) - 0.5).abs() < 1e-12);
        // Three different answers, all drawn: each wins a third of the time.
        assert!((majority(1, &[1, 1], 3, 3) - 1.0 / 3.0).abs() < 1e-12);
        // Two of three right and one wrong, two drawn: both right 1/3, else a tie.
        assert!((majority(2, &[1], 3, 2) - (1.0 / 3.0 + 2.0 / 3.0 * 0.5)).abs() < 1e-12);
    }
}
