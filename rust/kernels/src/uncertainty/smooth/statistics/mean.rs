//! The mean, as a part of a quotient. (Alone it has kernels of its own: see `docs/decisions/0050-intervals.md`.)

use super::super::frame::{Frame, means, of_means};
use super::super::powers::{AS_IT_IS, Powers};
use super::super::{Scale, Smooth};
use crate::intervals::moments::Moments;

/// `sum x / n`, from `[n, sum d]` with d the scaled distance from the column's mean.
#[derive(Clone, Copy)]
pub struct Mean {
    frame: Frame,
}

impl Mean {
    pub fn of(columns: &[Moments]) -> Mean {
        Mean { frame: Frame::of(&columns[0]) }
    }
}

impl Smooth<1, 2> for Mean {
    const SCALE: Scale = Scale::Identity;
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 0], [1, 0]]));

    fn parts(self, [x]: [f64; 1]) -> [f64; 2] {
        [x, 0.0]
    }

    fn frames(self) -> [Frame; 2] {
        [self.frame, AS_IT_IS]
    }

    #[inline(always)]
    fn terms(self, [x]: [f64; 1]) -> [f64; 2] {
        [1.0, self.frame.at(x)]
    }

    fn value(self, sums: [f64; 2]) -> f64 {
        self.frame.centre + means(sums)[1] / self.frame.scale
    }

    fn gradient(self, sums: [f64; 2]) -> [f64; 2] {
        of_means(sums, [0.0, 1.0 / self.frame.scale])
    }
}
