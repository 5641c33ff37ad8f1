//! The excess kurtosis.

use super::super::frame::{Frame, means, of_means, spread};
use super::super::powers::{AS_IT_IS, Powers};
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `m_4 / m_2^2 - 3` with the central moments `m_k`, divided by n: from `[n, sum d, ..., sum d^4]`.
#[derive(Clone, Copy)]
pub struct Kurtosis {
    frame: Frame,
}

impl Kurtosis {
    pub fn of(columns: &[Moments]) -> Kurtosis {
        Kurtosis { frame: Frame::of(&columns[0]) }
    }
}

impl Smooth<1, 5> for Kurtosis {
    const SCALE: Scale = Scale::LogFrom(-3.0);
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]]));

    fn parts(self, [x]: [f64; 1]) -> [f64; 2] {
        [x, 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        [self.frame, AS_IT_IS]
    }

    #[inline(always)]
    fn terms(self, [x]: [f64; 1]) -> [f64; 5] {
        let d = self.frame.at(x);
        [1.0, d, d * d, d * d * d, d * d * (d * d)]
    }

    fn value(self, sums: [f64; 5]) -> f64 {
        let [_, a, b, c, d] = means(sums);
        let variance = spread(b, a);
        let fourth = d - 4.0 * a * c + 6.0 * a * a * b - 3.0 * a * a * a * a;
        if variance > 0.0 { fourth / (variance * variance) - 3.0 } else { f64::NAN }
    }

    fn gradient(self, sums: [f64; 5]) -> [f64; 5] {
        let [_, a, b, c, _] = means(sums);
        let variance = spread(b, a);
        let unit = 1.0 / (variance * variance);
        let by_variance = -2.0 * (self.value(sums) + 3.0) / variance;
        let by_a = (12.0 * a * b - 4.0 * c - 12.0 * a * a * a) * unit - 2.0 * a * by_variance;
        of_means(sums, [0.0, by_a, 6.0 * a * a * unit + by_variance, -4.0 * a * unit, unit])
    }
}
