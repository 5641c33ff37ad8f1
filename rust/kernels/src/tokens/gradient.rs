//! The gradient of the cross-entropy of tokens with respect to their logits.

use super::passes::{PART, rows_per_chunk};
use super::scores::Unscorable;
use super::targets::Targets;
use super::terms::{Exponential, Logit};
use super::transform::{Steps, Transform};
use crate::grid::{Progress, Stopped, fill_chunks};
use crate::memory::{self, NoMemory};
use crate::rows::Rows;
use crate::simd::{Isa, Kernel, Real, dispatch};

/// The loss of a row whose logits, transformed, are y: with the target t, p the softmax of y and V classes,
/// `(1 - label_smoothing) nll + label_smoothing (log_z - mean(y)) + z_loss log_z^2`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss<'a> {
    /// What is done to the logits first.
    pub transform: Transform<'a>,
    /// The probability that is spread over all classes, 0 to 1.
    pub label_smoothing: f64,
    /// The factor of the square of log Z.
    pub z_loss: f64,
    /// Where the logits are those of some classes only: the first of them, and how many classes there are.
    pub shard: Option<(usize, usize)>,
}

/// Writes the gradient of `sum over rows of factors[row] * loss(row)` with respect to the logits x:
///
/// `factor (p (1 + 2 z_loss log_z) - label_smoothing / V - (1 - label_smoothing) [v = t]) dy/dx`,
///
/// with `log_z` of each row as [`super::token_scores`] finds it for the same transformation, and 0 for rows that do not
/// count. It is computed in f32 (f64 for f64) and rounded once to the type of the logits. There is one target a row, one
/// `log_z` and one factor, of all classes; `gradient` has the size of the logits. `progress` gets the number of chunks done.
#[allow(clippy::too_many_arguments)] // what the formula needs
pub fn token_gradients<T: Logit>(
    rows: &dyn Rows<T>,
    targets: Targets<'_>,
    loss: Loss<'_>,
    log_z: &[f64],
    factors: &[f64],
    gradient: &mut [T],
    progress: Progress<'_>,
) -> Result<Result<(), Unscorable>, Stopped> {
    let width = rows.width();
    let (first_class, classes) = loss.shard.unwrap_or((0, width));
    if let Some(index) = targets.out_of_range(classes) {
        return Ok(Err(Unscorable::Target { index }));
    }
    let counted = targets.counted()?;
    let steps = Steps::<T::Real>::new(loss.transform)?;
    let of = Of {
        rows,
        targets: targets.classes,
        counted: &counted,
        loss,
        first_class,
        classes,
        steps: &steps,
        log_z,
        factors,
    };
    let bytes = size_of_val(&*gradient);
    let mut stretches = Vec::new();
    if width > PART {
        for (row, gradient) in gradient.chunks_mut(width).enumerate() {
            for (part, gradient) in gradient.chunks_mut(PART).enumerate() {
                memory::push(
                    &mut stretches,
                    Stretch { row, start: part * PART, width: gradient.len(), gradient },
                )?;
            }
        }
    } else if width > 0 {
        let size = rows_per_chunk(width * size_of::<T>());
        for (i, gradient) in gradient.chunks_mut(size * width).enumerate() {
            memory::push(&mut stretches, Stretch { row: i * size, start: 0, width, gradient })?;
        }
    }
    let written = fill_chunks(stretches, bytes, progress, |_, stretch| -> Result<(), NoMemory> {
        let mut logits = memory::filled(stretch.width, T::Real::default())?;
        dispatch(Write { of: &of, stretch, logits: &mut logits });
        Ok(())
    })?;
    written.into_iter().collect::<Result<(), _>>()?;
    Ok(Ok(()))
}

/// The arguments of one call.
struct Of<'a, T: Logit> {
    rows: &'a dyn Rows<T>,
    targets: &'a [i64],
    counted: &'a [bool],
    loss: Loss<'a>,
    first_class: usize,
    classes: usize,
    steps: &'a Steps<T::Real>,
    log_z: &'a [f64],
    factors: &'a [f64],
}

