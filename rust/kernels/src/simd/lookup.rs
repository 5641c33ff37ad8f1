//! Looking up 8-bit codes in a table of 256 numbers.
//!
//! Compilers turn a loop of such look-ups into one load per element, or into a gather, which is no faster. With AVX-512
//! the table fits in half of the registers, and 16 elements are looked up by eight permutations: twice as fast, so that
//! a step on 8-bit moments is bound by the memory rather than by this.
#![allow(unsafe_code)] // calls a #[target_feature] function, and loads and stores whole registers

/// `to[i] = map[codes[i]] * scale`, for as many elements as both slices have.
#[inline(always)]
pub(super) fn one_by_one(map: &[f32; 256], codes: &[u8], scale: f32, to: &mut [f32]) {
    for (to, &code) in to.iter_mut().zip(codes) {
        *to = map[usize::from(code)] * scale;
    }
}

/// [`one_by_one`] by AVX-512.
///
/// # Safety
/// The processor has AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn by_permutation(map: &[f32; 256], codes: &[u8], scale: f32, to: &mut [f32]) {
    let (codes, last_codes) = codes.as_chunks();
    let (whole, last) = to.as_chunks_mut();
    // SAFETY: the caller has checked for AVX-512 F.
    unsafe { avx512::sixteens(map, codes, scale, whole) };
    one_by_one(map, last_codes, scale, last);
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512, __m512i, _mm_loadu_si128, _mm512_cvtepu8_epi32, _mm512_loadu_ps, _mm512_mask_blend_ps,
        _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_ps,
        _mm512_test_epi32_mask,
    };

    /// Sixteen elements at a time.
    #[target_feature(enable = "avx512f")]
    pub fn sixteens(map: &[f32; 256], codes: &[[u8; 16]], scale: f32, to: &mut [[f32; 16]]) {
        let rows: &[[f32; 16]] = map.as_chunks().0;
        // SAFETY: a row is sixteen f32.
        let map: [__m512; 16] = std::array::from_fn(|row| unsafe { _mm512_loadu_ps(rows[row].as_ptr()) });
        let scale = _mm512_set1_ps(scale);
        for (to, codes) in to.iter_mut().zip(codes) {
            // SAFETY: `codes` has sixteen bytes.
            let codes = _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(codes.as_ptr().cast()) });
            let values = _mm512_mul_ps(values(&map, codes), scale);
            // SAFETY: `to` has sixteen f32.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
        }
    }

    /// A permutation picks from two registers by the low five bits of a code; the three high bits choose among the
    /// eight results.
    #[target_feature(enable = "avx512f")]
    fn values(map: &[__m512; 16], codes: __m512i) -> __m512 {
        let bit = |bit| _mm512_test_epi32_mask(codes, _mm512_set1_epi32(1 << bit));
        let (low, middle, high) = (bit(5), bit(6), bit(7));
        let pair = |i: usize| _mm512_permutex2var_ps(map[2 * i], codes, map[2 * i + 1]);
        let four = |i: usize| _mm512_mask_blend_ps(low, pair(2 * i), pair(2 * i + 1));
        let half = |i: usize| _mm512_mask_blend_ps(middle, four(2 * i), four(2 * i + 1));
        _mm512_mask_blend_ps(high, half(0), half(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Isa, Kernel, Level, dispatch, force};

    struct LookUp<'a>(&'a [f32; 256], &'a [u8], &'a mut [f32]);

    impl Kernel for LookUp<'_> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            I::look_up(self.0, self.1, 3.0, self.2);
        }
    }

    #[test]
    fn every_level_finds_every_code_at_every_place() {
        let map: [f32; 256] = std::array::from_fn(|code| (code * code) as f32 - 1000.5);
        for level in Level::ALL.into_iter().filter(|&level| force(Some(level))) {
            for n in [0, 1, 15, 16, 17, 31, 256, 1000] {
                let codes: Vec<u8> = (0..n).map(|i| (i * 37 + n) as u8).collect();
                let mut found = vec![0.0; n];
                dispatch(LookUp(&map, &codes, &mut found));
                let wanted: Vec<f32> = codes.iter().map(|&code| map[usize::from(code)] * 3.0).collect();
                assert_eq!(found, wanted, "{level:?}");
            }
        }
        force(None);
    }
}
