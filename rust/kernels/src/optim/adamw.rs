//! AdamW with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), fused with
//! clipping of the gradients. Every element is updated by the same formula, wherever in a tensor it stands.
//!
//! `t` is the number of this step, the first being 1. The scalars are computed in f64 and then rounded by `O(.)` to the
//! element type, in which all the rest is computed:
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

use super::norm::{Clip, NonFinite};
use super::units::Units;
use crate::dtype::{ListedReal, PerType, TypedReal};
use crate::grid::{CHUNK, chunk, chunks, map_chunks, unwatched, write_chunks};
use crate::math;
use crate::memory::NoMemory;
use crate::simd::{Element, Isa, Kernel, Real, dispatch, scalar, standard};
use crate::with_real;
use std::marker::PhantomData;

/// The parameters of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    /// The learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator, outside the square root.
    pub eps: f64,
    /// Decoupled weight decay: p is multiplied by `1 - lr * weight_decay`.
    pub weight_decay: f64,
    /// The factor by which gradients are multiplied.
    pub clip: Clip,
    /// Whether the step goes up the gradient instead of down.
    pub maximize: bool,
    /// The number of this step, from 1.
    pub step: u64,
}

/// The scalars of the formula, in the element type.
#[derive(Clone, Copy)]
struct Scalars<T> {
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

/// A scalar of the formula that the element type cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// `eps` rounds to 0, which leaves 0/0 where a gradient is 0.
    Eps,
    /// `lr` divided by its bias correction exceeds the range of the type.
    Rate,
    /// `lr * weight_decay` exceeds the range of the type.
    Decay,
}

impl Hyper {
    /// The first scalar that the element type `T` cannot hold, if any.
    pub fn unfit<T: Real>(&self) -> Option<Unfit> {
        let scalars = self.scalars::<T>();
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

    fn scalars<T: Real>(&self) -> Scalars<T> {
        standard(|| self.scalars_inside())
    }

    /// To be called in the standard floating-point environment.
    fn scalars_inside<T: Real>(&self) -> Scalars<T> {
        let correction1 = 1.0 - math::powi(self.beta1, self.step);
        let correction2 = 1.0 - math::powi(self.beta2, self.step);
        let lerp = T::from_f64(1.0 - self.beta1);
        let from_grad = lerp.to_f64() >= 0.5;
        let [first, second] = self.clip.factors::<T>();
        Scalars {
            grad: [if self.maximize { -first } else { first }, second],
            decay: T::from_f64(dispatch(DecayFactor(self))),
            lerp: if from_grad { lerp - T::from_f64(1.0) } else { lerp },
            from_grad,
            square: T::from_f64(1.0 - self.beta2),
            keep: T::from_f64(self.beta2),
            rate: T::from_f64(-(self.lr / correction1)),
            root: T::from_f64(correction2.sqrt()),
            eps: T::from_f64(self.eps),
        }
    }
}

/// A parameter with its gradient and its moments; all have the same length.
pub struct Tensor<'a, T> {
    /// The parameter, updated.
    pub param: &'a mut [T],
    /// The gradient, only read.
    pub grad: &'a [T],
    /// The first moment, updated.
    pub exp_avg: &'a mut [T],
    /// The second moment, updated.
    pub exp_avg_sq: &'a mut [T],
    /// amsgrad: the largest second moment so far, updated.
    pub max_exp_avg_sq: Option<&'a mut [T]>,
}

/// The family of tensors, one per element type.
pub struct Tensors<'a>(PhantomData<&'a ()>);

impl<'a> PerType for Tensors<'a> {
    type Of<T: Element> = Tensor<'a, T>;
}

/// A tensor of an element type in which steps can be computed.
pub type TypedTensor<'a> = TypedReal<Tensors<'a>>;

impl<'a, T> Tensor<'a, T> {
    /// Divides the tensor into spans of at most one chunk; most tensors are a single one.
    fn spans(self, mut take: impl FnMut(Tensor<'a, T>)) {
        if self.param.len() <= CHUNK {
            return take(self);
        }
        let parts = self.param.chunks_mut(CHUNK).zip(self.grad.chunks(CHUNK));
        let moments = self.exp_avg.chunks_mut(CHUNK).zip(self.exp_avg_sq.chunks_mut(CHUNK));
        let mut largest = self.max_exp_avg_sq.map(|x| x.chunks_mut(CHUNK));
        for ((param, grad), (exp_avg, exp_avg_sq)) in parts.zip(moments) {
            let max_exp_avg_sq = largest.as_mut().and_then(Iterator::next);
            take(Tensor { param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq });
        }
    }
}

/// The update of the spans of one unit of work.
struct Update<'a> {
    spans: Vec<TypedTensor<'a>>,
    single: Scalars<f32>,
    double: Scalars<f64>,
}

