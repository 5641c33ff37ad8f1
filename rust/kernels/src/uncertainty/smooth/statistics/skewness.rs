//! The skewness.

use super::super::frame::{Frame, means, of_means, spread};
use super::super::powers::{AS_IT_IS, Powers};
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `m_3 / m_2^1.5` with the central moments `m_k`, divided by n: from `[n, sum d, sum d^2, sum d^3]`.
#[derive(Clone, Copy)]
pub struct Skewness {
    frame: Frame,
}

impl Skewness {
    pub fn of(columns: &[Moments]) -> Skewness {
        Skewness { frame: Frame::of(&columns[0]) }
    }
}

impl Smooth<1, 4> for Skewness {
    const SCALE: Scale = Scale::Identity;
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0], [2, 0], [3, 0]]));

    fn parts(self, [x]: [f64; 1]) -> [f64; 2] {
        [x, 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        [self.frame, AS_IT_IS]
    }

    #[inline(always)]
    fn terms(self, [x]: [f64; 1]) -> [f64; 4] {
        let d = self.frame.at(x);
        [1.0, d, d * d, d * d * d]
    }

    fn value(self, sums: [f64; 4]) -> f64 {
        let [_, a, b, c] = means(sums);
        let variance = spread(b, a);
        let third = c - 3.0 * a * b + 2.0 * a * a * a;
        if variance > 0.0 { third / (variance * variance.sqrt()) } else { f64::NAN }
    }

    fn gradient(self, sums: [f64; 4]) -> [f64; 4] {
        let [_, a, b, _] = means(sums);
        let variance = spread(b, a);
        let (unit, value) = (1.0 / (variance * variance.sqrt()), self.value(sums));
        let by_variance = -1.5 * value / variance;
        let by_a = (6.0 * a * a - 3.0 * b) * unit - 2.0 * a * by_variance;
        of_means(sums, [0.0, by_a, by_variance - 3.0 * a * unit, unit])
    }
}
