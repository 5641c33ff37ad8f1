//! A sketch of the distribution of each row of logits: its k largest logits with their classes, log Z, the entropy, and
//! the mass of all other classes, the tail. And a lower bound of the KL divergence of another model from it.
//!
//! The tail's mass is a log-sum-exp over the other classes, relative to the largest of these. As 1 minus the mass of the
//! k classes it would lose its digits where it is small, and relative to the largest logit of the row it would be 0
//! below e^-87.
//!
//! With the tail as one class, of mass Q in the base and P in the new model, the divergence of these k + 1 classes is at
//! most that of all classes (the data-processing inequality, here the log-sum inequality):
//! KL(q, p) >= sum q log(q / p) + Q log(Q / P), summed over the k, and what is missing is Q times the KL divergence of both
//! tails. It is computed as in `divergence.rs`, as a sum of terms q log(q / p) - q + p >= 0.

use super::columns::{Beside, Column};
use super::divergence::kl_term;
use super::entropy::EntropySums;
use super::fold::{BLOCK, Fold, Folded, block_max};
use super::largest_k::LargestK;
use super::log_sum_exp::SumExp;
use super::passes::{Results, fill_bunches, held, offender, rows_per_chunk};
use super::reading::{Plan, Request};
use super::scores::{Asked, Piece, TokenScores, Unscorable};
use super::targets::Targets;
use super::terms::Logit;
use crate::grid::{Progress, Stopped, chunk};
use crate::math::{exp64, log64};
use crate::memory::{self, NoMemory};
use crate::rows::{Rows, Source};
use crate::simd::{Element, Isa, Kernel, dispatch};
use std::ops::Range;

/// Sketches of rows, one after another; NaN and -1 where a row does not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    /// The classes of the k largest logits of each row, the largest first, and of equal ones the first.
    pub ids: Vec<i32>,
    /// Their logits.
    pub logits: Vec<f64>,
    /// log Z of each row, with the bits of [`Column::LogZ`].
    pub log_z: Vec<f64>,
    /// The probability of all classes but the k.
    pub tail: Vec<f64>,
    /// The entropy of each row, with the bits of [`Column::Entropy`].
    pub entropy: Vec<f64>,
}

/// Sketches that another model is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Sketched<'a> {
    /// Logits of a row that were kept.
    pub k: usize,
    /// Their classes: of the rows that count, different ones below the width of the rows.
    pub ids: &'a [i32],
    /// The logits.
    pub logits: &'a [f64],
    /// log Z of each row; NaN where it does not count.
    pub log_z: &'a [f64],
    /// The probability of all other classes.
    pub tail: &'a [f64],
}

/// Sketches each row by its `k` largest logits, 1 to the width, which is at most 2^31 - 1. `mask` says which rows count;
/// the others are not read.
///
/// The tail's mass has a relative error of at most 3e-6 (f64: 3e-11).
pub fn token_sketch<T: Logit>(
    rows: &dyn Rows<T>,
    k: usize,
    mask: Option<&[u8]>,
    progress: Progress<'_>,
) -> Result<Result<Sketch, Unscorable>, Stopped> {
    let (count, columns) = (rows.count(), &[Column::LogZ, Column::Entropy][..]);
    let size = rows_per_chunk(rows.width() * size_of::<T>());
    let entries = count.saturating_mul(k);
    let mut sketch = Sketch {
        ids: memory::filled(entries, -1)?,
        logits: memory::filled(entries, f64::NAN)?,
        tail: memory::filled(count, f64::NAN)?,
        ..Sketch::default()
    };
    let ids = sketch.ids.chunks_mut(size * k);
    let parts = ids.zip(sketch.logits.chunks_mut(size * k)).zip(sketch.tail.chunks_mut(size));
    let parts = memory::collected(parts)?;
    let condense = |first: usize, ((ids, logits), tail): Part<'_>, log_z: &[f64]| -> Result<(), NoMemory> {
        let mut scratch = Scratch::new(k)?;
        let mut largest = LargestK::new(k)?;
        let (scratch, largest) = (&mut scratch, &mut largest);
        dispatch(Condense { rows, first, k, log_z, scratch, largest, ids, logits, tail });
        Ok(())
    };
    let scores = scored::<T, EntropySums, _>(rows, mask, columns, parts, &condense, progress)?;
    Ok(scores.map(|mut scores| Sketch {
        log_z: scores.take(Column::LogZ),
        entropy: scores.take(Column::Entropy),
        ..sketch
    }))
}

