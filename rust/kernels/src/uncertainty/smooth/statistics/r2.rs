//! The coefficient of determination.

use super::super::frame::{Frame, means, of_means, spread};
use super::super::powers::Powers;
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `1 - sum (p - t)^2 / sum (t - mean t)^2`, from `[n, sum d, sum d^2, sum e^2]` with d the distance of the target from
/// its mean and e that of the prediction from the target, on one scale.
#[derive(Clone, Copy)]
pub struct R2 {
    target: Frame,
}

impl R2 {
    pub fn of(columns: &[Moments]) -> R2 {
        R2 { target: Frame::of(&columns[1]) }
    }
}

impl Smooth<2, 4> for R2 {
    const SCALE: Scale = Scale::LogRest;
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0], [2, 0], [0, 2]]));

    fn parts(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        [target, prediction - target]
    }

    fn frames(self) -> [Frame; 2] {
        [self.target, Frame { centre: 0.0, scale: self.target.scale }]
    }

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 4] {
        let (d, e) = (self.target.at(target), (prediction - target) * self.target.scale);
        [1.0, d, d * d, e * e]
    }

    fn value(self, sums: [f64; 4]) -> f64 {
        let [_, first, second, errors] = means(sums);
        let variance = spread(second, first);
        if variance > 0.0 { 1.0 - errors / variance } else { f64::NAN }
    }

    fn gradient(self, sums: [f64; 4]) -> [f64; 4] {
        let [_, first, second, errors] = means(sums);
        let variance = spread(second, first);
        let by_variance = errors / (variance * variance);
        of_means(sums, [0.0, -2.0 * first * by_variance, by_variance, -1.0 / variance])
    }
}
