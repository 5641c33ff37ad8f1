//! The pairs of policy and reference that have the same rank, for `aot`.

use super::Pairs;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd::{Element, scalar};
use crate::sorting::rows_by_value;

/// For each pair the row of the pair whose rank under the reference equals its own under the policy. Ranks are those of
/// the chosen log-probability less the rejected one, equal ones in the order of the rows.
pub fn of_equal_rank<T: Element>(pairs: Pairs<'_, T>, progress: Progress<'_>) -> Result<Vec<i64>, Stopped> {
    let mut pace = Pace::new(progress);
    let policy = ranked(pairs.policy_chosen, pairs.policy_rejected, &mut pace)?;
    let reference = ranked(pairs.reference_chosen, pairs.reference_rejected, &mut pace)?;
    let mut rows = memory::filled(policy.len(), 0)?;
    for (&row, &other) in policy.iter().zip(&reference) {
        rows[row as usize] = i64::from(other);
        pace.step()?;
    }
    Ok(rows)
}

/// The rows in ascending order of the difference of the columns.
fn ranked<T: Element>(chosen: &[T], rejected: &[T], pace: &mut Pace<'_>) -> Result<Vec<u32>, Stopped> {
    let mut differences = memory::filled(chosen.len(), 0.0)?;
    for ((difference, chosen), rejected) in differences.iter_mut().zip(chosen).zip(rejected) {
        // The sum with 0 has no negative zero, which would be sorted before a positive one.
        *difference = scalar(|| chosen.to_f64() - rejected.to_f64() + 0.0);
        pace.step()?;
    }
    rows_by_value(&differences, pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_matched_and_ties_keep_their_order() {
        let pairs: [&[f64]; 4] = [
            &[-1.0, -2.0, -0.0, -1.0],
            &[0.0, -5.0, 0.0, 0.0],
            &[-3.0, -3.0, -1.0, 0.0],
            &[-3.0, -2.0, 0.0, 0.0],
        ];
        // The policy's differences are -1, 3, 0, -1, the reference's 0, -1, -1, 0.
        assert_eq!(of_equal_rank(Pairs::of(pairs), &mut |_| true), Ok(vec![1, 3, 0, 2]));
    }
}
