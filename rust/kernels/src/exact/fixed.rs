//! A fixed-point sum: adding integers is associative, so that any order, split or merge gives the same bits.

/// A sum of real numbers as a multiple of 2^-64 in an i128; sums are merged by integer addition.
///
/// A term below 2^62 in magnitude is added exactly where it is a multiple of 2^-64 (every f32 from 2^-40 and
/// every f64 from 2^-11 on); any other is truncated towards zero to such a multiple. The sum of `n`
/// terms is therefore off by less than `n` 2^-64, and by nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed(i128);

impl Fixed {
    /// The length of [`Fixed::to_bytes`].
    pub const BYTES: usize = 16;
    /// Fraction bits.
    const FRACTION: i32 = 64;

    /// Zero.
    pub fn new() -> Self {
        Fixed(0)
    }

    /// The sum whose value is `count`, or `None` from 2^63 on.
    pub fn whole(count: u64) -> Option<Self> {
        i64::try_from(count).ok().map(|count| Fixed(i128::from(count) << Self::FRACTION))
    }

    /// The sum of the one term `x`, or `None` where `x` is not finite or not below 2^62 in magnitude.
    #[inline(always)]
    pub fn from_f64(x: f64) -> Option<Self> {
        const EXPONENT: u64 = 0x7ff;
        const LIMIT: u64 = 1023 + 62;
        let bits = x.to_bits();
        let exponent = bits >> 52 & EXPONENT;
        if exponent >= LIMIT {
            return None;
        }
        // A subnormal number lies below 2^-1022 and is truncated to zero, so that its missing hidden bit does not
        // matter.
        let significand = bits & ((1 << 52) - 1) | 1 << 52;
        let shift = exponent as i32 - 1075 + Self::FRACTION;
        let magnitude = match shift {
            0.. => i128::from(significand) << shift,
            -52..0 => i128::from(significand >> -shift),
            _ => 0,
        };
        Some(Fixed(if x < 0.0 { -magnitude } else { magnitude }))
    }

    /// Adds `x`. False, with nothing added, where `x` is not finite or `x` or the sum would be too large. The
    /// caller counts such terms, so that none is lost silently.
    #[inline(always)]
    #[must_use]
    pub fn add(&mut self, x: f64) -> bool {
        Self::from_f64(x).is_some_and(|term| self.merge(term))
    }

    /// Adds another sum. False, with nothing added, where the result would exceed 2^63 in magnitude.
    #[inline(always)]
    #[must_use]
    pub fn merge(&mut self, other: Self) -> bool {
        let sum = self.0.checked_add(other.0);
        self.0 = sum.unwrap_or(self.0);
        sum.is_some()
    }

    /// The nearest f64, ties to even: the cast rounds once, and the scaling by a power of two is exact.
    pub fn value(self) -> f64 {
        const SCALE: f64 = 1.0 / (1u128 << Fixed::FRACTION) as f64;
        self.0 as f64 * SCALE
    }

