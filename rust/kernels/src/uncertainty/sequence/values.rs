//! Scores, or differences of scores, as values in [0, 1].

use super::STRIDE;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch};

/// Why values or a state are refused; nothing has been added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refused {
    /// A score lies outside the bounds or is NaN: its column (0, or 1 for the baseline) and its index.
    Outside(usize, usize),
    /// A value is neither 0 nor 1; holds its index.
    NotAnAnswer(usize),
    /// One of the two holds differences and the other scores.
    Mixed,
    /// Both states hold values whose order decides the limits.
    Ordered,
    /// More than 2^53 values.
    TooMany,
}

struct Scores<'a> {
    x: &'a [f64],
    low: f64,
    high: f64,
    out: &'a mut [f64],
}

impl Kernel for Scores<'_> {
    type Out = Option<usize>;
    /// The index of the first score outside the bounds, where there is one.
    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let width = self.high - self.low;
        let mut bad = false;
        for (x, out) in self.x.iter().zip(self.out) {
            bad |= !((*x >= self.low) & (*x <= self.high));
            *out = (*x - self.low) / width + 0.0; // turns -0 into 0
        }
        if bad { self.x.iter().position(|x| !(*x >= self.low && *x <= self.high)) } else { None }
    }
}

struct Differences<'a> {
    x: &'a [f64],
    base: &'a [f64],
    width: f64,
    out: &'a mut [f64],
}

impl Kernel for Differences<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let twice = 2.0 * self.width;
        for ((x, base), out) in self.x.iter().zip(self.base).zip(self.out) {
            let y = ((*x - *base) + self.width) / twice;
            // Rounding may leave the interval by one unit in the last place.
            let y = if y < 1.0 { y } else { 1.0 };
            *out = if y > 0.0 { y } else { 0.0 };
        }
    }
}

/// The scores `x` between the bounds as values in [0, 1]; with `base`, the differences `x - base`, which lie between
/// minus and plus the distance of the bounds.
pub fn on_unit(
    x: &[f64],
    base: Option<&[f64]>,
    [low, high]: [f64; 2],
    progress: Progress<'_>,
) -> Result<Result<Vec<f64>, Refused>, Stopped> {
    let mut pace = Pace::new(progress);
    let mut y = memory::filled(x.len(), 0.0)?;
    for (column, x) in std::iter::once(x).chain(base).enumerate() {
        for (stride, (x, out)) in x.chunks(STRIDE).zip(y.chunks_mut(STRIDE)).enumerate() {
            if let Some(bad) = dispatch(Scores { x, low, high, out }) {
                return Ok(Err(Refused::Outside(column, stride * STRIDE + bad)));
            }
            pace.stride(x.len())?;
        }
    }
    if let Some(base) = base {
        let width = dispatch(Width(low, high));
        for ((x, base), out) in x.chunks(STRIDE).zip(base.chunks(STRIDE)).zip(y.chunks_mut(STRIDE)) {
            dispatch(Differences { x, base, width, out });
            pace.stride(x.len())?;
        }
    }
    Ok(Ok(y))
}

struct Width(f64, f64);

impl Kernel for Width {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        self.1 - self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(x: &[f64], base: Option<&[f64]>, bounds: [f64; 2]) -> Result<Vec<f64>, Refused> {
        on_unit(x, base, bounds, &mut |_| true).unwrap()
    }

    #[test]
    fn bounds_become_zero_and_one() {
        assert_eq!(of(&[-2.0, 0.0, 2.0], None, [-2.0, 2.0]), Ok(vec![0.0, 0.5, 1.0]));
        assert_eq!(of(&[0.0, 1.0, 1.0], Some(&[1.0, 1.0, 0.0]), [0.0, 1.0]), Ok(vec![0.0, 0.5, 1.0]));
        assert!(of(&[-0.0], None, [0.0, 1.0]).unwrap()[0].is_sign_positive());
    }

    #[test]
    fn what_lies_outside_is_refused_with_its_place() {
        let mut x = vec![0.5; 40_000];
        x[33_333] = f64::NAN;
        assert_eq!(of(&x, None, [0.0, 1.0]), Err(Refused::Outside(0, 33_333)));
        assert_eq!(of(&[0.5, 0.5], Some(&[0.0, 1.5]), [0.0, 1.0]), Err(Refused::Outside(1, 1)));
    }
}
