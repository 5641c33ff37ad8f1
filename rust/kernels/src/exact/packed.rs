//! A sum in the form that states keep and write.

use super::natural::DIGIT;
use super::units::Units;
use super::wide::{Sum, Wide, magnitude};
use std::fmt;
use std::sync::Arc;

/// Digits that stand in place; the sum of a cluster has no more, except where its values span many binary orders.
const HELD: usize = 5;
/// Sums of fewer digits are added without the places that the widest numbers need.
const FEW: usize = 12;
/// Digits that the integer of 128 bits holds in which shorter sums are added.
const SHORT: usize = 3;

/// A sum as sign and magnitude, in canonical form: equal sums have equal fields.
#[derive(Clone)]
pub struct Packed {
    negative: bool,
    /// The place of the lowest digit.
    first: u16,
    /// Neither the first nor the last is 0.
    digits: Digits,
}

/// 32-bit digits, the lowest first.
#[derive(Clone)]
enum Digits {
    /// The first so many of these; the others are 0.
    Few(u8, [u32; HELD]),
    /// More than [`HELD`].
    Many(Arc<[u32]>),
}

impl Digits {
    const NONE: Digits = Digits::Few(0, [0; HELD]);

    #[inline(always)]
    fn all(&self) -> &[u32] {
        match self {
            Digits::Few(count, digits) => &digits[..usize::from(*count)],
            Digits::Many(digits) => digits,
        }
    }

    fn of(digits: impl ExactSizeIterator<Item = u32>) -> Digits {
        let count = digits.len();
        if count > HELD {
            return Digits::Many(digits.collect());
        }
        let mut held = [0; HELD];
        for (held, digit) in held.iter_mut().zip(digits) {
            *held = digit;
        }
        Digits::Few(count as u8, held)
    }
}

impl Default for Packed {
    fn default() -> Self {
        Packed::ZERO
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        (self.negative, self.first, self.digits()) == (other.negative, other.first, other.digits())
    }
}

impl Eq for Packed {}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({}{:x?} at {})", if self.negative { "-" } else { "" }, self.digits(), self.first)
    }
}

impl Packed {
    /// The sum of no number.
    pub const ZERO: Packed = Packed { negative: false, first: 0, digits: Digits::NONE };

    pub(super) fn digits(&self) -> &[u32] {
        self.digits.all()
    }

    /// The place of the lowest digit.
    pub(super) fn first(&self) -> usize {
        usize::from(self.first)
    }

    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    fn is_zero(&self) -> bool {
        self.digits().is_empty()
    }

    /// The place above that of the highest digit.
    fn end(&self) -> usize {
        self.first() + self.digits().len()
    }

    /// Adds the digits to places of which the first is the lowest one of all.
    #[inline(always)]
    pub(super) fn add_to(&self, places: &mut [i64]) {
        self.add_from(0, places);
    }

    /// Adds the digits to places of which the first is `first`.
    #[inline(always)]
    fn add_from(&self, first: usize, places: &mut [i64]) {
        for (place, &digit) in places[self.first() - first..].iter_mut().zip(self.digits()) {
            *place += if self.negative { -i64::from(digit) } else { i64::from(digit) };
        }
    }

    /// The sum as a multiple of the unit of place `first`; it must end at most [`SHORT`] digits above that.
    #[inline(always)]
    fn short(&self, first: usize) -> i128 {
        let digits = self.digits().iter().rev();
        let magnitude = digits.fold(0i128, |all, &digit| all << DIGIT | i128::from(digit));
        let magnitude = magnitude << (DIGIT as usize * (self.first() - first));
        if self.negative { -magnitude } else { magnitude }
    }

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
    #[inline]
    pub(super) fn of_integer(number: i128, position: u32) -> Packed {
        let magnitude = number.unsigned_abs();
        if magnitude == 0 {
            return Packed::default();
        }
        // Without the zeros below it, its lowest bit is inside the lowest digit.
        let zeros = magnitude.trailing_zeros();
        let (position, magnitude) = (position + zeros, magnitude >> zeros);
        let (first, shift) = (position / DIGIT, position % DIGIT);
        let low = magnitude << shift;
        let high = if shift == 0 { 0 } else { (magnitude >> (u128::BITS - shift)) as u32 };
        let digits = [low as u32, (low >> DIGIT) as u32, (low >> 64) as u32, (low >> 96) as u32, high];
        let count = if high == 0 { HELD as u32 - 1 - low.leading_zeros() / DIGIT } else { HELD as u32 };
        Packed { negative: number < 0, first: first as u16, digits: Digits::Few(count as u8, digits) }
    }

    /// The sum with these digits, of which the lowest stands at place `first`.
    pub(super) fn trimmed(negative: bool, first: usize, digits: &[u32]) -> Packed {
        let Some(start) = digits.iter().position(|&digit| digit != 0) else { return Packed::default() };
        let end = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
        let digits = Digits::of(digits[start..end].iter().copied());
        Packed { negative, first: (first + start) as u16, digits }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus<const PLACES: usize, const LOWEST: i32>(&self, other: &Packed) -> Packed {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other.clone() } else { self.clone() };
        }
        let first = self.first().min(other.first());
        let span = self.end().max(other.end()) - first;
        if span <= SHORT {
            return Packed::of_integer(self.short(first) + other.short(first), DIGIT * first as u32);
        }
        // One place more takes the carry.
        if span < FEW {
            let mut places = [0; FEW];
            self.add_from(first, &mut places);
            other.add_from(first, &mut places);
            let negative = magnitude(&mut places);
            return Packed::trimmed(negative, first, &places.map(|place| place as u32));
        }
        let mut wide = self.wide::<PLACES, LOWEST>();
        wide.merge(other);
        wide.packed()
    }

    /// The sum with its sign changed.
    #[must_use]
    pub fn negated(&self) -> Packed {
        Packed { negative: !self.negative && !self.is_zero(), ..self.clone() }
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
        for digit in self.digits() {
            bytes.extend(digit.to_le_bytes());
        }
        bytes
    }

    /// The sum of `places` places with these bytes; `None` where [`Packed::to_bytes`] writes no sum so.
    pub fn from_bytes(bytes: &[u8], places: usize) -> Option<Packed> {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let (digits, []) = rest.as_chunks::<4>() else { return None };
        let first = u16::from_le_bytes([head[1], head[2]]);
        let digits = Digits::of(digits.iter().map(|digit| u32::from_le_bytes(*digit)));
        let canonical = match (digits.all().first(), digits.all().last()) {
            (Some(&low), Some(&high)) => low != 0 && high != 0 && head[0] < 2,
            _ => head[0] == 0 && first == 0,
        };
        let sum = Packed { negative: head[0] == 1, first, digits };
        (canonical && sum.end() <= places).then_some(sum)
    }
}
