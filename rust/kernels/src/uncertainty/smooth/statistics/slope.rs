//! The slope of the regression line.

use super::super::frame::{Frame, means, of_means, spread};
use super::super::powers::Powers;
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `c_xy / c_xx`, by least squares of y on x with an intercept: from `[n, sum d, sum e, sum d^2, sum d e]` with d and e
/// the scaled distances from the columns' means.
#[derive(Clone, Copy)]
pub struct Slope {
    x: Frame,
    y: Frame,
}

impl Slope {
    pub fn of(columns: &[Moments]) -> Slope {
        Slope { x: Frame::of(&columns[0]), y: Frame::of(&columns[1]) }
    }

    /// The slope of d and e.
    fn scaled(sums: [f64; 5]) -> f64 {
        let [_, a, b, aa, ab] = means(sums);
        let variance = spread(aa, a);
        if variance > 0.0 { (ab - a * b) / variance } else { f64::NAN }
    }

    fn back(self, slope: f64) -> f64 {
        slope / self.y.scale * self.x.scale
    }
}

impl Smooth<2, 5> for Slope {
    const SCALE: Scale = Scale::Identity;
    const POWERS: Option<Powers> = Some(Powers::of_two(&[[0, 0], [1, 0], [0, 1], [2, 0], [1, 1]]));

    fn parts(self, row: [f64; 2]) -> [f64; 2] {
        row
    }

    fn frames(self) -> [Frame; 2] {
        [self.x, self.y]
    }

    #[inline(always)]
    fn terms(self, [x, y]: [f64; 2]) -> [f64; 5] {
        let (d, e) = (self.x.at(x), self.y.at(y));
        [1.0, d, e, d * d, d * e]
    }

    fn value(self, sums: [f64; 5]) -> f64 {
        self.back(Slope::scaled(sums))
    }

    fn gradient(self, sums: [f64; 5]) -> [f64; 5] {
        let [_, a, b, aa, _] = means(sums);
        let (variance, slope) = (spread(aa, a), Slope::scaled(sums));
        let by_a = (2.0 * slope * a - b) / variance;
        let by = [0.0, by_a, -a / variance, -slope / variance, 1.0 / variance];
        of_means(sums, by.map(|derivative| self.back(derivative)))
    }
}
