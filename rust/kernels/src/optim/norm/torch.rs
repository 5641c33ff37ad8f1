//! The norm and the factor of `torch.nn.utils.clip_grad_norm_` on the CPU, with torch's bits: sums in the type of the
//! computation, in the few serial lanes that torch has, rounded to the element type; then the norm of these norms.
//!
//! In float32 the error grows with the length (about 1e-5 for 1e6 elements, 4e-4 for 1e7), and squares overflow; for any
//! other purpose [`sum_of_squares`](super::sum_of_squares) is the better one. The sum of an f16 tensor is that of torch
//! on one thread; torch divides it among threads.

use super::clip::Clip;
use crate::dtype::{Dtype, TypedSlice};
use crate::grid::{map_chunks, unwatched};
use crate::memory::{self, NoMemory};
use crate::simd::{Bf16, Element, F16, Isa, Kernel, Real, dispatch};
use crate::with_dtype;

/// A norm as torch computes it, with the type in which torch has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TorchNorm {
    /// The norm.
    pub value: f64,
    dtype: Dtype,
}

impl TorchNorm {
    /// The norm of all arrays together.
    pub fn of(arrays: &[TypedSlice<'_>]) -> Result<TorchNorm, NoMemory> {
        let bytes = arrays.iter().map(|array| array.bytes()).sum();
        let each = |i: usize| with_dtype!(arrays[i], x => dispatch(One(x)));
        let norms = unwatched(map_chunks(arrays.len(), bytes, &mut |_| true, each))?;
        let norms = in_torchs_order(arrays, &norms)?;
        let dtype = arrays.iter().map(TypedSlice::dtype).reduce(promoted).unwrap_or(Dtype::F32);
        let value = match dtype {
            Dtype::F64 => whole::<f64>(&norms)?,
            Dtype::Bf16 => whole::<Bf16>(&norms)?,
            Dtype::F16 => whole::<F16>(&norms)?,
            Dtype::F32 => whole::<f32>(&norms)?,
        };
        Ok(TorchNorm { value, dtype })
    }

    /// The norm of the gradients divided by `scale`, as which torch's user would have clipped them.
    #[must_use]
    pub fn divided(self, scale: f64) -> TorchNorm {
        let value = self.value / scale;
        let value = match self.dtype {
            Dtype::F64 => value,
            Dtype::Bf16 => rounded::<Bf16>(value),
            Dtype::F16 => rounded::<F16>(value),
            Dtype::F32 => rounded::<f32>(value),
        };
        TorchNorm { value, ..self }
    }

    /// The factor that brings gradients of this norm to a limit: `min(1 / (norm + 1e-6) * limit, 1)`, each operation
    /// rounded to the type of the norm.
    pub fn clip(self, limit: Option<f64>) -> Clip {
        let Some(limit) = limit else { return Clip::NONE };
        let factor = match self.dtype {
            Dtype::F64 => factor::<f64, f64>(self.value, limit),
            Dtype::Bf16 => factor::<f32, Bf16>(self.value, limit),
            Dtype::F16 => factor::<f32, F16>(self.value, limit),
            Dtype::F32 => factor::<f32, f32>(self.value, limit),
        };
        Clip::by(if factor > 1.0 { 1.0 } else { factor })
    }
}

/// The norms by the element type of their arrays, the type that occurs last being the first. torch takes the types in the
/// order of a hash table, which for two types is this one; of three or four, some orders are others.
fn in_torchs_order(arrays: &[TypedSlice<'_>], norms: &[f64]) -> Result<Vec<f64>, NoMemory> {
    let mut types = Vec::new();
    for array in arrays {
        if !types.contains(&array.dtype()) {
            memory::push(&mut types, array.dtype())?;
        }
    }
    let mut ordered = memory::with_capacity(norms.len())?;
    for dtype in types.iter().rev() {
        let of_type = arrays.iter().zip(norms).filter(|(array, _)| array.dtype() == *dtype);
        ordered.extend(of_type.map(|(_, &norm)| norm));
    }
    Ok(ordered)
}

/// The type in which torch stacks norms of two types.
fn promoted(a: Dtype, b: Dtype) -> Dtype {
    match (a, b) {
        _ if a == b => a,
        (Dtype::F64, _) | (_, Dtype::F64) => Dtype::F64,
        _ => Dtype::F32,
    }
}

fn whole<T: TorchSum>(norms: &[f64]) -> Result<f64, NoMemory> {
    let norms: Vec<T> = memory::collected(norms.iter().map(|&norm| T::from_f64(norm)))?;
    Ok(dispatch(One(&norms)))
}

fn rounded<E: TorchSum>(value: f64) -> f64 {
    E::from_f64(value).to_f64()
}

fn factor<O: Real, E: Element>(norm: f64, limit: f64) -> f64 {
    dispatch(Factor::<O, E> {
        norm: O::from_f64(norm),
        limit: O::from_f64(limit),
        element: std::marker::PhantomData,
    })
}

struct Factor<O, E> {
    norm: O,
    limit: O,
    element: std::marker::PhantomData<E>,
}

impl<O: Real, E: Element> Kernel for Factor<O, E> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let rounded = |x: O| O::widen(x.narrow::<E>());
        let inverse = rounded(O::from_f64(1.0) / rounded(self.norm + O::from_f64(1e-6)));
        rounded(inverse * self.limit).to_f64()
    }
}

