//! Moments in 8 bits: blocks of 256 elements, each with its largest absolute value as its scale, and for each element
//! the code of the nearest number in a table ([`super::dynamic_map`]).
//!
//! An element is `map[code] * scale`. In a tie the code of the larger absolute value is taken. Where two codes are about
//! equally near, within 2^-13 of their distance, either may be taken; which one depends on nothing but the element and
//! its scale. Zero has a code, and so has the largest element of a block if it is positive (a negative one is stored
//! as 0.99297 of itself, since the table has no -1). A second moment above 0 never has the code of 0, also where that is
//! the nearest: the update divides by its root, and by eps alone it would run away.

use super::dynamic_map::{Map, SIGNED, UNSIGNED};
use super::plain::{narrow, widen};
use super::{Place, Storage, TILE};
use crate::dtype::{Exclusive, Listed, ListedReal, Shared};
use crate::simd::{Isa, Steps};
use std::ops::Range;

/// Elements per block. The last block of a tensor may have fewer.
pub const BLOCK: usize = 256;

/// Which numbers the codes of an array can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// Of either sign: first moments.
    Signed,
    /// At least 0: second moments.
    Unsigned,
}

impl Codes {
    /// Those of a rule's moment. This holds for every rule: the first moment is a mean of gradients, and the others are
    /// means of their squares.
    #[inline(always)]
    pub fn of_moment(index: usize) -> Self {
        if index == 0 { Codes::Signed } else { Codes::Unsigned }
    }

    #[inline(always)]
    fn map(self) -> &'static Map {
        match self {
            Codes::Signed => &SIGNED,
            Codes::Unsigned => &UNSIGNED,
        }
    }

    #[inline(always)]
    fn steps(self) -> Steps {
        match self {
            Codes::Signed => Steps::Mirrored,
            Codes::Unsigned => Steps::FromOne,
        }
    }

    /// The code of 0.
    #[inline(always)]
    pub fn zero(self) -> u8 {
        match self {
            Codes::Signed => 127,
            Codes::Unsigned => 0,
        }
    }

    /// The numbers that the codes stand for, in their order.
    #[inline(always)]
    pub fn values(self) -> &'static [f32; 256] {
        &self.map().table.values
    }
}

/// An array in 8 bits.
pub struct Blocks8<'a> {
    /// Which numbers the codes stand for.
    pub kind: Codes,
    /// A code for each element.
    pub codes: &'a mut [u8],
    /// A scale for each block.
    pub scales: &'a mut [f32],
}

const _: () = assert!(TILE.is_multiple_of(BLOCK));

impl<'a> Storage<'a> for Blocks8<'a> {
    #[inline(always)]
    fn split(self, n: usize) -> (Self, Self) {
        let kind = self.kind;
        let (codes, more_codes) = self.codes.split_at_mut(n);
        let (scales, more_scales) = self.scales.split_at_mut(n / BLOCK);
        (Blocks8 { kind, codes, scales }, Blocks8 { kind, codes: more_codes, scales: more_scales })
    }

    #[inline(always)]
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
        let (codes, scales) = (&self.codes[tile.clone()], &self.scales[tile.start / BLOCK..]);
        if let Ok(single) = f32::own::<Exclusive<'_>>(T::typed(&mut *buffer)) {
            return decode::<I>(self.kind, codes, scales, single);
        }
        let mut single = [0.0; TILE];
        decode::<I>(self.kind, codes, scales, &mut single[..tile.len()]);
        widen(&single[..tile.len()], buffer);
    }

    #[inline(always)]
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], _: Place) {
        let (codes, scales) = (&mut self.codes[tile.clone()], &mut self.scales[tile.start / BLOCK..]);
        if let Ok(single) = f32::own::<Shared<'_>>(T::typed(buffer)) {
            return encode::<I>(self.kind, single, codes, scales);
        }
        let mut single = [0.0; TILE];
        narrow(buffer, &mut single[..tile.len()]);
        encode::<I>(self.kind, &single[..tile.len()], codes, scales);
    }

    #[inline(always)]
    fn holds<T: ListedReal>(&self, value: T) -> bool {
        value.to_f32().is_finite()
    }
}

/// Writes the values of codes to `to`. The first code begins a block.
#[inline(always)]
pub(super) fn decode<I: Isa>(kind: Codes, codes: &[u8], scales: &[f32], to: &mut [f32]) {
    I::look_up::<BLOCK>(&kind.map().table, codes, scales, to);
}

