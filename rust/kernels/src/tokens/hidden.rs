//! Scores of tokens from hidden states and the weights of the vocabulary: the logits never exist as a whole.

use super::columns::Column;
use super::product::{Packed, Product};
use super::scores::{Asked, TokenScores, Unscorable, token_scores};
use super::shards::{Shard, token_shard};
use super::targets::Targets;
use super::terms::{Exponential, Logit};
use super::transform::{Steps, Transform};
use crate::grid::{Progress, Stopped};
use crate::memory;
use crate::named::Named;
use crate::rows::{Rows, Source};
use crate::simd::Element;

/// Bytes of packed hidden states: the weights are read once for as many rows as have room in it.
const PACKED: usize = 16 << 20;
/// The fewest rows that are packed together, however long they are.
const FEWEST: usize = 64;

/// Scores the targets of each row under the softmax of `transform(hidden @ weight.T)`, whose logits are computed in `R`
/// (see `product.rs` for the order of the sum) block by block. See [`Column`] for the formulas.
///
/// `hidden` and `weight` must have the same width, there must be `targets.per_row` targets per row of `hidden`, and a bias
/// must have one number per row of `weight`. `progress` gets the number of rows done.
pub fn token_scores_from_hidden<T: Element, U: Element, R: Exponential + Logit<Real = R>>(
    hidden: &dyn Rows<T>,
    weight: &dyn Rows<U>,
    transform: Transform<'_>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    progress: Progress<'_>,
) -> Result<Result<TokenScores, Unscorable>, Stopped> {
    let mut scores = TokenScores::empty(hidden.count(), targets, asked.columns)?;
    let found =
        in_packs::<T, U, R>(hidden, weight, transform, targets, progress, |pack, targets, progress| {
            let found = token_scores(pack.source, targets, asked, progress)?;
            Ok(found.map(|found| scores.place(&found, pack.rows, targets.per_row)))
        })?;
    Ok(found.map(|counted| scores.with(counted)))
}

/// As [`token_scores_from_hidden`], for the weights of some classes: see [`token_shard`].
pub fn token_shard_from_hidden<T: Element, U: Element, R: Exponential + Logit<Real = R>>(
    hidden: &dyn Rows<T>,
    weight: &dyn Rows<U>,
    transform: Transform<'_>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    progress: Progress<'_>,
) -> Result<Result<Shard, Unscorable>, Stopped> {
    let mut shard = Shard::empty(hidden.count(), targets.classes.len())?;
    let found =
        in_packs::<T, U, R>(hidden, weight, transform, targets, progress, |pack, targets, progress| {
            let found = token_shard(pack.source, targets, asked, progress)?;
            Ok(found.map(|found| shard.place(&found, pack.rows, targets.per_row)))
        })?;
    Ok(found.map(|counted| shard.with(counted)))
}

/// Rows of hidden states that are multiplied together, and which these are.
struct Pack<'a, R> {
    source: Source<'a, R>,
    rows: &'a [usize],
}

