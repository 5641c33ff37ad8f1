//! Integer powers.

use super::double::product;
use crate::simd::scalar;

/// `base^n`, the nearest f64 wherever the result lies between 1e-290 and 1e290: error 0.5 ulp + n 2^-100.
/// Outside that range the error grows to `n` ulp at most.
///
/// Square and multiply in double-double arithmetic.
///
/// ```
/// assert_eq!(steelyard_kernels::math::powi(0.999, 3), 0.997002999);
/// ```
pub fn powi(base: f64, n: u64) -> f64 {
    scalar(|| {
        let value = sum(doubled(base, n));
        // Infinities give a NaN in the second part of a double-double, and zero loses its sign.
        if value.is_nan() || value == 0.0 { plain(base, n) } else { value }
    })
}

/// Whether the sum of the series `first (1 + base + ... + base^(n - 1))` exceeds `bound`, for a base above 1 and a sum
/// below 2^54: decided in double-double arithmetic, as `first (base^n - 1) > bound (base - 1)`.
pub fn exceeds(base: f64, n: u64, first: f64, bound: f64) -> bool {
    scalar(|| {
        let power = doubled(base, n);
        let less = two_sum(base, -1.0);
        let (left, right) = (product(first, power.0), product(bound, less.0));
        let (high, low) = two_sum(left.0, -right.0);
        let (high, lower) = two_sum(high, -first);
        let rest = (low + lower) + (left.1 - right.1) + (first * power.1 - bound * less.1);
        high + rest > 0.0
    })
}

/// The sum of two numbers and what rounding it has lost (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let other = sum - a;
    (sum, (a - (sum - other)) + (b - other))
}

/// By repeated squaring in double-double arithmetic.
fn doubled(base: f64, mut n: u64) -> (f64, f64) {
    let mut power = (base, 0.0);
    let mut result = (1.0, 0.0);
    while n > 0 {
        if n & 1 == 1 {
            result = times(result, power);
        }
        n >>= 1;
        if n > 0 {
            power = times(power, power);
        }
    }
    result
}

fn sum((high, low): (f64, f64)) -> f64 {
    high + low
}

/// The whole powers of a number, for exponents that follow each other: the power of all but the last bits of an exponent
/// is kept for the next one, so that most powers take a single product. Accurate as [`powi`] is. For kernels, which run
/// in the standard floating-point environment.
#[derive(Clone, Copy, Debug)]
pub struct Powers {
    base: f64,
    /// The powers of the exponents below [`LAST`], as double-doubles.
    low: [(f64, f64); LAST],
    /// The power of `LAST * above`.
    high: (f64, f64),
    above: u64,
    /// The exponent before, and its power.
    exponent: u64,
    value: f64,
}

const LAST: usize = 32;

impl Powers {
    /// The powers of `base`.
    pub fn of(base: f64) -> Powers {
        let mut low = [(1.0, 0.0); LAST];
        for n in 1..LAST {
            low[n] = times(low[n - 1], (base, 0.0));
        }
        Powers { base, low, high: (1.0, 0.0), above: 0, exponent: 0, value: 1.0 }
    }

    /// The number whose powers they are.
    pub fn base(&self) -> f64 {
        self.base
    }

    /// `base^n`. It depends on nothing but the two, whatever was asked for before.
    #[inline]
    pub fn at(&mut self, n: u64) -> f64 {
        if n != self.exponent && self.base != 1.0 {
            (self.exponent, self.value) = (n, self.next(n));
        }
        self.value
    }

    #[inline]
    fn next(&mut self, n: u64) -> f64 {
        let (above, last) = (n / LAST as u64, (n % LAST as u64) as usize);
        if above != self.above {
            (self.above, self.high) = (above, doubled(self.base, above * LAST as u64));
        }
        let value = sum(times(self.high, self.low[last]));
        if value.is_nan() || value == 0.0 { plain(self.base, n) } else { value }
    }
}

/// By repeated squaring in f64.
fn plain(base: f64, mut n: u64) -> f64 {
    let (mut power, mut result) = (base, 1.0);
    while n > 0 {
        if n & 1 == 1 {
            result *= power;
        }
        power *= power;
        n >>= 1;
    }
    result
}

/// The product of two double-doubles, relative error below 2^-101.
fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (high, low) = product(a.0, b.0);
    let low = low + (a.0 * b.1 + a.1 * b.0);
    let sum = high + low;
    (sum, low - (sum - high))
}

#[cfg(test)]
mod tests {
    use super::{Powers, powi};

    #[test]
    fn exact_powers() {
        for n in 0..34u32 {
            assert_eq!(powi(3.0, u64::from(n)), 3u64.pow(n) as f64);
            assert_eq!(powi(-0.5, u64::from(n)), (if n % 2 == 1 { -1.0 } else { 1.0 }) / (1u64 << n) as f64);
        }
    }

    /// 30-digit values, rounded.
    #[test]
    fn rounded_powers() {
        assert_eq!(powi(0.999, 1000), 0.367_695_424_770_963_73);
        assert_eq!(powi(0.9, 1000), 1.747_871_251_722_694_7e-46);
        assert_eq!(powi(0.999_99, 1_000_000), 4.539_765_980_967_911e-5);
    }

    #[test]
    fn powers_in_any_order_are_those_of_powi() {
        for base in [0.999_99, 0.5, 1.0, 1.25, -3.0, 0.0, f64::NAN, f64::INFINITY] {
            let mut powers = Powers::of(base);
            for n in [0, 1, 31, 32, 33, 0, 65, 64, 1000, 999, 1_000_000, 1_000_001, 0, 5, u64::MAX, 2] {
                let (found, wanted) = (powers.at(n), powi(base, n));
                assert!(
                    found.to_bits() == wanted.to_bits() || wanted.is_nan() && found.is_nan(),
                    "{base} {n}"
                );
            }
        }
        let mut powers = Powers::of(0.999_9);
        for n in 0..20_000 {
            assert_eq!(powers.at(n), powi(0.999_9, n));
        }
    }

    #[test]
    fn edges() {
        assert_eq!(powi(0.0, 0), 1.0);
        assert_eq!(powi(f64::NAN, 0), 1.0);
        assert_eq!(powi(-0.0, 3).to_bits(), (-0.0f64).to_bits());
        assert_eq!(powi(-10.0, 309), f64::NEG_INFINITY);
        assert_eq!(powi(f64::NEG_INFINITY, 2), f64::INFINITY);
        assert_eq!(powi(0.5, 1074), f64::from_bits(1));
        assert_eq!(powi(0.9, u64::MAX), 0.0);
        assert_eq!(powi(1.0, u64::MAX), 1.0);
        assert!(powi(f64::NAN, 5).is_nan());
        assert!((powi(10.0, 305) - 1e305).abs() < 1e290);
    }
}