impl Kernel for Update<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for span in self.spans {
            match span {
                TypedTensor::F32(tensor) => update::<f32, I>(tensor, &self.single),
                TypedTensor::F64(tensor) => update::<f64, I>(tensor, &self.double),
            }
        }
    }
}

#[inline(always)]
fn update<T: Real, I: Isa>(tensor: Tensor<'_, T>, s: &Scalars<T>) {
    let Tensor { param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq } = tensor;
    let rows = param.iter_mut().zip(grad).zip(exp_avg.iter_mut().zip(exp_avg_sq));
    // All loads come before any store. The arrays often begin at the same offset within a page; a load whose address
    // agrees with that of an earlier store in its low bits waits for the store without need (4K aliasing).
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

/// One step over all tensors, in one parallel region. It cannot be interrupted: a step is made completely or, where
/// there is no memory, not begun.
pub fn adamw<'a>(tensors: impl IntoIterator<Item = TypedTensor<'a>>, hyper: &Hyper) -> Result<(), NoMemory> {
    let (single, double) = (hyper.scalars::<f32>(), hyper.scalars::<f64>());
    let mut units: Units<TypedTensor<'_>> = Units::new(CHUNK);
    for tensor in tensors {
        with_real!(tensor, x: T => x.spans(|span| units.push(span.param.len(), T::typed_real(span))));
    }
    let bytes = units.elements() * 28;
    write_chunks(units.finish()?, bytes, |_, spans| dispatch(Update { spans, single, double }))?;
    Ok(())
}

/// Where the norm of the gradients after clipping is at most this, no moment can leave the range of either element
/// type: a square is at most 2^124, and the second moment is a weighted mean of squares.
const SAFE_NORM: f64 = (1u64 << 62) as f64;

/// Whether gradients of this norm, before clipping, could make moments infinite. For all but extreme gradients the norm
/// shows that they cannot; for the others, [`count_overflow`] checks every element.
pub fn may_overflow(norm: f64, hyper: &Hyper) -> bool {
    scalar(|| {
        let clipped = norm * hyper.clip.value();
        // The product is NaN where the norm is infinite and the factor 0.
        clipped.is_nan() || clipped > SAFE_NORM
    })
}

/// Counts the elements whose moments this step would make infinite or NaN, without writing anything.
pub fn count_overflow(tensors: &[TypedTensor<'_>], hyper: &Hyper) -> Result<Option<NonFinite>, NoMemory> {
    let (single, double) = (hyper.scalars::<f32>(), hyper.scalars::<f64>());
    let mut overflow: Option<NonFinite> = None;
    for (array, tensor) in tensors.iter().enumerate() {
        let counted = match tensor {
            TypedTensor::F32(x) => overflow_of(x, single)?,
            TypedTensor::F64(x) => overflow_of(x, double)?,
        };
        if let Some((count, element)) = counted {
            overflow.get_or_insert(NonFinite { count: 0, array, element }).count += count;
        }
    }
    Ok(overflow)
}

/// How many elements of a tensor would overflow, and the index of the first one; `None` where none would.
fn overflow_of<T: Real>(
    tensor: &Tensor<'_, T>,
    scalars: Scalars<T>,
) -> Result<Option<(usize, usize)>, NoMemory> {
    let n = tensor.grad.len();
    let part = |index: usize| {
        let range = chunk(index, n, CHUNK);
        let (grad, exp_avg) = (&tensor.grad[range.clone()], &tensor.exp_avg[range.clone()]);
        dispatch(Overflow { grad, exp_avg, exp_avg_sq: &tensor.exp_avg_sq[range], scalars })
    };
    let parts = unwatched(map_chunks(chunks(n, CHUNK), n * 3 * size_of::<T>(), &mut |_| true, part))?;
    let count = parts.iter().map(|(count, _)| count).sum();
    let first = parts.iter().enumerate().find_map(|(index, (_, first))| Some(index * CHUNK + (*first)?));
    Ok(first.map(|first| (count, first)))
}

/// Counts the elements that would get a moment that is not finite; also gives the index of the first one.
struct Overflow<'a, T> {
    grad: &'a [T],
    exp_avg: &'a [T],
    exp_avg_sq: &'a [T],
    scalars: Scalars<T>,
}