/// Writes the codes and scales of `from`. The first element begins a block.
#[inline(always)]
pub(super) fn encode<I: Isa>(kind: Codes, from: &[f32], codes: &mut [u8], scales: &mut [f32]) {
    // All scales come first: the division for one of them then overlaps with the search for the next.
    for (from, scale) in from.chunks(BLOCK).zip(&mut *scales) {
        // A block of a known length has no loop for what is left over of its vectors.
        *scale = from.first_chunk::<BLOCK>().map_or_else(|| scale_of(from), |whole| scale_of(whole));
    }
    for ((from, &scale), codes) in from.chunks(BLOCK).zip(&*scales).zip(codes.chunks_mut(BLOCK)) {
        if scale > 0.0 {
            block::<I>(kind, from, 1.0 / scale, codes);
            if kind == Codes::Unsigned {
                keep_above_zero(from, codes);
            }
        } else {
            codes.fill(kind.zero());
        }
    }
}

/// The largest absolute value, if numbers can be divided by it. A block whose values are all subnormal becomes 0, so
/// that no moment stays subnormal for ever; one that holds an infinity or a NaN, which have no code, becomes NaN.
#[inline(always)]
fn scale_of(from: &[f32]) -> f32 {
    let largest = largest(from);
    if largest < f32::MIN_POSITIVE {
        0.0
    } else if largest < f32::INFINITY {
        largest
    } else {
        f32::NAN
    }
}

/// The codes of one block.
#[inline(always)]
fn block<I: Isa>(kind: Codes, from: &[f32], inverse: f32, codes: &mut [u8]) {
    let (mut from, mut codes) = (from, codes);
    if I::CLIMBS {
        let (groups, rest) = from.as_chunks();
        let (group_codes, rest_codes) = codes.as_chunks_mut();
        I::climb(&kind.map().stairs, kind.steps(), groups, inverse, group_codes);
        (from, codes) = (rest, rest_codes);
    }
    match kind {
        Codes::Signed => signed::<I>(from, inverse, codes),
        Codes::Unsigned => unsigned::<I>(from, inverse, codes),
    }
}

/// Gives numbers above 0 whose code is that of 0 the next one.
#[inline(always)]
fn keep_above_zero(from: &[f32], codes: &mut [u8]) {
    for (code, x) in codes.iter_mut().zip(from) {
        let least = u8::from(*x > 0.0);
        *code = if *code < least { least } else { *code };
    }
}

/// The largest absolute value, or NaN if there is one: as integers, the bits of NaNs are larger than all others.
#[inline(always)]
fn largest(from: &[f32]) -> f32 {
    let mut largest = 0;
    for x in from {
        let magnitude = x.to_bits() & 0x7fff_ffff;
        largest = if magnitude > largest { magnitude } else { largest };
    }
    f32::from_bits(largest)
}

#[inline(always)]
fn signed<I: Isa>(from: &[f32], inverse: f32, codes: &mut [u8]) {
    for (code, x) in codes.iter_mut().zip(from) {
        let scaled = x * inverse;
        let place = place::<I>(scaled.abs(), scaled, &SIGNED);
        let zero = u32::from(Codes::Signed.zero());
        *code = if scaled < 0.0 { zero.wrapping_sub(place) } else { zero.wrapping_add(place) } as u8;
    }
}

#[inline(always)]
fn unsigned<I: Isa>(from: &[f32], inverse: f32, codes: &mut [u8]) {
    for (code, x) in codes.iter_mut().zip(from) {
        let scaled = x * inverse;
        let scaled = if scaled > 0.0 { scaled } else { 0.0 };
        *code = place::<I>(scaled, scaled, &UNSIGNED).wrapping_sub(1) as u8;
    }
}

/// The number before 512.
const BELOW_512: f32 = f32::from_bits(512f32.to_bits() - 1);

