//! The ratio of two sums, as a part of a quotient. (Alone it has kernels of its own.)

use super::super::frame::{Frame, largest, scale_of};
use super::super::powers::{Centre, Powers};
use super::super::{Domain, Scale, Smooth};
use crate::intervals::moments::Moments;
use crate::simd::scalar;

/// `sum x / sum y`, from `[sum y, sum (x - shift y)]` with a shift near the ratio.
#[derive(Clone, Copy)]
pub struct Ratio {
    shift: f64,
    scale: f64,
}

impl Ratio {
    pub fn of(columns: &[Moments]) -> Ratio {
        let (x, y) = (&columns[0], &columns[1]);
        Ratio {
            shift: if y.mean > 0.0 { scalar(|| x.mean / y.mean) } else { 0.0 },
            scale: scale_of(largest(y)),
        }
    }
}

impl Smooth<2, 2> for Ratio {
    /// Denominators of one sign, whose sum is then certainly not 0.
    const DOMAINS: [Domain; 2] = [Domain::Any, Domain::NonNegative];
    const SCALE: Scale = Scale::Identity;
    const SIZED: bool = true;
    const BARE: bool = true;
    const POWERS: Option<Powers> =
        Some(Powers { terms: &[[0, 1], [1, 0]], centres: [Centre::Other, Centre::Nowhere] });

    fn parts(self, row: [f64; 2]) -> [f64; 2] {
        row
    }

    fn frames(self) -> [Frame; 2] {
        [Frame { centre: self.shift, scale: self.scale }, Frame { centre: 0.0, scale: self.scale }]
    }

    #[inline(always)]
    fn terms(self, [x, y]: [f64; 2]) -> [f64; 2] {
        [y * self.scale, (x - self.shift * y) * self.scale]
    }

    fn value(self, [below, above]: [f64; 2]) -> f64 {
        if below == 0.0 { f64::NAN } else { self.shift + above / below }
    }

    fn gradient(self, [below, above]: [f64; 2]) -> [f64; 2] {
        [-above / below / below, 1.0 / below]
    }
}
