//! The exact sum of many numbers and of their squares, gathered by exponent.

use super::units::Units;
use super::wide::{Sum, SumOfSquares, parts};
use crate::grid::CHUNK;
use crate::memory::{self, NoMemory};

/// The exponents that the bits of an f64 can have.
const EXPONENTS: usize = 1 << 11;
// A chunk of numbers may be added: 2^16 squares of 106 bits fit 128 bits.
const _: () = assert!(CHUNK <= 1 << 16);

/// The significands of the numbers of each exponent, added up, and their squares. One multiplication and two additions
/// of integers a number, where a superaccumulator takes nine (Neal's large superaccumulator, with the squares beside it).
pub(crate) struct ByExponent(Vec<(i128, u128)>);

impl ByExponent {
    pub(crate) fn new() -> Result<Self, NoMemory> {
        Ok(ByExponent(memory::filled(EXPONENTS, (0, 0))?))
    }

    /// Adds a finite number, at most [`CHUNK`] of them.
    #[inline(always)]
    pub(crate) fn add(&mut self, x: f64) {
        let (significand, _) = parts(x);
        let (sum, squares) = &mut self.0[(x.to_bits() >> 52) as usize % EXPONENTS];
        *sum += i128::from(if x < 0.0 { -significand.cast_signed() } else { significand.cast_signed() });
        *squares += u128::from(significand) * u128::from(significand);
    }

    /// The sum, the sum of the squares, and the binary orders of the numbers.
    pub(crate) fn sums(&self) -> (Sum, SumOfSquares, Units) {
        let (mut sum, mut squares, mut units) = (Sum::new(), SumOfSquares::new(), Units::NONE);
        for (bits, (own, own_squares)) in self.0.iter().enumerate().filter(|(_, (_, squares))| *squares > 0) {
            let (_, exponent) = parts(f64::from_bits((bits as u64) << 52));
            sum.add_product(own.unsigned_abs(), exponent, *own < 0);
            squares.add_product(*own_squares, 2 * exponent, false);
            units = units.with(Units::at(exponent));
        }
        (sum, squares, units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_sums_of_the_superaccumulators() {
        let mut state = 7u64;
        for spread in [0u64, 3, 60, 2046] {
            let x: Vec<f64> = (0..CHUNK)
                .map(|i| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let exponent = 1023 - spread / 2 + (state >> 33) % (spread + 1);
                    let x = f64::from_bits(state & 1 << 63 | exponent << 52 | state >> 12);
                    if i % 97 == 0 { [0.0, -0.0, 5e-324, -f64::MAX][i % 4] } else { x }
                })
                .collect();
            for n in [0, 1, 2, CHUNK] {
                let (mut by, mut sum, mut squares) =
                    (ByExponent::new().unwrap(), Sum::new(), SumOfSquares::new());
                for &x in &x[..n] {
                    by.add(x);
                    sum.add(x);
                    squares.add_square(x);
                }
                let (own, own_squares, units) = by.sums();
                assert_eq!((own.packed(), own_squares.packed()), (sum.packed(), squares.packed()));
                assert_eq!(units, Units::of(x[..n].iter().copied()));
            }
        }
    }
}
