//! Scores of the same targets under the logits of two models, and how far their distributions lie apart. A chunk of rows
//! of both is read twice, the second time from the cache.

use super::columns::{Beside, Column, Folds};
use super::divergence::{Compared, Divergence, Normaliser, Wanted};
use super::entropy::EntropySums;
use super::fold::{BLOCK, Fold, Folded};
use super::log_sum_exp::SumExp;
use super::moments::MomentSums;
use super::passes::{Results, fill_bunches, held, offender, rows_per_chunk, tile};
use super::reading::{Plan, Request};
use super::scores::{Asked, Piece, TokenScores, Unscorable};
use super::targets::Targets;
use super::terms::Logit;
use crate::grid::{Progress, Stopped, chunk};
use crate::math::log64;
use crate::memory::{self, NoMemory};
use crate::named;
use crate::named::Named;
use crate::rows::Source;
use crate::simd::{Isa, Kernel, dispatch, scalar};
use std::ops::{Index, Range};

named! {
    /// The columns that compare a model with a baseline: p are the probabilities of the model, q those of the baseline, t
    /// is the target. Divergences are in nats, at least 0, and exactly 0 for equal rows.
    pub enum PairColumn: "tokens.pair_columns" {
        /// KL divergence of the model from the baseline, sum q log(q / p): infinite where a class lost all probability.
        Kl = "kl",
        /// KL divergence of the baseline from the model, sum p log(p / q).
        KlReverse = "kl_reverse",
        /// Jensen-Shannon divergence, the mean of the KL divergences of (p + q) / 2 from both: at most log 2.
        Js = "js",
        /// Total variation distance, sum |p - q| / 2: at most 1.
        Tv = "tv",
        /// Change of the target's probability, p\[t\] - q\[t\].
        DeltaP = "delta_p",
        /// 1 where both have the same top class, otherwise 0.
        SameTop = "same_top",
        /// 1 where the target is the top class of exactly one of both, otherwise 0.
        Flips = "flips",
        /// Change of the negative log-likelihood of the target.
        NllDifference = "nll_difference",
        /// KL divergence as llama.cpp computes it from its base files: q as stored in 16 bits, without making it sum to
        /// 1, and without the classes of log q <= -16. It may be below 0, and is not 0 for a model against itself.
        KlLlamaCpp = "kl_llama_cpp",
    }
}

impl PairColumn {
    /// Whether it depends on the target; the others are the same for every target of a row.
    pub fn of_target(self) -> bool {
        match self {
            PairColumn::DeltaP | PairColumn::Flips | PairColumn::NllDifference => true,
            PairColumn::Kl
            | PairColumn::KlReverse
            | PairColumn::Js
            | PairColumn::Tv
            | PairColumn::SameTop
            | PairColumn::KlLlamaCpp => false,
        }
    }

    /// The columns of each model that it is computed from; none for sums over the classes.
    fn needs(self) -> &'static [Column] {
        match self {
            PairColumn::Kl
            | PairColumn::KlReverse
            | PairColumn::Js
            | PairColumn::Tv
            | PairColumn::KlLlamaCpp => &[],
            PairColumn::DeltaP => &[Column::Probability],
            PairColumn::SameTop => &[Column::Top],
            PairColumn::Flips => &[Column::Correct],
            PairColumn::NllDifference => &[Column::Nll],
        }
    }

    /// Its value for a row with these sums, if it is a sum over the classes.
    fn of(self, sums: &Divergence) -> Option<f64> {
        match self {
            PairColumn::Kl => Some(sums.kl),
            PairColumn::KlReverse => Some(sums.kl_reverse),
            PairColumn::Js => Some(sums.js),
            PairColumn::Tv => Some(sums.tv),
            PairColumn::KlLlamaCpp => Some(sums.as_stored),
            PairColumn::DeltaP | PairColumn::SameTop | PairColumn::Flips | PairColumn::NllDifference => None,
        }
    }
}

/// The logits of two models, row by row for the same places.
#[derive(Clone, Copy)]
pub struct Models<'a, T> {
    /// The model.
    pub new: Source<'a, T>,
    /// The model that it is compared with.
    pub base: Source<'a, T>,
}

