//! Scores of tokens: columns with one number per row of logits, such as its entropy, or per target, such as its NLL.

use super::columns::{Beside, Column, Folds};
use super::entropy::EntropySums;
use super::fold::Fold;
use super::log_sum_exp::SumExp;
use super::moments::MomentSums;
use super::passes::{Reading, Results, score};
use super::reading::{Finish, Plan, Request};
use super::targets::Targets;
use super::terms::Logit;
use crate::grid::{Progress, Stopped, chunks};
use crate::memory::{self, NoMemory};
use crate::named::Named;
use crate::rows::Source;
use crate::simd::dispatch;
use std::ops::Index;

/// What to compute.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The columns.
    pub columns: &'a [Column],
    /// The probability that [`Column::LabelSmoothed`] spreads over all classes, 0 to 1.
    pub label_smoothing: f64,
}

impl<'a> From<&'a [Column]> for Asked<'a> {
    fn from(columns: &'a [Column]) -> Self {
        Asked { columns, label_smoothing: 0.0 }
    }
}

/// Columns with one entry per row, or one per target where [`Column::of_target`] says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenScores {
    /// One vector per column, in the order of [`Column::ALL`]; empty where the column was not asked for.
    columns: [Vec<f64>; Column::ALL.len()],
    /// Whether each target was scored; a row without one is not even read.
    pub counted: Vec<bool>,
}

impl TokenScores {
    /// Columns without a value.
    pub(super) fn empty(rows: usize, targets: Targets<'_>, columns: &[Column]) -> Result<Self, NoMemory> {
        let all = targets.classes.len();
        let mut scores = TokenScores::default();
        for &column in columns {
            let n = if column.of_target() { all } else { rows };
            scores.columns[column as usize] = memory::filled(n, f64::NAN)?;
        }
        Ok(scores)
    }

    /// These scores, of which each counts or not.
    pub(super) fn with(mut self, counted: Vec<bool>) -> Self {
        self.counted = counted;
        self
    }

    /// The values of one column, to be filled.
    pub(super) fn column(&mut self, column: Column) -> &mut [f64] {
        &mut self.columns[column as usize]
    }

    /// The values of one column, NaN where not counted; empty where it was not asked for.
    pub fn take(&mut self, column: Column) -> Vec<f64> {
        std::mem::take(&mut self.columns[column as usize])
    }
}

impl Results for TokenScores {
    type Piece<'a> = Piece<'a>;

    fn pieces(
        &mut self,
        rows: usize,
        size: usize,
        per_row: usize,
    ) -> impl ExactSizeIterator<Item = Piece<'_>> {
        let mut columns = Column::ALL.iter();
        let mut parts = self.columns.each_mut().map(|column| {
            let of_target = columns.next().is_some_and(|column| column.of_target());
            column.chunks_mut(if of_target { size * per_row } else { size })
        });
        (0..chunks(rows, size)).map(move |_| parts.each_mut().map(|part| part.next().unwrap_or_default()))
    }

    fn fill<T: Logit, F: Fold<T>>(
        plan: Plan<'_, T>,
        first: usize,
        read: Reading<'_, T, F>,
        out: Piece<'_>,
    ) -> Option<usize> {
        let (folded, sought, width) = (read.rows, read.sought, plan.source.width());
        dispatch(Finish { request: plan.request, width, first, folded, sought, out })
    }
}

/// Some rows of all columns.
pub(super) type Piece<'a> = [&'a mut [f64]; Column::ALL.len()];

impl Index<Column> for TokenScores {
    type Output = [f64];
    fn index(&self, column: Column) -> &[f64] {
        &self.columns[column as usize]
    }
}

/// Why nothing was scored: the first value that prevents it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unscorable {
    /// A target that counts but is not in `0..width`.
    Target {
        /// Its index among all targets.
        index: usize,
    },
    /// A logit that is NaN or +inf.
    Logit {
        /// The row of the logit.
        row: usize,
        /// The index of the logit in the row.
        column: usize,
        /// The logit.
        value: f64,
    },
    /// A row in which every logit is -inf.
    NoMass {
        /// The row.
        row: usize,
    },
}

