//! Sums of gradients over several calls, for one step that uses their mean.

use super::units::Units;
use crate::dtype::{Exclusive, ListedReal, TypedReal, TypedSlice};
use crate::grid::{CHUNK, write_chunks};
use crate::memory::NoMemory;
use crate::simd::{Isa, Kernel, Real, dispatch};
use crate::{with_dtype, with_real};

/// A sum, and what is added to it.
pub struct Summand<'a> {
    /// The sum so far, updated.
    pub sum: TypedReal<Exclusive<'a>>,
    /// What is added, widened to the type of the sum.
    pub grad: TypedSlice<'a>,
    /// Whether this is the first summand, so that what the sum held does not count.
    pub begins: bool,
}

/// The additions of one unit of work.
struct Add<'a>(Vec<Summand<'a>>);

impl Kernel for Add<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for Summand { sum, grad, begins } in self.0 {
            with_real!(sum, sum: T => with_dtype!(grad, grad => {
                if begins {
                    for (sum, grad) in sum.iter_mut().zip(grad) {
                        *sum = T::widen(*grad);
                    }
                } else {
                    for (sum, grad) in sum.iter_mut().zip(grad) {
                        *sum += T::widen(*grad);
                    }
                }
            }));
        }
    }
}

/// Adds to all sums in one parallel region, each sum rounded once to its own type.
pub fn accumulate<'a>(summands: impl IntoIterator<Item = Summand<'a>>) -> Result<(), NoMemory> {
    let mut units = Units::new(CHUNK);
    for Summand { sum, grad, begins } in summands {
        with_real!(sum, sum: T => {
            for (index, sum) in sum.chunks_mut(CHUNK).enumerate() {
                let (start, n) = (index * CHUNK, sum.len());
                let (sum, grad) = (T::typed_real(sum), grad.part(start..start + n));
                units.push(n, Summand { sum, grad, begins });
            }
        });
    }
    let bytes = units.elements() * 12;
    write_chunks(units.finish()?, bytes, |_, unit| dispatch(Add(unit)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Listed;
    use crate::simd::{Bf16, Element};

    fn add<'a>(single: &'a mut [f32], double: &'a mut [f64], grad: TypedSlice<'a>, begins: bool) {
        let sums = [f32::typed_real(single), f64::typed_real(double)];
        accumulate(sums.map(|sum| Summand { sum, grad, begins })).unwrap();
    }

    #[test]
    fn gradients_of_any_type_are_added() {
        let n = CHUNK + 9;
        let first: Vec<Bf16> = (0..n).map(|i| Bf16::from_f32(i as f32)).collect();
        let second: Vec<f64> = (0..n).map(|i| 1.0 / (i + 1) as f64).collect();
        let (mut single, mut double) = (vec![f32::NAN; n], vec![f64::NAN; n]);
        add(&mut single, &mut double, Bf16::typed(first.as_slice()), true);
        add(&mut single, &mut double, f64::typed(second.as_slice()), false);
        for index in 0..n {
            assert_eq!(single[index], first[index].to_f32() + second[index] as f32);
            assert_eq!(double[index], first[index].to_f64() + second[index]);
        }
    }
}
