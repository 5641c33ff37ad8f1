//! Sums of any finite f64 and of their squares, without rounding (superaccumulators). Sums are merged by integer
//! addition, and a sum of squares about the mean can be computed from them afterwards without cancellation.
//!
//! A finite f64 is a whole multiple of 2^-1074 below 2^1024 in magnitude; its square is one of 2^-2148 below 2^2048.
//! [`Wide`] adds such multiples into places of 32 bits each. A place is stored in a signed 64-bit integer, so that 2^30
//! numbers may be added before carries have to be propagated (Kulisch's long accumulator, with the delayed carries of
//! R. Neal, "Fast exact summation using small and large superaccumulators", arXiv 1505.05571). [`Packed`] is the same
//! number without the zeros at both ends, which a state keeps, and writes as sign and magnitude: two or three digits for
//! the sum of a small cluster.

use super::natural::{DIGIT, Natural, ZERO, quotient};
use super::packed::{FEW, Packed};

const DIGIT_BITS: u64 = u32::MAX as u64;
/// How many numbers may be added before carries are propagated.
const ADDS: u32 = 1 << 30;

/// A sum in units of 2^`LOWEST`, as `PLACES` digits of 32 bits whose carries are pending.
#[derive(Clone, Debug)]
pub struct Wide<const PLACES: usize, const LOWEST: i32> {
    places: [i64; PLACES],
    adds: u32,
}

/// The sum of up to 2^64 numbers.
pub type Sum = Wide<68, -1074>;
/// The sum of the squares of up to 2^64 numbers.
pub type SumOfSquares = Wide<134, -2148>;

