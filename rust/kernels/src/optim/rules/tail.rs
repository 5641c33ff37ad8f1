//! Adam as torch's fused step on the CPU computes the last elements of a tensor, those that do not fill a vector
//! register. In the notation of [`adamw`](super::adamw), and of [`variant`](super::variant) for L2 decay, it differs in:
//!
//! ```text
//! v = fma(v, O(beta2), (O(1 - beta2) * g) * g)
//! m = fma(m - g, 1 - O(1 - beta1), g)      where beta1 <= 1/2: another sign of zero for beta1 = 0
//! amsgrad: a NaN in v leaves the largest v as it is
//! ```

use super::super::hyper::{Hyper, Unfit};
use super::super::row::Span;
use super::adamw::{AdamW, Scalars};
use super::{Formula, Slot};
use crate::simd::{Isa, Real};

/// The formula of torch's last elements.
pub(in super::super) struct Tail;

#[inline(always)]
fn updated<T: Real, I: Isa>(
    [p, g, m, v, top]: [T; 5],
    amsgrad: bool,
    s: &Scalars<T>,
    change: &mut impl Slot<T, 1>,
) -> [T; 4] {
    let g = s.frame.gradient::<I>(g, p);
    let (m, v) = s.tail_moments::<I>(g, m, v);
    let top = if !amsgrad | (top < v) { v } else { top };
    let update = s.update(m, top);
    change.put(0, || s.frame.change::<I>(p, update));
    [s.frame.moved::<I>(p, update), m, v, top]
}

impl Formula for Tail {
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
}