/// Scores the targets of each row under the softmax of the row. See [`Column`] for the formulas.
///
/// Exponentials are computed in f32 (in f64 for f64) and summed in f64: the error of NLL and log Z is at most 1e-6 nats
/// for rows up to 262,144 wide, 1e-11 for f64; that of entropy at most 1e-5 min(1, entropy), 1e-11 min(1, entropy) for
/// f64. A column has the same bits whatever else is asked for.
///
/// There must be `targets.per_row` targets per row. `progress` gets the number of rows done.
pub fn token_scores<T: Logit>(
    source: Source<'_, T>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    progress: Progress<'_>,
) -> Result<Result<TokenScores, Unscorable>, Stopped> {
    if let Some(index) = targets.out_of_range(source.width()) {
        return Ok(Err(Unscorable::Target { index }));
    }
    let counted = targets.counted()?;
    let request = Request { targets, counted: &counted, asked };
    let plan = Plan { source, request, beside: Beside::serving(asked.columns) };
    let mut scores = TokenScores::empty(plan.rows(), targets, asked.columns)?;
    if let Some(refused) = read(plan, &mut scores, progress)? {
        return Ok(Err(refused));
    }
    Ok(Ok(scores.with(counted)))
}

/// Reads the rows of a plan with the cheapest fold that serves its columns. Returns why they cannot be scored.
pub(super) fn read<T: Logit>(
    plan: Plan<'_, T>,
    results: &mut impl Results,
    progress: Progress<'_>,
) -> Result<Option<Unscorable>, Stopped> {
    match Folds::serving(plan.request.asked.columns) {
        Folds::SumExp => score::<T, SumExp, _>(plan, results, progress),
        Folds::EntropySums => score::<T, EntropySums, _>(plan, results, progress),
        Folds::MomentSums => score::<T, MomentSums, _>(plan, results, progress),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rows::{MadeRows, Table};
    use crate::simd::{Bf16, Element, F16, Level, force};
    use std::ops::Range;
    use std::sync::Mutex;

    fn go(_: usize) -> bool {
        true
    }

    fn score<T: Logit>(data: &[T], width: usize, targets: &[i64]) -> Result<TokenScores, Unscorable> {
        let table = Table::new(data, width).unwrap();
        let targets = Targets { ignore: Some(-100), ..Targets::new(targets) };
        token_scores(Source::Lent(&table), targets, Column::ALL.into(), &mut go).unwrap()
    }

    fn bits(scores: &TokenScores) -> Vec<u64> {
        scores.columns.iter().flatten().map(|value| value.to_bits()).collect()
    }

    /// Pseudo-random logits whose spread is proportional to `scale`.
    pub fn logits(n: usize, scale: f64, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..n).map(|_| (next() + next() + next() + next()) * scale).collect()
    }

    /// log Z by the textbook formula in f64, with the smallest terms added first.
    fn oracle(row: &[f64]) -> f64 {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, |m, x| if x > m { x } else { m });
        let mut terms: Vec<f64> = row.iter().map(|x| libm::exp(x - max)).collect();
        terms.sort_by(f64::total_cmp);
        max + libm::log(terms.iter().sum::<f64>())
    }

    fn bf16(x: f64) -> Bf16 {
        Bf16(((x as f32).to_bits() >> 16) as u16)
    }

    #[test]
    fn errors_stay_inside_the_stated_bounds() {
        for width in [1, 2, 15, 31, 32, 33, 255, 256, 257, 1023, 1024, 1025, 50_257] {
            for (seed, scale) in [(1, 0.1), (2, 1.0), (3, 10.0), (4, 100.0)] {
                let x = logits(width, scale, seed);
                let single: Vec<f32> = x.iter().map(|&v| v as f32).collect();
                let half: Vec<Bf16> = x.iter().map(|&v| bf16(v)).collect();
                let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
                let target = (width / 2) as i64;
                let close = |got: TokenScores, exact: &[f64], bound: f64| {
                    let z = oracle(exact);
                    assert!(
                        (got[Column::LogZ][0] - z).abs() <= bound,
                        "{width} {scale}: {} {z}",
                        got[Column::LogZ][0]
                    );
                    let nll = z - exact[target as usize];
                    assert!(
                        (got[Column::Nll][0] - nll).abs() <= bound,
                        "{width} {scale}: {} {nll}",
                        got[Column::Nll][0]
                    );
                };
                close(score(&x, width, &[target]).unwrap(), &x, 1e-11);
                close(score(&single, width, &[target]).unwrap(), &wide(&single), 1e-6);
                let widened: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
                close(score(&half, width, &[target]).unwrap(), &wide(&widened), 1e-6);
            }
        }
    }

    /// The worst case of rounding that was found: a plateau whose rounded distance from the maximum is off by half a
    /// unit in the last place.
    #[test]
    fn a_plateau_far_below_the_maximum_stays_inside_the_bound() {
        for i in 0..400 {
            let below = 6.0 + f64::from(i) * 0.0173;
            for top in [0.0f32, 0.3, 7.7, 100.1] {
                let mut x = vec![(f64::from(top) - below) as f32; 262_144];
                x[77] = top;
                let exact: Vec<f64> = [x[0], top].iter().map(|&v| f64::from(v)).collect();
                let z = exact[1] + libm::log1p(262_143.0 * libm::exp(exact[0] - exact[1]));
                let got = score(&x, x.len(), &[77]).unwrap();
                assert!(
                    (got[Column::LogZ][0] - z).abs() <= 1e-6,
                    "{below} {top}: {} {z}",
                    got[Column::LogZ][0]
                );
            }
        }
    }

    #[test]
    fn uniform_logits_give_the_width_exactly() {
        for width in [1usize, 2, 31, 32, 1000, 4097, 262_144] {
            for level in [0.0f32, -11.25, 3.3, 1e30] {
                let got = score(&vec![level; width], width, &[0]).unwrap();
                assert_eq!(got[Column::Nll][0], libm::log(width as f64), "{width} at {level}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        let x: Vec<f32> = logits(5 * 4097, 8.0, 9).iter().map(|&v| v as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let targets = [0, 5, -100, 17, 4096];
        force(Some(Level::Baseline));
        let scored =
            || (bits(&score(&x, 4097, &targets).unwrap()), bits(&score(&wide, 4097, &targets).unwrap()));
        let want = scored();
        for level in Level::ALL {
            if force(Some(level)) {
                assert_eq!(scored(), want, "{level:?}");
            }
        }
        force(None);
    }

    #[test]
    fn a_masked_target_is_infinite_and_masked_logits_do_not_disturb_others() {
        let mut x = vec![f32::NEG_INFINITY; 3000];
        (x[2500], x[2600]) = (1.5, 1.5);
        assert_eq!(score(&x, 3000, &[0]).unwrap()[Column::Nll], [f64::INFINITY]);
        assert_eq!(score(&x, 3000, &[2600]).unwrap()[Column::Nll], [std::f64::consts::LN_2]);
    }

    #[test]
    fn invalid_logits_and_targets_are_always_found() {
        for place in [0, 31, 32, 1023, 1024, 2999] {
            // NaNs of every kind: both signs, quiet and signalling, and payloads that could mislead tricks with the
            // exponent.
            for payload in (0..512u32).map(|p| 0x7f80_0001 | p << 14 | (p & 1) << 31) {
                for fill in [0.0, f32::NEG_INFINITY] {
                    let mut x = vec![fill; 3000];
                    x[place] = f32::from_bits(payload);
                    let got = score(&x, 3000, &[5]);
                    assert!(matches!(got, Err(Unscorable::Logit { row: 0, column, .. }) if column == place));
                }
            }
            let mut x = vec![0.0; 6000];
            x[3000 + place] = f64::INFINITY;
            let want = Unscorable::Logit { row: 1, column: place, value: f64::INFINITY };
            assert_eq!(score(&x, 3000, &[5, 5]), Err(want));
            assert!(score(&x, 3000, &[5, -100]).is_ok(), "a row that is not counted is not read");
        }
        assert_eq!(score(&[f32::NEG_INFINITY; 40], 40, &[0]), Err(Unscorable::NoMass { row: 0 }));
        assert_eq!(score(&[0.0f32; 8], 4, &[3, 4]), Err(Unscorable::Target { index: 1 }));
        assert_eq!(score(&[0.0f32; 8], 4, &[-1, 3]), Err(Unscorable::Target { index: 0 }));
    }

    #[test]
    fn half_precision_widens_exactly() {
        let x = [F16(0x3c00), F16(0x4000), F16(0xfc00)];
        let wide = [1.0f32, 2.0, f32::NEG_INFINITY];
        assert_eq!(score(&x, 3, &[0]), score(&wide, 3, &[0]));
    }

    #[test]
    fn the_far_tail_is_log_sum_exp_and_not_log_of_softmax() {
        assert_eq!(score(&[0.0f32, -104.5], 2, &[1]).unwrap()[Column::Nll], [104.5]);
    }

    /// The products of two columns of numbers: a table that never exists as a whole.
    struct Products<'a> {
        rows: &'a [f32],
        columns: &'a [f32],
        made: Mutex<Vec<usize>>,
    }

    impl MadeRows<f32> for Products<'_> {
        fn count(&self) -> usize {
            self.rows.len()
        }
        fn width(&self) -> usize {
            self.columns.len()
        }
        fn make(&self, rows: &[usize], columns: Range<usize>, tile: &mut [f32]) {
            self.made.lock().unwrap().extend(rows);
            assert_eq!(tile.len(), rows.len() * columns.len());
            let of_row = |&row: &usize| self.columns[columns.clone()].iter().map(move |x| self.rows[row] * x);
            for (slot, x) in tile.iter_mut().zip(rows.iter().flat_map(of_row)) {
                *slot = x;
            }
        }
    }

    #[test]
    fn rows_that_are_made_have_the_bits_of_rows_that_are_lent() {
        for (count, width) in [(1, 1), (3, 17), (100, 1024), (35, 2100), (4, 70_000)] {
            let rows: Vec<f32> = logits(count, 1.0, 3).into_iter().map(|v| v as f32 + 2.0).collect();
            let mut columns: Vec<f32> = logits(width, 8.0, 4).into_iter().map(|v| v as f32).collect();
            let targets: Vec<i64> =
                (0..count).map(|row| if row % 3 == 1 { -100 } else { (row * 31 % width) as i64 }).collect();
            let table: Vec<f32> = rows.iter().flat_map(|a| columns.iter().map(move |b| a * b)).collect();
            let scored = |columns: &[f32]| {
                let made = Products { rows: &rows, columns, made: Mutex::new(Vec::new()) };
                let targets = Targets { ignore: Some(-100), ..Targets::new(&targets) };
                let scores = token_scores(Source::Made(&made), targets, Column::ALL.into(), &mut go).unwrap();
                (scores, made.made.into_inner().unwrap())
            };
            let (scores, made) = scored(&columns);
            assert_eq!(
                bits(&scores.unwrap()),
                bits(&score(&table, width, &targets).unwrap()),
                "{count} {width}"
            );
            assert!(made.iter().all(|row| row % 3 != 1), "a row that does not count is not made");
            columns[width - 1] = f32::NAN;
            let refused = scored(&columns).0.unwrap_err();
            assert!(matches!(refused, Unscorable::Logit { row: 0, column, .. } if column == width - 1));
        }
    }
}
