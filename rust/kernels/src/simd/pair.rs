//! Two bf16 as one 32-bit word: the halves become two f32 by one shift and one mask, without the shuffles that widening
//! sixteen of them from half a register to a whole one takes.
#![allow(unsafe_code)] // slices of pairs over slices of their halves

use super::{Bf16, Element, Real};

/// What one or more elements are stored as, which a kernel widens together.
pub trait Pack<T, const N: usize>: Copy {
    /// The values.
    fn wide(self) -> [T; N];
    /// The nearest values of the type, each rounded once.
    fn pack(wide: [T; N]) -> Self;
}

impl<E: Element, T: Real> Pack<T, 1> for E {
    #[inline(always)]
    fn wide(self) -> [T; 1] {
        [T::widen(self)]
    }
    #[inline(always)]
    fn pack([x]: [T; 1]) -> Self {
        x.narrow()
    }
}

/// Two bf16 that lie one after the other; the first is the lower half on a little-endian processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16Pair(u32);

impl Bf16 {
    /// The bits of the elements, where they are no floats but other things of 16 bits.
    pub fn bits_of(x: &mut [Bf16]) -> &mut [u16] {
        // SAFETY: it is transparent: a u16 and nothing else, of which every value is one.
        unsafe { x.align_to_mut::<u16>() }.1
    }
}

impl Pack<f32, 2> for Bf16Pair {
    #[inline(always)]
    fn wide(self) -> [f32; 2] {
        [f32::from_bits(self.0 << 16), f32::from_bits(self.0 & 0xffff_0000)]
    }
    #[inline(always)]
    fn pack([low, high]: [f32; 2]) -> Self {
        Bf16Pair(Bf16::rounded(low) >> 16 | Bf16::rounded(high) & 0xffff_0000)
    }
}

impl Bf16Pair {
    /// The pairs of a slice and what is left over; `None` where the slice does not begin at the address of a pair.
    #[inline]
    pub fn of(x: &[Bf16]) -> Option<(&[Bf16Pair], &[Bf16])> {
        // SAFETY: both are plain bits, of which every pattern is a value.
        let (head, pairs, tail) = unsafe { x.align_to::<Bf16Pair>() };
        head.is_empty().then_some((pairs, tail))
    }

    /// [`Self::of`] for writing.
    #[inline]
    pub fn of_mut(x: &mut [Bf16]) -> Option<(&mut [Bf16Pair], &mut [Bf16])> {
        // SAFETY: as above.
        let (head, pairs, tail) = unsafe { x.align_to_mut::<Bf16Pair>() };
        head.is_empty().then_some((pairs, tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_its_two_halves() {
        let mut halves = [Bf16(0x3f80), Bf16(0xc000), Bf16(0x7fc0), Bf16(1), Bf16(9)];
        let aligned = usize::from(!halves.as_ptr().addr().is_multiple_of(4));
        let (pairs, rest) = Bf16Pair::of(&halves[aligned..aligned + 3]).unwrap();
        assert_eq!((pairs.len(), rest.len()), (1, 1));
        let wide = pairs[0].wide();
        let mut order = [halves[aligned], halves[aligned + 1]].map(Element::to_f32);
        if cfg!(target_endian = "big") {
            order.reverse();
        }
        assert_eq!(wide.map(f32::to_bits), order.map(f32::to_bits));
        assert!(Bf16Pair::of(&halves[1 - aligned..]).is_none());
        let (pairs, _) = Bf16Pair::of_mut(&mut halves[aligned..]).unwrap();
        for (low, high) in
            [(1.0f32, -2.5f32), (f32::NAN, f32::MAX), (1.003_906_3, f32::from_bits(0x8000_8001))]
        {
            pairs[0] = Bf16Pair::pack([low, high]);
            let alone = [low, high].map(|x| Bf16::from_f32(x).to_f32().to_bits());
            assert_eq!(pairs[0].wide().map(f32::to_bits), alone);
        }
    }
}
