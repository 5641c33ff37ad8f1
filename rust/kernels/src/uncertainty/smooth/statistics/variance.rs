//! The variance, divided by n.

use super::super::frame::{Frame, means, of_means, spread};
use super::super::powers::{AS_IT_IS, Powers};
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `sum (x - m)^2 / n`, from `[n, sum d, sum d^2]` with d the scaled distance from the column's mean.
#[derive(Clone, Copy)]
pub struct Variance {
    frame: Frame,
}

impl Variance {
    pub fn of(columns: &[Moments]) -> Variance {
        Variance { frame: Frame::of(&columns[0]) }
    }
}

impl Smooth<1, 3> for Variance {
    const SCALE: Scale = Scale::LogFrom(0.0);
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0], [2, 0]]));

    fn parts(self, [x]: [f64; 1]) -> [f64; 2] {
        [x, 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        [self.frame, AS_IT_IS]
    }

    #[inline(always)]
    fn terms(self, [x]: [f64; 1]) -> [f64; 3] {
        let d = self.frame.at(x);
        [1.0, d, d * d]
    }

    fn value(self, sums: [f64; 3]) -> f64 {
        let [_, first, second] = means(sums);
        spread(second, first) / self.frame.scale / self.frame.scale
    }

    fn gradient(self, sums: [f64; 3]) -> [f64; 3] {
        let [_, first, _] = means(sums);
        let back = |derivative: f64| derivative / self.frame.scale / self.frame.scale;
        of_means(sums, [0.0, back(-2.0 * first), back(1.0)])
    }
}
