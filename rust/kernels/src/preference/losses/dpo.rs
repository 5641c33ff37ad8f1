//! Direct preference optimization, `-log s(z)`, and its conservative form for labels that are wrong at the rate e.

use super::logistic::Logistic;
use super::{Constants, Formula, Smoothing};
use crate::math::expm1_64;
use crate::simd::Isa;

/// `-log s(z)`
#[derive(Clone, Copy)]
pub(super) struct Dpo;

impl Formula for Dpo {
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let s = Logistic::at::<I>(constants.margin(x, y));
        let slope = -constants.beta * s.of_minus;
        (s.softplus_of_minus, slope, -slope)
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        // s(-z) is below -log s(z).
        constants.beta * if largest < 1.0 { largest } else { 1.0 }
    }
}

/// `-(1-e) log s(z) - e log s(-z)`
#[derive(Clone, Copy)]
pub(super) struct Conservative;

impl Formula for Conservative {
    /// The slope in z, `e s(z) - (1-e) s(-z)`, is `(1-e) s(-z) expm1(z - log((1-e)/e))`, or its mirror image where
    /// that overflows.
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let Smoothing { rate: e, crossing, crossing_rest } = constants.smoothing;
        let z = constants.margin(x, y);
        let s = Logistic::at::<I>(z);
        let distance = (z - crossing) - crossing_rest;
        let weight = if distance < 0.0 { (1.0 - e) * s.of_minus } else { -(e * s.of) };
        let slope = constants.beta * (weight * expm1_64::<I>(-distance.abs()));
        ((1.0 - e) * s.softplus_of_minus + e * s.softplus, slope, -slope)
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        Dpo.steepest(largest, constants)
    }
}