type Part<'a> = ((&'a mut [i32], &'a mut [f64]), &'a mut [f64]);

/// A lower bound of the KL divergence of `rows` from `base`, sum q log(q / p), for each row; exactly 0 for the rows that
/// were sketched, and NaN where a row does not count. There must be a sketch per row.
///
/// Its error is that of [`super::PairColumn::Kl`], at most 1e-5 of itself and 4e-6 nats times the total variation (f64:
/// 1e-12 and 4e-11), and 2^-52 times |log Z|.
pub fn sketch_kl<T: Logit>(
    rows: &dyn Rows<T>,
    base: Sketched<'_>,
    progress: Progress<'_>,
) -> Result<Result<Vec<f64>, Unscorable>, Stopped> {
    let size = rows_per_chunk(rows.width() * size_of::<T>());
    let mut bounds = memory::filled(rows.count(), f64::NAN)?;
    let parts = memory::collected(bounds.chunks_mut(size))?;
    let mask = memory::collected(base.log_z.iter().map(|log_z| u8::from(!log_z.is_nan())))?;
    let compare = |first: usize, out: &mut [f64], log_z: &[f64]| -> Result<(), NoMemory> {
        let mut scratch = Scratch::new(base.k)?;
        dispatch(Compare { rows, first, base, log_z, scratch: &mut scratch, out });
        Ok(())
    };
    let scores = scored::<T, SumExp, _>(rows, Some(&mask), &[Column::LogZ], parts, &compare, progress)?;
    Ok(scores.map(|_| bounds))
}

/// What is done with a chunk of rows, by the number of the first, the part of the chunk, and log Z of its rows.
type Then<'a, P> = dyn Fn(usize, P, &[f64]) -> Result<(), NoMemory> + Sync + 'a;

/// Computes the columns of rows, and calls `then` for each chunk while it is in the cache.
fn scored<T: Logit, F: Fold<T>, P: Send>(
    rows: &dyn Rows<T>,
    mask: Option<&[u8]>,
    columns: &[Column],
    parts: Vec<P>,
    then: &Then<'_, P>,
    progress: Progress<'_>,
) -> Result<Result<TokenScores, Unscorable>, Stopped> {
    let (source, count) = (Source::Lent(rows), rows.count());
    // No column depends on a target, but rows count by theirs.
    let classes = memory::filled(count, 0)?;
    let targets = Targets { mask, ..Targets::new(&classes) };
    let counted = targets.counted()?;
    let asked = Asked::from(columns);
    let request = Request { targets, counted: &counted, asked };
    let plan = Plan { source, request, beside: Beside::default() };
    let row_bytes = rows.width() * size_of::<T>();
    let size = rows_per_chunk(row_bytes);
    let mut scores = TokenScores::empty(count, targets, columns)?;
    let items = scores.pieces(count, size, 1).zip(parts);
    let mut rows_done = |done: usize| progress((done * size).min(count));
    let refused =
        fill_bunches(items, count.saturating_mul(row_bytes), &mut rows_done, |index, (piece, part)| {
            let rows = chunk(index, count, size);
            let first = rows.start;
            match finished::<T, F>(plan, rows, piece)? {
                Ok(log_z) => then(first, part, log_z).map(|()| None),
                Err(row) => Ok(Some(row)),
            }
        })?;
    let refused = refused.into_iter().collect::<Result<Vec<_>, NoMemory>>()?;
    match refused.into_iter().flatten().next() {
        Some(row) => Ok(Err(offender(source, row, progress)?)),
        None => Ok(Ok(scores)),
    }
}

