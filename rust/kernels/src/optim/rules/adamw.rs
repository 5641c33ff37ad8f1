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
use super::frame::{Frame, Lerp};
use super::{Formula, Slot};
use crate::math;
use crate::simd::{Isa, Pack, Real};

/// The formula of AdamW; of its variant amsgrad where a row has a third moment.
pub(in super::super) struct AdamW;

/// The scalars of the formula.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalars<T> {
    pub(super) frame: Frame<T>,
    /// The first moment.
    mean: Lerp<T>,
    /// `O(1 - beta2)`.
    square: T,
    /// `O(beta2)`.
    keep: T,
    /// `a`.
    rate: T,
    /// `b`.
    root: T,
    eps: T,
    /// Whether only those elements move whose first moment has the sign of the gradient.
    pub(super) cautious: bool,
    /// Whether the size of a tensor's gradient is measured.
    pub(super) stable: bool,
}

impl Formula for AdamW {
    type Scalars<T: Real> = Scalars<T>;

    fn scalars<T: Real>(hyper: &Hyper) -> Scalars<T> {
        let correction = |beta| if hyper.bias_correction { 1.0 - math::powi(beta, hyper.step) } else { 1.0 };
        Scalars {
            frame: Frame::of(hyper),
            mean: Lerp::of(hyper.beta1),
            square: T::from_f64(1.0 - hyper.beta2),
            keep: T::from_f64(hyper.beta2),
            rate: T::from_f64(hyper.gauge.of_update(-(hyper.rate() / correction(hyper.beta1)))),
            root: T::from_f64(correction(hyper.beta2).sqrt()),
            eps: T::from_f64(hyper.eps),
            cautious: hyper.cautious,
            stable: hyper.stable,
        }
    }

    fn unfit<T: Real>(scalars: &Scalars<T>) -> Option<Unfit> {
        if scalars.eps == T::default() {
            Some(Unfit::Eps)
        } else if !scalars.rate.is_finite() {
            Some(Unfit::Rate)
        } else {
            scalars.frame.unfit()
        }
    }

    #[inline(always)]
    fn update<T: Real, I: Isa, S: Slot<T, 1>>(span: Span<'_, T>, s: &Scalars<T>, changes: &mut [S]) {
        Self::convert::<T, T, 1, I, S>(span, s, changes);
    }

    const CONVERTS: bool = true;

    #[inline(always)]
    fn convert<T: Real, E: Pack<T, N>, const N: usize, I: Isa, S: Slot<T, N>>(
        span: Span<'_, E>,
        s: &Scalars<T>,
        changes: &mut [S],
    ) {
        let Span { param, grad, moments: [exp_avg, exp_avg_sq, max_exp_avg_sq] } = span;
        let [exp_avg, exp_avg_sq] = [exp_avg, exp_avg_sq].map(Option::unwrap_or_default);
        let rows = param.iter_mut().zip(grad).zip(exp_avg.iter_mut().zip(exp_avg_sq)).zip(changes);
        // All loads come before any store. The arrays often begin at the same offset within a page; a load whose
        // address agrees with that of an earlier store in its low bits waits for the store without need (4K aliasing).
        match max_exp_avg_sq {
            None => {
                for (((p, g), (m, v)), change) in rows {
                    let (mut next, grad) = (p.wide(), g.wide());
                    let (mut first, mut second) = (m.wide(), v.wide());
                    for k in 0..N {
                        let g = s.frame.clipped(grad[k]);
                        (first[k], second[k]) = s.moments::<I>(g, first[k], second[k]);
                        let (p, update) = (next[k], s.update(first[k], second[k]));
                        change.put(k, || s.frame.change::<I>(p, update));
                        next[k] = p * s.frame.decay + update;
                    }
                    (*p, *m, *v) = (E::pack(next), E::pack(first), E::pack(second));
                }
            }
            Some(largest) => {
                for ((((p, g), (m, v)), change), largest) in rows.zip(largest) {
                    let (mut next, grad, mut top) = (p.wide(), g.wide(), largest.wide());
                    let (mut first, mut second) = (m.wide(), v.wide());
                    for k in 0..N {
                        let g = s.frame.clipped(grad[k]);
                        (first[k], second[k]) = s.moments::<I>(g, first[k], second[k]);
                        top[k] = larger_or_nan(top[k], second[k]);
                        let (p, update) = (next[k], s.update(first[k], top[k]));
                        change.put(k, || s.frame.change::<I>(p, update));
                        next[k] = p * s.frame.decay + update;
                    }
                    (*p, *m, *v) = (E::pack(next), E::pack(first), E::pack(second));
                    *largest = E::pack(top);
                }
            }
        }
    }
}

impl<T: Real> Scalars<T> {
    /// The moments after a gradient.
    #[inline(always)]
    pub(super) fn moments<I: Isa>(&self, g: T, m: T, v: T) -> (T, T) {
        (self.mean.mean::<I>(m, g), T::fma::<I>(self.square * g, g, v * self.keep))
    }

    /// The moments after a gradient by torch's rule for the last elements of a tensor.
    #[inline(always)]
    pub(super) fn tail_moments<I: Isa>(&self, g: T, m: T, v: T) -> (T, T) {
        (self.mean.tail_mean::<I>(m, g), T::fma::<I>(v, self.keep, (self.square * g) * g))
    }

    /// What is added to the parameter.
    #[inline(always)]
    pub(super) fn update(&self, m: T, v: T) -> T {
        (self.rate * m) / (v.sqrt() / self.root + self.eps)
    }

    /// A gradient in units of the root of its second moment, or of `eps` if that is larger (`StableAdamW`).
    #[inline(always)]
    pub(super) fn ratio(&self, g: T, v: T) -> T {
        let unit = v.sqrt() / self.root;
        g / if unit > self.eps { unit } else { self.eps }
    }
}

/// The larger of the two; NaN where either is.
#[inline(always)]
pub(super) fn larger_or_nan<T: Real>(largest: T, v: T) -> T {
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
