//! A sum in the form that states keep and write.

use super::natural::DIGIT;
use super::units::Units;
use super::wide::{Sum, Wide, magnitude};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Digits that stand in place; the sum of a cluster has no more, except where its values span many binary orders.
const HELD: usize = 6;
/// Sums of fewer digits are added and rounded without the places that the widest numbers need.
pub(super) const FEW: usize = 12;

/// A sum in canonical form: equal sums are equal here. Its lowest digit of 32 bits that is not 0 stands at the place
/// `first` of a [`Wide`]; of a sum of 0, which has no digit, `first` is 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    /// A number that an integer of 192 bits holds.
    Short { first: u16, words: Words },
    /// Any other one: the digits of its magnitude, the lowest first, of which the last is not 0.
    Long { first: u16, negative: bool, digits: Arc<[u32]> },
}

/// An integer of 192 bits in two's complement, the lowest word first.
type Words = [u64; 3];

/// The digits of the magnitude of a sum, the lowest first; the last is not 0.
pub(super) enum Digits<'a> {
    Held([u32; HELD], usize),
    Long(&'a [u32]),
}

impl Deref for Digits<'_> {
    type Target = [u32];

    #[inline(always)]
    fn deref(&self) -> &[u32] {
        match self {
            Digits::Held(digits, count) => &digits[..*count],
            Digits::Long(digits) => digits,
        }
    }
}

#[inline(always)]
fn is_below_0(words: Words) -> bool {
    words[2].cast_signed() < 0
}

/// The number with its sign changed; it must not be the least one.
#[inline(always)]
fn negative(words: Words) -> Words {
    let (low, one) = (!words[0]).overflowing_add(1);
    let (middle, one) = (!words[1]).overflowing_add(u64::from(one));
    [low, middle, (!words[2]).wrapping_add(u64::from(one))]
}

/// `number 2^shift` for a shift below 64.
#[inline(always)]
fn wide_words(number: i128, shift: u32) -> Words {
    let low = number.cast_unsigned() << shift;
    [low as u64, (low >> 64) as u64, (number >> (127 - shift) >> 1) as u64]
}

/// The number times 2^32 so many times; `None` where that is too large.
#[inline(always)]
fn moved_up(words: Words, places: u16) -> Option<Words> {
    let mut words = words;
    for _ in 0..places {
        let [low, middle, high] = words;
        if i64::from(high.cast_signed() as i32) != high.cast_signed() {
            return None;
        }
        words = [low << DIGIT, middle << DIGIT | low >> DIGIT, high << DIGIT | middle >> DIGIT];
    }
    Some(words)
}

/// The sum of two numbers, where it is not too large.
#[inline(always)]
fn sum_of(a: Words, b: Words) -> Option<Words> {
    let (low, one) = a[0].overflowing_add(b[0]);
    let (middle, first) = a[1].overflowing_add(b[1]);
    let (middle, second) = middle.overflowing_add(u64::from(one));
    let high = i128::from(a[2].cast_signed()) + i128::from(b[2].cast_signed()) + i128::from(first | second);
    // Without the numbers of this highest word, of which the least has no negative.
    let high = i64::try_from(high).ok().filter(|&high| high > i64::MIN)?;
    Some([low, middle, high.cast_unsigned()])
}

impl Default for Packed {
    fn default() -> Self {
        Packed::ZERO
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        write!(f, "Packed({sign}{:x?} at {})", &*self.digits(), self.place())
    }
}

impl Packed {
    /// The sum of no number.
    pub const ZERO: Packed = Packed(Form::Short { first: 0, words: [0; 3] });