/// Calls `each` for as many rows at a time as are packed together, with their targets. Returns which targets count.
fn in_packs<T: Element, U: Element, R: Exponential + Logit<Real = R>>(
    hidden: &dyn Rows<T>,
    weight: &dyn Rows<U>,
    transform: Transform<'_>,
    targets: Targets<'_>,
    progress: Progress<'_>,
    mut each: impl FnMut(Pack<'_, R>, Targets<'_>, Progress<'_>) -> Result<Result<(), Unscorable>, Stopped>,
) -> Result<Result<Vec<bool>, Unscorable>, Stopped> {
    if let Some(index) = targets.out_of_range(weight.count()) {
        return Ok(Err(Unscorable::Target { index }));
    }
    let (counted, per_row, steps) = (targets.counted()?, targets.per_row.max(1), Steps::<R>::new(transform)?);
    let row_counts = |row: &usize| counted[row * per_row..(row + 1) * per_row].contains(&true);
    let rows = memory::gathered((0..hidden.count()).filter(row_counts))?;
    let most = (PACKED / Packed::<R>::row_bytes(hidden.width()).max(1)).max(FEWEST) / FEWEST * FEWEST;
    for (i, rows) in rows.chunks(most).enumerate() {
        let product = Product::new(Packed::new(hidden, rows)?, weight, &steps);
        let of_row = |&row: &usize| row * per_row..(row + 1) * per_row;
        let classes = memory::gathered(rows.iter().flat_map(of_row).map(|index| targets.classes[index]))?;
        let mask = memory::gathered(rows.iter().flat_map(of_row).map(|index| counted[index].into()))?;
        let these = Targets { classes: &classes, mask: Some(&mask), ignore: None, per_row };
        let mut rows_done = |done: usize| progress(i * most + done);
        let pack = Pack { source: Source::Made(&product), rows };
        if let Err(refused) = each(pack, these, &mut rows_done)? {
            return Ok(Err(refused.of_rows(rows)));
        }
    }
    Ok(Ok(counted))
}

impl TokenScores {
    /// Fills in the columns of these rows.
    fn place(&mut self, found: &TokenScores, rows: &[usize], per_row: usize) {
        for &column in Column::ALL {
            let each = if column.of_target() { per_row } else { 1 };
            for (values, row) in found[column].chunks(each).zip(rows) {
                self.column(column)[row * each..(row + 1) * each].copy_from_slice(values);
            }
        }
    }
}

impl Shard {
    /// Fills in what was found in these rows.
    fn place(&mut self, found: &Shard, rows: &[usize], per_row: usize) {
        for ((kept, logits), &row) in found.rows.iter().zip(found.logits.chunks(per_row)).zip(rows) {
            self.rows[row] = *kept;
            self.logits[row * per_row..(row + 1) * per_row].copy_from_slice(logits);
        }
    }
}

impl Unscorable {
    /// The same of rows of which these were scored.
    fn of_rows(self, rows: &[usize]) -> Self {
        match self {
            Unscorable::Logit { row, column, value } => Unscorable::Logit { row: rows[row], column, value },
            Unscorable::NoMass { row } => Unscorable::NoMass { row: rows[row] },
            Unscorable::Target { index } => Unscorable::Target { index },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::set_threads;
    use crate::grid::tests::turn;
    use crate::rows::Table;
    use crate::tokens::scores::tests::logits;

    const LENGTH: usize = 40;

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        logits(n, 1.5, seed).into_iter().map(|x| x as f32).collect()
    }

    fn scored(hidden: &[f32], weight: &[f32], targets: Targets<'_>) -> Result<TokenScores, Unscorable> {
        let [h, w] = [hidden, weight].map(|data| Table::new(data, LENGTH).unwrap());
        let asked = Asked::from(Column::ALL);
        token_scores_from_hidden::<f32, f32, f32>(&h, &w, Transform::default(), targets, asked, &mut |_| true)
            .unwrap()
    }

    #[test]
    fn scores_are_those_of_the_products_and_rows_that_do_not_count_are_not_multiplied() {
        for (count, classes) in [(1, 3), (150, 5000), (2, 300_000)] {
            let (mut hidden, weight) = (numbers(count * LENGTH, 1), numbers(classes * LENGTH, 2));
            let targets: Vec<i64> =
                (0..count as i64).map(|i| if i % 3 == 1 { -100 } else { i * 31 % classes as i64 }).collect();
            let targets = Targets { ignore: Some(-100), ..Targets::new(&targets) };
            let product =
                |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0.0f32, |sum, (&a, &b)| a.mul_add(b, sum));
            let table: Vec<f32> = hidden
                .chunks(LENGTH)
                .flat_map(|a| weight.chunks(LENGTH).map(|b| product(a, b)).collect::<Vec<_>>())
                .collect();
            let table = Table::new(&table, classes).unwrap();
            let lent = token_scores(Source::Lent(&table), targets, Column::ALL.into(), &mut |_| true);
            let expected = lent.unwrap().unwrap();
            for (row, values) in hidden.chunks_mut(LENGTH).enumerate() {
                if row % 3 == 1 {
                    values.fill(f32::NAN);
                }
            }
            let _turn = turn();
            for threads in [1, 3] {
                set_threads(Some(threads));
                let got = scored(&hidden, &weight, targets).unwrap();
                for &column in Column::ALL {
                    let bits =
                        |scores: &TokenScores| scores[column].iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&got), bits(&expected), "{} of {count} {classes}", column.name());
                }
                assert_eq!(got.counted, expected.counted);
            }
            set_threads(None);
        }
    }

    #[test]
    fn what_cannot_be_scored_is_named_by_its_own_row() {
        let (mut hidden, weight) = (numbers(5 * LENGTH, 1), numbers(7 * LENGTH, 2));
        hidden[3 * LENGTH] = f32::INFINITY;
        let targets = Targets { ignore: Some(-1), ..Targets::new(&[0, -1, 1, 2, 3]) };
        assert!(matches!(
            scored(&hidden, &weight, targets),
            Err(Unscorable::Logit { row: 3, column: 0, .. })
        ));
        let targets = Targets::new(&[0, 1, 7, 2, 3]);
        assert_eq!(scored(&hidden, &weight, targets), Err(Unscorable::Target { index: 2 }));
    }
}
