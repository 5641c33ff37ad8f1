//! Looking up 8-bit codes in a table of 256 numbers.
//!
//! Compilers turn a loop of such look-ups into one load per element, or into a gather, which is no faster. With AVX-512
//! the table fits in half of the registers, and 32 elements are looked up by permutations of 16-bit words, of which a
//! number has two: one permutation then serves 64 entries of the table, where one of whole numbers serves 32.
#![allow(unsafe_code)] // calls a #[target_feature] function, and loads and stores whole registers

/// A table of 256 numbers.
pub struct Table {
    /// The numbers.
    pub values: [f32; 256],
    /// Their lower halves.
    low: [u16; 256],
    /// Their upper halves.
    high: [u16; 256],
}

impl Table {
    /// The table of these numbers.
    pub const fn of(values: [f32; 256]) -> Table {
        let (mut low, mut high) = ([0; 256], [0; 256]);
        let mut code = 0;
        while code < 256 {
            let bits = values[code].to_bits();
            (low[code], high[code]) = (bits as u16, (bits >> 16) as u16);
            code += 1;
        }
        Table { values, low, high }
    }
}

/// `to[i] = values[codes[i]] * scales[i / BLOCK]`, for as many elements as all slices have.
#[inline(always)]
pub(super) fn one_by_one<const BLOCK: usize>(table: &Table, codes: &[u8], scales: &[f32], to: &mut [f32]) {
    for ((codes, scale), to) in codes.chunks(BLOCK).zip(scales).zip(to.chunks_mut(BLOCK)) {
        for (to, &code) in to.iter_mut().zip(codes) {
            *to = table.values[usize::from(code)] * scale;
        }
    }
}

/// [`one_by_one`] by AVX-512.
///
/// # Safety
/// The processor has AVX-512 F and BW.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn by_permutation<const BLOCK: usize>(
    table: &Table,
    codes: &[u8],
    scales: &[f32],
    to: &mut [f32],
) {
    // SAFETY: the caller has checked for AVX-512 F and BW.
    unsafe { avx512::look_up::<BLOCK>(table, codes, scales, to) };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Table, one_by_one};
    use std::arch::x86_64::{
        __m512, __m512i, _mm256_loadu_si256, _mm256_permutevar8x32_epi32, _mm256_setr_epi32,
        _mm512_castsi512_ps, _mm512_cvtepu8_epi16, _mm512_loadu_si512, _mm512_mask_blend_epi16,
        _mm512_mul_ps, _mm512_permutex2var_epi16, _mm512_set1_epi16, _mm512_set1_ps, _mm512_storeu_ps,
        _mm512_test_epi16_mask, _mm512_unpackhi_epi16, _mm512_unpacklo_epi16,
    };

    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn look_up<const BLOCK: usize>(table: &Table, codes: &[u8], scales: &[f32], to: &mut [f32]) {
        let halves = [load(&table.low), load(&table.high)];
        for ((codes, &scale), to) in codes.chunks(BLOCK).zip(scales).zip(to.chunks_mut(BLOCK)) {
            let (codes, last_codes) = codes.as_chunks();
            let (whole, last) = to.as_chunks_mut();
            for (codes, to) in codes.iter().zip(whole) {
                thirty_two(&halves, codes, scale, to);
            }
            one_by_one::<BLOCK>(table, last_codes, &[scale], last);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(words: &[u16; 256]) -> [__m512i; 8] {
        let rows: &[[u16; 32]] = words.as_chunks().0;
        // SAFETY: a row is 32 words.
        std::array::from_fn(|row| unsafe { _mm512_loadu_si512(rows[row].as_ptr().cast()) })
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn thirty_two(halves: &[[__m512i; 8]; 2], codes: &[u8; 32], scale: f32, to: &mut [f32; 32]) {
        // Within each 128 bits, the lower four words go to the first register of results and the upper four to the
        // second: so codes are brought into the order in which four and four alternate.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        // SAFETY: `codes` has 32 bytes.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let codes = _mm512_cvtepu8_epi16(_mm256_permutevar8x32_epi32(codes, order));
        let [low, high] = [words(&halves[0], codes), words(&halves[1], codes)];
        let scaled = |x: __m512i| -> __m512 { _mm512_mul_ps(_mm512_castsi512_ps(x), _mm512_set1_ps(scale)) };
        let (first, second) = to.split_at_mut(16);
        // SAFETY: both have sixteen f32.
        unsafe {
            _mm512_storeu_ps(first.as_mut_ptr(), scaled(_mm512_unpacklo_epi16(low, high)));
            _mm512_storeu_ps(second.as_mut_ptr(), scaled(_mm512_unpackhi_epi16(low, high)));
        }
    }

    /// A permutation picks from two registers by the low six bits of a code; the two high bits choose among the four
    /// results.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn words(table: &[__m512i; 8], codes: __m512i) -> __m512i {
        let bit = |bit| _mm512_test_epi16_mask(codes, _mm512_set1_epi16(1i16 << bit));
        let (middle, high) = (bit(6), bit(7));
        let pair = |i: usize| _mm512_permutex2var_epi16(table[2 * i], codes, table[2 * i + 1]);
        let half = |i: usize| _mm512_mask_blend_epi16(middle, pair(2 * i), pair(2 * i + 1));
        _mm512_mask_blend_epi16(high, half(0), half(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Isa, Kernel, Level, dispatch, force};
    use super::Table;

    struct LookUp<'a>(&'a Table, &'a [u8], &'a mut [f32]);

    impl Kernel for LookUp<'_> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            I::look_up::<300>(self.0, self.1, &[3.0, -5.0, 7.0, 9.0], self.2);
        }
    }

    #[test]
    fn every_level_finds_every_code_at_every_place() {
        let map = Table::of(std::array::from_fn(|code| (code * code) as f32 - 1000.5));
        for level in Level::ALL.into_iter().filter(|&level| force(Some(level))) {
            for n in [0, 1, 31, 32, 33, 63, 299, 300, 301, 600, 1000] {
                let codes: Vec<u8> = (0..n).map(|i| (i * 37 + n) as u8).collect();
                let mut found = vec![0.0; n];
                dispatch(LookUp(&map, &codes, &mut found));
                let scale = |i: usize| [3.0, -5.0, 7.0, 9.0][i / 300];
                let wanted: Vec<f32> = (0..n).map(|i| map.values[usize::from(codes[i])] * scale(i)).collect();
                assert_eq!(found, wanted, "{level:?}");
            }
        }
        force(None);
    }
}
