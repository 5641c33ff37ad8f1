//! The losses, one by one, as functions of the margin z.

use super::Smoothing;
use crate::math::{exp64_nonpositive, expm1_64, log1p64_unit};
use crate::simd::Isa;

/// A loss as a function of z. A method and no closure: a closure as long as these is not inlined, and loses the
/// wide code of its caller.
pub(super) trait Formula: Copy {
    /// The loss, and its gradient with respect to the policy's log-probability of the chosen answer, `beta d/dz`.
    fn at<I: Isa>(self, z: f64, beta: f64) -> (f64, f64);
}

#[derive(Clone, Copy)]
pub(super) struct Dpo;

impl Formula for Dpo {
    #[inline(always)]
    fn at<I: Isa>(self, z: f64, beta: f64) -> (f64, f64) {
        let s = Logistic::at::<I>(z);
        (s.softplus_of_minus, -beta * s.of_minus)
    }
}

#[derive(Clone, Copy)]
pub(super) struct ConservativeDpo(pub(super) Smoothing);

impl Formula for ConservativeDpo {
    /// The slope `e s(z) - (1-e) s(-z)` is `(1-e) s(-z) expm1(z - log((1-e)/e))`, or its mirror image where that
    /// overflows.
    #[inline(always)]
    fn at<I: Isa>(self, z: f64, beta: f64) -> (f64, f64) {
        let Smoothing { rate: e, crossing, crossing_rest } = self.0;
        let s = Logistic::at::<I>(z);
        let distance = (z - crossing) - crossing_rest;
        let weight = if distance < 0.0 { (1.0 - e) * s.of_minus } else { -(e * s.of) };
        let slope = weight * expm1_64::<I>(-distance.abs());
        ((1.0 - e) * s.softplus_of_minus + e * s.softplus, beta * slope)
    }
}

#[derive(Clone, Copy)]
pub(super) struct RobustDpo(pub(super) f64);

impl Formula for RobustDpo {
    #[inline(always)]
    fn at<I: Isa>(self, z: f64, beta: f64) -> (f64, f64) {
        let (e, scale) = (self.0, 1.0 - 2.0 * self.0);
        let s = Logistic::at::<I>(z);
        let value = ((1.0 - e) * s.softplus_of_minus - e * s.softplus) / scale;
        let slope = -((e * s.of + (1.0 - e) * s.of_minus) / scale);
        (value, beta * slope)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Hinge;

impl Formula for Hinge {
    #[inline(always)]
    fn at<I: Isa>(self, z: f64, beta: f64) -> (f64, f64) {
        if z < 1.0 { (1.0 - z, -beta) } else { (0.0, 0.0) }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Ipo;

impl Formula for Ipo {
    #[inline(always)]
    fn at<I: Isa>(self, z: f64, beta: f64) -> (f64, f64) {
        let gap = (z - 0.5) / beta;
        (gap * gap, 2.0 * gap)
    }
}

/// The logistic function `s` and its logarithms at `z` and at `-z`, from one exponential; accurate in both tails.
struct Logistic {
    /// `s(z) = 1 / (1 + exp(-z))`
    of: f64,
    /// `s(-z)`
    of_minus: f64,
    /// `log(1 + exp(z))`, which is `-log s(-z)`
    softplus: f64,
    /// `log(1 + exp(-z))`, which is `-log s(z)`
    softplus_of_minus: f64,
}

impl Logistic {
    #[inline(always)]
    fn at<I: Isa>(z: f64) -> Logistic {
        let u = exp64_nonpositive::<I>(-z.abs());
        let log = log1p64_unit::<I>(u);
        let (small, large) = (u / (1.0 + u), 1.0 / (1.0 + u));
        let negative = z < 0.0;
        Logistic {
            of: if negative { small } else { large },
            of_minus: if negative { large } else { small },
            softplus: if negative { log } else { z + log },
            softplus_of_minus: if negative { log - z } else { log },
        }
    }
}