/// The columns of both models, and those that compare them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairScores {
    /// The model's.
    pub new: TokenScores,
    /// The baseline's.
    pub base: TokenScores,
    columns: [Vec<f64>; PairColumn::ALL.len()],
}

impl PairScores {
    /// The values of one column, NaN where not counted; empty where it was not asked for.
    pub fn take(&mut self, column: PairColumn) -> Vec<f64> {
        std::mem::take(&mut self.columns[column as usize])
    }
}

impl Index<PairColumn> for PairScores {
    type Output = [f64];
    fn index(&self, column: PairColumn) -> &[f64] {
        &self.columns[column as usize]
    }
}

/// Which model's logits prevent scores, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refusal {
    /// Whether the baseline's do.
    pub base: bool,
    /// The reason.
    pub reason: Unscorable,
}

/// Scores the targets under both models, with the bits of [`super::token_scores`], and computes `pairs`.
///
/// Both must have the same number of rows and classes. In f32, a divergence has an error of at most 1e-5 of itself and
/// 2e-6 nats times the total variation (f64: 1e-12 of both); the total variation itself, into which an error of log Z
/// enters not only by its square, of 1e-6 (f64: 1e-11).
pub fn pair_scores<T: Logit>(
    models: Models<'_, T>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    pairs: &[PairColumn],
    progress: Progress<'_>,
) -> Result<Result<PairScores, Refusal>, Stopped> {
    if let Some(index) = targets.out_of_range(models.new.width()) {
        return Ok(Err(Refusal { base: false, reason: Unscorable::Target { index } }));
    }
    let mut columns = memory::copied(asked.columns)?;
    for column in pairs.iter().flat_map(|pair| pair.needs()) {
        if !columns.contains(column) {
            memory::push(&mut columns, *column)?;
        }
    }
    let asked = Asked { columns: &columns, ..asked };
    match Folds::serving(asked.columns) {
        Folds::SumExp => score::<T, SumExp>(models, targets, asked, pairs, progress),
        Folds::EntropySums => score::<T, EntropySums>(models, targets, asked, pairs, progress),
        Folds::MomentSums => score::<T, MomentSums>(models, targets, asked, pairs, progress),
    }
}

fn score<T: Logit, F: Fold<T>>(
    models: Models<'_, T>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    pairs: &[PairColumn],
    progress: Progress<'_>,
) -> Result<Result<PairScores, Refusal>, Stopped> {
    let beside = Beside::serving(asked.columns);
    let counted = targets.counted()?;
    let request = Request { targets, counted: &counted, asked };
    let plan = |source| Plan { source, request, beside };
    let [new, base] = [models.new, models.base].map(plan);
    let (count, per_row) = (new.rows().min(base.rows()), targets.per_row);
    let row_bytes = 2 * new.source.width() * size_of::<T>();
    let size = rows_per_chunk(row_bytes);
    let mut all = PairScores {
        new: TokenScores::empty(count, targets, asked.columns)?,
        base: TokenScores::empty(count, targets, asked.columns)?,
        ..PairScores::default()
    };
    let mut divergences = memory::filled(count, Divergence::default())?;
    let (to_new, to_base) = (all.new.pieces(count, size, per_row), all.base.pieces(count, size, per_row));
    let items = to_new.zip(to_base).zip(divergences.chunks_mut(size));
    let mut rows_done = |done: usize| progress((done * size).min(count));
    let any = |columns: &[PairColumn]| pairs.iter().any(|pair| columns.contains(pair));
    let wanted = Wanted {
        divergences: any(&[PairColumn::Kl, PairColumn::KlReverse, PairColumn::Tv]),
        js: any(&[PairColumn::Js]),
        as_stored: any(&[PairColumn::KlLlamaCpp]),
    };
    let sums = pairs.iter().any(|pair| pair.needs().is_empty()).then_some(wanted);
    let refused = fill_bunches(items, count.saturating_mul(row_bytes), &mut rows_done, |index, item| {
        let ((to_new, to_base), sums_of_rows) = item;
        compare_chunk::<T, F>([new, base], chunk(index, count, size), [to_new, to_base], sums, sums_of_rows)
    })?;
    let refused = refused.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next();
    if let Some((of_base, row)) = refused {
        let reason = offender(if of_base { base } else { new }.source, row, progress)?;
        return Ok(Err(Refusal { base: of_base, reason }));
    }
    for &pair in pairs {
        all.columns[pair as usize] = scalar(|| column(pair, &all, new, &divergences))?;
    }
    all.new.counted = memory::copied(&counted)?;
    all.base.counted = counted;
    Ok(Ok(all))
}

