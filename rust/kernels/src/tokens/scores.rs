//! Scores of tokens: columns with one number per row of logits, such as the NLL of the row's target.

use super::columns::{Column, Folds};
use super::entropy::EntropySums;
use super::fold::{BLOCK, Fold, Folded};
use super::log_sum_exp::SumExp;
use super::terms::Logit;
use crate::grid::{Pace, Progress, Stopped, TICK, chunk, chunks, fill_chunks, fill_rows};
use crate::memory::{self, NoMemory};
use crate::named::Named;
use crate::rows::Source;
use crate::simd::{Isa, Kernel, dispatch};
use std::ops::{Index, Range};
use std::time::Instant;

/// Bytes of logits per chunk: enough that handing it to a thread costs little beside it, and read far more quickly than
/// Ctrl-C must be answered.
const CHUNK_BYTES: usize = 1 << 20;
/// The most bytes of a row that are read at a time, so that a long row does not delay the answer to Ctrl-C.
const PART_BYTES: usize = 1 << 24;
const _: () = assert!(PART_BYTES.is_multiple_of(BLOCK * size_of::<f64>()));
/// How many rows have their blocks computed together: a product of matrices then reads the second matrix once for all.
const TILE: usize = 16;

/// Columns with one entry per row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenScores {
    /// One vector per column, in the order of [`Column::ALL`]; empty where the column was not asked for.
    columns: [Vec<f64>; Column::ALL.len()],
    /// Whether each row was scored; a row whose target is `ignore` is not even read.
    pub counted: Vec<bool>,
}

impl TokenScores {
    /// The values of one column, NaN where not counted; empty where it was not asked for.
    pub fn take(&mut self, column: Column) -> Vec<f64> {
        std::mem::take(&mut self.columns[column as usize])
    }
}

impl Index<Column> for TokenScores {
    type Output = [f64];
    fn index(&self, column: Column) -> &[f64] {
        &self.columns[column as usize]
    }
}

/// Why nothing was scored: the first value that prevents it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unscorable {
    /// A target that is neither `ignore` nor in `0..width`.
    Target {
        /// The row of the target.
        row: usize,
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

/// Scores `targets[i]` under the softmax of row `i`. It computes the columns asked for in `columns`; see [`Column`] for
/// their formulas.
///
/// Exponentials are computed in f32 (in f64 for f64) and summed in f64: the error of NLL and log Z is at most 1e-6 nats
/// for rows up to 262,144 wide, 1e-11 for f64; that of entropy at most 1e-5 min(1, entropy), 1e-11 min(1, entropy) for
/// f64. A column has the same bits whatever else is asked for.
///
/// There must be one target per row. `progress` gets the number of rows done.
pub fn token_scores<T: Logit>(
    source: Source<'_, T>,
    targets: &[i64],
    ignore: Option<i64>,
    columns: &[Column],
    progress: Progress<'_>,
) -> Result<Result<TokenScores, Unscorable>, Stopped> {
    let (count, width) = (source.count().min(targets.len()), source.width());
    let targets = &targets[..count];
    let valid = |target: i64| Some(target) == ignore || usize::try_from(target).is_ok_and(|t| t < width);
    if let Some(row) = targets.iter().position(|&target| !valid(target)) {
        return Ok(Err(Unscorable::Target { row }));
    }
    let call = Call { source, targets, ignore };
    match Folds::serving(columns) {
        Folds::SumExp => call.score::<SumExp>(columns, progress),
        Folds::EntropySums => call.score::<EntropySums>(columns, progress),
    }
}

/// The arguments of one call.
#[derive(Clone, Copy)]
struct Call<'a, T> {
    source: Source<'a, T>,
    targets: &'a [i64],
    ignore: Option<i64>,
}

