//! The negative log-likelihood of a target a row, and log Z.

use super::peak::{BLOCK, Logit, Partial, Peak, go_on, peak};
use crate::grid::{Pace, Stopped, TICK, Watch, chunk, chunks, map_chunks};
use crate::math::log64;
use crate::memory::{self, NoMemory};
use crate::rows::Rows;
use crate::simd::{Isa, Kernel, dispatch};
use std::ops::Range;
use std::time::Instant;

/// Bytes of logits in a chunk: enough to hide a hand-over, far below an answer to Ctrl-C.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a row that are read at a time: a longer row would keep Ctrl-C waiting. A multiple of the blocks of its sum.
const PART_BYTES: usize = 1 << 24;
const _: () = assert!(PART_BYTES.is_multiple_of(BLOCK * size_of::<f64>()));

/// One entry a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// log Z - x\[target\], in nats: at least 0, infinite for a target at -inf, NaN where not counted.
    pub nll: Vec<f64>,
    /// The logarithm of the sum of exponentials of the row, NaN where not counted.
    pub log_z: Vec<f64>,
    /// Whether the row was scored; one whose target is `ignore` is not even read.
    pub counted: Vec<bool>,
}

/// Why nothing was scored: the first offender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// A target that is neither `ignore` nor in `0..width`.
    Target {
        /// Where.
        row: usize,
    },
    /// A logit that is NaN or +inf.
    Logit {
        /// Where.
        row: usize,
        /// Its place in the row.
        column: usize,
        /// What it is.
        value: f64,
    },
    /// A row in which every logit is -inf.
    NoMass {
        /// Where.
        row: usize,
    },
}

/// Scores `targets[i]` under the softmax of row `i`.
///
/// nll = log S + (M - x\[target\]) and log Z = M + log S with the row's maximum M and S = sum exp(x - M), which
/// is the usual log Z - x\[target\] with the maximum subtracted first. Exponentials in f32 (in f64 for f64), sums
/// in f64: the error is at most 1e-6 nats for rows up to 262,144 wide, 1e-11 for f64.
///
/// There must be one target a row. `watch` is told how many rows are done.
pub fn token_scores<T: Logit>(
    rows: &dyn Rows<T>,
    targets: &[i64],
    ignore: Option<i64>,
    watch: Watch<'_>,
) -> Result<Result<Scores, Refusal>, Stopped> {
    let (count, width) = (rows.count().min(targets.len()), rows.width());
    let valid = |target: i64| Some(target) == ignore || usize::try_from(target).is_ok_and(|t| t < width);
    if let Some(row) = targets.iter().position(|&target| !valid(target)) {
        return Ok(Err(Refusal::Target { row }));
    }
    let row_bytes = (width * size_of::<T>()).max(1);
    if row_bytes > PART_BYTES {
        return wide_rows(rows, &targets[..count], ignore, watch);
    }
    let size = (CHUNK_BYTES / row_bytes).max(1);
    let mut rows_done = |done: usize| watch((done * size).min(count));
    let parts = map_chunks(chunks(count, size), count.saturating_mul(row_bytes), &mut rows_done, |index| {
        let range = chunk(index, count, size);
        let mut out = memory::with_capacity(range.len())?;
        Ok(dispatch(Chunk { rows, targets, ignore, range, out: &mut out }).map(|()| out))
    })?;
    Ok(collect(parts, targets, ignore)?)
}

/// (nll, log Z) of each row of `range`.
struct Chunk<'a, T> {
    rows: &'a dyn Rows<T>,
    targets: &'a [i64],
    ignore: Option<i64>,
    range: Range<usize>,
    out: &'a mut Vec<(f64, f64)>,
}