/// The place of the nearest number of a map, modulo 512: it counts from the smallest as [`super::dynamic_map`] says.
/// `x` is `scaled` without its sign, of which the map may have the number 1 in one sign only.
#[inline(always)]
fn place<I: Isa>(x: f32, scaled: f32, map: &Map) -> u32 {
    let mut place = I::fma32(map.lines[0].0, x, map.lines[0].1);
    for line in &map.lines[1..] {
        let other = I::fma32(line.0, x, line.1);
        place = if other < place { other } else { place };
    }
    // Without its significand a number is the power of two below, which is where a decade begins.
    let decade = f32::from_bits(place.to_bits() & 0x7f80_0000);
    let within = place - decade;
    let lowered = I::fma32(1.25, within, -0.25);
    let place = decade + if lowered < within { lowered } else { within };
    let one = I::fma32(map.one.0, scaled, map.one.1);
    let place = if one > place { one } else { place };
    // From 512 to 1024 a number has 14 bits for its fraction, and above them those of its whole part. What is added is
    // half of the last place less than 512, so that the sum is rounded down: to the whole part of `place`.
    (place + BELOW_512).to_bits() >> 14
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Level, dispatch, force};

    struct Encode<'a>(Codes, &'a [f32], &'a mut [u8], &'a mut [f32]);
    impl Kernel for Encode<'_> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            encode::<I>(self.0, self.1, self.2, self.3);
        }
    }

    struct Decode<'a>(Codes, &'a [u8], &'a [f32], &'a mut [f32]);
    impl Kernel for Decode<'_> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            decode::<I>(self.0, self.1, self.2, self.3);
        }
    }

    fn encoded(kind: Codes, from: &[f32]) -> (Vec<u8>, Vec<f32>) {
        let (mut codes, mut scales) = (vec![9; from.len()], vec![-1.0; from.len().div_ceil(BLOCK)]);
        dispatch(Encode(kind, from, &mut codes, &mut scales));
        (codes, scales)
    }

    fn decoded(kind: Codes, codes: &[u8], scales: &[f32]) -> Vec<f32> {
        let mut to = vec![7.0; codes.len()];
        dispatch(Decode(kind, codes, scales, &mut to));
        to
    }

    /// Numbers of all magnitudes that the map has and some below, none of them above 1.
    fn numbers(kind: Codes, n: usize) -> Vec<f32> {
        let mut state = 88_172_645_463_325_252u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let exponent = 127 - 1 - (state >> 59) as u32 * 3 / 4;
            let sign = if kind == Codes::Signed { (state as u32 & 1) << 31 } else { 0 };
            f32::from_bits(sign | exponent << 23 | (state >> 20) as u32 & 0x7f_ffff)
        };
        (0..n).map(|_| draw()).collect()
    }

    /// One block per number, with 1 as its scale.
    fn code_of(kind: Codes, x: f32) -> u8 {
        encoded(kind, &[1.0, x]).0[1]
    }

    #[test]
    fn the_code_is_that_of_the_nearest_number() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            let map = kind.values();
            let numbers = numbers(kind, 100_000);
            let (codes, scales) = encoded(kind, &numbers);
            for (block, (numbers, codes)) in numbers.chunks(BLOCK).zip(codes.chunks(BLOCK)).enumerate() {
                for (&x, &code) in numbers.iter().zip(codes) {
                    let x = f64::from(x) / f64::from(scales[block]);
                    let distance = |code: usize| (f64::from(map[code]) - x).abs();
                    let first = usize::from(kind == Codes::Unsigned && x > 0.0);
                    let nearest = (first..256).map(distance).min_by(f64::total_cmp).unwrap();
                    assert!(distance(code.into()) <= nearest * (1.0 + 1.0 / 4096.0), "{kind:?} {x:e} {code}");
                }
            }
        }
    }

    #[test]
    fn the_middle_between_two_numbers_divides_them() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            for (code, pair) in kind.values().windows(2).enumerate() {
                if kind == Codes::Unsigned && code == 0 {
                    continue; // no number above 0 has the code of 0
                }
                let (low, high) = (f64::from(pair[0]), f64::from(pair[1]));
                let at = |fraction: f64| code_of(kind, (low + (high - low) * fraction) as f32);
                let by = 0.5 / 4096.0;
                assert_eq!((at(0.5 - by), at(0.5 + by)), (code as u8, code as u8 + 1), "{kind:?} {pair:?}");
            }
        }
    }

    #[test]
    fn a_second_moment_above_zero_is_never_zero() {
        let mut from = vec![0.0; 2 * BLOCK];
        from[0] = 1.0;
        from[BLOCK + 3] = 1e30;
        for (at, x) in [(1, 1e-9), (17, 1e-38), (100, f32::from_bits(1)), (255, 3e-7), (BLOCK + 200, 1e-30)] {
            from[at] = x;
        }
        let least = Codes::Unsigned.values()[1];
        for level in Level::ALL.into_iter().filter(|&level| force(Some(level))) {
            let (codes, scales) = encoded(Codes::Unsigned, &from);
            let found = decoded(Codes::Unsigned, &codes, &scales);
            for (index, (x, found)) in from.iter().zip(found).enumerate() {
                let small = if *x == 0.0 { 0.0 } else { least * scales[index / BLOCK] };
                assert_eq!(found, if *x < 1.0 { small } else { *x }, "{level:?} {index}");
            }
        }
        force(None);
    }

    #[test]
    fn every_code_is_read_and_written_unchanged() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            for scale in [1.0, f32::MIN_POSITIVE * 4.0, 3e-5, f32::MAX] {
                let codes: Vec<u8> = (0..=255).collect();
                let numbers = decoded(kind, &codes, &[scale]);
                let again = encoded(kind, &numbers);
                assert_eq!(again.1, [scale]);
                // With the smallest scales the numbers are subnormal, and no longer those of the map.
                if scale > 1e-30 {
                    assert_eq!(again.0, codes);
                }
            }
        }
    }

    #[test]
    fn what_has_no_code_becomes_zero_or_nan_as_a_block() {
        let tiny = f32::from_bits(3);
        for kind in [Codes::Signed, Codes::Unsigned] {
            for (odd, zero) in [(0.0, true), (tiny, true), (f32::NAN, false), (f32::INFINITY, false)] {
                let mut from = vec![if zero { 0.0 } else { 1.0 }; BLOCK];
                from[7] = odd;
                from.extend([2.0, 1.0]);
                let (codes, scales) = encoded(kind, &from);
                let found = decoded(kind, &codes, &scales);
                assert!(found[..BLOCK].iter().all(|x| if zero { *x == 0.0 } else { x.is_nan() }));
                assert!((found[BLOCK], scales[1]) == (2.0, 2.0) && (found[BLOCK + 1] - 1.0).abs() < 0.01);
            }
        }
    }

    #[test]
    fn zero_and_the_largest_stay_what_they_are() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            assert_eq!((code_of(kind, 0.0), code_of(kind, -0.0)), (kind.zero(), kind.zero()));
            for bits in (0x0080_0000..0x7f80_0000u32).step_by(99_991) {
                let x = f32::from_bits(bits);
                let (codes, scales) = encoded(kind, &[x, 0.0]);
                assert_eq!(decoded(kind, &codes, &scales), [x, 0.0]);
            }
        }
        assert_eq!(code_of(Codes::Signed, -1.0), 0);
    }

    /// How many numbers have a code below that of `x`, for `x` of at least 0.
    fn count(kind: Codes, x: f32) -> u32 {
        let code = u32::from(code_of(kind, x));
        if kind == Codes::Signed { code - 127 } else { code + 1 }
    }

    #[test]
    fn each_decade_begins_where_its_octaves_say() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            let begins: Vec<f32> =
                kind.map().stairs.next.into_iter().filter(|next| next.is_finite()).collect();
            assert_eq!(begins.len(), 8);
            for level in Level::ALL.into_iter().filter(|&level| force(Some(level))) {
                for (decade, begin) in begins.iter().enumerate() {
                    let first = if kind == Codes::Signed { 1 } else { 2 } << decade;
                    let below = f32::from_bits(begin.to_bits() - 1);
                    if kind == Codes::Unsigned && decade == 0 {
                        continue; // below it only 0 has the code of 0
                    }
                    assert_eq!((count(kind, below), count(kind, *begin)), (first - 1, first), "{level:?}");
                }
            }
            force(None);
        }
    }

    /// Every number where the code changes, with its neighbours, and numbers in between.
    #[test]
    fn every_level_gives_the_same_code_around_every_boundary() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            let mut numbers = vec![];
            for pair in kind.values().windows(2) {
                let middle = (0.5 * (pair[0] + pair[1])).to_bits();
                numbers.extend((middle - 600..middle + 600).map(f32::from_bits));
            }
            numbers.extend((0x3300_0000..0x3f80_0010).step_by(9973).map(f32::from_bits));
            let mut blocks = vec![];
            for numbers in numbers.chunks(BLOCK - 1) {
                blocks.push(1.0);
                blocks.extend(numbers);
            }
            let best = encoded(kind, &blocks);
            for level in Level::ALL.into_iter().filter(|&level| force(Some(level))) {
                assert_eq!(encoded(kind, &blocks).0, best.0, "{level:?}");
            }
            force(None);
        }
    }

    #[test]
    fn every_level_gives_the_same_codes() {
        for kind in [Codes::Signed, Codes::Unsigned] {
            let numbers = numbers(kind, 2000);
            let best = encoded(kind, &numbers);
            for level in Level::ALL.into_iter().filter(|&level| force(Some(level))) {
                assert_eq!(encoded(kind, &numbers), best, "{level:?}");
            }
            force(None);
        }
    }
}