/// Scores the rows of a chunk under both models and compares them, where sums are `wanted`. Returns the first row that cannot be scored, and
/// whether the fault is the baseline's.
fn compare_chunk<T: Logit, F: Fold<T>>(
    [new, base]: [Plan<'_, T>; 2],
    rows: Range<usize>,
    [to_new, to_base]: [Piece<'_>; 2],
    wanted: Option<Wanted>,
    sums: &mut [Divergence],
) -> Result<Option<(bool, usize)>, NoMemory> {
    let first = rows.start;
    let (mut of_new, mut of_base) = (memory::filled(rows.len(), None)?, memory::filled(rows.len(), None)?);
    // Both are read before they are compared, and then are still in the cache.
    for (of_the_base, plan, out, of) in
        [(false, new, to_new, &mut of_new), (true, base, to_base, &mut of_base)]
    {
        let held = held::<T, F>(plan, rows.clone())?;
        dispatch(Normalise { rows: &held.rows, width: plan.source.width(), of });
        if let Some(row) = TokenScores::fill(plan, first, held.all(), out) {
            return Ok(Some((of_the_base, row)));
        }
    }
    if let Some(wanted) = wanted {
        let models = Models { new: new.source, base: base.source };
        let mut tiles = [tile(new.source)?, tile(base.source)?];
        dispatch(Compare { models, first, of: [&of_new, &of_base], wanted, sums, tiles: &mut tiles });
    }
    Ok(None)
}

/// Finds what is subtracted from the logits of each row that was read.
struct Normalise<'a, T: Logit, F> {
    rows: &'a [Folded<T, F>],
    width: usize,
    of: &'a mut [Option<Normaliser>],
}

impl<T: Logit, F: Fold<T>> Kernel for Normalise<'_, T, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (of, row) in self.of.iter_mut().zip(self.rows) {
            if let Some(row) = row.finish(self.width) {
                *of = Some(Normaliser { max: row.max, log_sum: log64::<I>(row.sums.sum_exp) });
            }
        }
    }
}

/// Compares the rows from `first` on that were read.
struct Compare<'a, T> {
    models: Models<'a, T>,
    first: usize,
    of: [&'a [Option<Normaliser>]; 2],
    wanted: Wanted,
    sums: &'a mut [Divergence],
    tiles: &'a mut [Vec<T>; 2],
}

impl<T: Logit> Kernel for Compare<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Compare { models: Models { new, base }, first, of, wanted, sums, tiles: [new_tile, base_tile] } =
            self;
        let width = new.width();
        for (i, sums) in sums.iter_mut().enumerate() {
            let (Some(of_new), Some(of_base)) = (of[0][i], of[1][i]) else { continue };
            let mut compared = Compared::new([of_new, of_base]);
            let mut start = 0;
            while start < width {
                let here = start..width.min(start + BLOCK);
                start = here.end;
                let x = new.part(first + i, here.clone(), new_tile);
                compared.block::<I, T>(x, base.part(first + i, here, base_tile), wanted);
            }
            *sums = compared.finish();
        }
    }
}

