//! AdamW with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), fused with
//! clipping of the gradients. Every element is updated by the same formula, wherever in a tensor it stands.
//!
//! `t` is the number of this step, the first being 1. The scalars are computed in f64 and then rounded by `O(.)` to the
//! type of the computation, in which all the rest is computed:
//!
//! ```text
//! k = O(fma(-lr, weight_decay, 1))     a = O(-(lr / (1 - beta1^t)))     b = O(sqrt(1 - beta2^t))
//! g = grad * O(clip factor)            (negated for maximize)
//! p = p * k
//! m = fma(O(1 - beta1), g - m, m)      (beta1 <= 1/2: fma(O(1 - beta1) - 1, g - m, g))
//! v = fma(O(1 - beta2) * g, g, v * O(beta2))
//! d = sqrt(v) / b + O(eps)             (amsgrad: of the largest v so far)
//! p = p + (a * m) / d
//! ```
//!
//! These are the bits of `torch.optim.AdamW(fused=True)` for all but the last few elements of a tensor, where
//! torch uses another formula. Subnormal numbers are kept, as they are by plain IEEE arithmetic and by torch.

use super::super::hyper::{Hyper, Unfit};
use super::super::row::Span;
use super::Formula;
use crate::math;
use crate::simd::{Isa, Kernel, Real, dispatch};

/// The formula of AdamW; of its variant amsgrad where a row has a third moment.
pub(in super::super) struct AdamW;

/// The scalars of the formula.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalars<T> {
    /// The two factors of the clipping, by which gradients are multiplied one after the other; the second is usually 1.
    grad: [T; 2],
    /// `k`.
    decay: T,
    /// The first factor in the formula of m.
    lerp: T,
    /// Whether m is computed from g instead of from m: `beta1 <= 1/2`.
    from_grad: bool,
    /// `O(1 - beta2)`.
    square: T,
    /// `O(beta2)`.
    keep: T,
    /// `a`.
    rate: T,
    /// `b`.
    root: T,
    eps: T,
}

/// The one fused multiply-add among the scalars, by the best instruction set that this processor has.
struct DecayFactor<'a>(&'a Hyper);

impl Kernel for DecayFactor<'_> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        I::fma64(-self.0.lr, self.0.weight_decay, 1.0)
    }
}

impl Formula for AdamW {
    type Scalars<T: Real> = Scalars<T>;

    fn scalars<T: Real>(hyper: &Hyper) -> Scalars<T> {
        let correction1 = 1.0 - math::powi(hyper.beta1, hyper.step);
        let correction2 = 1.0 - math::powi(hyper.beta2, hyper.step);
        let lerp = T::from_f64(1.0 - hyper.beta1);
        let from_grad = lerp.to_f64() >= 0.5;
        let [first, second] = hyper.clip.factors::<T>();
        Scalars {
            grad: [if hyper.maximize { -first } else { first }, second],
            decay: T::from_f64(dispatch(DecayFactor(hyper))),
            lerp: if from_grad { lerp - T::from_f64(1.0) } else { lerp },
            from_grad,
            square: T::from_f64(1.0 - hyper.beta2),
            keep: T::from_f64(hyper.beta2),
            rate: T::from_f64(-(hyper.lr / correction1)),
            root: T::from_f64(correction2.sqrt()),
            eps: T::from_f64(hyper.eps),
        }
    }

    fn unfit<T: Real>(scalars: &Scalars<T>) -> Option<Unfit> {
        if scalars.eps == T::default() {
            Some(Unfit::Eps)
        } else if !scalars.rate.is_finite() {
            Some(Unfit::Rate)
        } else if !scalars.decay.is_finite() {
            Some(Unfit::Decay)
        } else {
            None
        }
    }

    #[inline(always)]
    fn update<T: Real, I: Isa>(span: Span<'_, T>, s: &Scalars<T>) {
        let Span { param, grad, moments: [exp_avg, exp_avg_sq, max_exp_avg_sq] } = span;
        let [exp_avg, exp_avg_sq] = [exp_avg, exp_avg_sq].map(Option::unwrap_or_default);
        let rows = param.iter_mut().zip(grad).zip(exp_avg.iter_mut().zip(exp_avg_sq));
        // All loads come before any store. The arrays often begin at the same offset within a page; a load whose
        // address agrees with that of an earlier store in its low bits waits for the store without need (4K aliasing).
        match max_exp_avg_sq {
            None => {
                for ((p, g), (m, v)) in rows {
                    let (first, second) = moments::<T, I>(*g, *m, *v, s);
                    let next = moved(*p, first, second, s);
                    (*p, *m, *v) = (next, first, second);
                }
            }
            Some(largest) => {
                for (((p, g), (m, v)), largest) in rows.zip(largest) {
                    let (first, second) = moments::<T, I>(*g, *m, *v, s);
                    let top = larger_or_nan(*largest, second);
                    let next = moved(*p, first, top, s);
                    (*p, *m, *v, *largest) = (next, first, second, top);
                }
            }
        }
    }
}

#[inline(always)]
fn moments<T: Real, I: Isa>(grad: T, m: T, v: T, s: &Scalars<T>) -> (T, T) {
    let g = grad * s.grad[0] * s.grad[1];
    let start = if s.from_grad { g } else { m };
    (T::fma::<I>(s.lerp, g - m, start), T::fma::<I>(s.square * g, g, v * s.keep))
}

#[inline(always)]
fn moved<T: Real>(p: T, m: T, v: T, s: &Scalars<T>) -> T {
    let denominator = v.sqrt() / s.root + s.eps;
    p * s.decay + (s.rate * m) / denominator
}

/// The larger of the two; NaN where either is.
#[inline(always)]
fn larger_or_nan<T: Real>(largest: T, v: T) -> T {
    let larger = if v > largest { v } else { largest };
    // The comparison keeps a NaN in `largest`; this line keeps one in `v`.
    if v.is_nan() { v } else { larger }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::RealDtype;

    #[test]
    fn amsgrad_keeps_the_largest_and_lets_nan_through() {
        assert_eq!(larger_or_nan(2.0, 1.0), 2.0);
        assert_eq!(larger_or_nan(1.0, 2.0), 2.0);
        assert!(larger_or_nan(1.0f32, f32::NAN).is_nan());
        assert!(larger_or_nan(f32::NAN, 1.0).is_nan());
    }

    #[test]
    fn scalars_that_a_type_cannot_hold_are_named() {
        const HYPER: Hyper = Hyper { lr: 0.1, ..Hyper::DEFAULT };
        assert_eq!(HYPER.unfit(RealDtype::F32), None);
        assert_eq!(Hyper { eps: 1e-46, ..HYPER }.unfit(RealDtype::F32), Some(Unfit::Eps));
        assert_eq!(Hyper { eps: 1e-46, ..HYPER }.unfit(RealDtype::F64), None);
        assert_eq!(Hyper { lr: 1e38, ..HYPER }.unfit(RealDtype::F32), Some(Unfit::Rate));
        assert_eq!(
            Hyper { lr: 1e38, weight_decay: 1e5, step: 1_000_000, ..HYPER }.unfit(RealDtype::F32),
            Some(Unfit::Decay)
        );
    }
}