impl<T: Logit> Kernel for Chunk<'_, T> {
    type Out = Result<(), Refusal>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Result<(), Refusal> {
        for row in self.range {
            // Read once: another thread may write to the caller's memory, and a target is only used as what was looked at.
            let target = self.targets[row];
            if Some(target) == self.ignore {
                self.out.push((f64::NAN, f64::NAN));
                continue;
            }
            let logits = self.rows.row(row);
            let Some(logit) = logits.get(target as usize) else { return Err(Refusal::Target { row }) };
            let score = Score { peak: peak::<I, T>(logits), at_target: logit.to_f64() };
            match score.run::<I>() {
                Some(score) => self.out.push(score),
                None => return Err(refusal(row, logits)),
            }
        }
        Ok(())
    }
}

/// As [`token_scores`], of rows so long that each is read in parts: all rows' first parts, then their second ones.
fn wide_rows<T: Logit>(
    rows: &dyn Rows<T>,
    targets: &[i64],
    ignore: Option<i64>,
    watch: Watch<'_>,
) -> Result<Result<Scores, Refusal>, Stopped> {
    let (count, width, size) = (targets.len(), rows.width(), PART_BYTES / size_of::<T>());
    let mut partials = memory::filled(count, Partial::new())?;
    let mut asked = Instant::now();
    for part in 0..chunks(width, size) {
        let range = chunk(part, width, size);
        let done = count * part / chunks(width, size);
        // A part of a few rows takes less than a tick: the clock runs on from one to the next.
        if asked.elapsed() >= TICK {
            if !watch(done) {
                return Err(Stopped::Cancelled);
            }
            asked = Instant::now();
        }
        let mut rows_done = |_| watch(done);
        partials = map_chunks(count, count * PART_BYTES, &mut rows_done, |row| {
            if Some(targets[row]) == ignore {
                return partials[row];
            }
            dispatch(LongPart { so_far: partials[row], logits: &rows.row(row)[range.clone()] })
        })?;
    }
    let mut scores = memory::with_capacity(count)?;
    for (row, (&target, partial)) in targets.iter().zip(partials).enumerate() {
        if Some(target) == ignore {
            scores.push((f64::NAN, f64::NAN));
            continue;
        }
        let Some(logit) = rows.row(row).get(target as usize) else {
            return Ok(Err(Refusal::Target { row }));
        };
        match dispatch(Score { peak: partial.peak(), at_target: logit.to_f64() }) {
            Some(score) => scores.push(score),
            None => return Ok(Err(wide_refusal(row, rows.row(row), size, watch)?)),
        }
    }
    let mut parts = memory::with_capacity(1)?;
    parts.push(Ok(Ok(scores)));
    Ok(collect(parts, targets, ignore)?)
}

/// One part of a long row.
struct LongPart<'a, T: Logit> {
    so_far: Partial<T::Real>,
    logits: &'a [T],
}

impl<T: Logit> Kernel for LongPart<'_, T> {
    type Out = Partial<T::Real>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        go_on::<I, T>(self.so_far, self.logits)
    }
}

/// (nll, log Z) from a row's peak; none where the row has no softmax.
struct Score {
    peak: Peak,
    at_target: f64,
}

impl Kernel for Score {
    type Out = Option<(f64, f64)>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        let Peak { max, sum } = self.peak;
        if sum.is_nan() || sum < 1.0 {
            return None;
        }
        let log_sum = log64::<I>(sum);
        Some((log_sum + (max - self.at_target), max + log_sum))
    }
}

/// As [`refusal`], of a long row.
fn wide_refusal<T: Logit>(
    row: usize,
    logits: &[T],
    size: usize,
    watch: Watch<'_>,
) -> Result<Refusal, Stopped> {
    let mut pace = Pace::new(watch);
    for (part, logits) in logits.chunks(size).enumerate() {
        if let Refusal::Logit { column, value, .. } = refusal(row, logits) {
            return Ok(Refusal::Logit { row, column: part * size + column, value });
        }
        pace.stride(0)?;
    }
    Ok(Refusal::NoMass { row })
}

