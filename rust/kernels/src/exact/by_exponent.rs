//! Exact sums of many numbers, gathered by exponent: two additions of integers a number, where a superaccumulator takes
//! nine (Neal's large superaccumulator, with the squares beside it).

use super::wide::{Sum, SumOfSquares, parts, signed_parts};
use crate::grid::CHUNK;
use crate::memory::{self, NoMemory};

/// The exponents that the bits of an f64 can have.
const EXPONENTS: usize = 1 << 11;
/// Tables of sums and squares: consecutive numbers often have one exponent, and an addition to a place waits for the one
/// before.
const TABLES: usize = 2;
// A chunk of numbers may be added: 2^16 squares of 106 bits fit 128 bits.
const _: () = assert!(CHUNK <= 1 << 16);

/// The exponent of the lowest bit of numbers with these bits above the fraction.
fn exponent(bits: usize) -> i32 {
    parts(f64::from_bits((bits as u64) << 52)).1
}

/// The exact sum of finite numbers, at most [`CHUNK`] of them, and of their squares.
pub(crate) fn sum_and_squares(x: impl Iterator<Item = f64>) -> Result<(Sum, SumOfSquares), NoMemory> {
    let mut gathered = memory::filled(TABLES * EXPONENTS, (0i128, 0u128))?;
    for (i, x) in x.enumerate() {
        let (sum, squares) = &mut gathered[i % TABLES * EXPONENTS + (x.to_bits() >> 52) as usize % EXPONENTS];
        let significand = parts(x).0;
        *sum += i128::from(signed_parts(x).0);
        *squares += u128::from(significand) * u128::from(significand);
    }
    let (mut sum, mut all_squares) = (Sum::new(), SumOfSquares::new());
    for (place, &(own, squares)) in gathered.iter().enumerate().filter(|(_, (_, squares))| *squares > 0) {
        let exponent = exponent(place % EXPONENTS);
        sum.add_product(own.unsigned_abs(), exponent, own < 0);
        all_squares.add_product(squares, 2 * exponent, false);
    }
    Ok((sum, all_squares))
}

/// The exact sum of finite numbers, at most [`CHUNK`] of them.
pub(crate) fn sum_of(x: impl Iterator<Item = f64>) -> Result<Sum, NoMemory> {
    // By sign and exponent: the sums of the lower 32 bits of the significands, and of the others.
    let mut gathered = memory::filled(2 * EXPONENTS, [0u64; 2])?;
    for x in x {
        let significand = parts(x).0;
        let [low, high] = &mut gathered[(x.to_bits() >> 52) as usize];
        *low += significand & u64::from(u32::MAX);
        *high += significand >> 32;
    }
    let mut sum = Sum::new();
    for (place, &[low, high]) in gathered.iter().enumerate().filter(|(_, own)| **own != [0; 2]) {
        let all = u128::from(low) + (u128::from(high) << 32);
        sum.add_product(all, exponent(place % EXPONENTS), place >= EXPONENTS);
    }
    Ok(sum)
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
                let (mut sum, mut squares) = (Sum::new(), SumOfSquares::new());
                for &x in &x[..n] {
                    sum.add(x);
                    squares.add_square(x);
                }
                let (sum, numbers) = (sum.packed(), || x[..n].iter().copied());
                let (own, own_squares) = sum_and_squares(numbers()).unwrap();
                assert_eq!((own.packed(), own_squares.packed()), (sum.clone(), squares.packed()));
                assert_eq!(sum_of(numbers()).unwrap().packed(), sum);
            }
        }
    }
}
