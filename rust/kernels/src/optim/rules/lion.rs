//! Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", `NeurIPS` 2023): the sign of a mean of gradient and
//! momentum. With `lerp(m, g, w) = fma(w, g - m, m)`, from g where `w >= 1/2`, and all else as in AdamW:
//!
//! ```text
//! c = lerp(m, g, O(1 - beta1))
//! p = p * k + O(-lr) * sign(c)             (cautious: where c and g have the same sign)
//! m = lerp(m, g, O(1 - beta2))
//! ```

use super::super::gauge::Tally;
use super::super::hyper::{Hyper, Unfit};
use super::super::row::Span;
use super::frame::{Frame, Lerp, agree};
use super::{Formula, Slot};
use crate::simd::{Isa, Real};

/// The formula of Lion, which keeps one moment.
pub(in super::super) struct Lion;

/// The scalars of the formula.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalars<T> {
    frame: Frame<T>,
    /// The mean whose sign is the direction.
    direction: Lerp<T>,
    /// The mean that is kept.
    kept: Lerp<T>,
    /// `O(-lr)`, of the elements that move.
    rate: T,
    cautious: bool,
}

impl Formula for Lion {
    type Scalars<T: Real> = Scalars<T>;

    fn scalars<T: Real>(hyper: &Hyper) -> Scalars<T> {
        Scalars {
            frame: Frame::of(hyper),
            direction: Lerp::of(hyper.beta1),
            kept: Lerp::of(hyper.beta2),
            rate: T::from_f64(hyper.gauge.of_update(-hyper.rate())),
            cautious: hyper.cautious,
        }
    }

    fn unfit<T: Real>(scalars: &Scalars<T>) -> Option<Unfit> {
        if scalars.rate.is_finite() { scalars.frame.unfit() } else { Some(Unfit::Rate) }
    }

    #[inline(always)]
    fn update<T: Real, I: Isa, S: Slot<T, 1>>(span: Span<'_, T>, s: &Scalars<T>, changes: &mut [S]) {
        let Span { param, grad, moments: [exp_avg, ..] } = span;
        let zero = T::default();
        let rows = param.iter_mut().zip(grad).zip(exp_avg.unwrap_or_default()).zip(changes);
        for (((p, g), m), change) in rows {
            let g = s.frame.gradient::<I>(*g, *p);
            let mean = s.direction.mean::<I>(*m, g);
            // A mean of 0 or NaN is its own sign.
            let update = if mean > zero {
                s.rate
            } else if mean < zero {
                -s.rate
            } else {
                mean
            };
            let update = if s.cautious & !agree(mean, g) { zero } else { update };
            let before = *p;
            change.put(0, || s.frame.change::<I>(before, update));
            (*p, *m) = (s.frame.moved::<I>(*p, update), s.frame.flushed(s.kept.mean::<I>(*m, g)));
        }
    }

    #[inline(always)]
    fn measure<T: Real, I: Isa>(span: Span<'_, T>, s: &Scalars<T>, tally: &mut Tally) {
        let Span { param, grad, moments: [exp_avg, ..] } = span;
        let mut agreeing = 0u32;
        for ((p, g), m) in param.iter().zip(grad).zip(exp_avg.unwrap_or_default()) {
            let g = s.frame.gradient::<I>(*g, *p);
            agreeing += u32::from(agree(s.direction.mean::<I>(*m, g), g));
        }
        tally.agreeing += agreeing as usize;
    }
}