/// What is wrong with a row whose sum is not at least 1.
#[cold]
#[inline(never)]
fn refusal<T: Logit>(row: usize, logits: &[T]) -> Refusal {
    let values = || logits.iter().map(|x| x.to_f64());
    match values().enumerate().find(|&(_, x)| x.is_nan() || x == f64::INFINITY) {
        Some((column, value)) => Refusal::Logit { row, column, value },
        None => Refusal::NoMass { row },
    }
}

/// (nll, log Z) of the rows of a chunk, or what it refuses.
type Part = Result<Vec<(f64, f64)>, Refusal>;

/// Puts the chunks together, or returns the refusal of the first row that has one.
fn collect(
    parts: Vec<Result<Part, NoMemory>>,
    targets: &[i64],
    ignore: Option<i64>,
) -> Result<Result<Scores, Refusal>, NoMemory> {
    let column = || memory::with_capacity(targets.len());
    let counted = memory::collected(targets.iter().map(|&target| Some(target) != ignore))?;
    let mut scores = Scores { nll: column()?, log_z: column()?, counted };
    for part in parts {
        let rows = match part? {
            Ok(rows) => rows,
            Err(refusal) => return Ok(Err(refusal)),
        };
        scores.nll.extend(rows.iter().map(|&(nll, _)| nll));
        scores.log_z.extend(rows.iter().map(|&(_, log_z)| log_z));
    }
    Ok(Ok(scores))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Table;
    use crate::simd::{Bf16, Element, F16, Level, force};

    fn go(_: usize) -> bool {
        true
    }

    fn score<T: Logit>(data: &[T], width: usize, targets: &[i64]) -> Result<Scores, Refusal> {
        token_scores(&Table::new(data, width).unwrap(), targets, Some(-100), &mut go).unwrap()
    }

    /// Words of a linear congruential generator as logits of spread `scale`.
    fn logits(n: usize, scale: f64, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..n).map(|_| (next() + next() + next() + next()) * scale).collect()
    }

    /// log Z by the textbook, in f64, smallest terms first.
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
                let close = |got: Scores, exact: &[f64], bound: f64| {
                    let z = oracle(exact);
                    assert!((got.log_z[0] - z).abs() <= bound, "{width} {scale}: {} {z}", got.log_z[0]);
                    let nll = z - exact[target as usize];
                    assert!((got.nll[0] - nll).abs() <= bound, "{width} {scale}: {} {nll}", got.nll[0]);
                };
                close(score(&x, width, &[target]).unwrap(), &x, 1e-11);
                close(score(&single, width, &[target]).unwrap(), &wide(&single), 1e-6);
                let widened: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
                close(score(&half, width, &[target]).unwrap(), &wide(&widened), 1e-6);
            }
        }
    }

    /// The largest sum of roundings that was found: a plateau whose distance from the maximum is half a unit
    /// in the last place off.
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
                assert!((got.log_z[0] - z).abs() <= 1e-6, "{below} {top}: {} {z}", got.log_z[0]);
            }
        }
    }

    #[test]
    fn uniform_logits_give_the_width_exactly() {
        for width in [1usize, 2, 31, 32, 1000, 4097, 262_144] {
            for level in [0.0f32, -11.25, 3.3, 1e30] {
                let got = score(&vec![level; width], width, &[0]).unwrap();
                assert_eq!(got.nll[0], libm::log(width as f64), "{width} at {level}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        let x: Vec<f32> = logits(5 * 4097, 8.0, 9).iter().map(|&v| v as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let targets = [0, 5, -100, 17, 4096];
        let bits = |s: Scores| s.nll.into_iter().chain(s.log_z).map(f64::to_bits).collect::<Vec<_>>();
        force(Some(Level::Baseline));
        let want = (bits(score(&x, 4097, &targets).unwrap()), bits(score(&wide, 4097, &targets).unwrap()));
        for level in Level::ALL {
            if force(Some(level)) {
                let got =
                    (bits(score(&x, 4097, &targets).unwrap()), bits(score(&wide, 4097, &targets).unwrap()));
                assert_eq!(got, want, "{level:?}");
            }
        }
        force(None);
    }

    #[test]
    fn a_masked_target_counts_and_a_masked_vocabulary_does_not_disturb() {
        let mut x = vec![f32::NEG_INFINITY; 3000];
        (x[2500], x[2600]) = (1.5, 1.5);
        assert_eq!(score(&x, 3000, &[0]).unwrap().nll, [f64::INFINITY]);
        assert_eq!(score(&x, 3000, &[2600]).unwrap().nll, [std::f64::consts::LN_2]);
    }

    #[test]
    fn nothing_that_has_no_meaning_is_lost() {
        for place in [0, 31, 32, 1023, 1024, 2999] {
            // Every kind of NaN: both signs, quiet and signalling, each exponent-trick trap.
            for payload in (0..512u32).map(|p| 0x7f80_0001 | p << 14 | (p & 1) << 31) {
                for fill in [0.0, f32::NEG_INFINITY] {
                    let mut x = vec![fill; 3000];
                    x[place] = f32::from_bits(payload);
                    let got = score(&x, 3000, &[5]);
                    assert!(matches!(got, Err(Refusal::Logit { row: 0, column, .. }) if column == place));
                }
            }
            let mut x = vec![0.0; 6000];
            x[3000 + place] = f64::INFINITY;
            let want = Refusal::Logit { row: 1, column: place, value: f64::INFINITY };
            assert_eq!(score(&x, 3000, &[5, 5]), Err(want));
            assert!(score(&x, 3000, &[5, -100]).is_ok(), "a row that is not counted is not read");
        }
        assert_eq!(score(&[f32::NEG_INFINITY; 40], 40, &[0]), Err(Refusal::NoMass { row: 0 }));
        assert_eq!(score(&[0.0f32; 8], 4, &[3, 4]), Err(Refusal::Target { row: 1 }));
        assert_eq!(score(&[0.0f32; 8], 4, &[-1, 3]), Err(Refusal::Target { row: 0 }));
    }

    #[test]
    fn half_precision_widens_exactly() {
        let x = [F16(0x3c00), F16(0x4000), F16(0xfc00)];
        let wide = [1.0f32, 2.0, f32::NEG_INFINITY];
        assert_eq!(score(&x, 3, &[0]), score(&wide, 3, &[0]));
    }

    #[test]
    fn the_far_tail_is_log_sum_exp_and_not_log_of_softmax() {
        assert_eq!(score(&[0.0f32, -104.5], 2, &[1]).unwrap().nll, [104.5]);
    }

    #[test]
    fn a_row_read_in_parts_has_the_bits_of_one_read_at_once() {
        struct Whole<'a>(&'a [f32]);
        impl Kernel for Whole<'_> {
            type Out = Peak;
            #[inline(always)]
            fn run<I: Isa>(self) -> Peak {
                peak::<I, f32>(self.0)
            }
        }
        let width = 2 * PART_BYTES / size_of::<f32>() + 12_345;
        let mut row: Vec<f32> = logits(width, 10.0, 7).into_iter().map(|v| v as f32).collect();
        row[width - 5] = 40.0;
        let expected = dispatch(Whole(&row));
        let score_of = |peak, at| dispatch(Score { peak, at_target: f64::from(row[at]) }).unwrap();
        let got = score(&row, width, &[3]).unwrap();
        let (nll, log_z) = score_of(expected, 3);
        assert_eq!((got.nll[0].to_bits(), got.log_z[0].to_bits()), (nll.to_bits(), log_z.to_bits()));
        let skipped = score(&row, width, &[-100]).unwrap();
        assert!(skipped.nll[0].is_nan() && !skipped.counted[0]);
        let mut bad = row.clone();
        bad[width - 2] = f32::NAN;
        let refused = score(&bad, width, &[3]).unwrap_err();
        assert!(
            matches!(refused, Refusal::Logit { row: 0, column, .. } if column == width - 2),
            "{refused:?}"
        );
        bad.fill(f32::NEG_INFINITY);
        assert_eq!(score(&bad, width, &[3]), Err(Refusal::NoMass { row: 0 }));
    }
}
