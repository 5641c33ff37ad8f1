//! Natural numbers of many digits: products, differences and quotients.

/// Bits of a digit.
pub(super) const DIGIT: u32 = 32;
/// Digits of a number. The largest is a count n (64 bits) times a sum of n squares (4,260 bits).
const DIGITS: usize = 140;
/// A number, the lowest digit first.
pub(super) type Natural = [u32; DIGITS];
pub(super) const ZERO: Natural = [0; DIGITS];

/// `a < b`.
pub(super) fn less(a: &Natural, b: &Natural) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// `a * b`, by long multiplication.
pub(super) fn product(a: &[u32], b: &[u32]) -> Natural {
    let mut all = ZERO;
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
pub(super) fn subtract(a: &mut Natural, b: &Natural) {
    let mut borrow = false;
    for (a, &b) in a.iter_mut().zip(b) {
        let (difference, first) = a.overflowing_sub(b);
        let (difference, second) = difference.overflowing_sub(u32::from(borrow));
        (*a, borrow) = (difference, first || second);
    }
}

/// `digits 2^lowest / count`: the number rounded to 53 bits, ties to even, then divided.
pub(super) fn quotient(digits: &[u32], lowest: i32, count: u64) -> f64 {
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
