//! Direct preference optimization, `-log s(z)`, and its conservative form for labels that are wrong at the rate e.

use super::logistic::Logistic;
use super::{Constants, Formula, Smoothing};
use crate::math::expm1_64;
use crate::simd::Isa;

/// `-log s(z)`
#[derive(Clone, Copy)]
pub(super) struct Dpo;

impl Formula for Dpo {
    const OPPOSITE: bool = true;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let s = Logistic::at::<I>(constants.margin(x, y));
        let slope = -constants.beta * s.of_minus_z;
        (s.softplus_of_minus_z, slope, -slope)
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        // The slope s(-z) is smaller than the loss -log s(z).
        constants.beta * if largest < 1.0 { largest } else { 1.0 }
    }
}

/// `-(1-e) log s(z) - e log s(-z)`
#[derive(Clone, Copy)]
pub(super) struct Conservative;

impl Formula for Conservative {
    const OPPOSITE: bool = true;

    /// The derivative with respect to z, `e s(z) - (1-e) s(-z)`, is computed as `(1-e) s(-z) expm1(d)` with
    /// `d = z - log((1-e)/e)`, or for `d >= 0`, where that could overflow, as `-e s(z) expm1(-d)`.
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let Smoothing { rate: e, crossing, crossing_rest } = constants.smoothing;
        let z = constants.margin(x, y);
        let s = Logistic::at::<I>(z);
        let distance = (z - crossing) - crossing_rest;
        let weight = if distance < 0.0 { (1.0 - e) * s.of_minus_z } else { -(e * s.of_z) };
        let slope = constants.beta * (weight * expm1_64::<I>(-distance.abs()));
        ((1.0 - e) * s.softplus_of_minus_z + e * s.softplus, slope, -slope)
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        Dpo.steepest(largest, constants)
    }
}