/// Whole rows, or a part of one, of the gradient.
struct Stretch<'a, T> {
    /// The first row.
    row: usize,
    /// The class of the first element of a row.
    start: usize,
    /// How many elements a row has here.
    width: usize,
    gradient: &'a mut [T],
}

/// Writes a stretch of the gradient.
struct Write<'a, T: Logit> {
    of: &'a Of<'a, T>,
    stretch: Stretch<'a, T>,
    /// Memory for the transformed logits of a row.
    logits: &'a mut [T::Real],
}

impl<T: Logit> Kernel for Write<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Write { of, stretch: Stretch { row: first, start, width, gradient }, logits } = self;
        for (i, gradient) in gradient.chunks_exact_mut(width).enumerate() {
            let row = first + i;
            if !of.counted[row] {
                gradient.fill(T::default());
                continue;
            }
            let x = &of.rows.row(row)[start..start + width];
            for (y, x) in logits.iter_mut().zip(x) {
                *y = x.real();
            }
            of.steps.apply::<I>(logits, start);
            let slope = Slope::<T::Real>::new(of.loss, of.log_z[row], of.factors[row], of.classes);
            // The place of the target; beyond the end where it is elsewhere.
            let target = (of.targets[row] as usize).wrapping_sub(of.first_class + start);
            write_row::<I, T>(gradient, logits, &slope, of.steps, target);
        }
    }
}

/// The numbers of a row's gradient: `probability * p - spread`, and less `certain` for the target.
#[derive(Clone, Copy)]
struct Slope<R> {
    /// log Z in two parts, whose sum is closer to it than one number of the type.
    log_z: [R; 2],
    probability: R,
    spread: R,
    certain: R,
}

impl<R: Exponential> Slope<R> {
    #[inline(always)]
    fn new(loss: Loss<'_>, log_z: f64, factor: f64, classes: usize) -> Self {
        let Loss { label_smoothing, z_loss, .. } = loss;
        let high = R::from_f64(log_z);
        Slope {
            log_z: [high, R::from_f64(log_z - high.to_f64())],
            probability: R::from_f64(factor * (1.0 + 2.0 * z_loss * log_z)),
            spread: R::from_f64(factor * label_smoothing / classes as f64),
            certain: R::from_f64(factor * (1.0 - label_smoothing)),
        }
    }

    /// The derivative by the transformed logit y of a class other than the target.
    #[inline(always)]
    fn at<I: Isa>(&self, y: R) -> R {
        let p = R::exp::<I>((y - self.log_z[0]) - self.log_z[1]);
        R::fma::<I>(self.probability, p, -self.spread)
    }
}