impl<T: Logit> Call<'_, T> {
    fn counts(&self, row: usize) -> bool {
        Some(self.targets[row]) != self.ignore
    }

    fn score<F: Fold<T>>(
        self,
        columns: &[Column],
        progress: Progress<'_>,
    ) -> Result<Result<TokenScores, Unscorable>, Stopped> {
        let count = self.targets.len();
        let folded = self.fold::<F>(progress)?;
        let bad = |row: &usize| self.counts(*row) && folded[*row].finish().is_none();
        if let Some(row) = (0..count).find(bad) {
            return Ok(Err(self.offender(row, progress)?));
        }
        let counted = memory::collected((0..count).map(|row| self.counts(row)))?;
        let mut scores = TokenScores { counted, ..TokenScores::default() };
        for &column in columns {
            scores.columns[column as usize] = memory::filled(count, f64::NAN)?;
        }
        let counted = &scores.counted;
        let out = scores.columns.each_mut().map(|column| &mut column[..]);
        fill_rows(out, &mut |_| progress(count), |range, out| {
            dispatch(Finish { folded: &folded[range.clone()], counted: &counted[range], out });
        })?;
        Ok(Ok(scores))
    }

    /// Reads every row that counts. Long rows are read in parts: first the first part of every row, then the second,
    /// and so on.
    fn fold<F: Fold<T>>(self, progress: Progress<'_>) -> Result<Vec<Folded<T, F>>, Stopped> {
        let (count, width) = (self.targets.len(), self.source.width());
        let mut folded = memory::filled(count, Folded::new())?;
        let part_size = PART_BYTES / size_of::<T>();
        let parts = chunks(width, part_size);
        let part_bytes = (width.min(part_size) * size_of::<T>()).max(1);
        let size = (CHUNK_BYTES / part_bytes).max(1);
        let mut asked = Instant::now();
        for part in 0..parts {
            let before = count * part / parts;
            // One part of a few rows takes less than a tick, so the clock is not restarted with each part.
            if asked.elapsed() >= TICK {
                if !progress(before) {
                    return Err(Stopped::Cancelled);
                }
                asked = Instant::now();
            }
            let mut rows_done = |done: usize| progress(before + (done * size).min(count) / parts);
            let items = memory::collected(folded.chunks_mut(size))?;
            let bytes = count.saturating_mul(part_bytes);
            let read = fill_chunks(items, bytes, &mut rows_done, |index, folded| -> Result<(), NoMemory> {
                let mut tile = match self.source {
                    Source::Lent(_) => Vec::new(),
                    Source::Made(_) => memory::filled(TILE * BLOCK, T::default())?,
                };
                let columns = chunk(part, width, part_size);
                dispatch(Read { call: self, first: index * size, columns, folded, tile: &mut tile });
                Ok(())
            })?;
            read.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(folded)
    }

    /// Finds out why a row has no softmax.
    #[cold]
    fn offender(self, row: usize, progress: Progress<'_>) -> Result<Unscorable, Stopped> {
        let mut pace = Pace::new(progress);
        let mut block = memory::filled(BLOCK, T::default())?;
        for start in (0..self.source.width()).step_by(BLOCK) {
            let columns = start..(start + BLOCK).min(self.source.width());
            let logits = match self.source {
                Source::Lent(rows) => &rows.row(row)[columns],
                Source::Made(rows) => {
                    let made = &mut block[..columns.len()];
                    rows.make(&[row], columns, made);
                    made
                }
            };
            let values = logits.iter().map(|x| x.to_f64());
            if let Some((place, value)) = values.enumerate().find(|&(_, x)| x.is_nan() || x == f64::INFINITY)
            {
                return Ok(Unscorable::Logit { row, column: start + place, value });
            }
            pace.step()?;
        }
        Ok(Unscorable::NoMass { row })
    }
}

/// Reads the elements `columns` of the rows from `first` on.
struct Read<'a, T: Logit, F> {
    call: Call<'a, T>,
    first: usize,
    columns: Range<usize>,
    folded: &'a mut [Folded<T, F>],
    /// The memory in which blocks are computed; empty where the rows lie in memory.
    tile: &'a mut [T],
}

