//! A global norm that adds up over batches: its sum of squares as one large integer, so that no addition is rounded.
//!
//! Its bytes are the integer in limbs of 64 bits, the least significant first and the last one not 0; zero has none.

use super::norm::{Scaled, exp2i};
use crate::exact::parts;
use crate::grid::{Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::standard;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const LAYOUT: u8 = 1;
/// The sum is in units of 2^-3200. The smallest term of an update is 2^-1074, the smallest f64, times 4^-1000: no scale
/// is smaller.
const UNIT: i32 = 3200;
/// A sum stays below 2^2112: that are 2^64 squares, each below 2^2048. No program adds so many.
const LIMBS: usize = (UNIT as usize + 2048 + 64) / 64;

/// The sum of squares would pass 2^2112.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// The exact sum of the sums of squares that were added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormTotals {
    /// The least significant first.
    limbs: [u64; LIMBS],
}

impl Default for NormTotals {
    fn default() -> Self {
        NormTotals { limbs: [0; LIMBS] }
    }
}

impl NormTotals {
    /// The sum and one more term, finite and not negative.
    pub fn with(&self, term: Scaled) -> Result<NormTotals, TooLarge> {
        self.with_all(&[term])
    }

    /// The sum and some more terms, finite and not negative.
    pub fn with_all(&self, terms: &[Scaled]) -> Result<NormTotals, TooLarge> {
        let mut sum = self.clone();
        terms.iter().try_for_each(|&term| sum.add(term))?;
        Ok(sum)
    }

    fn add(&mut self, term: Scaled) -> Result<(), TooLarge> {
        if !term.sum.is_finite() {
            return Err(TooLarge);
        }
        let (digits, exponent) = parts(term.sum);
        let place = usize::try_from(exponent + 2 * term.exponent + UNIT).map_err(|_| TooLarge)?;
        let shifted = u128::from(digits) << (place % 64);
        let mut rest = [shifted as u64, (shifted >> 64) as u64].into_iter();
        let mut limbs = self.limbs.iter_mut().skip(place / 64);
        let mut carry = false;
        // Past the two limbs of the term only the carry is left.
        while let Some(limb) = rest.next().or(carry.then_some(0)) {
            match limbs.next() {
                Some(at) => {
                    let whole = u128::from(*at) + u128::from(limb) + u128::from(carry);
                    (*at, carry) = (whole as u64, whole >> 64 != 0);
                }
                None if limb == 0 && !carry => {}
                None => return Err(TooLarge),
            }
        }
        Ok(())
    }

    fn plus(&self, other: &NormTotals) -> Result<NormTotals, TooLarge> {
        let (mut sum, mut carry) = (NormTotals::default(), 0);
        for ((sum, &a), &b) in sum.limbs.iter_mut().zip(&self.limbs).zip(&other.limbs) {
            let whole = u128::from(a) + u128::from(b) + carry;
            (*sum, carry) = (whole as u64, whole >> 64);
        }
        if carry == 0 { Ok(sum) } else { Err(TooLarge) }
    }

    /// How many limbs there are up to the last that is not 0.
    fn used(&self) -> usize {
        self.limbs.iter().rposition(|&limb| limb != 0).map_or(0, |last| last + 1)
    }

    /// `floor(sum / 2^shift)`, of at most 128 bits, and whether bits below were cut off. `shift` may be negative.
    fn shifted(&self, shift: i32) -> (u128, bool) {
        let limb = |index: i32| {
            usize::try_from(index).ok().and_then(|index| self.limbs.get(index)).copied().unwrap_or(0)
        };
        let (first, bits) = (shift.div_euclid(64), shift.rem_euclid(64));
        let at = |offset: i32| u128::from(limb(first + offset));
        let low = at(0) | at(1) << 64;
        let whole = if bits == 0 { low } else { low >> bits | at(2) << (128 - bits) };
        let below = usize::try_from(first).unwrap_or(0).min(LIMBS);
        let cut = self.limbs[..below].iter().any(|&limb| limb != 0) || limb(first) & ((1 << bits) - 1) != 0;
        (whole, cut)
    }

    /// The norm: the square root of the sum, rounded to nearest; infinite where it is beyond f64.
    pub fn norm(&self) -> f64 {
        let Some(last) = self.used().checked_sub(1) else { return 0.0 };
        let length = 64 * (last as i32 + 1) - self.limbs[last].leading_zeros() as i32;
        // 127 or 128 bits, so that what is cut off is a power of four and the root has 64.
        let shift = (length - 127) & !1;
        let (top, cut) = self.shifted(shift);
        let root = top.isqrt();
        // f64 takes 53 of the 64 bits. A last bit that stands for all that is missing keeps an inexact root from being
        // rounded as a tie.
        let inexact = cut || root * root != top;
        let (digits, exponent) = (root as u64 | u64::from(inexact), (shift - UNIT) / 2);
        let half = exponent / 2;
        standard(|| digits as f64 * exp2i(half) * exp2i(exponent - half))
    }
}

impl State for NormTotals {
    const KIND: Kind = Kind::GlobalNorm;
    type Refused = TooLarge;

    fn copied(&self) -> Result<NormTotals, NoMemory> {
        Ok(self.clone())
    }

    fn merged(&self, other: &NormTotals, _: Progress<'_>) -> Result<Result<NormTotals, TooLarge>, Stopped> {
        Ok(self.plus(other))
    }

