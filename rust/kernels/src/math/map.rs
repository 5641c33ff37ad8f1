//! Functions of one number, applied to an array or to a single value at the current instruction-set level.

use super::{bend64, exp32, exp64, expm1_64, log1p_64, log64};
use crate::simd::{Isa, Kernel, dispatch};

/// A function of one number, written once for every instruction set.
pub trait Function<T> {
    /// The function's value at `x`; to be marked `#[inline(always)]`.
    fn at<I: Isa>(x: T) -> T;
}

macro_rules! function {
    ($(#[$doc:meta])* $name:ident, $float:ty, $generic:ident) => {
        $(#[$doc])*
        pub struct $name;
        impl Function<$float> for $name {
            #[inline(always)]
            fn at<I: Isa>(x: $float) -> $float {
                $generic::<I>(x)
            }
        }
    };
}
function!(
    /// [`exp32`] as a [`Function`].
    Exp32, f32, exp32
);
function!(
    /// [`exp64`] as a [`Function`].
    Exp, f64, exp64
);
function!(
    /// [`expm1_64`] as a [`Function`].
    Expm1, f64, expm1_64
);
function!(
    /// [`bend64`] as a [`Function`].
    Bend, f64, bend64
);
function!(
    /// [`log64`] as a [`Function`].
    Log, f64, log64
);
function!(
    /// [`log1p_64`] as a [`Function`].
    Log1p, f64, log1p_64
);

struct Map<'a, T, F> {
    x: &'a [T],
    out: &'a mut [T],
    _function: F,
}

impl<T: Copy, F: Function<T>> Kernel for Map<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = F::at::<I>(*x);
        }
    }
}

/// `out[i] = function(x[i])` on the calling thread, up to the shorter of the two lengths.
pub fn map<T: Copy, F: Function<T>>(function: F, x: &[T], out: &mut [T]) {
    dispatch(Map { x, out, _function: function });
}

struct One<T, F>(T, F);

impl<T, F: Function<T>> Kernel for One<T, F> {
    type Out = T;
    #[inline(always)]
    fn run<I: Isa>(self) -> T {
        F::at::<I>(self.0)
    }
}

/// `exp(x)`: the bits of [`exp64`].
pub fn exp(x: f64) -> f64 {
    dispatch(One(x, Exp))
}

/// `exp(x) - 1`: the bits of [`expm1_64`].
pub fn expm1(x: f64) -> f64 {
    dispatch(One(x, Expm1))
}

/// `exp(x) - 1 - x`: the bits of [`bend64`].
pub fn bend(x: f64) -> f64 {
    dispatch(One(x, Bend))
}

/// `log(x)`: the bits of [`log64`].
pub fn log(x: f64) -> f64 {
    dispatch(One(x, Log))
}

/// `log(1 + x)`: the bits of [`log1p_64`].
pub fn log1p(x: f64) -> f64 {
    dispatch(One(x, Log1p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, force};

    /// Every level of this processor gives the same bits, for arguments of every exponent and both signs.
    fn levels_agree<F: Function<f64>>(function: impl Fn() -> F) {
        let x: Vec<f64> =
            (0..20_011u64).map(|i| f64::from_bits(i.wrapping_mul(921_791_203_313_461))).collect();
        let mut results = Vec::new();
        for level in Level::ALL {
            if force(Some(level)) {
                let mut out = vec![0.0; x.len()];
                map(function(), &x, &mut out);
                results.push(
                    out.into_iter().map(|y| if y.is_nan() { 0 } else { y.to_bits() }).collect::<Vec<_>>(),
                );
            }
        }
        force(None);
        assert!(results.iter().all(|r| *r == results[0]));
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        levels_agree(|| Exp);
        levels_agree(|| Expm1);
        levels_agree(|| Bend);
        levels_agree(|| Log);
        levels_agree(|| Log1p);
    }

    #[test]
    fn one_value_has_the_bits_of_an_array() {
        for i in 0..1000 {
            let x = f64::from(i) * 0.37 - 100.0;
            let mut out = [0.0; 17];
            map(Exp, &[x; 17], &mut out);
            assert!(out.iter().all(|y| y.to_bits() == exp(x).to_bits()));
        }
    }
}
