//! The highest bit of each of many bytes, as the bits of one number.
#![allow(unsafe_code)] // calls two instructions that every x86-64 processor has

/// Bytes whose highest bits one number holds.
pub const BYTES: usize = 64;

/// Bit i is the highest bit of byte i. (Written as a loop, compilers shift each bit to its place by itself, which took
/// longer than all else that the drawing of counts does with a byte.)
#[inline(always)]
pub fn high_bits(bytes: &[u8; BYTES]) -> u64 {
    let mut bits = 0;
    for (i, sixteen) in bytes.as_chunks().0.iter().enumerate() {
        bits |= u64::from(of_sixteen(sixteen)) << (16 * i);
    }
    bits
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn of_sixteen(bytes: &[u8; 16]) -> u16 {
    use std::arch::x86_64::{_mm_movemask_epi8, _mm_set_epi64x};
    let [low, high] = halves(bytes);
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { _mm_movemask_epi8(_mm_set_epi64x(high as i64, low as i64)) as u16 }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn of_sixteen(bytes: &[u8; 16]) -> u16 {
    portable(bytes)
}

/// A product moves the highest bits of eight bytes into the highest byte.
#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
#[inline(always)]
fn portable(bytes: &[u8; 16]) -> u16 {
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    const GATHER: u64 = 0x0002_0408_1020_4081;
    let [low, high] = halves(bytes).map(|eight| ((eight & HIGHEST).wrapping_mul(GATHER) >> 56) as u16);
    low | high << 8
}

#[inline(always)]
fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let all = u128::from_le_bytes(*bytes);
    [all as u64, (all >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_i_is_the_highest_bit_of_byte_i() {
        let mut state = 1u64;
        for _ in 0..1000 {
            let mut bytes = [0; BYTES];
            for byte in &mut bytes {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                *byte = (state >> 56) as u8;
            }
            let want = (0..BYTES).map(|i| u64::from(bytes[i] >> 7) << i).sum::<u64>();
            assert_eq!(high_bits(&bytes), want);
            for (i, sixteen) in bytes.as_chunks().0.iter().enumerate() {
                assert_eq!(portable(sixteen), (want >> (16 * i)) as u16);
            }
        }
    }
}