/// `(significand, exponent)` of a finite `x`: `|x| = significand 2^exponent`.
#[inline(always)]
pub fn parts(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// As [`parts`], with the sign of `x` at its significand.
#[inline(always)]
pub(super) fn signed_parts(x: f64) -> (i64, i32) {
    let ((significand, exponent), sign) = (parts(x), x.to_bits().cast_signed() >> 63);
    ((significand.cast_signed() ^ sign) - sign, exponent)
}

impl<const PLACES: usize, const LOWEST: i32> Default for Wide<PLACES, LOWEST> {
    fn default() -> Self {
        Wide { places: [0; PLACES], adds: 0 }
    }
}

impl<const PLACES: usize, const LOWEST: i32> Wide<PLACES, LOWEST> {
    /// Zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a number of up to 96 bits, or subtracts it where `negative`; its lowest bit belongs to the bottom of
    /// `place`.
    #[inline(always)]
    fn add_at(&mut self, place: usize, bits: u128, negative: bool) {
        for i in 0..3 {
            let digit = (bits >> (DIGIT as usize * i)) as u64 & DIGIT_BITS;
            // Near the top, the upper digits are 0 and there is no place for them.
            if let Some(at) = self.places.get_mut(place + i) {
                *at += if negative { -digit.cast_signed() } else { digit.cast_signed() };
            }
        }
    }

    /// Counts a number that is about to be added, and propagates carries where the places could overflow otherwise.
    #[inline(always)]
    fn begin(&mut self) {
        self.adds += 1;
        if self.adds >= ADDS {
            self.carry();
        }
    }

    /// Adds the finite number `x`.
    #[inline(always)]
    pub fn add(&mut self, x: f64) {
        self.begin();
        let (significand, exponent) = parts(x);
        let position = (exponent - LOWEST) as u32;
        self.add_at((position / DIGIT) as usize, u128::from(significand) << (position % DIGIT), x < 0.0);
    }

    /// Adds `x` multiplied by a count; `x` must be finite.
    pub fn add_times(&mut self, x: f64, count: u64) {
        let (significand, exponent) = parts(x);
        self.add_product(u128::from(significand) * u128::from(count), exponent, x < 0.0);
    }

    /// Adds `product 2^exponent`.
    #[inline(always)]
    pub(super) fn add_product(&mut self, product: u128, exponent: i32, negative: bool) {
        self.begin();
        let position = (exponent - LOWEST) as u32;
        let (place, shift) = ((position / DIGIT) as usize, position % DIGIT);
        let (low, high) = (product & u128::from(u64::MAX), product >> 64);
        self.add_at(place, low << shift, negative);
        self.add_at(place + 2, high << shift, negative);
    }

    /// Adds `number 2^exponent`.
    pub fn add_integer(&mut self, number: i64, exponent: i32) {
        self.add_product(number.unsigned_abs().into(), exponent, number < 0);
    }

    /// Adds `times x` of a sum, without what lies below the lowest place; x must be finite, and `times` below 2^16.
    pub fn add_multiple(&mut self, sum: &Packed, x: f64, times: u32) {
        let (significand, exponent) = parts(x);
        let negative = sum.is_negative() != (x < 0.0);
        for (i, &digit) in sum.digits().iter().enumerate() {
            let product = u128::from(significand) * u128::from(digit) * u128::from(times);
            let position = exponent + (DIGIT as usize * (sum.first() + i)) as i32;
            let lost = (-position).clamp(0, 127) as u32;
            self.add_product(product >> lost, position.max(0) + LOWEST, negative);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Packed) {
        self.begin();
        other.add_to(&mut self.places);
    }

    /// Propagates carries: every place but the highest then lies in [0, 2^32).
    fn carry(&mut self) {
        carry(&mut self.places);
        self.adds = 0;
    }

    /// Whether the sum is below 0, and its magnitude.
    pub(super) fn magnitude(mut self) -> (bool, Natural) {
        let negative = magnitude(&mut self.places);
        let mut digits = ZERO;
        for (digit, &place) in digits.iter_mut().zip(&self.places) {
            *digit = place as u32;
        }
        digits[PLACES] = (self.places[PLACES - 1] >> DIGIT) as u32;
        (negative, digits)
    }

    /// The canonical form, which a state keeps.
    pub fn packed(self) -> Packed {
        let (negative, digits) = self.magnitude();
        Packed::trimmed(negative, 0, &digits)
    }

    /// The nearest f64, ties to even; infinite beyond the range of f64. (A sum of squares below 2^-1022 is rounded
    /// twice, so that it gives one of the two neighbouring f64.)
    pub fn value(self) -> f64 {
        self.over(1)
    }

    /// The sum divided by a count: the sum is rounded once, and then the quotient.
    pub fn over(self, count: u64) -> f64 {
        let Some(first) = self.places.iter().position(|&place| place != 0) else { return 0.0 };
        // Two digits more, since a quotient is rounded from three of them.
        let first = first.saturating_sub(2);
        let end = self.places.iter().rposition(|&place| place != 0).map_or(0, |last| last + 1);
        let (negative, magnitude) = if end - first < FEW {
            // One place more takes the carry.
            let mut places = [0; FEW];
            places[..end - first].copy_from_slice(&self.places[first..end]);
            let negative = magnitude(&mut places);
            let lowest = LOWEST + (DIGIT as usize * first) as i32;
            (negative, quotient(&places.map(|place| place as u32), lowest, count))
        } else {
            let (negative, digits) = self.magnitude();
            (negative, quotient(&digits, LOWEST, count))
        };
        if negative { -magnitude } else { magnitude }
    }

    /// Whether the sum is above 0.
    pub fn is_positive(self) -> bool {
        let (negative, digits) = self.magnitude();
        !negative && digits.iter().any(|&digit| digit != 0)
    }
}

/// Propagates carries: every place but the highest then lies in [0, 2^32).
fn carry(places: &mut [i64]) {
    let Some((highest, others)) = places.split_last_mut() else { return };
    let mut carry = 0;
    for place in others {
        let all = *place + carry;
        (*place, carry) = (all & DIGIT_BITS.cast_signed(), all >> DIGIT);
    }
    *highest += carry;
}

/// Replaces places by the digits of their magnitude; returns whether they were below 0.
pub(super) fn magnitude(places: &mut [i64]) -> bool {
    carry(places);
    let negative = places.last().is_some_and(|&highest| highest < 0);
    if negative {
        for place in &mut *places {
            *place = -*place;
        }
        carry(places);
    }
    negative
}

impl SumOfSquares {
    /// Adds the square of the finite number `x`.
    #[inline(always)]
    pub fn add_square(&mut self, x: f64) {
        let (significand, exponent) = parts(x);
        self.add_product(u128::from(significand) * u128::from(significand), 2 * exponent, false);
    }
}

impl<const PLACES: usize, const LOWEST: i32> Wide<PLACES, LOWEST> {
    /// The number of places.
    pub const PLACES: usize = PLACES;
}

#[cfg(test)]
mod tests {
    use super::super::{are_moments, centred_squares};
    use super::*;

    /// Pseudo-random numbers of both signs, whose exponents span `spread` binary orders; the same each time.
    fn numbers(n: usize, spread: u64) -> Vec<f64> {
        let mut state = 7u64;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let (sign, exponent) = (state & 1 << 63, 1023 - spread / 2 + (state >> 33) % spread.max(1));
                f64::from_bits(sign | exponent << 52 | state >> 12 & ((1 << 52) - 1))
            })
            .collect()
    }

    fn sum(x: &[f64]) -> Sum {
        let mut sum = Sum::new();
        for &x in x {
            sum.add(x);
        }
        sum
    }

    fn squares(x: &[f64]) -> SumOfSquares {
        let mut squares = SumOfSquares::new();
        for &x in x {
            squares.add_square(x);
        }
        squares
    }

    #[test]
    fn the_sum_of_one_number_is_that_number() {
        let edges = [0.0, 5e-324, -5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 1.0, -0.1, 1e-310];
        for x in edges.into_iter().chain(numbers(10_000, 2000)) {
            assert_eq!(sum(&[x]).value(), x);
            assert!((squares(&[x]).value() - x * x).abs() <= 5e-324 || x * x == f64::INFINITY, "{x:e}");
            assert_eq!(sum(&[x, x, -x]).packed().wide::<68, -1074>().value(), x);
        }
    }

    #[test]
    fn cancellation_leaves_the_small_terms() {
        assert_eq!(sum(&[1e300, 3.0, 1e-300, -1e300, -3.0]).value(), 1e-300);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).value(), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).value(), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).over(2), f64::MAX);
        assert_eq!(sum(&[1.0, -1.0]).packed(), Packed::default());
    }

    /// 2^53 + 1 and its neighbours: ties go to even, and any term far below breaks the tie.
    #[test]
    fn rounding_is_to_nearest_even() {
        let big = 9_007_199_254_740_992.0;
        assert_eq!(sum(&[big, 1.0]).value(), big);
        assert_eq!(sum(&[big, 1.0, 5e-324]).value(), big + 2.0);
        assert_eq!(sum(&[big, 3.0]).value(), big + 4.0);
        assert_eq!(sum(&[-big, -1.0, -5e-324]).value(), -big - 2.0);
    }

    #[test]
    fn order_and_splits_do_not_matter() {
        let x = numbers(5000, 300);
        let whole = sum(&x).packed();
        let mut backwards = x.clone();
        backwards.reverse();
        assert_eq!(whole, sum(&backwards).packed());
        for split in [0, 1, 17, 2500, 4999] {
            let (a, b) = (sum(&x[..split]).packed(), sum(&x[split..]).packed());
            assert_eq!(whole, a.plus::<68, -1074>(&b));
            assert_eq!(whole, b.plus::<68, -1074>(&a));
        }
    }

    /// Those of few binary orders are added up in one integer, and sums of few digits without all places.
    #[test]
    fn narrow_sums_are_those_of_all_places() {
        for spread in [0, 1, 20, 60, 64, 70, 75, 200, 2000] {
            let x = numbers(700, spread);
            for n in [0, 1, 2, 3, 255, 700] {
                let (narrow, rest) = (Packed::of(&x[..n]), Packed::of(&x[n..]));
                assert_eq!(narrow, sum(&x[..n]).packed(), "{n} numbers over {spread} orders");
                let mut both = narrow.wide::<68, -1074>();
                both.merge(&rest);
                assert_eq!(
                    narrow.plus::<68, -1074>(&rest),
                    both.packed(),
                    "{n} numbers over {spread} orders"
                );
            }
        }
        let edges = [
            &[0.0, -0.0][..],
            &[5e-324, -5e-324],
            &[f64::MAX, f64::MAX],
            &[f64::MIN, 1.0],
            &[-1.0, 0.0, 1e-310],
        ];
        for x in edges {
            assert_eq!(Packed::of(x), sum(x).packed());
            assert_eq!(Packed::of(&x[..1]).plus::<68, -1074>(&Packed::of(&x[1..])), sum(x).packed());
        }
        let opposite = Packed::of(&[3.5]).plus::<68, -1074>(&Packed::of(&[-3.5]));
        assert_eq!(opposite, Packed::default());
    }

    /// Whole numbers, for which i128 arithmetic gives the exact answer.
    #[test]
    fn sums_about_the_mean_are_exact() {
        for (offset, scale) in [(0i64, 1000), (10_000_000_000_000, 10), (-7, 3)] {
            let x: Vec<i64> = (0..2000).map(|i: i64| offset + (i * 7919) % scale).collect();
            let wide: Vec<f64> = x.iter().map(|&v| v as f64).collect();
            let (n, s) = (x.len() as i128, x.iter().map(|&v| i128::from(v)).sum::<i128>());
            let d = n * x.iter().map(|&v| i128::from(v) * i128::from(v)).sum::<i128>() - s * s;
            let got = centred_squares(&sum(&wide).packed(), &squares(&wide).packed(), n as u64);
            assert_eq!(got, d as f64 / n as f64);
            assert_eq!(sum(&wide).over(n as u64), s as f64 / n as f64);
        }
        let huge = [f64::MAX, -f64::MAX, 5e-324];
        assert_eq!(centred_squares(&sum(&huge).packed(), &squares(&huge).packed(), 3), f64::INFINITY);
        let tiny = [1e-160, 3e-160];
        let got = centred_squares(&sum(&tiny).packed(), &squares(&tiny).packed(), 2);
        assert!((got / 2e-320 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn impossible_moments_are_recognised() {
        let x = numbers(100, 40);
        let largest = x.iter().fold(0.0f64, |a, b| if b.abs() > a { b.abs() } else { a });
        let (s, q) = (sum(&x).packed(), squares(&x).packed());
        assert!(are_moments(&s, &q, 100, largest));
        assert!(!are_moments(&s, &q, 100, largest / 1e3));
        assert!(!are_moments(&s, &q.negated(), 100, largest));
        assert!(!are_moments(&sum(&[1e30]).packed(), &q, 100, largest));
        assert!(are_moments(&sum(&[2.0, 2.0]).packed(), &squares(&[2.0, 2.0]).packed(), 2, 2.0));
    }

    #[test]
    fn a_number_times_a_count_equals_repeated_addition() {
        for x in numbers(200, 1500) {
            let mut times = Sum::new();
            times.add_times(-x, 1000);
            times.merge(&sum(&[x; 1000]).packed());
            assert_eq!(times.packed(), Packed::default());
        }
    }

    #[test]
    fn bytes_are_canonical() {
        for x in [&numbers(30, 1900)[..], &[], &[-1.0], &[1.0, -1.0]] {
            let packed = sum(x).packed();
            assert_eq!(Packed::from_bytes(&packed.to_bytes(), Sum::PLACES), Some(packed));
        }
        let refused = |bytes: &[u8]| Packed::from_bytes(bytes, Sum::PLACES).is_none();
        assert!(refused(&[]) && refused(&[0, 0]) && refused(&[1, 0, 0]) && refused(&[0, 1, 0]));
        assert!(refused(&[2, 0, 0, 1, 0, 0, 0]) && refused(&[0, 0, 0, 0, 0, 0, 0]) && refused(&[0, 0, 0, 1]));
        assert!(refused(&[0, 68, 0, 1, 0, 0, 0]) && refused(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!refused(&[0, 67, 0, 1, 0, 0, 0]));
    }

    /// Quotients below 2^-1022 too, which are rounded twice.
    #[test]
    fn a_quotient_does_not_depend_on_pending_carries() {
        let x = f64::from_bits(13 << 52);
        let (whole, halves) = (sum(&[x]), sum(&[x / 2.0, x / 2.0]));
        for count in 4_194_305..4_204_305 {
            assert_eq!(whole.clone().over(count).to_bits(), halves.clone().over(count).to_bits(), "{count}");
        }
    }

    #[test]
    fn whole_numbers_are_told_from_others() {
        for number in [0, 1, 7, 1 << 14, (1 << 14) + 1, 1 << 46, u64::MAX] {
            assert_eq!(Packed::whole(number).to_whole(), Some(number));
        }
        for x in [-1.0, 0.5, 1.5, 5e-324, 18_446_744_073_709_551_616.0, 1e300] {
            assert_eq!(Packed::of(&[x]).to_whole(), None, "{x}");
        }
        assert_eq!(Packed::of(&[f64::MAX, 1.0]).to_whole(), None);
    }

    #[test]
    fn delayed_carries_are_propagated() {
        let mut late = sum(&[1.0]);
        late.adds = ADDS - 3;
        (0..10).for_each(|_| late.add(-0.75));
        assert_eq!(late.value(), -6.5);
    }
}
