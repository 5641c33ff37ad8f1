//! The root mean squared error.

use super::super::frame::{Frame, largest, scale_of};
use super::super::powers::{AS_IT_IS, Centre, Powers};
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `sqrt(sum (p - t)^2 / n)`, from `[n, sum e^2]` with e the scaled difference.
#[derive(Clone, Copy)]
pub struct Rmse {
    scale: f64,
}

impl Rmse {
    pub fn of(columns: &[Moments]) -> Rmse {
        let (p, t) = (largest(&columns[0]), largest(&columns[1]));
        Rmse { scale: scale_of(if p > t { p } else { t }) }
    }
}

impl Smooth<2, 2> for Rmse {
    const SCALE: Scale = Scale::LogFrom(0.0);
    const POWERS: Option<Powers> = Some(Powers { terms: &[[0, 0], [2, 0]], centres: [Centre::Nowhere; 2] });

    fn parts(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        [prediction - target, 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        [Frame { centre: 0.0, scale: self.scale }, AS_IT_IS]
    }

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        let e = (prediction - target) * self.scale;
        [1.0, e * e]
    }

    fn value(self, [n, squares]: [f64; 2]) -> f64 {
        (squares / n).sqrt() / self.scale
    }

    fn gradient(self, [n, squares]: [f64; 2]) -> [f64; 2] {
        let twice = 2.0 * (squares / n).sqrt() * self.scale * n;
        if twice > 0.0 { [-squares / n / twice, 1.0 / twice] } else { [0.0; 2] }
    }
}