/// One column that compares both models.
fn column<T: Logit>(
    pair: PairColumn,
    scores: &PairScores,
    plan: Plan<'_, T>,
    sums: &[Divergence],
) -> Result<Vec<f64>, NoMemory> {
    let Some(&of) = pair.needs().first() else {
        let value = |(row, sums)| if plan.request.row_counts(row) { pair.of(sums) } else { None };
        return memory::collected(sums.iter().enumerate().map(|row| value(row).unwrap_or(f64::NAN)));
    };
    let both = scores.new[of].iter().zip(&scores.base[of]);
    memory::collected(both.map(|(&new, &base)| match pair {
        _ if new.is_nan() || base.is_nan() => f64::NAN,
        PairColumn::SameTop => f64::from(u8::from(new == base)),
        PairColumn::Flips => f64::from(u8::from(new != base)),
        // Where the target has no probability in both, nothing changed.
        _ if new == base => 0.0,
        _ => new - base,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Table;
    use crate::simd::{Level, force};
    use crate::tokens::scores::tests::logits;

    fn go(_: usize) -> bool {
        true
    }

    fn compared<T: Logit>(new: &[T], base: &[T], width: usize) -> PairScores {
        let [a, b] = [new, base].map(|rows| Table::new(rows, width).unwrap());
        let models = Models { new: Source::Lent(&a), base: Source::Lent(&b) };
        let classes = vec![0; new.len() / width];
        let asked = Asked::from(Column::ALL);
        pair_scores(models, Targets::new(&classes), asked, PairColumn::ALL, &mut go).unwrap().unwrap()
    }

    /// KL(base, new), KL(new, base), Jensen-Shannon and total variation by their definitions.
    fn oracle(new: &[f64], base: &[f64]) -> [f64; 4] {
        let log_p = |x: &[f64]| {
            let max = x.iter().copied().fold(f64::NEG_INFINITY, |m, x| if x > m { x } else { m });
            let z = max + libm::log(x.iter().map(|x| libm::exp(x - max)).sum::<f64>());
            x.iter().map(|x| x - z).collect::<Vec<_>>()
        };
        let (p, q) = (log_p(new), log_p(base));
        let mut sums = [0.0; 4];
        for (&p, &q) in p.iter().zip(&q) {
            let (ep, eq) = (libm::exp(p), libm::exp(q));
            let m = libm::log(f64::midpoint(ep, eq));
            sums[0] += eq * (q - p) - eq + ep;
            sums[1] += ep * (p - q) - ep + eq;
            sums[2] += 0.5 * (ep * (p - m) + eq * (q - m));
            sums[3] += 0.5 * (ep - eq).abs();
        }
        sums
    }

    const SUMS: [PairColumn; 4] = [PairColumn::Kl, PairColumn::KlReverse, PairColumn::Js, PairColumn::Tv];

    #[test]
    fn divergences_agree_with_their_definitions() {
        for (width, scale) in [(2usize, 3.0), (33, 1.0), (1500, 8.0), (5000, 30.0), (40_000, 4.0)] {
            for noise in [1e-3, 0.1, 3.0] {
                let base = logits(width, scale, 5);
                let new: Vec<f64> = base.iter().zip(logits(width, noise, 6)).map(|(x, y)| x + y).collect();
                let want = oracle(&new, &base);
                let got = compared(&new, &base, width);
                for (column, want) in SUMS.into_iter().zip(want) {
                    let got = got[column][0];
                    assert!(
                        (got - want).abs() <= 1e-10 * want + 1e-14,
                        "f64 {column:?} {width} {noise} {got:e} {want:e}"
                    );
                }
                let single = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
                let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
                let (a, b) = (single(&new), single(&base));
                let want = oracle(&wide(&a), &wide(&b));
                let got = compared(&a, &b, width);
                for (column, of) in SUMS.into_iter().zip(want) {
                    let beside = if column == PairColumn::Tv { 1e-6 } else { 0.0 };
                    let (got, bound) = (got[column][0], 1e-5 * of + 2e-6 * want[3] + beside);
                    assert!((got - of).abs() <= bound, "f32 {column:?} {width} {noise} {got:e} {of:e}");
                }
            }
        }
    }

    #[test]
    fn equal_rows_have_no_divergence_and_masks_are_kept_apart() {
        let mut x: Vec<f32> = logits(3000, 9.0, 1).iter().map(|&x| x as f32).collect();
        x[7] = f32::NEG_INFINITY;
        let same = compared(&x, &x, 1500);
        for column in
            [PairColumn::Kl, PairColumn::KlReverse, PairColumn::Js, PairColumn::Tv, PairColumn::Flips]
        {
            assert_eq!(same[column], [0.0, 0.0], "{column:?}");
        }
        assert_eq!(same[PairColumn::SameTop], [1.0, 1.0]);
        assert_eq!(same[PairColumn::NllDifference], [0.0, 0.0]);
        let mut lost = x.clone();
        lost[9] = f32::NEG_INFINITY;
        let found = compared(&lost, &x, 1500);
        assert_eq!(found[PairColumn::Kl][0], f64::INFINITY);
        assert!(found[PairColumn::KlReverse][0] < 0.1 && found[PairColumn::KlReverse][0] > 0.0);
        assert!(found[PairColumn::Js][0] < 0.1 && found[PairColumn::Kl][1] == 0.0);
        let one = compared(&[0.0f32, f32::NEG_INFINITY], &[f32::NEG_INFINITY, 0.0], 2);
        assert_eq!(
            [one[PairColumn::Kl][0], one[PairColumn::KlReverse][0], one[PairColumn::Tv][0]],
            [f64::INFINITY, f64::INFINITY, 1.0]
        );
        assert!((one[PairColumn::Js][0] - std::f64::consts::LN_2).abs() < 1e-6);
    }

    #[test]
    fn offsets_and_extreme_logits_do_no_harm() {
        let base: Vec<f32> = logits(1500, 8.0, 5).iter().map(|&x| x as f32).collect();
        let new: Vec<f32> =
            base.iter().zip(logits(1500, 1e-3, 6)).map(|(x, y)| x + y as f32 - 128.0).collect();
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let want = oracle(&wide(&new), &wide(&base));
        let got = compared(&new, &base, 1500);
        for (column, of) in SUMS.into_iter().zip(want) {
            let beside = if column == PairColumn::Tv { 1e-6 } else { 0.0 };
            let error = (got[column][0] - of).abs();
            assert!(error <= 1e-5 * of + 2e-6 * want[3] + beside, "{column:?} {} {of}", got[column][0]);
        }
        let far = compared(&[-2e38f32, -2e38], &[2e38, 2e38], 2);
        let ties = compared(&[5.0f32, f32::NEG_INFINITY, f32::NEG_INFINITY], &[0.0, 1e30, 1e30], 3);
        for column in SUMS {
            assert_eq!(far[column], [0.0], "{column:?}");
            assert!(ties[column][0] >= 0.0);
        }
        assert_eq!(ties[PairColumn::Tv], [1.0]);
        assert!(ties[PairColumn::Js][0] <= std::f64::consts::LN_2);
    }

    #[test]
    fn every_level_and_single_models_have_the_same_bits() {
        let x: Vec<f32> = logits(4 * 4097, 8.0, 9).iter().map(|&v| v as f32).collect();
        let y: Vec<f32> = x.iter().zip(logits(x.len(), 0.3, 2)).map(|(x, y)| x + y as f32).collect();
        force(Some(Level::Baseline));
        let want = compared(&y, &x, 4097);
        for level in Level::ALL {
            if force(Some(level)) {
                assert_eq!(compared(&y, &x, 4097), want, "{level:?}");
            }
        }
        force(None);
        let table = Table::new(&x, 4097).unwrap();
        let asked = Asked::from(Column::ALL);
        let alone = crate::tokens::token_scores(Source::Lent(&table), Targets::new(&[0; 4]), asked, &mut go);
        assert_eq!(alone.unwrap().unwrap(), want.base);
    }

    #[test]
    fn the_fault_is_named() {
        let good = [0.0f32; 8];
        let mut bad = good;
        bad[5] = f32::NAN;
        let [a, b] = [good, bad];
        let [a, b] = [Table::new(&a, 4).unwrap(), Table::new(&b, 4).unwrap()];
        let asked = Asked::from(&[Column::Nll][..]);
        let models = Models { new: Source::Lent(&a), base: Source::Lent(&b) };
        let got = pair_scores(models, Targets::new(&[0, 0]), asked, &[], &mut go).unwrap().unwrap_err();
        assert!(got.base && matches!(got.reason, Unscorable::Logit { row: 1, column: 1, .. }), "{got:?}");
    }
}