    #[inline(always)]
    pub(super) fn digits(&self) -> Digits<'_> {
        match &self.0 {
            Form::Long { digits, .. } => Digits::Long(digits),
            &Form::Short { words, .. } => {
                let magnitude = if is_below_0(words) { negative(words) } else { words };
                let digits: [u32; HELD] =
                    std::array::from_fn(|i| (magnitude[i / 2] >> (DIGIT as usize * (i % 2))) as u32);
                Digits::Held(digits, digits.iter().rposition(|&digit| digit > 0).map_or(0, |last| last + 1))
            }
        }
    }

    /// The place of the lowest digit.
    pub(super) fn first(&self) -> usize {
        usize::from(self.place())
    }

    #[inline(always)]
    fn place(&self) -> u16 {
        match self.0 {
            Form::Short { first, .. } | Form::Long { first, .. } => first,
        }
    }

    pub(super) fn is_negative(&self) -> bool {
        match self.0 {
            Form::Short { words, .. } => is_below_0(words),
            Form::Long { negative, .. } => negative,
        }
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
        let negative = self.is_negative();
        for (place, &digit) in places[self.first() - first..].iter_mut().zip(self.digits().iter()) {
            *place += if negative { -i64::from(digit) } else { i64::from(digit) };
        }
    }

    /// A number whose unit is that of place `first`.
    #[inline(always)]
    fn short(mut first: u16, mut words: Words) -> Packed {
        while words[0] as u32 == 0 {
            if words == [0; 3] {
                return Packed::ZERO;
            }
            let [low, middle, high] = words;
            let above = (high.cast_signed() >> DIGIT).cast_unsigned();
            words = [low >> DIGIT | middle << DIGIT, middle >> DIGIT | high << DIGIT, above];
            first += 1;
        }
        Packed(Form::Short { first, words })
    }

    /// The sum of both where integers of 192 bits hold them in one unit, and their sum.
    #[inline(always)]
    fn short_plus(&self, other: &Packed) -> Option<Packed> {
        let (Form::Short { first: i, words: a }, Form::Short { first: j, words: b }) = (&self.0, &other.0)
        else {
            return None;
        };
        let first = *i.min(j);
        let sum = sum_of(moved_up(*a, i - first)?, moved_up(*b, j - first)?)?;
        Some(Packed::short(first, sum))
    }

    /// The sum if it is a whole number below 2^64.
    pub fn to_whole(&self) -> Option<u64> {
        const ONES: usize = 1074;
        let (below, mut number) = (ONES / DIGIT as usize, 0u128);
        for (place, &digit) in (self.first()..).zip(self.digits().iter()) {
            let up = DIGIT as usize * place.checked_sub(below).filter(|&up| up < 3)?;
            number |= u128::from(digit) << up;
        }
        let whole = !self.is_negative() && number.trailing_zeros() as usize >= ONES % DIGIT as usize;
        whole.then(|| u64::try_from(number >> (ONES % DIGIT as usize)).ok()).flatten()
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
        Packed::short((position / DIGIT) as u16, wide_words(number, position % DIGIT))
    }

    /// The sum with these digits, of which the lowest stands at place `first`.
    pub(super) fn trimmed(negative: bool, first: usize, digits: &[u32]) -> Packed {
        let Some(start) = digits.iter().position(|&digit| digit != 0) else { return Packed::default() };
        let end = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
        Packed::of_digits(negative, (first + start) as u16, digits[start..end].iter().copied())
    }

    /// The sum with these digits, of which neither the first nor the last is 0.
    fn of_digits(below_0: bool, first: u16, digits: impl ExactSizeIterator<Item = u32> + Clone) -> Packed {
        if digits.len() <= HELD {
            let mut words = [0; 3];
            for (i, digit) in digits.clone().enumerate() {
                words[i / 2] |= u64::from(digit) << (DIGIT as usize * (i % 2));
            }
            if !is_below_0(words) {
                let words = if below_0 { negative(words) } else { words };
                return Packed(Form::Short { first, words });
            }
        }
        Packed(Form::Long { first, negative: below_0, digits: digits.collect() })
    }

    /// The sum of both.
    #[must_use]
    pub fn plus<const PLACES: usize, const LOWEST: i32>(&self, other: &Packed) -> Packed {
        if let Some(sum) = self.short_plus(other) {
            return sum;
        }
        if *self == Packed::ZERO || *other == Packed::ZERO {
            return if *self == Packed::ZERO { other.clone() } else { self.clone() };
        }
        let first = self.first().min(other.first());
        let span = self.end().max(other.end()) - first;
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
        Packed(match &self.0 {
            &Form::Short { first, words } => Form::Short { first, words: negative(words) },
            Form::Long { first, negative, digits } => {
                Form::Long { first: *first, negative: !negative, digits: digits.clone() }
            }
        })
    }

    /// The sum without its sign.
    #[must_use]
    pub fn magnitude(&self) -> Packed {
        if self.is_negative() { self.negated() } else { self.clone() }
    }

    /// The bytes of the sum, little endian: one byte that is 1 where it is negative, two for the place of the lowest
    /// digit, then the digits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_negative())];
        bytes.extend(self.place().to_le_bytes());
        for digit in self.digits().iter() {
            bytes.extend(digit.to_le_bytes());
        }
        bytes
    }

    /// The sum of `places` places with these bytes; `None` where [`Packed::to_bytes`] writes no sum so.
    pub fn from_bytes(bytes: &[u8], places: usize) -> Option<Packed> {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let (digits, []) = rest.as_chunks::<4>() else { return None };
        let first = u16::from_le_bytes([head[1], head[2]]);
        let digits = digits.iter().map(|digit| u32::from_le_bytes(*digit));
        let canonical = match (digits.clone().next(), digits.clone().next_back()) {
            (Some(low), Some(high)) => low != 0 && high != 0 && head[0] < 2,
            _ => head[0] == 0 && first == 0,
        };
        let sum = Packed::of_digits(head[0] == 1, first, digits);
        (canonical && sum.end() <= places).then_some(sum)
    }
}
