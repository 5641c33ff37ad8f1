//! What is done to logits before they are scored: a bias per class, a scale, a soft cap, a temperature.

use super::terms::Exponential;
use crate::memory::{self, NoMemory};
use crate::rows::{MadeRows, Rows};
use crate::simd::{Element, Isa, Kernel, dispatch, scalar};
use std::ops::Range;

/// `softcap * tanh(scale * (x + bias) / softcap) / temperature`, without the steps that are not given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transform<'a> {
    /// One number per class that is added first.
    pub bias: Option<&'a [f64]>,
    /// The factor.
    pub scale: Option<f64>,
    /// The bound that the logits approach: Gemma's soft cap.
    pub softcap: Option<f64>,
    /// The divisor.
    pub temperature: Option<f64>,
}

impl Transform<'_> {
    /// Whether it leaves logits as they are.
    pub fn is_nothing(&self) -> bool {
        let Transform { bias, scale, softcap, temperature } = self;
        bias.is_none() && scale.is_none() && softcap.is_none() && temperature.is_none()
    }
}

/// The steps of a [`Transform`], each rounded in `R`, as if the logits had been converted to it and transformed in an
/// array.
pub(super) struct Steps<R> {
    bias: Vec<R>,
    scale: Option<R>,
    softcap: Option<R>,
    temperature: Option<R>,
}

impl<R: Exponential> Steps<R> {
    /// The steps, with their numbers rounded to `R`. A bias must have one number per class.
    pub fn new(transform: Transform<'_>) -> Result<Self, NoMemory> {
        scalar(|| {
            let real = R::from_f64;
            let bias = memory::collected(transform.bias.unwrap_or_default().iter().map(|&x| real(x)))?;
            let Transform { scale, softcap, temperature, .. } = transform;
            let [scale, softcap, temperature] = [scale, softcap, temperature].map(|x| x.map(real));
            Ok(Steps { bias, scale, softcap, temperature })
        })
    }

    /// Transforms the logits of one row from class `start` on.
    #[inline(always)]
    pub fn apply<I: Isa>(&self, logits: &mut [R], start: usize) {
        if let Some(bias) = self.bias.get(start..start + logits.len()) {
            for (out, &bias) in logits.iter_mut().zip(bias) {
                *out = *out + bias;
            }
        }
        if let Some(scale) = self.scale {
            for out in &mut *logits {
                *out = *out * scale;
            }
        }
        if let Some(cap) = self.softcap {
            for out in &mut *logits {
                // A class that is masked stays so, and what is no logit is still refused.
                let capped = cap * R::tanh::<I>(*out / cap);
                *out = if out.is_finite() { capped } else { *out };
            }
        }
        if let Some(temperature) = self.temperature {
            for out in logits {
                *out = *out / temperature;
            }
        }
    }
}

impl<R: Exponential> Steps<R> {
    /// Whether they leave logits as they are.
    pub fn is_nothing(&self) -> bool {
        let Steps { bias, scale, softcap, temperature } = self;
        bias.is_empty() && scale.is_none() && softcap.is_none() && temperature.is_none()
    }

    /// The derivative of a transformed logit y by the logit: `scale (1 - (y temperature / softcap)^2) / temperature`.
    #[inline(always)]
    pub fn derivative(&self, y: R) -> R {
        let one = R::from_f64(1.0);
        let mut slope = self.scale.unwrap_or(one);
        if let Some(cap) = self.softcap {
            let share = y * self.temperature.unwrap_or(one) / cap;
            // A masked class has no slope, and neither has one that reached the cap.
            slope = if share.is_finite() { slope * (one - share * share) } else { R::default() };
        }
        self.temperature.map_or(slope, |temperature| slope / temperature)
    }
}

/// Rows of transformed logits, computed while they are read.
pub struct Transformed<'a, T, R> {
    rows: &'a dyn Rows<T>,
    steps: Steps<R>,
}

impl<'a, T: Element, R: Exponential> Transformed<'a, T, R> {
    /// The rows, transformed. A bias must have one number per class.
    pub fn new(rows: &'a dyn Rows<T>, transform: Transform<'_>) -> Result<Self, NoMemory> {
        Ok(Transformed { rows, steps: Steps::new(transform)? })
    }
}

impl<T: Element, R: Exponential> MadeRows<R> for Transformed<'_, T, R> {
    fn count(&self) -> usize {
        self.rows.count()
    }

    fn width(&self) -> usize {
        self.rows.width()
    }

    fn make(&self, rows: &[usize], columns: Range<usize>, tile: &mut [R]) {
        let width = columns.len();
        for (&row, tile) in rows.iter().zip(tile.chunks_mut(width.max(1))) {
            let logits = &self.rows.row(row)[columns.clone()];
            dispatch(Apply { steps: &self.steps, logits, start: columns.start, tile });
        }
    }
}

/// Transforms the logits of one row from class `start` on.
struct Apply<'a, T, R> {
    steps: &'a Steps<R>,
    logits: &'a [T],
    start: usize,
    tile: &'a mut [R],
}

impl<T: Element, R: Exponential> Kernel for Apply<'_, T, R> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Apply { steps, logits, start, tile } = self;
        for (out, x) in tile.iter_mut().zip(logits) {
            *out = R::widen(*x);
        }
        steps.apply::<I>(tile, start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::rows::{Source, Table};
    use crate::tokens::{Asked, Column, Targets, token_scores};

    #[test]
    fn transformed_logits_are_scored_as_if_they_lay_in_memory() {
        let x: Vec<f32> = (0..40 * 2500).map(|i| ((i * 7919) % 1013) as f32 * 0.031 - 9.0).collect();
        let bias: Vec<f64> = (0..2500).map(|i| f64::from(i % 17) * 0.25).collect();
        let y: Vec<f32> =
            x.iter().zip(bias.iter().cycle()).map(|(x, &b)| (x + b as f32) * 0.3 / 1.7).collect();
        let [before, after] = [&x, &y].map(|data| Table::new(data, 2500).unwrap());
        let classes: Vec<i64> = (0..40).map(|i| i * 61).collect();
        let (targets, asked) = (Targets::new(&classes), Asked::from(Column::ALL));
        let transform =
            Transform { bias: Some(&bias), scale: Some(0.3), temperature: Some(1.7), softcap: None };
        let made = Transformed::<f32, f32>::new(&before, transform).unwrap();
        let got = token_scores(Source::Made(&made), targets, asked, &mut |_| true).unwrap().unwrap();
        let want = token_scores(Source::Lent(&after), targets, asked, &mut |_| true).unwrap().unwrap();
        assert_eq!(got, want);
        let capped = Transform { softcap: Some(2.5), ..Transform::default() };
        let made = Transformed::<f32, f32>::new(&before, capped).unwrap();
        let mut tile = [0.0f32; 3];
        made.make(&[1], 5..8, &mut tile);
        for (got, x) in tile.iter().zip(&x[2505..2508]) {
            assert!((f64::from(*got) - 2.5 * libm::tanh(f64::from(*x) / 2.5)).abs() < 1e-6);
        }
    }
}
