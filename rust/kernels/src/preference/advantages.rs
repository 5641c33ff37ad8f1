//! Advantages of answers: rewards less a baseline, within groups of answers to one prompt, or along the tokens of an answer.

use crate::exact::Sum;
use crate::grid::{CHUNK, Pace, Progress, Stopped, fill_chunks};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// How rewards of a group are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// With the mean of the others, `r - (S - r) / (k - 1)`; else with the mean of all.
    pub leave_one_out: bool,
    /// Whether the result is divided by the standard deviation of the group's rewards.
    pub scaled: bool,
    /// What is subtracted from the number of rewards in that standard deviation.
    pub ddof: usize,
    /// What is added to it.
    pub epsilon: f64,
}

/// Advantages within groups, and the numbers of groups that have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// The advantage of each reward.
    pub advantages: Vec<f64>,
    /// The groups that have too few rewards for a comparison; their advantages are 0.
    pub alone: usize,
    /// The other groups whose rewards are all equal; their advantages are 0.
    pub equal: usize,
}

/// Compares each reward with its group; `groups[i]` in `0..count` is that of reward i.
///
/// Means and sums of squares are exact sums rounded once, so that the results do not depend on the order of the rows.
/// Where the squares of a group's deviations leave the range of f64, its advantages are NaN.
pub fn within_groups(
    rewards: &[f64],
    groups: &[i64],
    count: usize,
    comparison: Comparison,
    progress: Progress<'_>,
) -> Result<Compared, Stopped> {
    let mut pace = Pace::new(progress);
    let (order, ends) = by_group(groups, count, &mut pace)?;
    let mut compared = Compared { advantages: memory::filled(rewards.len(), 0.0)?, alone: 0, equal: 0 };
    let mut start = 0;
    for end in ends {
        let rows = &order[start..end];
        start = end;
        if rows.is_empty() {
            continue;
        }
        let needed = if comparison.leave_one_out { 2 } else { 1 };
        let needed = if comparison.scaled { needed.max(comparison.ddof + 1) } else { needed };
        let equal = rows.iter().all(|&row| rewards[row] == rewards[rows[0]]);
        if rows.len() < needed.max(2) {
            compared.alone += 1;
        } else if equal {
            compared.equal += 1;
        } else {
            scalar(|| compare(rewards, rows, comparison, &mut compared.advantages));
        }
        for _ in rows {
            pace.step()?;
        }
    }
    Ok(compared)
}

/// The rows of all groups, one group after the other, and where each group ends.
fn by_group(groups: &[i64], count: usize, pace: &mut Pace<'_>) -> Result<(Vec<usize>, Vec<usize>), Stopped> {
    let mut ends = memory::filled(count, 0)?;
    for &group in groups {
        ends[group as usize] += 1;
        pace.step()?;
    }
    let mut total = 0;
    for end in &mut ends {
        let size = *end;
        *end = total; // for now where the group begins
        total += size;
    }
    let mut order = memory::filled(groups.len(), 0)?;
    for (row, &group) in groups.iter().enumerate() {
        let next = &mut ends[group as usize];
        order[*next] = row;
        *next += 1;
        pace.step()?;
    }
    Ok((order, ends))
}

/// Writes the advantages of one group of at least two rewards that are not all equal.
fn compare(rewards: &[f64], rows: &[usize], comparison: Comparison, advantages: &mut [f64]) {
    let mut sum = Sum::new();
    for &row in rows {
        sum.add(rewards[row]);
    }
    let k = rows.len();
    let mean = sum.over(k as u64);
    let mut factor = if comparison.leave_one_out { k as f64 / (k - 1) as f64 } else { 1.0 };
    if comparison.scaled {
        let (mut squares, mut held) = (Sum::new(), true);
        for &row in rows {
            let apart = rewards[row] - mean;
            let square = apart * apart;
            held &= square <= f64::MAX;
            squares.add(if held { square } else { 0.0 });
        }
        factor = if held { factor } else { f64::NAN };
        factor /= squares.over((k - comparison.ddof) as u64).sqrt() + comparison.epsilon;
    }
    for &row in rows {
        advantages[row] = (rewards[row] - mean) * factor;
    }
}

/// Rewards along answers, as rows of `width` tokens.
#[derive(Clone, Copy)]
pub struct Trajectories<'a> {
    /// The number of tokens of a row.
    pub width: usize,
    /// The rewards of tokens.
    pub rewards: &'a [f64],
    /// The values of the states in which the tokens were written.
    pub values: &'a [f64],
    /// The value of the state after each answer; empty where that is 0.
    pub last: &'a [f64],
    /// Which tokens count: 0 for those that do not; empty where all do.
    pub counted: &'a [u8],
    /// How many tokens of each row belong to the answer; empty where all do.
    pub lengths: &'a [i64],
    /// The discount of a step.
    pub gamma: f64,
    /// The weight of longer looks ahead.
    pub lambda: f64,
}

