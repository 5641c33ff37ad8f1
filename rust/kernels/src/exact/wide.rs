//! Sums of any finite f64 and of their squares, without rounding (superaccumulators). Sums are merged by integer
//! addition, and a sum of squares about the mean can be computed from them afterwards without cancellation.
//!
//! A finite f64 is a whole multiple of 2^-1074 below 2^1024 in magnitude; its square is one of 2^-2148 below 2^2048.
//! [`Wide`] adds such multiples into places of 32 bits each. A place is stored in a signed 64-bit integer, so that 2^30
//! numbers may be added before carries have to be propagated (Kulisch's long accumulator, with the delayed carries of
//! R. Neal, "Fast exact summation using small and large superaccumulators", arXiv 1505.05571). [`Packed`] is the same
//! number as sign and magnitude, without the zeros at both ends. A state keeps and writes it in this form: two or three
//! digits for the sum of a small cluster.

use std::sync::Arc;

const DIGIT: u32 = 32;
const DIGIT_BITS: u64 = u32::MAX as u64;
/// How many numbers may be added before carries are propagated.
const ADDS: u32 = 1 << 30;
/// Digits of the natural numbers here. The largest is a count n (64 bits) times a sum of n squares (4,260 bits).
const DIGITS: usize = 140;
type Digits = [u32; DIGITS];
/// Sums of fewer digits are added without the places that the widest numbers need.
const FEW: usize = 12;

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

/// A sum as sign and magnitude, in canonical form: equal sums have equal fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    negative: bool,
    /// The place of the lowest digit.
    first: u16,
    /// 32-bit digits, the lowest first; neither the first nor the last is 0.
    digits: Arc<[u32]>,
}

impl Default for Packed {
    fn default() -> Self {
        Packed { negative: false, first: 0, digits: Arc::new([]) }
    }
}

