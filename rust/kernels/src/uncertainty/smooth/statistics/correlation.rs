//! Pearson's correlation.

use super::super::frame::{Frame, means, of_means, spread, within_one};
use super::super::powers::Powers;
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `c_xy / sqrt(c_xx c_yy)`, from `[n, sum d, sum e, sum d^2, sum e^2, sum d e]` with d and e the scaled distances from
/// the columns' means.
#[derive(Clone, Copy)]
pub struct Correlation {
    x: Frame,
    y: Frame,
}

impl Correlation {
    pub fn of(columns: &[Moments]) -> Correlation {
        Correlation { x: Frame::of(&columns[0]), y: Frame::of(&columns[1]) }
    }
}

impl Smooth<2, 6> for Correlation {
    const SCALE: Scale = Scale::Atanh;
    const POWERS: Option<Powers> = Some(Powers::of_two(&[[0, 0], [1, 0], [0, 1], [2, 0], [0, 2], [1, 1]]));

    fn parts(self, row: [f64; 2]) -> [f64; 2] {
        row
    }

    fn frames(self) -> [Frame; 2] {
        [self.x, self.y]
    }

    #[inline(always)]
    fn terms(self, [x, y]: [f64; 2]) -> [f64; 6] {
        let (d, e) = (self.x.at(x), self.y.at(y));
        [1.0, d, e, d * d, e * e, d * e]
    }

    fn value(self, sums: [f64; 6]) -> f64 {
        let [_, a, b, aa, bb, ab] = means(sums);
        let root = spread(aa, a).sqrt() * spread(bb, b).sqrt();
        let r = (ab - a * b) / root;
        if root > 0.0 { within_one(r) } else { f64::NAN }
    }

    fn gradient(self, sums: [f64; 6]) -> [f64; 6] {
        let [_, a, b, aa, bb, _] = means(sums);
        let (xx, yy, r) = (spread(aa, a), spread(bb, b), self.value(sums));
        let root = xx.sqrt() * yy.sqrt();
        let by_a = r * a / xx - b / root;
        let by_b = r * b / yy - a / root;
        of_means(sums, [0.0, by_a, by_b, -r / (2.0 * xx), -r / (2.0 * yy), 1.0 / root])
    }
}