/// Generalized advantage estimation (Schulman et al. 2016): with `d = reward + gamma value' - value`, where `value'` is that
/// of the next token that counts, `advantage = d + gamma lambda advantage'`. Writes advantages, and returns, which are
/// `advantage + value`; both are 0 for tokens that do not count. `progress` gets the number of rows done.
pub fn along_tokens(
    of: Trajectories<'_>,
    advantages: &mut [f64],
    returns: &mut [f64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let size = CHUNK.checked_div(of.width).unwrap_or(0).max(1);
    let part = (size * of.width).max(1);
    let rows = of.rewards.len().checked_div(of.width).unwrap_or(0);
    let items = memory::collected(advantages.chunks_mut(part).zip(returns.chunks_mut(part)))?;
    let mut rows_done = |done: usize| progress((done * size).min(rows));
    fill_chunks(items, size_of_val(of.rewards) * 4, &mut rows_done, |index, (advantages, returns)| {
        dispatch(Along { of, first: index * size, advantages, returns });
    })?;
    Ok(())
}

/// The rows from `first` on, as many as the columns hold.
struct Along<'a> {
    of: Trajectories<'a>,
    first: usize,
    advantages: &'a mut [f64],
    returns: &'a mut [f64],
}

impl Kernel for Along<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Along { of, first, advantages, returns } = self;
        let rows = advantages.chunks_mut(of.width).zip(returns.chunks_mut(of.width));
        for (row, (advantages, returns)) in rows.enumerate() {
            let (row, start) = (first + row, (first + row) * of.width);
            let length = of.lengths.get(row).map_or(of.width, |&length| length.max(0) as usize);
            let mut next = of.last.get(row).copied().unwrap_or(0.0);
            let mut ahead = 0.0;
            for t in (0..of.width).rev() {
                let at = start + t;
                if t >= length || of.counted.get(at) == Some(&0) {
                    advantages[t] = 0.0;
                    returns[t] = 0.0;
                    continue;
                }
                let surprise = of.rewards[at] + of.gamma * next - of.values[at];
                ahead = surprise + of.gamma * of.lambda * ahead;
                next = of.values[at];
                advantages[t] = ahead;
                returns[t] = ahead + next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Comparison = Comparison { leave_one_out: false, scaled: false, ddof: 1, epsilon: 0.0 };

    fn compared(rewards: &[f64], groups: &[i64], comparison: Comparison) -> Compared {
        within_groups(rewards, groups, 3, comparison, &mut |_| true).unwrap()
    }

    #[test]
    fn groups_of_one_and_groups_without_spread_get_zeros_and_are_counted() {
        let (rewards, groups) = ([0.1, 3.0, 0.1, 7.0, 1.0, 0.1], [0, 1, 0, 2, 1, 0]);
        for comparison in
            [PLAIN, Comparison { leave_one_out: true, ..PLAIN }, Comparison { scaled: true, ..PLAIN }]
        {
            let got = compared(&rewards, &groups, comparison);
            assert_eq!((got.alone, got.equal), (1, 1));
            let size = got.advantages[1];
            assert!(size > 0.0);
            assert_eq!(got.advantages, [0.0, size, 0.0, 0.0, -size, 0.0]);
        }
    }

    #[test]
    fn the_baseline_may_leave_the_answer_out() {
        let got = compared(&[1.0, 2.0, 6.0], &[0; 3], Comparison { leave_one_out: true, ..PLAIN });
        assert_eq!(got.advantages, [-3.0, -1.5, 4.5]);
        let scaled = Comparison { scaled: true, ddof: 0, ..PLAIN };
        assert_eq!(compared(&[1.0, 3.0], &[2; 2], scaled).advantages, [-1.0, 1.0]);
    }

    #[test]
    fn tokens_that_do_not_count_are_skipped() {
        let (rewards, values) = ([1.0, 9.0, 2.0, 9.0], [0.5, 9.0, 0.25, 9.0]);
        let of = Trajectories {
            width: 4,
            rewards: &rewards,
            values: &values,
            last: &[4.0],
            counted: &[1, 0, 1, 1],
            lengths: &[3],
            gamma: 0.5,
            lambda: 0.5,
        };
        let (mut advantages, mut returns) = ([7.0; 4], [7.0; 4]);
        along_tokens(of, &mut advantages, &mut returns, &mut |_| true).unwrap();
        assert_eq!(advantages, [1.5625, 0.0, 3.75, 0.0]);
        assert_eq!(returns, [2.0625, 0.0, 4.0, 0.0]);
    }
}
