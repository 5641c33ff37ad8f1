//! The rules by which a step updates a parameter.
//!
//! A rule is a row of the table [`Rule`], a struct that implements [`Formula`] in a file of its own, and a row of
//! `formulas!` below that says which struct computes it. A rule sees spans of the type of the computation (f32, or f64
//! for f64 parameters) and knows nothing about how arrays are stored; `storage` knows nothing about rules. So a new
//! rule adds one body, whatever the element types. A variant of a rule that changes the inner loop is a struct of its
//! own, chosen in [`Prepared::of`], and no branch in the loop.

mod adamw;
mod change;
mod frame;
mod lion;
mod sgd;
mod tail;
mod variant;

use super::gauge::Tally;
use super::hyper::{Hyper, Unfit, WeightDecay};
use super::norm::Measured;
use super::row::Span;
use crate::dtype::{ListedReal, RealDtype};
use crate::simd::{Isa, Pack, Real, standard};
use crate::with_real;
use std::ops::RangeInclusive;

pub(super) use change::{Slot, unasked};

crate::named! {
    /// How a step updates a parameter.
    pub enum Rule: "optim.rule" {
        /// Adam with decoupled weight decay.
        AdamW = "adamw" {
            source: "Loshchilov and Hutter, \"Decoupled Weight Decay Regularization\", ICLR 2019",
        },
        /// The sign of a mean of gradient and momentum.
        Lion = "lion" {
            source: "Chen et al., \"Symbolic Discovery of Optimization Algorithms\", NeurIPS 2023",
        },
        /// Stochastic gradient descent, with momentum if wanted.
        Sgd = "sgd" {
            source: "Sutskever et al., \"On the importance of initialization and momentum in deep learning\", ICML 2013",
        },
    }
}

impl Rule {
    /// How many moments a row has: the most for amsgrad, the fewest for SGD without momentum.
    pub fn moments(self) -> RangeInclusive<usize> {
        match self {
            Rule::AdamW => 2..=3,
            Rule::Lion => 1..=1,
            Rule::Sgd => 0..=1,
        }
    }
}

/// The arithmetic of a rule.
pub(super) trait Formula {
    /// What the formula takes for all elements alike, in the type of the computation.
    type Scalars<T: Real>: Copy + Send + Sync;

    /// The scalars of a step. It is called once per call, in the standard floating-point environment.
    fn scalars<T: Real>(hyper: &Hyper) -> Self::Scalars<T>;

    /// The first scalar that the type cannot hold, if any.
    fn unfit<T: Real>(scalars: &Self::Scalars<T>) -> Option<Unfit>;

    /// Updates a span in place: the parameter and the moments, from the gradient. Each element is computed from its own
    /// values alone, so that the length of spans changes no bit. It must be `#[inline(always)]`; it must not allocate
    /// or panic. Each slot of `changes` gets what the rule adds to an element, where it is asked for.
    fn update<T: Real, I: Isa, S: Slot<T, 1>>(
        span: Span<'_, T>,
        scalars: &Self::Scalars<T>,
        changes: &mut [S],
    );

