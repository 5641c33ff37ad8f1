//! The mean of a column with another as its weights.

use super::super::frame::{Frame, largest, scale_of};
use super::super::powers::Powers;
use super::super::{Domain, Scale, Smooth};
use crate::intervals::moments::Moments;

/// `sum w x / sum w`, from `[sum w, sum w d]` with d the scaled distance of x from the column's mean.
#[derive(Clone, Copy)]
pub struct WeightedMean {
    frame: Frame,
    scale: f64,
}

impl WeightedMean {
    pub fn of(columns: &[Moments]) -> WeightedMean {
        WeightedMean { frame: Frame::of(&columns[0]), scale: scale_of(largest(&columns[1])) }
    }
}

impl Smooth<2, 2> for WeightedMean {
    const DOMAINS: [Domain; 2] = [Domain::Any, Domain::NonNegative];
    const SCALE: Scale = Scale::Identity;
    const SIZED: bool = true;
    const POWERS: Option<Powers> = Some(Powers::of_one(&[[0, 1], [1, 1]]));

    fn parts(self, row: [f64; 2]) -> [f64; 2] {
        row
    }

    fn frames(self) -> [Frame; 2] {
        [self.frame, Frame { centre: 0.0, scale: self.scale }]
    }

    #[inline(always)]
    fn terms(self, [x, weight]: [f64; 2]) -> [f64; 2] {
        let weight = weight * self.scale;
        [weight, weight * self.frame.at(x)]
    }

    fn value(self, [weights, sum]: [f64; 2]) -> f64 {
        self.frame.centre + sum / weights / self.frame.scale
    }

    fn gradient(self, [weights, sum]: [f64; 2]) -> [f64; 2] {
        [-sum / weights, 1.0].map(|derivative| derivative / weights / self.frame.scale)
    }
}