impl<T: Logit, F: Fold<T>> Kernel for Read<'_, T, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Read { call, first, columns, folded, tile } = self;
        // A row in memory is read alone, to its end; rows that are computed are read together, block by block.
        let (together, step) = if tile.is_empty() { (1, columns.len()) } else { (TILE, BLOCK) };
        let mut next = 0;
        while next < folded.len() {
            let (mut rows, mut n) = ([0; TILE], 0);
            while n < together && next < folded.len() {
                if call.counts(first + next) {
                    rows[n] = first + next;
                    n += 1;
                }
                next += 1;
            }
            let mut start = columns.start;
            while n > 0 && start < columns.end {
                let here = start..columns.end.min(start + step);
                if let Source::Made(source) = call.source {
                    source.make(&rows[..n], here.clone(), &mut tile[..n * here.len()]);
                }
                for (i, &row) in rows[..n].iter().enumerate() {
                    let logits = match call.source {
                        Source::Lent(source) => &source.row(row)[here.clone()],
                        Source::Made(_) => &tile[i * here.len()..(i + 1) * here.len()],
                    };
                    let folded = &mut folded[row - first];
                    // Another thread may change the targets meanwhile, so a target is used only if it lies in this
                    // block.
                    if let Some(&logit) = logits.get((call.targets[row] as usize).wrapping_sub(start)) {
                        folded.at_target = logit.real();
                    }
                    folded.read::<I>(logits);
                }
                start = here.end;
            }
        }
    }
}

/// Fills the columns that were asked for from the folded rows; the others are empty.
struct Finish<'a, T: Logit, F> {
    folded: &'a [Folded<T, F>],
    counted: &'a [bool],
    out: [&'a mut [f64]; Column::ALL.len()],
}

impl<T: Logit, F: Fold<T>> Kernel for Finish<'_, T, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (column, out) in Column::ALL.iter().zip(self.out) {
            for ((folded, &counted), out) in self.folded.iter().zip(self.counted).zip(out) {
                if let Some(row) = folded.finish().filter(|_| counted) {
                    *out = column.value::<I>(&row);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{MadeRows, Table};
    use crate::simd::{Bf16, Element, F16, Level, force};
    use std::sync::Mutex;

    fn go(_: usize) -> bool {
        true
    }

    fn score<T: Logit>(data: &[T], width: usize, targets: &[i64]) -> Result<TokenScores, Unscorable> {
        let table = Table::new(data, width).unwrap();
        token_scores(Source::Lent(&table), targets, Some(-100), Column::ALL, &mut go).unwrap()
    }

    fn bits(scores: &TokenScores) -> Vec<u64> {
        scores.columns.iter().flatten().map(|value| value.to_bits()).collect()
    }

    /// Pseudo-random logits whose spread is proportional to `scale`.
    fn logits(n: usize, scale: f64, seed: u64) -> Vec<f64> {
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
        assert_eq!(score(&[0.0f32; 8], 4, &[3, 4]), Err(Unscorable::Target { row: 1 }));
        assert_eq!(score(&[0.0f32; 8], 4, &[-1, 3]), Err(Unscorable::Target { row: 0 }));
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

    #[test]
    fn a_row_read_in_parts_has_the_bits_of_one_read_at_once() {
        let width = 2 * PART_BYTES / size_of::<f32>() + 12_345;
        let mut row: Vec<f32> = logits(width, 10.0, 7).into_iter().map(|v| v as f32).collect();
        row[width - 5] = 40.0;
        let table = Table::new(&row, width).unwrap();
        let call = Call { source: Source::Lent(&table), targets: &[3], ignore: None };
        let mut whole = [Folded::<f32, SumExp>::new()];
        dispatch(Read { call, first: 0, columns: 0..width, folded: &mut whole, tile: &mut [] });
        let [in_parts] = call.fold::<SumExp>(&mut go).unwrap()[..] else { panic!("one row") };
        assert_eq!(format!("{:?}", in_parts.finish()), format!("{:?}", whole[0].finish()));
        assert_eq!(in_parts.finish().unwrap().at_target, f64::from(row[3]));
        let skipped = score(&row, width, &[-100]).unwrap();
        assert!(skipped[Column::Nll][0].is_nan() && !skipped.counted[0]);
        let mut bad = row.clone();
        bad[width - 2] = f32::NAN;
        let refused = score(&bad, width, &[3]).unwrap_err();
        assert!(
            matches!(refused, Unscorable::Logit { row: 0, column, .. } if column == width - 2),
            "{refused:?}"
        );
        bad.fill(f32::NEG_INFINITY);
        assert_eq!(score(&bad, width, &[3]), Err(Unscorable::NoMass { row: 0 }));
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
                let scores =
                    token_scores(Source::Made(&made), &targets, Some(-100), Column::ALL, &mut go).unwrap();
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
