//! The two types in which kernels compute, behind one trait, so that a formula is written once for both.

use super::{Element, Isa};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// f32 or f64, with the operations whose result IEEE 754 specifies to the bit.
pub trait Real:
    Element
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The exponent `e` of the smallest normal number, `2^e`.
    const LOWEST_EXPONENT: i32;
    /// The value in this type, to nearest.
    fn widen<E: Element>(x: E) -> Self;
    /// The nearest value of an element type, rounded once.
    fn narrow<E: Element>(self) -> E;
    /// `a * b + c`, rounded once.
    fn fma<I: Isa>(a: Self, b: Self, c: Self) -> Self;
    /// The correctly rounded square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// Whether this is a NaN.
    fn is_nan(self) -> bool;
    /// Whether this is neither infinite nor a NaN.
    fn is_finite(self) -> bool;
}

impl Real for f32 {
    const LOWEST_EXPONENT: i32 = -126;
    #[inline(always)]
    fn widen<E: Element>(x: E) -> f32 {
        x.to_f32()
    }
    #[inline(always)]
    fn narrow<E: Element>(self) -> E {
        E::from_f32(self)
    }
    #[inline(always)]
    fn fma<I: Isa>(a: f32, b: f32, c: f32) -> f32 {
        I::fma32(a, b, c)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Real for f64 {
    const LOWEST_EXPONENT: i32 = -1022;
    #[inline(always)]
    fn widen<E: Element>(x: E) -> f64 {
        x.to_f64()
    }
    #[inline(always)]
    fn narrow<E: Element>(self) -> E {
        E::from_f64(self)
    }
    #[inline(always)]
    fn fma<I: Isa>(a: f64, b: f64, c: f64) -> f64 {
        I::fma64(a, b, c)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}
