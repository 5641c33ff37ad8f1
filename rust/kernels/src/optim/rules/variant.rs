//! The variants of Adam that change the loop: L2 decay, cautious updates, one rounding of the parameter, moments without
//! subnormal numbers. In the notation of [`adamw`](super::adamw):
//!
//! ```text
//! g = fma(p, O(weight_decay), g)                            (decay "l2"; there k = 1)
//! m, v = 0 where smaller than the smallest normal number    (flush_denormals)
//! u = (a * m) / d                                           (cautious: 0 where m and g have different signs)
//! p = p * k + u                                             (tight: p + fma(O(-rate * weight_decay), p, u))
//! ```
//!
//! One loop computes them all, each element choosing by select. A loop for each combination would be faster by a few
//! instructions per element, of a step whose time is that of the memory in f32.

use super::super::gauge::Tally;
use super::super::hyper::{Hyper, Unfit};
use super::super::row::Span;
use super::adamw::{AdamW, Scalars, larger_or_nan};
use super::frame::agree;
use super::{Formula, Slot};
use crate::simd::{Isa, Real};

/// The formula of the variants.
pub(in super::super) struct Variant;

/// The parameter, the moments and the largest second moment of an element after its update.
#[inline(always)]
fn updated<T: Real, I: Isa>(
    [p, g, m, v, top]: [T; 5],
    amsgrad: bool,
    s: &Scalars<T>,
    change: &mut impl Slot<T, 1>,
) -> [T; 4] {
    let Adam { g, m, v, top } = moments::<T, I>([p, g, m, v, top], amsgrad, s);
    let update = s.update(m, top);
    let update = if s.cautious & !agree(m, g) { T::default() } else { update };
    change.put(0, || s.frame.change::<I>(p, update));
    [s.frame.moved::<I>(p, update), m, v, top]
}

/// The gradient that enters the moments, and the moments after it.
struct Adam<T> {
    g: T,
    m: T,
    v: T,
    /// What the update is divided by the root of.
    top: T,
}

#[inline(always)]
fn moments<T: Real, I: Isa>([p, g, m, v, top]: [T; 5], amsgrad: bool, s: &Scalars<T>) -> Adam<T> {
    let g = s.frame.gradient::<I>(g, p);
    let (m, v) = s.moments::<I>(g, m, v);
    let (m, v) = (s.frame.flushed(m), s.frame.flushed(v));
    let top = if amsgrad { s.frame.flushed(larger_or_nan(top, v)) } else { v };
    Adam { g, m, v, top }
}

impl Formula for Variant {
    type Scalars<T: Real> = Scalars<T>;

    fn scalars<T: Real>(hyper: &Hyper) -> Scalars<T> {
        AdamW::scalars(hyper)
    }

    fn unfit<T: Real>(scalars: &Scalars<T>) -> Option<Unfit> {
        AdamW::unfit(scalars)
    }

    #[inline(always)]
    fn update<T: Real, I: Isa, S: Slot<T, 1>>(span: Span<'_, T>, s: &Scalars<T>, changes: &mut [S]) {
        let Span { param, grad, moments: [exp_avg, exp_avg_sq, max_exp_avg_sq] } = span;
        let [exp_avg, exp_avg_sq] = [exp_avg, exp_avg_sq].map(Option::unwrap_or_default);
        let rows = param.iter_mut().zip(grad).zip(exp_avg.iter_mut().zip(exp_avg_sq)).zip(changes);
        match max_exp_avg_sq {
            None => {
                for (((p, g), (m, v)), change) in rows {
                    [*p, *m, *v, _] = updated::<T, I>([*p, *g, *m, *v, *v], false, s, change);
                }
            }
            Some(largest) => {
                for ((((p, g), (m, v)), change), top) in rows.zip(largest) {
                    [*p, *m, *v, *top] = updated::<T, I>([*p, *g, *m, *v, *top], true, s, change);
                }
            }
        }
    }

    #[inline(always)]
    fn measure<T: Real, I: Isa>(span: Span<'_, T>, s: &Scalars<T>, tally: &mut Tally) {
        let Span { param, grad, moments: [exp_avg, exp_avg_sq, max_exp_avg_sq] } = span;
        let [exp_avg, exp_avg_sq] = [exp_avg, exp_avg_sq].map(Option::unwrap_or_default);
        let rows = param.iter_mut().zip(grad).zip(exp_avg.iter().zip(&*exp_avg_sq));
        // A tile has fewer elements than a u32 can count; lanes of 32 bits are as many as those of f32.
        let mut agreeing = 0u32;
        // The span is a copy, whose parameter is not needed any more.
        let mut add = |p: &mut T, now: Adam<T>| {
            agreeing += u32::from(agree(now.m, now.g));
            if s.stable {
                *p = s.ratio(now.g, now.top);
            }
        };
        match max_exp_avg_sq {
            None => {
                for ((p, g), (m, v)) in rows {
                    add(p, moments::<T, I>([*p, *g, *m, *v, *v], false, s));
                }
            }
            Some(largest) => {
                for (((p, g), (m, v)), top) in rows.zip(&*largest) {
                    add(p, moments::<T, I>([*p, *g, *m, *v, *top], true, s));
                }
            }
        }
        tally.agreeing += agreeing as usize;
        if s.stable {
            tally.add_squares::<T, I>(param);
        }
    }
}
