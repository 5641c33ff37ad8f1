//! The spread of numbers from their exact sums.

use super::natural::{DIGIT, less, product, quotient, subtract};
use super::packed::Packed;
use super::wide::{Sum, SumOfSquares};

/// The sum of squares about the mean, `sum x^2 - (sum x)^2 / n`, never negative: the difference `n sum x^2 - (sum x)^2`
/// is exact, then rounded once and divided by `n`.
pub fn centred_squares(sum: &Packed, squares: &Packed, n: u64) -> f64 {
    let sum = sum.wide::<{ Sum::PLACES }, -1074>().magnitude().1;
    let squares = squares.wide::<{ SumOfSquares::PLACES }, -2148>().magnitude().1;
    let mut difference = product(&squares, &[n as u32, (n >> DIGIT) as u32]);
    subtract(&mut difference, &product(&sum[..=Sum::PLACES], &sum[..=Sum::PLACES]));
    quotient(&difference, -2148, n)
}

/// Whether `n` numbers of at most `largest` in magnitude can have this sum and this sum of squares, as far as
/// `(sum x)^2 <= n sum x^2` and `sum x^2 <= n largest^2` tell.
pub fn are_moments(sum: &Packed, squares: &Packed, n: u64, largest: f64) -> bool {
    let count = [n as u32, (n >> DIGIT) as u32];
    let sum = sum.wide::<{ Sum::PLACES }, -1074>().magnitude().1;
    let (negative, squares) = squares.wide::<{ SumOfSquares::PLACES }, -2148>().magnitude();
    let mut largest_square = SumOfSquares::new();
    largest_square.add_square(largest);
    let most = product(&largest_square.magnitude().1, &count);
    let product_of_sums = product(&sum[..=Sum::PLACES], &sum[..=Sum::PLACES]);
    !negative && !less(&product(&squares, &count), &product_of_sums) && !less(&most, &squares)
}