/// Reads rows and fills their columns. Returns their log Z, or the first that has no softmax.
fn finished<'a, T: Logit, F: Fold<T>>(
    plan: Plan<'_, T>,
    rows: Range<usize>,
    mut piece: Piece<'a>,
) -> Result<Result<&'a [f64], usize>, NoMemory> {
    let first = rows.start;
    let held = held::<T, F>(plan, rows)?;
    let out = piece.each_mut().map(|column| &mut **column);
    let refused = TokenScores::fill(plan, first, held.all(), out);
    let log_z = std::mem::take(&mut piece[Column::LogZ as usize]);
    Ok(refused.map_or(Ok(&*log_z), Err))
}

/// What the search for the mass of a tail needs.
struct Scratch<T> {
    /// The classes that are not in the tail, rising.
    classes: Vec<usize>,
    /// A block without them.
    block: Vec<T>,
}

impl<T: Logit> Scratch<T> {
    fn new(k: usize) -> Result<Self, NoMemory> {
        Ok(Scratch { classes: memory::filled(k, 0)?, block: memory::filled(BLOCK, T::default())? })
    }

    /// The logarithm of the probability of all classes of a row but `ids`, and that probability.
    #[inline(always)]
    fn tail<I: Isa>(&mut self, row: &[T], ids: &[i32], log_z: f64) -> (f64, f64) {
        for (class, &id) in self.classes.iter_mut().zip(ids) {
            *class = id as usize;
        }
        self.classes.sort_unstable();
        let (mut state, mut rest) = (Folded::<T, SumExp>::new(), &self.classes[..]);
        for (index, block) in row.chunks(BLOCK).enumerate() {
            let start = index * BLOCK;
            let (here, later) = rest.split_at(rest.partition_point(|&class| class < start + block.len()));
            rest = later;
            let others = if here.is_empty() {
                block
            } else {
                let others = &mut self.block[..block.len()];
                others.copy_from_slice(block);
                for class in here {
                    others[class - start] = T::from_f64(f64::NEG_INFINITY);
                }
                others
            };
            state.read::<I>(others, block_max(others), start, Beside::default());
        }
        // Without a class above -inf, there is no mass.
        let Some(row) = state.finish(row.len()) else { return (f64::NEG_INFINITY, 0.0) };
        let log_mass = (row.max - log_z) + log64::<I>(row.sums.sum_exp);
        // Rounding may carry it beyond 1.
        if log_mass > 0.0 { (0.0, 1.0) } else { (log_mass, exp64::<I>(log_mass)) }
    }
}

/// Sketches the rows from `first` on, whose log Z is known.
struct Condense<'a, T: Logit> {
    rows: &'a dyn Rows<T>,
    first: usize,
    k: usize,
    log_z: &'a [f64],
    scratch: &'a mut Scratch<T>,
    largest: &'a mut LargestK<T::Real>,
    ids: &'a mut [i32],
    logits: &'a mut [f64],
    tail: &'a mut [f64],
}

impl<T: Logit> Kernel for Condense<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Condense { rows, first, k, log_z, scratch, largest, ids, logits, tail } = self;
        for (i, &log_z) in log_z.iter().enumerate() {
            if log_z.is_nan() {
                continue;
            }
            let row = rows.row(first + i);
            let (ids, logits) = (&mut ids[i * k..(i + 1) * k], &mut logits[i * k..(i + 1) * k]);
            for (place, &(logit, class)) in largest.of(row).iter().enumerate() {
                (ids[place], logits[place]) = (class as i32, logit.to_f64());
            }
            tail[i] = scratch.tail::<I>(row, ids, log_z).1;
        }
    }
}

/// Compares the rows from `first` on, whose log Z is known, with their sketches.
struct Compare<'a, T> {
    rows: &'a dyn Rows<T>,
    first: usize,
    base: Sketched<'a>,
    log_z: &'a [f64],
    scratch: &'a mut Scratch<T>,
    out: &'a mut [f64],
}