/// Writes the gradient of (a part of) a row, in which `target` is the place of the target, if it is there.
#[inline(always)]
fn write_row<I: Isa, T: Logit>(
    gradient: &mut [T],
    logits: &[T::Real],
    slope: &Slope<T::Real>,
    steps: &Steps<T::Real>,
    target: usize,
) {
    if steps.is_nothing() {
        for (to, &y) in gradient.iter_mut().zip(logits) {
            *to = slope.at::<I>(y).narrow();
        }
    } else {
        for (to, &y) in gradient.iter_mut().zip(logits) {
            *to = (slope.at::<I>(y) * steps.derivative(y)).narrow();
        }
    }
    if let (Some(to), Some(&y)) = (gradient.get_mut(target), logits.get(target)) {
        *to = ((slope.at::<I>(y) - slope.certain) * steps.derivative(y)).narrow();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::rows::{Source, Table};
    use crate::tokens::scores::tests::logits;
    use crate::tokens::{Asked, Column, Transformed, token_scores};

    fn go(_: usize) -> bool {
        true
    }

    /// The losses of rows with that loss, and log Z.
    fn losses(x: &[f64], width: usize, targets: Targets<'_>, loss: Loss<'_>) -> (Vec<f64>, Vec<f64>) {
        let table = Table::new(x, width).unwrap();
        let made = Transformed::<f64, f64>::new(&table, loss.transform).unwrap();
        let asked = Asked { columns: Column::ALL, label_smoothing: loss.label_smoothing };
        let scores = token_scores(Source::Made(&made), targets, asked, &mut go).unwrap().unwrap();
        let of = |row: usize| scores[Column::LabelSmoothed][row] + loss.z_loss * scores[Column::ZLoss][row];
        ((0..x.len() / width).map(of).collect(), scores[Column::LogZ].to_vec())
    }

    #[test]
    fn it_is_the_slope_of_the_loss() {
        let transform =
            Transform { scale: Some(0.7), softcap: Some(3.0), temperature: Some(1.3), bias: None };
        let plain = Loss::default();
        for loss in [plain, Loss { transform, label_smoothing: 0.1, z_loss: 1e-2, shard: None }] {
            for (rows, width) in [(3, 1), (4, 7), (1, 270_000)] {
                let mut x = logits(rows * width, 5.0, 3);
                let classes: Vec<i64> = (0..rows as i64).map(|i| (i * 5 + 2) % width as i64).collect();
                let targets =
                    Targets { ignore: Some(classes[0]).filter(|_| rows > 1), ..Targets::new(&classes) };
                let (_, log_z) = losses(&x, width, targets, loss);
                let factors: Vec<f64> = (0..rows).map(|i| 0.5 + i as f64).collect();
                let mut got = vec![f64::NAN; x.len()];
                let table = Table::new(&x, width).unwrap();
                token_gradients(&table, targets, loss, &log_z, &factors, &mut got, &mut go).unwrap().unwrap();
                let places = (0..x.len()).step_by((x.len() / 40).max(1)).chain([classes[rows - 1] as usize]);
                for place in places.collect::<Vec<_>>() {
                    let row = place / width;
                    if Some(classes[row]) == targets.ignore {
                        assert_eq!(got[place], 0.0);
                        continue;
                    }
                    let (middle, step) = (x[place], 1e-5);
                    let at = |x: &mut [f64], value: f64| {
                        x[place] = value;
                        losses(x, width, targets, loss).0[row]
                    };
                    let slope = (at(&mut x, middle + step) - at(&mut x, middle - step)) / (2.0 * step);
                    x[place] = middle;
                    assert!((got[place] - factors[row] * slope).abs() < 1e-8, "{width} {place}");
                }
            }
        }
    }

    #[test]
    fn shards_have_the_bits_of_the_whole() {
        let (rows, width) = (6, 50);
        let x: Vec<f32> = logits(rows * width, 9.0, 5).into_iter().map(|x| x as f32).collect();
        let classes: Vec<i64> = (0..rows as i64).map(|i| i * 9).collect();
        let (targets, log_z) = (Targets::new(&classes), vec![4.5; rows]);
        let loss = Loss { label_smoothing: 0.25, ..Loss::default() };
        let gradient = |x: &[f32], width: usize, loss: Loss<'_>| {
            let mut got = vec![f32::NAN; x.len()];
            let table = Table::new(x, width).unwrap();
            token_gradients(&table, targets, loss, &log_z, &[1.0; 6], &mut got, &mut go).unwrap().unwrap();
            got
        };
        let whole = gradient(&x, width, loss);
        for (first, last) in [(0, 20), (20, 50)] {
            let part =
                |x: &[f32]| x.chunks(width).flat_map(|row| row[first..last].to_vec()).collect::<Vec<_>>();
            let got = gradient(&part(&x), last - first, Loss { shard: Some((first, width)), ..loss });
            assert_eq!(got, part(&whole));
        }
    }

    #[test]
    fn targets_out_of_range_are_refused_and_masked_classes_have_no_slope() {
        let x = [0.0f32, f32::NEG_INFINITY, 1.0, 2.0];
        let table = Table::new(&x, 4).unwrap();
        let mut got = [f32::NAN; 4];
        let mut with = |class: i64| {
            token_gradients(
                &table,
                Targets::new(&[class]),
                Loss::default(),
                &[2.4],
                &[1.0],
                &mut got,
                &mut go,
            )
        };
        assert_eq!(with(4).unwrap(), Err(Unscorable::Target { index: 0 }));
        assert_eq!(with(3).unwrap(), Ok(()));
        assert_eq!(got[1], 0.0);
    }
}