    /// Adds to the tally what must be known of all elements of a tensor before they are updated. The span is a copy,
    /// which may be overwritten. A formula that takes nothing from a tally leaves this out.
    #[inline(always)]
    fn measure<T: Real, I: Isa>(_span: Span<'_, T>, _scalars: &Self::Scalars<T>, _tally: &mut Tally) {}

    /// Whether [`Self::convert`] is implemented.
    const CONVERTS: bool = false;

    /// [`Self::update`] of elements that are packed (two bf16 in a word), with the conversions in the loop itself. The
    /// bits are those of the way through buffers, which is slower because conversions do not overlap with divisions.
    #[inline(always)]
    fn convert<T: Real, E: Pack<T, N>, const N: usize, I: Isa, S: Slot<T, N>>(
        _: Span<'_, E>,
        _: &Self::Scalars<T>,
        _: &mut [S],
    ) {
    }
}

/// The scalars of a formula in both types of the computation.
pub(super) struct Both<F: Formula> {
    single: F::Scalars<f32>,
    double: F::Scalars<f64>,
}

/// A type of the computation, with its scalars among [`Both`].
pub(super) trait Choose: ListedReal + Measured {
    fn choose<F: Formula>(both: &Both<F>) -> &F::Scalars<Self>;
}

impl Choose for f32 {
    #[inline(always)]
    fn choose<F: Formula>(both: &Both<F>) -> &F::Scalars<f32> {
        &both.single
    }
}

impl Choose for f64 {
    #[inline(always)]
    fn choose<F: Formula>(both: &Both<F>) -> &F::Scalars<f64> {
        &both.double
    }
}

/// The list of formulas, each with the rules that it computes.
macro_rules! formulas {
    ($($Formula:ident: $type:ty = $rule:pat),+ $(,)?) => {
        /// The scalars of a [`Hyper`], for the formula that computes it.
        pub(super) enum Prepared {
            $($Formula(Both<$type>)),+
        }

        impl Prepared {
            /// To be called in the standard floating-point environment.
            fn inside(hyper: &Hyper) -> Prepared {
                match hyper {
                    $($rule => Prepared::$Formula(Both {
                        single: <$type>::scalars(hyper),
                        double: <$type>::scalars(hyper),
                    })),+
                }
            }

            fn unfit<T: Choose>(&self) -> Option<Unfit> {
                match self {
                    $(Prepared::$Formula(both) => <$type>::unfit(T::choose(both))),+
                }
            }

            /// See [`Formula::CONVERTS`].
            pub(super) fn converts(&self) -> bool {
                match self {
                    $(Prepared::$Formula(_) => <$type>::CONVERTS),+
                }
            }

            /// Updates a span by the formula, with the conversions.
            #[inline(always)]
            pub(super) fn convert<T: Choose, E: Pack<T, N>, const N: usize, I: Isa>(&self, span: Span<'_, E>) {
                let n = span.param.len();
                match self {
                    $(Prepared::$Formula(both) => {
                        <$type>::convert::<T, E, N, I, ()>(span, T::choose(both), &mut unasked()[..n]);
                    }),+
                }
            }

            /// Updates a span by the formula, and says what it added to each element.
            #[inline(always)]
            pub(super) fn update_watched<T: Choose, I: Isa, S: Slot<T, 1>>(
                &self,
                span: Span<'_, T>,
                changes: &mut [S],
            ) {
                match self {
                    $(Prepared::$Formula(both) => {
                        <$type>::update::<T, I, S>(span, T::choose(both), changes);
                    }),+
                }
            }

            /// See [`Formula::measure`].
            #[inline(always)]
            pub(super) fn measure<T: Choose, I: Isa>(&self, span: Span<'_, T>, tally: &mut Tally) {
                match self {
                    $(Prepared::$Formula(both) => <$type>::measure::<T, I>(span, T::choose(both), tally)),+
                }
            }
        }
    };
}

formulas! {
    Tail: tail::Tail = Hyper { rule: Rule::AdamW, tail: true, .. },
    AdamW: adamw::AdamW = Hyper {
        rule: Rule::AdamW,
        decay: WeightDecay::Decoupled | WeightDecay::Independent | WeightDecay::Corrected,
        cautious: false,
        stable: false,
        tight: false,
        flush_denormals: false,
        ..
    },
    Variant: variant::Variant = Hyper { rule: Rule::AdamW, .. },
    Lion: lion::Lion = Hyper { rule: Rule::Lion, .. },
    Sgd: sgd::Sgd = Hyper { rule: Rule::Sgd, .. },
}

impl Prepared {
    /// Updates a span by the formula.
    #[inline(always)]
    pub(super) fn update<T: Choose, I: Isa>(&self, span: Span<'_, T>) {
        let n = span.param.len();
        self.update_watched::<T, I, ()>(span, &mut unasked()[..n]);
    }

    /// Computes the scalars of a step.
    pub(super) fn of(hyper: &Hyper) -> Prepared {
        standard(|| Prepared::inside(hyper))
    }
}

impl Hyper {
    /// The first scalar of the rule that the type of the computation cannot hold, if any.
    pub fn unfit(&self, computed_in: RealDtype) -> Option<Unfit> {
        let prepared = Prepared::of(self);
        with_real!(computed_in, type T => prepared.unfit::<T>())
    }
}
