//! The standard deviation, divided by n.

use super::super::frame::Frame;
use super::super::powers::Powers;
use super::super::{Scale, Smooth};
use super::variance::Variance;
use crate::intervals::moments::Moments;

/// The square root of the [`Variance`].
#[derive(Clone, Copy)]
pub struct Std {
    variance: Variance,
}

impl Std {
    pub fn of(columns: &[Moments]) -> Std {
        Std { variance: Variance::of(columns) }
    }
}

impl Smooth<1, 3> for Std {
    const SCALE: Scale = Scale::LogFrom(0.0);
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0], [2, 0]]));

    fn parts(self, [x]: [f64; 1]) -> [f64; 2] {
        [x, 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        self.variance.frames()
    }

    #[inline(always)]
    fn terms(self, row: [f64; 1]) -> [f64; 3] {
        self.variance.terms(row)
    }

    fn value(self, sums: [f64; 3]) -> f64 {
        self.variance.value(sums).sqrt()
    }

    fn gradient(self, sums: [f64; 3]) -> [f64; 3] {
        let twice = 2.0 * self.value(sums);
        self.variance.gradient(sums).map(|derivative| if twice > 0.0 { derivative / twice } else { 0.0 })
    }
}
