//! What is told of results: the largest loss and the steepest gradient, which say how far the rounding of
//! log-probabilities moves a loss.

use super::larger;
use super::narrow::Narrow;
use crate::simd::{Element, Isa, Kernel, Precision, Real};

const LANES: usize = 16;

/// The results of some pairs, just written, to be looked at while they are in the cache.
pub(super) struct Results<'a, O> {
    pub(super) losses: &'a [O],
    /// The gradients by the chosen and the rejected answers, where they are to be looked at.
    pub(super) gradients: Option<[&'a [O]; 2]>,
    /// What the gradients have been multiplied by.
    pub(super) weights: Option<&'a [f64]>,
}

impl<O: Narrow> Kernel for Results<'_, O> {
    /// The largest loss and the largest magnitude of a gradient without its weight, which are 0 where there is none.
    type Out = [f64; 2];
    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; 2] {
        if const { matches!(O::PRECISION, Precision::F64) } {
            self.extremes::<f64>()
        } else {
            self.extremes::<f32>()
        }
    }
}

impl<O: Narrow> Results<'_, O> {
    #[inline(always)]
    fn extremes<R: Real>(self) -> [f64; 2] {
        let mut steepest = 0.0;
        for gradients in self.gradients.into_iter().flatten() {
            let found = match self.weights {
                Some(weights) => steepest_of(gradients, weights),
                None => largest::<O, R, true>(gradients),
            };
            steepest = larger(steepest, found);
        }
        [largest::<O, R, false>(self.losses), steepest]
    }
}

/// The largest number above 0, or magnitude; a NaN is none.
#[inline(always)]
fn largest<O: Element, R: Real, const MAGNITUDES: bool>(column: &[O]) -> f64 {
    let mut lanes = [[R::default(); LANES]; 2];
    let (whole, rest) = column.as_chunks::<LANES>();
    let (twos, odd) = whole.as_chunks::<2>();
    for [first, second] in twos {
        raise::<O, R, MAGNITUDES>(first, &mut lanes[0]);
        raise::<O, R, MAGNITUDES>(second, &mut lanes[1]);
    }
    for values in odd {
        raise::<O, R, MAGNITUDES>(values, &mut lanes[0]);
    }
    let mut found = 0.0;
    for &value in rest {
        let value = value.to_f64();
        found = larger(found, if MAGNITUDES { value.abs() } else { value });
    }
    for l in 0..LANES {
        found = larger(found, larger(lanes[0][l].to_f64(), lanes[1][l].to_f64()));
    }
    found
}

#[inline(always)]
fn raise<O: Element, R: Real, const MAGNITUDES: bool>(values: &[O; LANES], lanes: &mut [R; LANES]) {
    for l in 0..LANES {
        let value = R::widen(values[l]);
        let value = if MAGNITUDES && value < R::default() { -value } else { value };
        lanes[l] = if value > lanes[l] { value } else { lanes[l] };
    }
}

/// The largest magnitude of a gradient divided by its weight, where that is above 0.
#[inline(always)]
fn steepest_of<O: Element>(gradients: &[O], weights: &[f64]) -> f64 {
    let (whole, rest) = gradients.as_chunks::<LANES>();
    let (factors, others) = weights.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (gradients, weights) in whole.iter().zip(factors) {
        for l in 0..LANES {
            let size = steepness(gradients[l], weights[l]);
            lanes[l] = if size > lanes[l] { size } else { lanes[l] };
        }
    }
    let mut found = 0.0;
    for (&gradient, &weight) in rest.iter().zip(others) {
        found = larger(found, steepness(gradient, weight));
    }
    for lane in lanes {
        found = larger(found, lane);
    }
    found
}

#[inline(always)]
fn steepness<O: Element>(gradient: O, weight: f64) -> f64 {
    let size = gradient.to_f64().abs() / weight;
    if weight > 0.0 { size } else { 0.0 }
}