/// The norm of one array, in its type.
struct One<'a, T>(&'a [T]);

impl<T: TorchSum> Kernel for One<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        T::norm::<I>(self.0).to_f64()
    }
}

/// An element type in whose order torch adds squares.
trait TorchSum: Element {
    fn norm<I: Isa>(x: &[Self]) -> Self;
}

macro_rules! torch_sum {
    ($($t:ty: $o:ty, $lanes:literal, $block:literal),* $(,)?) => {
        $(impl TorchSum for $t {
            #[inline(always)]
            fn norm<I: Isa>(x: &[Self]) -> Self {
                Real::sqrt(sum_of_squares::<$o, Self, $lanes, $block, I>(x)).narrow()
            }
        })*
    };
}
torch_sum!(f32: f32, 8, 8, f64: f64, 4, 4, Bf16: f32, 8, 16, F16: f32, 1, 1);

/// The sum of squares: whole blocks in lanes, which are then added in order, then what is left. Of that, torch's compiler
/// made four at a time with a rounding for the product, and the last ones without.
#[inline(always)]
fn sum_of_squares<O: Real, E: Element, const LANES: usize, const BLOCK: usize, I: Isa>(x: &[E]) -> O {
    let (blocks, rest) = x.split_at(x.len() - x.len() % BLOCK);
    let mut lanes = [O::default(); LANES];
    for row in blocks.as_chunks::<LANES>().0 {
        for (lane, &x) in lanes.iter_mut().zip(row) {
            let x = O::widen(x);
            *lane = *lane + x * x;
        }
    }
    let mut sum = lanes[0];
    for &lane in &lanes[1..] {
        sum = sum + lane;
    }
    let (fours, last) = rest.split_at(rest.len() / 4 * 4);
    for &x in fours {
        let x = O::widen(x);
        sum = sum + x * x;
    }
    for &x in last {
        let x = O::widen(x);
        sum = O::fma::<I>(x, x, sum);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Listed;

    #[test]
    fn the_factor_is_the_limit_times_a_reciprocal() {
        let norm = TorchNorm { value: 3.0, dtype: Dtype::F64 };
        assert_eq!(norm.clip(Some(1.0)).value(), 1.0 / (3.0 + 1e-6));
        assert_eq!(norm.clip(Some(0.7)).value(), 1.0 / (3.0 + 1e-6) * 0.7);
        assert_eq!(norm.clip(Some(4.0)), Clip::NONE);
        assert_eq!(norm.clip(None), Clip::NONE);
        assert!(TorchNorm { value: f64::NAN, ..norm }.clip(Some(1.0)).value().is_nan());
        assert_eq!(TorchNorm { value: f64::INFINITY, ..norm }.clip(Some(1.0)).value(), 0.0);
    }

    #[test]
    fn squares_are_added_in_eight_lanes() {
        // 2^24 + 1 is not an f32: of the ones, only those in another lane than 4096 are counted.
        let mut x = [1.0f32; 16];
        x[0] = 4096.0;
        let sum = ((1u32 << 24) + 14) as f32;
        assert_eq!(TorchNorm::of(&[f32::typed(&x[..])]).unwrap().value, f64::from(sum.sqrt()));
    }
}