    /// The integer, little endian.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    /// The sum with these bytes; every byte pattern is a valid sum.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Fixed(i128::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random test words, the same each time.
    fn words() -> impl Iterator<Item = u64> {
        let mut state = 1u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state ^ state >> 29
        })
    }

    /// The definition, by shifting the significand bit by bit: units of 2^-64, truncated towards zero.
    fn by_definition(x: f64) -> i128 {
        let bits = x.abs().to_bits();
        let (exponent, fraction) = ((bits >> 52) as i32, i128::from(bits & ((1 << 52) - 1)));
        let (mut value, mut power) =
            if exponent == 0 { (fraction, -1074) } else { (fraction + (1 << 52), exponent - 1075) };
        while power > -64 {
            value *= 2;
            power -= 1;
        }
        while power < -64 {
            value /= 2;
            power += 1;
        }
        if x < 0.0 { -value } else { value }
    }

    #[test]
    fn a_term_follows_the_definition() {
        let edges = [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, 1.0, -1.0, 0.1, -0.1, 1e-20, -1e-20, 1e18, -1e18];
        let limit = 4_611_686_018_427_387_904.0; // 2^62
        let below = f64::from_bits(f64::to_bits(limit) - 1);
        for x in edges.into_iter().chain([below, -below]) {
            assert_eq!(Fixed::from_f64(x), Some(Fixed(by_definition(x))), "{x:e}");
        }
        for word in words().take(200_000) {
            let exponent = 1023 + 61 - word % 200;
            let x = f64::from_bits(word & !(0x7ff << 52) | exponent << 52);
            assert_eq!(Fixed::from_f64(x), Some(Fixed(by_definition(x))), "{x:e}");
        }
        for x in [limit, -limit, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN] {
            let mut sum = Fixed(7);
            assert!(!sum.add(x), "{x:e}");
            assert_eq!(sum, Fixed(7));
        }
    }

    #[test]
    fn a_count_is_a_term() {
        for count in [0, 1, 7, 1 << 53, (1 << 61) + (1 << 30)] {
            assert_eq!(Fixed::whole(count), Fixed::from_f64(count as f64));
        }
        assert_eq!(Fixed::whole((1 << 53) + 1), Some(Fixed(((1i128 << 53) + 1) << 64)));
        assert_eq!((Fixed::whole(1 << 63), Fixed::whole(u64::MAX)), (None, None));
    }

    #[test]
    fn a_sum_that_would_overflow_is_refused_and_unchanged() {
        let mut sum = Fixed::new();
        let big = 4_611_686_018_427_387_392.0; // just below 2^62
        assert!(sum.add(big) && sum.add(big));
        let before = sum;
        assert!(!sum.add(big) && !sum.merge(before));
        assert_eq!(sum, before);
        assert!(sum.add(-big));
    }

    #[test]
    fn order_and_split_do_not_matter() {
        let terms: Vec<f64> = words().take(10_000).map(|w| (w as i64) as f64 * 1e-17).collect();
        let total = |terms: &mut dyn Iterator<Item = &f64>| {
            let mut sum = Fixed::new();
            for &x in terms {
                assert!(sum.add(x));
            }
            sum
        };
        let forward = total(&mut terms.iter());
        let backward = total(&mut terms.iter().rev());
        let (mut head, tail) = (total(&mut terms[..77].iter()), total(&mut terms[77..].iter()));
        assert!(head.merge(tail));
        assert_eq!(forward, backward);
        assert_eq!(forward, head);
    }

    #[test]
    fn the_value_is_the_nearest_f64() {
        // Halfway between two neighbours goes to the even one; one unit more goes up.
        let ulp = 1i128 << 12; // of 2^64 units, at 2^64 (the value 1.0)
        let one = 1i128 << 64;
        let next = |k: u64| f64::from_bits(1f64.to_bits() + k);
        assert_eq!(Fixed(one + ulp / 2).value(), 1.0);
        assert_eq!(Fixed(one + ulp / 2 + 1).value(), next(1));
        assert_eq!(Fixed(one + ulp * 3 / 2).value(), next(2));
        assert_eq!(Fixed(-one - ulp / 2 - 1).value(), -next(1));
        assert_eq!(Fixed(1).value(), f64::from_bits((1023 - 64) << 52));
        assert_eq!(Fixed(i128::MIN).value(), -9_223_372_036_854_775_808.0);
        assert_eq!(Fixed(0).value().to_bits(), 0);
    }

    #[test]
    fn bytes_round_trip() {
        for value in [0, 1, -1, i128::MAX, i128::MIN, 1 << 64] {
            assert_eq!(Fixed::from_bytes(Fixed(value).to_bytes()), Fixed(value));
        }
        assert_eq!(Fixed(258).to_bytes()[..3], [2, 1, 0]);
    }
}
