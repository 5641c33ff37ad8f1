//! The geometric mean.

use super::super::frame::Frame;
use super::super::powers::{AS_IT_IS, Powers};
use super::super::{Domain, Scale, Smooth};
use crate::intervals::moments::Moments;
use crate::math::{exp, log};

/// `exp(sum log x / n)`, from `[n, sum log x - c]` with c the logarithm of the column's mean.
#[derive(Clone, Copy)]
pub struct GeometricMean {
    centre: f64,
}

impl GeometricMean {
    pub fn of(columns: &[Moments]) -> GeometricMean {
        GeometricMean { centre: log(columns[0].mean) }
    }
}

impl Smooth<1, 2> for GeometricMean {
    const DOMAINS: [Domain; 1] = [Domain::Positive];
    const SCALE: Scale = Scale::LogFrom(0.0);
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0]]));

    fn parts(self, [x]: [f64; 1]) -> [f64; 2] {
        [log(x), 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        [Frame { centre: self.centre, scale: 1.0 }, AS_IT_IS]
    }

    fn terms(self, [x]: [f64; 1]) -> [f64; 2] {
        [1.0, log(x) - self.centre]
    }

    fn value(self, [n, sum]: [f64; 2]) -> f64 {
        exp(self.centre + sum / n)
    }

    fn gradient(self, [n, sum]: [f64; 2]) -> [f64; 2] {
        let each = self.value([n, sum]) / n;
        [-each * (sum / n), each]
    }
}