impl<T: Real> Kernel for Overflow<'_, T> {
    type Out = (usize, Option<usize>);
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        let (mut count, mut first) = (0, None);
        let elements = self.grad.iter().zip(self.exp_avg).zip(self.exp_avg_sq);
        for (index, ((&g, &m), &v)) in elements.enumerate() {
            let (m, v) = moments::<T, I>(g, m, v, &self.scalars);
            if !(m.is_finite() & v.is_finite()) {
                count += 1;
                first = first.or(Some(index));
            }
        }
        (count, first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYPER: Hyper = Hyper {
        lr: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        clip: Clip::NONE,
        maximize: false,
        step: 1,
    };

    /// Three steps computed with 40 digits, rounded to the 17 digits of f64.
    #[test]
    fn three_steps_of_the_published_trajectory() {
        let grads = [[0.1, -0.3], [0.2, 0.1], [-0.4, 0.0]];
        let wanted = [
            [0.899000009999999, -1.8980000033333332],
            [0.80158281351125236, -1.8560801479247472],
            [0.82016067546619717, -1.8232870578641780],
        ];
        let (mut p, mut m, mut v) = ([1.0, -2.0], [0.0; 2], [0.0; 2]);
        for (i, (grad, want)) in grads.iter().zip(wanted).enumerate() {
            let tensor =
                Tensor { param: &mut p, grad, exp_avg: &mut m, exp_avg_sq: &mut v, max_exp_avg_sq: None };
            adamw(vec![TypedTensor::F64(tensor)], &Hyper { step: i as u64 + 1, ..HYPER }).unwrap();
            for (got, want) in p.iter().zip(want) {
                assert!((got - want).abs() < 4e-16 * 2.0, "step {i}: {got:.17} {want:.17}");
            }
        }
    }

    #[test]
    fn amsgrad_keeps_the_largest_and_lets_nan_through() {
        assert_eq!(larger_or_nan(2.0, 1.0), 2.0);
        assert_eq!(larger_or_nan(1.0, 2.0), 2.0);
        assert!(larger_or_nan(1.0f32, f32::NAN).is_nan());
        assert!(larger_or_nan(f32::NAN, 1.0).is_nan());
    }

    #[test]
    fn moments_that_overflow_are_counted_and_nothing_is_written() {
        let n = CHUNK + 9;
        let mut grad = vec![1.0f32; n];
        (grad[5], grad[CHUNK + 1]) = (6e20, -3e38);
        let (mut p, mut m, mut v) = (vec![1.0f32; n], vec![0.0f32; n], vec![0.0f32; n]);
        let tensor = TypedTensor::F32(Tensor {
            param: &mut p,
            grad: &grad,
            exp_avg: &mut m,
            exp_avg_sq: &mut v,
            max_exp_avg_sq: None,
        });
        let tensors = [tensor];
        let (norm, clipped) = (3e38, Hyper { clip: Clip::by(1.0 / 3e38), ..HYPER });
        let found = count_overflow(&tensors, &HYPER).unwrap();
        assert_eq!(found, Some(NonFinite { count: 2, array: 0, element: 5 }));
        assert_eq!(count_overflow(&tensors, &clipped), Ok(None));
        assert!(may_overflow(norm, &HYPER) && may_overflow(f64::INFINITY, &clipped));
        assert!(!may_overflow(norm, &clipped) && !may_overflow(1e18, &HYPER));
        assert!(v.iter().all(|&v| v == 0.0));
    }

    #[test]
    fn scalars_that_an_element_type_cannot_hold_are_named() {
        assert_eq!(HYPER.unfit::<f32>(), None);
        assert_eq!(Hyper { eps: 1e-46, ..HYPER }.unfit::<f32>(), Some(Unfit::Eps));
        assert_eq!(Hyper { eps: 1e-46, ..HYPER }.unfit::<f64>(), None);
        assert_eq!(Hyper { lr: 1e38, ..HYPER }.unfit::<f32>(), Some(Unfit::Rate));
        assert_eq!(
            Hyper { lr: 1e38, weight_decay: 1e5, step: 1_000_000, ..HYPER }.unfit::<f32>(),
            Some(Unfit::Decay)
        );
    }

    #[test]
    fn an_elements_update_does_not_depend_on_its_position() {
        let n = 2 * CHUNK + 5;
        let grad: Vec<f32> = (0..n).map(|i| (i % 13) as f32 - 6.0).collect();
        let (mut p, mut m, mut v) = (vec![1.0f32; n], vec![0.1f32; n], vec![0.2f32; n]);
        let tensor =
            Tensor { param: &mut p, grad: &grad, exp_avg: &mut m, exp_avg_sq: &mut v, max_exp_avg_sq: None };
        adamw(vec![TypedTensor::F32(tensor)], &Hyper { step: 3, ..HYPER }).unwrap();
        for i in 13..n {
            assert_eq!(p[i].to_bits(), p[i % 13].to_bits());
            assert_eq!(v[i].to_bits(), v[i % 13].to_bits());
        }
    }
}