/// `(significand, exponent)` of a finite `x`: `|x| = significand 2^exponent`.
#[inline(always)]
pub fn parts(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
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
    fn add_product(&mut self, product: u128, exponent: i32, negative: bool) {
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
        let negative = sum.negative != (x < 0.0);
        for (i, &digit) in sum.digits.iter().enumerate() {
            let product = u128::from(significand) * u128::from(digit) * u128::from(times);
            let position = exponent + (DIGIT as usize * (usize::from(sum.first) + i)) as i32;
            let lost = (-position).clamp(0, 127) as u32;
            self.add_product(product >> lost, position.max(0) + LOWEST, negative);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Packed) {
        self.begin();
        for (place, &digit) in self.places[usize::from(other.first)..].iter_mut().zip(other.digits.iter()) {
            *place += if other.negative { -i64::from(digit) } else { i64::from(digit) };
        }
    }

    /// Propagates carries: every place but the highest then lies in [0, 2^32).
    fn carry(&mut self) {
        carry(&mut self.places);
        self.adds = 0;
    }

    /// Whether the sum is below 0, and its magnitude.
    fn magnitude(mut self) -> (bool, Digits) {
        let negative = magnitude(&mut self.places);
        let mut digits = [0; DIGITS];
        for (digit, &place) in digits.iter_mut().zip(&self.places) {
            *digit = place as u32;
        }
        digits[PLACES] = (self.places[PLACES - 1] >> DIGIT) as u32;
        (negative, digits)
    }

    /// The canonical form, which a state keeps.
    pub fn packed(self) -> Packed {
        let (negative, digits) = self.magnitude();
        let Some(first) = digits.iter().position(|&digit| digit != 0) else { return Packed::default() };
        let end = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
        Packed { negative, first: first as u16, digits: digits[first..end].into() }
    }

    /// The nearest f64, ties to even; infinite beyond the range of f64. (A sum of squares below 2^-1022 is rounded
    /// twice, so that it gives one of the two neighbouring f64.)
    pub fn value(self) -> f64 {
        self.over(1)
    }

    /// The sum divided by a count: the sum is rounded once, and then the quotient.
    pub fn over(self, count: u64) -> f64 {
        let (negative, digits) = self.magnitude();
        let magnitude = quotient(&digits, LOWEST, count);
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
fn magnitude(places: &mut [i64]) -> bool {
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

impl Packed {
    /// The sum in the form to which numbers can be added.
    pub fn wide<const PLACES: usize, const LOWEST: i32>(&self) -> Wide<PLACES, LOWEST> {
        let mut wide = Wide::new();
        wide.merge(self);
        wide
    }

    /// The sum of some finite numbers, as of [`Sum`].
    ///
    /// Numbers that lie within few binary orders are whole multiples of one unit, which an integer of 128 bits adds up.
    pub fn of(x: &[f64]) -> Packed {
        let units = Units::of(x.iter().copied());
        if !units.hold(x.len()) {
            let mut sum = Sum::new();
            for &x in x {
                sum.add(x);
            }
            return sum.packed();
        }
        let mut sum = 0i128;
        for &x in x {
            sum += units.count(x);
        }
        units.packed(sum)
    }

    /// A whole number.
    pub fn whole(number: u64) -> Packed {
        Packed::of_integer(number.into(), 1074)
    }

    /// A whole number of units, whose lowest bit is at `position` above that of the lowest place.
    fn of_integer(number: i128, position: u32) -> Packed {
        let (first, shift) = (position / DIGIT, position % DIGIT);
        let magnitude = number.unsigned_abs();
        let mut places = [0; 6];
        for i in 0..4 {
            let digit = (magnitude >> (DIGIT * i)) as u64 & DIGIT_BITS;
            let [low, high] = [digit << shift & DIGIT_BITS, digit << shift >> DIGIT];
            places[i as usize] += low.cast_signed();
            places[i as usize + 1] += high.cast_signed();
        }
        Packed::trimmed(number < 0, first as usize, &places)
    }

    /// The sum with these digits, of which the lowest stands at place `first`.
    fn trimmed(negative: bool, first: usize, digits: &[i64]) -> Packed {
        let Some(start) = digits.iter().position(|&digit| digit != 0) else { return Packed::default() };
        let end = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
        let digits = digits[start..end].iter().map(|&digit| digit as u32).collect();
        Packed { negative, first: (first + start) as u16, digits }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus<const PLACES: usize, const LOWEST: i32>(&self, other: &Packed) -> Packed {
        if self.digits.is_empty() || other.digits.is_empty() {
            return if self.digits.is_empty() { other.clone() } else { self.clone() };
        }
        let end = |of: &Packed| usize::from(of.first) + of.digits.len();
        let first = usize::from(self.first.min(other.first));
        // One place more takes the carry.
        if end(self).max(end(other)) - first < FEW {
            let mut places = [0; FEW];
            for of in [self, other] {
                for (place, &digit) in
                    places[usize::from(of.first) - first..].iter_mut().zip(of.digits.iter())
                {
                    *place += if of.negative { -i64::from(digit) } else { i64::from(digit) };
                }
            }
            let negative = magnitude(&mut places);
            return Packed::trimmed(negative, first, &places);
        }
        let mut wide = self.wide::<PLACES, LOWEST>();
        wide.merge(other);
        wide.packed()
    }

    /// The sum with its sign changed.
    #[must_use]
    pub fn negated(&self) -> Packed {
        Packed { negative: !self.negative && !self.digits.is_empty(), ..self.clone() }
    }

    /// The sum without its sign.
    #[must_use]
    pub fn magnitude(&self) -> Packed {
        Packed { negative: false, ..self.clone() }
    }

    /// The bytes of the sum, little endian: one byte that is 1 where it is negative, two for the place of the lowest
    /// digit, then the digits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.negative)];
        bytes.extend(self.first.to_le_bytes());
        for digit in self.digits.iter() {
            bytes.extend(digit.to_le_bytes());
        }
        bytes
    }

    /// The sum of `places` places with these bytes; `None` where [`Packed::to_bytes`] writes no sum so.
    pub fn from_bytes(bytes: &[u8], places: usize) -> Option<Packed> {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let (digits, []) = rest.as_chunks::<4>() else { return None };
        let first = u16::from_le_bytes([head[1], head[2]]);
        let digits: Arc<[u32]> = digits.iter().map(|digit| u32::from_le_bytes(*digit)).collect();
        let canonical = match (digits.first(), digits.last()) {
            (Some(&low), Some(&high)) => low != 0 && high != 0 && head[0] < 2,
            _ => head[0] == 0 && first == 0,
        };
        let fits = usize::from(first) + digits.len() <= places;
        (canonical && fits).then_some(Packed { negative: head[0] == 1, first, digits })
    }
}

/// The binary orders of some finite numbers, which are whole multiples of a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Units {
    /// The exponents of the lowest bits of the numbers; the first is above the second where all numbers are 0.
    least: i32,
    most: i32,
}

impl Units {
    /// Of these numbers.
    #[inline(always)]
    pub(crate) fn of(x: impl Iterator<Item = f64>) -> Units {
        let (mut least, mut most) = (i32::MAX, i32::MIN);
        for x in x {
            let (significand, exponent) = parts(x);
            if significand != 0 {
                least = least.min(exponent);
                most = most.max(exponent);
            }
        }
        Units { least, most }
    }

    /// Of both.
    pub(crate) fn with(self, other: Units) -> Units {
        Units { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// Whether an integer of 128 bits holds the sum of `count` of the numbers.
    pub(crate) fn hold(self, count: usize) -> bool {
        let bits = usize::BITS - count.leading_zeros();
        self.least > self.most || (self.most - self.least) as u32 + 53 + bits <= 127
    }

    /// One of the numbers as a multiple of the unit.
    #[inline(always)]
    pub(crate) fn count(self, x: f64) -> i128 {
        let (significand, exponent) = parts(x);
        let of = i128::from(significand) << exponent.saturating_sub(self.least).clamp(0, 127);
        if x < 0.0 { -of } else { of }
    }

    /// A sum of such multiples.
    pub(crate) fn packed(self, sum: i128) -> Packed {
        if sum == 0 { Packed::default() } else { Packed::of_integer(sum, (self.least + 1074) as u32) }
    }
}

impl<const PLACES: usize, const LOWEST: i32> Wide<PLACES, LOWEST> {
    /// The number of places.
    pub const PLACES: usize = PLACES;
}

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

/// `a < b`.
fn less(a: &Digits, b: &Digits) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// `a * b`, by long multiplication.
fn product(a: &[u32], b: &[u32]) -> Digits {
    let mut all = [0u32; DIGITS];
    for (i, &x) in a.iter().enumerate().filter(|&(_, &x)| x != 0) {
        let mut carry = 0;
        for (place, &y) in all[i..].iter_mut().zip(b.iter().chain(&[0; 2])) {
            let sum = u64::from(*place) + u64::from(x) * u64::from(y) + carry;
            (*place, carry) = (sum as u32, sum >> DIGIT);
        }
    }
    all
}

/// Subtracts `b` from `a`, which must not be less than `b`.
fn subtract(a: &mut Digits, b: &Digits) {
    let mut borrow = false;
    for (a, &b) in a.iter_mut().zip(b) {
        let (difference, first) = a.overflowing_sub(b);
        let (difference, second) = difference.overflowing_sub(u32::from(borrow));
        (*a, borrow) = (difference, first || second);
    }
}

/// `digits 2^lowest / count`: the number rounded to 53 bits, ties to even, then divided.
fn quotient(digits: &Digits, lowest: i32, count: u64) -> f64 {
    let Some(top) = digits.iter().rposition(|&digit| digit != 0) else { return 0.0 };
    let low = top.saturating_sub(2);
    let window = digits[low..=top].iter().rev().fold(0u128, |all, &digit| all << DIGIT | u128::from(digit));
    let below = digits[..low].iter().any(|&digit| digit != 0);
    let exponent = lowest + (low as i32) * DIGIT as i32;
    let excess = (128 - window.leading_zeros()).saturating_sub(53);
    let (kept, rest) = (window >> excess, window & ((1 << excess) - 1));
    let half = if excess > 0 { 1 << (excess - 1) } else { 1 };
    let up = rest > half || rest == half && (below || kept & 1 == 1);
    let significand = (kept + u128::from(up)) as u64 as f64;
    crate::simd::scalar(|| scaled(significand / count as f64, exponent + excess as i32))
}

/// `x 2^exponent`, in steps whose factors are normal f64.
fn scaled(x: f64, exponent: i32) -> f64 {
    let (mut x, mut left) = (x, exponent);
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        x *= f64::from_bits(((1023 + step) as u64) << 52);
        left -= step;
    }
    x
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn delayed_carries_are_propagated() {
        let mut late = sum(&[1.0]);
        late.adds = ADDS - 3;
        (0..10).for_each(|_| late.add(-0.75));
        assert_eq!(late.value(), -6.5);
    }
}
