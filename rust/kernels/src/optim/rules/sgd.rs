//! Stochastic gradient descent with momentum, in torch's form: the rate multiplies the momentum, not what enters it.
//!
//! ```text
//! g = grad * O(clip factor)                  (negated for maximize; decay "l2": fma(p, O(weight_decay), g))
//! b = fma(g, O(1 - dampening), b * O(momentum))     (b = g where it begins, which is in the first step
//!                                                   or later; without momentum there is no b)
//! p = fma(b, O(-lr), p * k)                  (nesterov: of fma(b, O(momentum), g); without momentum: of g)
//! ```
//!
//! These are the bits of `torch.optim.SGD`, of its loop on all elements and of its fused step on all but the last few.

use super::super::hyper::{Hyper, Unfit};
use super::super::row::Span;
use super::frame::Frame;
use super::{Formula, Slot};
use crate::simd::{Isa, Real};

/// The formula of SGD; of SGD without momentum where a row has no moment.
pub(in super::super) struct Sgd;

/// The scalars of the formula.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalars<T> {
    frame: Frame<T>,
    /// `O(momentum)`.
    momentum: T,
    /// `O(1 - dampening)`.
    enters: T,
    /// `O(-lr)`.
    rate: T,
    first: bool,
    nesterov: bool,
}

impl Formula for Sgd {
    type Scalars<T: Real> = Scalars<T>;

    fn scalars<T: Real>(hyper: &Hyper) -> Scalars<T> {
        Scalars {
            frame: Frame::of(hyper),
            momentum: T::from_f64(hyper.momentum),
            enters: T::from_f64(1.0 - hyper.dampening),
            rate: T::from_f64(-hyper.lr),
            first: hyper.step == 1 || hyper.begins,
            nesterov: hyper.nesterov,
        }
    }

    fn unfit<T: Real>(scalars: &Scalars<T>) -> Option<Unfit> {
        if scalars.rate.is_finite() { scalars.frame.unfit() } else { Some(Unfit::Rate) }
    }

    #[inline(always)]
    fn update<T: Real, I: Isa, S: Slot<T, 1>>(span: Span<'_, T>, s: &Scalars<T>, changes: &mut [S]) {
        let Span { param, grad, moments: [buffer, ..] } = span;
        let Some(buffer) = buffer else {
            for ((p, g), change) in param.iter_mut().zip(grad).zip(changes) {
                let g = s.frame.gradient::<I>(*g, *p);
                let before = *p;
                change.put(0, || s.frame.change::<I>(before, s.rate * g));
                *p = s.frame.moved_along::<I>(*p, g, s.rate);
            }
            return;
        };
        for (((p, g), b), change) in param.iter_mut().zip(grad).zip(buffer).zip(changes) {
            let g = s.frame.gradient::<I>(*g, *p);
            let later = T::fma::<I>(g, s.enters, *b * s.momentum);
            let next = s.frame.flushed(if s.first { g } else { later });
            let ahead = T::fma::<I>(next, s.momentum, g);
            let direction = if s.nesterov { ahead } else { next };
            let before = *p;
            change.put(0, || s.frame.change::<I>(before, s.rate * direction));
            (*p, *b) = (s.frame.moved_along::<I>(*p, direction, s.rate), next);
        }
    }
}