impl<T: Logit> Kernel for Compare<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Compare { rows, first, base, log_z, scratch, out } = self;
        for (i, (out, &log_z)) in out.iter_mut().zip(log_z).enumerate() {
            if log_z.is_nan() {
                continue;
            }
            let (row, place) = (rows.row(first + i), first + i);
            let here = place * base.k..(place + 1) * base.k;
            let ids = &base.ids[here.clone()];
            let mut sum = 0.0;
            for (&id, &logit) in ids.iter().zip(&base.logits[here]) {
                sum += kl_term::<I>(row[id as usize].to_f64() - log_z, logit - base.log_z[place]);
            }
            let (log_mass, mass) = scratch.tail::<I>(row, ids, log_z);
            let of_base = base.tail[place];
            // Equal masses must have equal logarithms, and a mass below the range of f64 still has one.
            let new = if mass > 0.0 { log64::<I>(mass) } else { log_mass };
            let old = if of_base > 0.0 { log64::<I>(of_base) } else { f64::NEG_INFINITY };
            *out = sum + kl_term::<I>(new, old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Table;
    use crate::tokens::scores::tests::logits;
    use crate::tokens::{Models, PairColumn, pair_scores};

    fn go(_: usize) -> bool {
        true
    }

    fn sketched(rows: &dyn Rows<f32>, k: usize) -> Sketch {
        token_sketch(rows, k, None, &mut go).unwrap().unwrap()
    }

    fn kl(new: &dyn Rows<f32>, base: &Sketch, k: usize) -> Vec<f64> {
        let Sketch { ids, logits, log_z, tail, .. } = base;
        sketch_kl(new, Sketched { k, ids, logits, log_z, tail }, &mut go).unwrap().unwrap()
    }

    #[test]
    fn the_tail_is_what_the_k_leave_and_the_divergence_is_a_lower_bound() {
        let width = 2500;
        let base: Vec<f32> = logits(8 * width, 20.0, 1).iter().map(|&x| x as f32).collect();
        let noise = logits(8 * width, 2.0, 2);
        let new: Vec<f32> = base.iter().zip(noise).map(|(x, e)| x + e as f32).collect();
        let [base, new] = [&base, &new].map(|data| Table::new(data, width).unwrap());
        let models = Models { new: Source::Lent(&new), base: Source::Lent(&base) };
        let asked = Asked::from(&[Column::LogZ][..]);
        let exact =
            pair_scores(models, Targets::new(&[0; 8]), asked, &[PairColumn::Kl], &mut go).unwrap().unwrap();
        let exact = &exact[PairColumn::Kl];
        let mut last = vec![0.0; 8];
        for k in [1, 2, 64, 1000, width] {
            let sketch = sketched(&base, k);
            for row in 0..8 {
                let outside =
                    (0..width).filter(|&v| !sketch.ids[row * k..(row + 1) * k].contains(&(v as i32)));
                let mass: f64 =
                    outside.map(|v| libm::exp(f64::from(base.row(row)[v]) - sketch.log_z[row])).sum();
                assert!(
                    (sketch.tail[row] - mass).abs() <= 3e-6 * mass,
                    "{k} {row}: {} {mass}",
                    sketch.tail[row]
                );
            }
            let bounds = kl(&new, &sketch, k);
            for ((&bound, &exact), last) in bounds.iter().zip(exact).zip(&mut last) {
                assert!(bound > 0.0 && bound <= exact * (1.0 + 2e-5) + 4e-6, "{k}: {bound} {exact}");
                // Classes that are taken out of the tail can only add to the bound.
                assert!(bound >= *last * (1.0 - 2e-5) - 4e-6);
                *last = bound;
            }
            assert!(k < width || last.iter().zip(exact).all(|(a, b)| (a - b).abs() <= 2e-5 * b + 4e-6));
            assert_eq!(kl(&base, &sketch, k), [0.0; 8]);
        }
    }
}
