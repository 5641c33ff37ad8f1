//! Columns as whole numbers of few bits, whose sums of multiples are exact in f64.

use crate::exact::parts;
use crate::memory::{self, NoMemory};

/// Bits of a limb: 1,024 rows, each of which counts at most 12 times, add up to less than 2^53.
pub const BITS: u32 = 39;

/// A part of a column: whole multiples of `2^exponent` with the signs of the numbers.
pub struct Limb {
    /// The place of the column among the sums.
    pub place: usize,
    /// The exponent of the unit.
    pub exponent: i32,
    /// The multiples.
    pub values: Vec<f64>,
}

/// The limbs of a column, which add up to its numbers; those that are 0 everywhere are left out.
pub fn limbs(place: usize, column: &[f64], out: &mut Vec<Limb>) -> Result<(), NoMemory> {
    let (mut least, mut most) = (i32::MAX, i32::MIN);
    for &x in column {
        let (significand, exponent) = parts(x);
        if significand != 0 {
            least = least.min(exponent + significand.trailing_zeros() as i32);
            most = most.max(exponent + (u64::BITS - significand.leading_zeros()) as i32);
        }
    }
    let mut exponent = least;
    while exponent < most {
        let mut values = memory::filled(column.len(), 0.0)?;
        let mut bits = 0;
        for (value, &x) in values.iter_mut().zip(column) {
            let number = cut(x, exponent);
            bits |= number;
            *value = signed(number, x < 0.0);
        }
        if bits != 0 {
            memory::push(out, Limb { place, exponent, values })?;
        }
        exponent += BITS as i32;
    }
    Ok(())
}

/// The bits of a number from `exponent` on, up to [`BITS`] of them.
fn cut(x: f64, exponent: i32) -> u64 {
    let (significand, own) = parts(x);
    let up = own - exponent;
    let shifted = match up {
        -63..0 => significand >> -up,
        0..39 => (u128::from(significand) << up) as u64,
        _ => 0,
    };
    shifted & ((1 << BITS) - 1)
}

/// A whole number below 2^53 with a sign; the conversion is exact in every rounding mode.
fn signed(number: u64, negative: bool) -> f64 {
    let x = number as f64;
    if negative { -x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{Packed, Sum};

    #[test]
    fn limbs_add_up_to_the_column() {
        let columns: [&[f64]; 5] = [
            &[0.0, 1.0, 1.0, 0.0],
            &[0.1, -0.7, 1e-3, 123.456],
            &[1e300, -1e-300, 3.0, f64::from_bits(1)],
            &[0.0, -0.0],
            &[f64::from(0.1f32), f64::from(-0.3f32)],
        ];
        for column in columns {
            let mut found = Vec::new();
            limbs(0, column, &mut found).unwrap();
            let mut sum = Sum::new();
            for limb in &found {
                assert!(limb.values.iter().all(|value| value.abs() < (1u64 << BITS) as f64));
                for &value in &limb.values {
                    sum.add_integer(value as i64, limb.exponent);
                }
            }
            assert_eq!(sum.packed(), Packed::of(column), "{column:?}");
        }
        let mut found = Vec::new();
        limbs(0, columns[0], &mut found).unwrap();
        assert_eq!(found.len(), 1);
    }
}