    fn to_bytes(&self, config: &[u8], _: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        let limbs = &self.limbs[..self.used()];
        let mut writer = Writer::new(Kind::GlobalNorm, LAYOUT, config, limbs.len() as u32);
        for &limb in limbs {
            writer.u64(limb);
        }
        Ok(Some(writer.finish()?))
    }

    fn from_bytes(bytes: &[u8], _: Progress<'_>) -> Result<(NormTotals, Vec<u8>), BytesError> {
        let mut reader = Reader::open(bytes, Kind::GlobalNorm, LAYOUT)?;
        if !reader.holds(8) {
            return Err(BytesError::Malformed);
        }
        let (used, mut totals) = (reader.rows() as usize, NormTotals::default());
        if used > LIMBS {
            return Err(BytesError::Impossible);
        }
        for limb in &mut totals.limbs[..used] {
            *limb = reader.u64()?;
        }
        let config = memory::copied(reader.config())?;
        reader.finish()?;
        if totals.used() == used { Ok((totals, config)) } else { Err(BytesError::Impossible) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(_: usize) -> bool {
        true
    }

    fn of(terms: &[(f64, i32)]) -> NormTotals {
        let add = |totals: NormTotals, &(sum, exponent)| totals.with(Scaled { sum, exponent }).unwrap();
        terms.iter().fold(NormTotals::default(), add)
    }

    fn written(totals: &NormTotals) -> Vec<u8> {
        totals.to_bytes(b"{}", &mut go).unwrap().unwrap()
    }

    fn limbs(limbs: &[u64]) -> Vec<u8> {
        let mut writer = Writer::new(Kind::GlobalNorm, LAYOUT, b"{}", limbs.len() as u32);
        for &limb in limbs {
            writer.u64(limb);
        }
        writer.finish().unwrap()
    }

    #[test]
    fn the_norm_is_the_root_rounded_once() {
        assert_eq!(NormTotals::default().norm(), 0.0);
        assert_eq!(of(&[(9.0, 0), (16.0, 0)]).norm(), 5.0);
        assert_eq!(of(&[(25.0, 300)]).norm(), 5.0 * exp2i(300));
        assert_eq!(of(&[(1.0, 0), (1.0, -500)]).norm(), 1.0);
        assert_eq!(of(&[(2.0, 0)]).norm(), 2.0f64.sqrt());
        assert_eq!(of(&[(5e-324, -537)]).norm(), 5e-324);
        assert_eq!(of(&[(1.0, -1000), (5e-324, -1000)]).norm(), exp2i(-1000));
        assert_eq!(of(&[(f64::MAX, 512)]).norm(), f64::MAX);
        assert_eq!(of(&[(f64::MAX, 512), (f64::MAX, 512)]).norm(), f64::INFINITY);
        // The root 2^53 + 1 lies half way between two f64 and goes to the even one; the smallest term of all tips it up.
        let tie = [(exp2i(106), 0), (exp2i(54), 0), (1.0, 0)];
        assert_eq!(of(&tie).norm(), exp2i(53));
        assert_eq!(of(&tie).plus(&of(&[(5e-324, -1000)])).unwrap().norm(), exp2i(53) + 2.0);
    }

    #[test]
    fn roots_agree_with_f64_where_sums_are_exact_in_it() {
        let mut word = 9u64;
        for _ in 0..10_000 {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let sum = f64::from_bits(word >> 1 & !(1 << 62) | 1 << 61);
            assert_eq!(of(&[(sum, 0)]).norm(), sum.sqrt(), "{sum:e}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let most = [u64::MAX; LIMBS];
        for case in [&[][..], &[1], &[0, 7], &most] {
            let (totals, config) = NormTotals::from_bytes(&limbs(case), &mut go).unwrap();
            assert_eq!((written(&totals), config), (limbs(case), b"{}".to_vec()));
        }
    }

    #[test]
    fn what_no_update_makes_is_refused() {
        let many = vec![1; 100_000];
        for case in [&[0][..], &[5, 0], &[1; LIMBS + 1], &many] {
            assert_eq!(NormTotals::from_bytes(&limbs(case), &mut go).unwrap_err(), BytesError::Impossible);
        }
    }

    #[test]
    fn a_carry_goes_as_far_as_it_must() {
        let ones = [0, u64::MAX, u64::MAX, 7];
        let (totals, _) = NormTotals::from_bytes(&limbs(&ones), &mut go).unwrap();
        // The unit of the second limb is 2^(64 - 3200): 2^-1000 times 4^-1068.
        let term = Scaled { sum: exp2i(-1000), exponent: -1068 };
        assert_eq!(written(&totals.with(term).unwrap()), limbs(&[0, 0, 0, 8]));
        assert_eq!(totals.with_all(&[term, term]).unwrap(), totals.with(term).unwrap().with(term).unwrap());
    }

    #[test]
    fn sums_beyond_the_last_limb_are_refused() {
        let (most, _) = NormTotals::from_bytes(&limbs(&[u64::MAX; LIMBS]), &mut go).unwrap();
        assert_eq!(most.with(Scaled { sum: 1.0, exponent: -1000 }), Err(TooLarge));
        assert_eq!(most.plus(&of(&[(1.0, 0)])), Err(TooLarge));
        assert_eq!(NormTotals::default().with(Scaled { sum: f64::MAX, exponent: 1000 }), Err(TooLarge));
        assert_eq!(most.with(Scaled { sum: 0.0, exponent: 0 }).as_ref(), Ok(&most));
    }
}
