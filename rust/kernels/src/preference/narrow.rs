//! The types in which results come back: f64, in which everything is computed, or f32.

use crate::simd::Element;
use std::ops::Neg;

/// A type of results. A number is rounded to it once, by [`Element::from_f64`].
pub trait Narrow: Element + Neg<Output = Self> {
    /// The largest number that it holds.
    const LARGEST: f64;
    /// Results above this in magnitude are looked at one by one: they, or others of the same pair, may not fit.
    const LARGE: f64;
    /// The values of beta for which results of pairs that are not saturated fit (see the
    /// formulas of losses) ...
    const BETAS: [f64; 2];
    /// ... if the temperature is at least this.
    const COLDEST: f64;

    /// The nearest number that the type holds: the largest one for what lies beyond it.
    fn held(x: f64) -> Self {
        let x = if x > Self::LARGEST { Self::LARGEST } else { x };
        Self::from_f64(if x < -Self::LARGEST { -Self::LARGEST } else { x })
    }
}

impl Narrow for f64 {
    const LARGEST: f64 = f64::INFINITY;
    const LARGE: f64 = 1e307;
    const BETAS: [f64; 2] = [1e-150, 1e290];
    const COLDEST: f64 = 1e-15;
}

impl Narrow for f32 {
    const LARGEST: f64 = f32::MAX as f64;
    const LARGE: f64 = 1e37;
    const BETAS: [f64; 2] = [1e-15, 1e10];
    const COLDEST: f64 = 1e-10;
}
