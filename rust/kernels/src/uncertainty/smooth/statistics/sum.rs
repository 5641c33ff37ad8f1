//! The sum.

use super::super::{Scale, Smooth};

/// `sum x`, of degree 1: a resample has as many units as the data, and an influence is the distance of a unit's sum from
/// the mean of the units' sums, since every unit has the size 1.
#[derive(Clone, Copy)]
pub struct Sum;

impl Smooth<1, 1> for Sum {
    const SCALE: Scale = Scale::Identity;
    const DEGREE: i32 = 1;

    #[inline(always)]
    fn terms(self, row: [f64; 1]) -> [f64; 1] {
        row
    }

    fn value(self, [sum]: [f64; 1]) -> f64 {
        sum
    }

    fn gradient(self, _sums: [f64; 1]) -> [f64; 1] {
        [1.0]
    }

    fn size(self, _unit: [f64; 1]) -> f64 {
        1.0
    }
}
