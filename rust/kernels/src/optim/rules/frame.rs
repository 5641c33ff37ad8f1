//! What the rules have in common: what happens to a gradient before the rule proper, and to a parameter after it.

use super::super::hyper::{Hyper, Unfit, WeightDecay};
use crate::simd::{Isa, Kernel, Real, dispatch};

/// The scalars that all rules share, in the type of the computation `O`.
#[derive(Clone, Copy)]
pub(super) struct Frame<T> {
    /// The two factors of the clipping, by which gradients are multiplied one after the other; the second is usually 1.
    grad: [T; 2],
    /// `O(weight_decay)`, where it is added to the gradient.
    l2: T,
    has_l2: bool,
    /// `k = O(1 - rate * weight_decay)`, with the rate of [`Hyper::decay_rate`].
    pub(super) decay: T,
    /// `O(-(rate * weight_decay))`, for [`Self::tight`].
    shrink: T,
    /// Whether the parameter is rounded once, after decay and update together.
    tight: bool,
    /// What is smaller in magnitude becomes 0: the smallest normal number, or 0.
    floor: T,
}

/// The one fused multiply-add among the scalars, by the best instruction set that this processor has.
struct DecayFactor {
    rate: f64,
    weight_decay: f64,
}

impl Kernel for DecayFactor {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        I::fma64(-self.rate, self.weight_decay, 1.0)
    }
}

impl<T: Real> Frame<T> {
    pub(super) fn of(hyper: &Hyper) -> Self {
        let [first, second] = hyper.clip.factors::<T>();
        let (rate, weight_decay) = (hyper.decay_rate(), hyper.weight_decay);
        let smallest = f64::from_bits(((1023 + T::LOWEST_EXPONENT) as u64) << 52);
        Frame {
            grad: [if hyper.maximize { -first } else { first }, second],
            l2: T::from_f64(weight_decay),
            has_l2: hyper.decay == WeightDecay::L2 && weight_decay != 0.0,
            decay: T::from_f64(dispatch(DecayFactor { rate, weight_decay })),
            shrink: T::from_f64(-(rate * weight_decay)),
            tight: hyper.tight,
            floor: T::from_f64(if hyper.flush_denormals { smallest } else { 0.0 }),
        }
    }

    pub(super) fn unfit(&self) -> Option<Unfit> {
        (!self.decay.is_finite() || self.has_l2 && !self.l2.is_finite()).then_some(Unfit::Decay)
    }

    /// The gradient after clipping, negated where the step goes up.
    #[inline(always)]
    pub(super) fn clipped(&self, grad: T) -> T {
        grad * self.grad[0] * self.grad[1]
    }

    /// The gradient after clipping, with the decay of kind L2.
    #[inline(always)]
    pub(super) fn gradient<I: Isa>(&self, grad: T, p: T) -> T {
        let g = self.clipped(grad);
        let decayed = T::fma::<I>(p, self.l2, g);
        if self.has_l2 { decayed } else { g }
    }

    /// 0 for what is to be flushed, and the number itself otherwise.
    #[inline(always)]
    pub(super) fn flushed(&self, x: T) -> T {
        if (x < self.floor) & (x > -self.floor) { T::default() } else { x }
    }

    /// What decay and update add to the parameter together.
    #[inline(always)]
    pub(super) fn change<I: Isa>(&self, p: T, update: T) -> T {
        T::fma::<I>(self.shrink, p, update)
    }

    /// The parameter after decay and update. Rounded once it is `p + delta`, where `delta` is small, so that its own
    /// rounding is far below that of the parameter.
    #[inline(always)]
    pub(super) fn moved<I: Isa>(&self, p: T, update: T) -> T {
        let once = p + self.change::<I>(p, update);
        let twice = p * self.decay + update;
        if self.tight { once } else { twice }
    }

    /// The same for an update `rate * direction`, whose product is not rounded before it is added.
    #[inline(always)]
    pub(super) fn moved_along<I: Isa>(&self, p: T, direction: T, rate: T) -> T {
        let once = p + self.change::<I>(p, rate * direction);
        let twice = T::fma::<I>(direction, rate, p * self.decay);
        if self.tight { once } else { twice }
    }
}

/// The running mean `m + weight (g - m)`, computed from the nearer of its ends.
#[derive(Clone, Copy)]
pub(super) struct Lerp<T> {
    /// `O(1 - beta)`, or that minus 1.
    weight: T,
    /// Whether the mean is computed from g instead of from m: `beta <= 1/2`.
    from_grad: bool,
}

impl<T: Real> Lerp<T> {
    pub(super) fn of(beta: f64) -> Self {
        let weight = T::from_f64(1.0 - beta);
        let from_grad = weight.to_f64() >= 0.5;
        Lerp { weight: if from_grad { weight - T::from_f64(1.0) } else { weight }, from_grad }
    }

    #[inline(always)]
    pub(super) fn mean<I: Isa>(&self, m: T, g: T) -> T {
        let start = if self.from_grad { g } else { m };
        T::fma::<I>(self.weight, g - m, start)
    }
}

impl<T: Real> Lerp<T> {
    /// The same value as torch computes it for the last elements of a tensor: a zero may have another sign.
    #[inline(always)]
    pub(super) fn tail_mean<I: Isa>(&self, m: T, g: T) -> T {
        let from_grad = T::fma::<I>(m - g, T::default() - self.weight, g);
        if self.from_grad { from_grad } else { self.mean::<I>(m, g) }
    }
}

/// Whether both have the same sign, and neither is 0 or a NaN. (Unlike a product, this cannot underflow.)
#[inline(always)]
pub(super) fn agree<T: Real>(a: T, b: T) -> bool {
    let zero = T::default();
    (a > zero) & (b > zero) | (a < zero) & (b < zero)
}
