//! Differences of two models' shares of right answers from counts, many problems at once.

use super::answers::{Difference, Test};
use super::paired::{self, Table, paired_binary};
use super::unpaired::{self, two_samples};
use crate::grid::{Progress, Stopped, fill_slow_rows};
use crate::intervals::Confidence;

/// Columns of the value, the standard error, the low and the high limit, and the p-value.
pub type Columns<'a> = [&'a mut [f64]; 5];

/// The differences of the shares `k[i]` of `n[i]` and `j[i]` of `m[i]` of two samples, for `[k, n, j, m]`; stopped by
/// `progress`. `Some(i)`: row i is the first whose counts are no two shares, and the columns are incomplete.
pub fn of_samples(
    [k, n, j, m]: [&[i64]; 4],
    (method, test): (unpaired::Method, Test),
    confidence: Confidence,
    columns: Columns<'_>,
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    filled(columns, progress, |i| {
        let (hits, rows) = ([k[i], j[i]], [n[i], m[i]]);
        let fit = (0..2).all(|side| 0 <= hits[side] && hits[side] <= rows[side] && rows[side] >= 1);
        fit.then(|| two_samples(hits.map(|x| x as u64), rows.map(|x| x as u64), method, test, confidence))
    })
}

/// The differences of the shares of pairs, of which the new model got `k[i]` of `n[i]` right, the baseline `j[i]`, and
/// both models `both[i]`, for `[k, j, both, n]`; otherwise as [`of_samples`].
pub fn of_pairs(
    [k, j, both, n]: [&[i64]; 4],
    (method, test): (paired::Method, Test),
    confidence: Confidence,
    columns: Columns<'_>,
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    filled(columns, progress, |i| {
        let (all, both) = (n[i], both[i]);
        let (wins, losses) = (k[i].checked_sub(both)?, j[i].checked_sub(both)?);
        let one = wins.checked_add(losses)?.checked_add(both)?; // of the pairs that at least one model got right
        let fit = both >= 0 && wins >= 0 && losses >= 0 && one <= all && all >= 1;
        let table = Table {
            both: both as u64,
            wins: wins as u64,
            losses: losses as u64,
            neither: all.saturating_sub(one) as u64,
        };
        fit.then(|| paired_binary(table, method, test, confidence))
    })
}

/// Fills the rows of the columns until one of them is none.
fn filled(
    columns: Columns<'_>,
    progress: Progress<'_>,
    of: impl Fn(usize) -> Option<Difference> + Sync,
) -> Result<Option<usize>, Stopped> {
    let refused = fill_slow_rows(columns, progress, |rows, [values, errors, lows, highs, ps]| {
        for (at, i) in rows.enumerate() {
            let Some(row) = of(i) else { return Some(i) };
            (values[at], errors[at]) = (row.value, row.standard_error);
            (lows[at], highs[at], ps[at]) = (row.interval.low, row.interval.high, row.p);
        }
        None
    })?;
    Ok(refused.into_iter().flatten().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn pairs(rows: [&[i64]; 4]) -> (Option<usize>, [Vec<f64>; 5]) {
        let mut columns: [Vec<f64>; 5] = std::array::from_fn(|_| vec![0.0; rows[0].len()]);
        let by = (paired::Method::Tango, Test::MidP);
        let refused = of_pairs(rows, by, TWO, columns.each_mut().map(Vec::as_mut_slice), &mut |_| true);
        (refused.unwrap(), columns)
    }

    #[test]
    fn a_row_is_the_comparison_of_its_counts() {
        let (refused, columns) = pairs([&[102, 5], &[100, 0], &[90, 0], &[200, 9]]);
        assert_eq!(refused, None);
        let table = Table { both: 90, wins: 12, losses: 10, neither: 88 };
        let one = paired_binary(table, paired::Method::Tango, Test::MidP, TWO);
        let row = columns.map(|column| column[0]);
        assert_eq!(row, [one.value, one.standard_error, one.interval.low, one.interval.high, one.p]);
    }

    #[test]
    fn counts_that_no_pairs_have_are_refused_at_their_place() {
        for bad in
            [[3, 4, 4, 9], [4, 3, 4, 9], [6, 6, 2, 9], [1, 1, -1, 9], [0, 0, 0, 0], [i64::MIN, 0, 1, 9]]
        {
            let rows = bad.map(|x| [1, x]);
            let [k, j, both, _] = &rows;
            assert_eq!(pairs([k, j, both, &[2, bad[3]]]).0, Some(1), "{bad:?}");
        }
    }
}
