//! Rounding numbers up to 1 to the steps of a staircase whose steps get finer towards 0, and to 8-bit codes of these.
//!
//! Within an octave (from one power of two to the next) such a staircase is the whole part of a straight line, or of two
//! lines with a change from one to the other. So the exponent of a number selects its line, in a table of 32 octaves,
//! which AVX-512 holds in two registers and permutes. Other processors have no such permutation, and would load line by
//! line.
#![allow(unsafe_code)] // calls a #[target_feature] function, and loads and stores whole registers

/// Octaves of a staircase: from 2^-31 to 2.
pub const OCTAVES: usize = 32;

/// Elements that are rounded together.
pub const GROUP: usize = 64;

/// The lines of a staircase, by octave.
pub struct Stairs {
    /// Where within the octave the line of the next octave takes over; infinity where it does not.
    pub next: [f32; OCTAVES],
    /// The slope of the line with which the octave begins.
    pub slope: [f32; OCTAVES],
    /// The value of that line at 0. The step below the take-over is `limit * offset - 1/2` at most.
    pub offset: [f32; OCTAVES],
    /// See `offset`.
    pub limit: f32,
}

/// Which codes the steps have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Step `k` of a number, of -k of its negative, has the code `k + 127`, at least 0.
    Mirrored,
    /// Step `k` has the code `k - 1`, and negative numbers that of 0.
    FromOne,
}

/// Writes the codes of `from[i] * factor`.
///
/// # Safety
/// The processor has AVX-512 F and BW.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn by_octave(
    stairs: &Stairs,
    steps: Steps,
    from: &[[f32; GROUP]],
    factor: f32,
    codes: &mut [[u8; GROUP]],
) {
    // SAFETY: the caller has checked for AVX-512 F and BW.
    unsafe {
        match steps {
            Steps::Mirrored => avx512::groups::<true>(stairs, from, factor, codes),
            Steps::FromOne => avx512::groups::<false>(stairs, from, factor, codes),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{GROUP, OCTAVES, Stairs};
    use std::arch::x86_64::{
        __m512, __m512i, _CMP_GE_OQ, _mm512_abs_ps, _mm512_add_epi16, _mm512_castps_si512,
        _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvttps_epi32, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_mask_add_epi32, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_packs_epi32,
        _mm512_packus_epi16, _mm512_permutex2var_ps, _mm512_permutexvar_epi32, _mm512_set1_epi16,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_srli_epi32, _mm512_storeu_si512,
        _mm512_ternarylogic_epi32,
    };

    /// `a | b & c`, as a truth table.
    const OR_AND: i32 = 0xf8;

    struct Lines {
        next: [__m512; 2],
        slope: [__m512; 2],
        offset: [__m512; 2],
        limit: __m512,
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn groups<const MIRRORED: bool>(
        stairs: &Stairs,
        from: &[[f32; GROUP]],
        factor: f32,
        codes: &mut [[u8; GROUP]],
    ) {
        let Stairs { next, slope, offset, limit } = stairs;
        let lines = Lines {
            next: load(next),
            slope: load(slope),
            offset: load(offset),
            limit: _mm512_set1_ps(*limit),
        };
        let factor = _mm512_set1_ps(factor);
        let first = _mm512_set1_epi16(if MIRRORED { 127 } else { -1 });
        // What packing leaves in the order of its 128-bit lanes.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for (from, codes) in from.iter().zip(codes) {
            let rows: &[[f32; 16]] = from.as_chunks().0;
            let steps: [__m512i; 4] = std::array::from_fn(|row| {
                // SAFETY: a row is sixteen f32.
                let x = unsafe { _mm512_loadu_ps(rows[row].as_ptr()) };
                steps::<MIRRORED>(&lines, _mm512_mul_ps(x, factor))
            });
            // The second packing makes -1, the code of -1, 0.
            let word = |i| _mm512_add_epi16(_mm512_packs_epi32(steps[i], steps[i + 1]), first);
            let bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(word(0), word(2)));
            // SAFETY: a group has 64 bytes.
            unsafe { _mm512_storeu_si512(codes.as_mut_ptr().cast(), bytes) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(octaves: &[f32; OCTAVES]) -> [__m512; 2] {
        let rows: &[[f32; 16]] = octaves.as_chunks().0;
        // SAFETY: a row is sixteen f32.
        std::array::from_fn(|row| unsafe { _mm512_loadu_ps(rows[row].as_ptr()) })
    }

    /// The step of each number, with its sign.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn steps<const MIRRORED: bool>(lines: &Lines, signed: __m512) -> __m512i {
        let sign = _mm512_set1_epi32(i32::MIN);
        let x = if MIRRORED { _mm512_abs_ps(signed) } else { signed };
        let x = _mm512_max_ps(x, _mm512_set1_ps(f32::from_bits(96 << 23)));
        // The low five bits of the exponent: 2^-31 has the exponent 96, a multiple of 32.
        let octave = _mm512_srli_epi32::<23>(_mm512_castps_si512(x));
        let pick = |table: [__m512; 2], at| _mm512_permutex2var_ps(table[0], at, table[1]);
        let beyond = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, pick(lines.next, octave));
        let line = _mm512_mask_add_epi32(octave, beyond, octave, _mm512_set1_epi32(1));
        let offset = pick(lines.offset, line);
        let highest = _mm512_fmadd_ps(lines.limit, offset, _mm512_set1_ps(-0.5));
        let step = _mm512_min_ps(_mm512_fmadd_ps(pick(lines.slope, line), x, offset), highest);
        let step = if MIRRORED {
            let (step, signed) = (_mm512_castps_si512(step), _mm512_castps_si512(signed));
            _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<OR_AND>(step, signed, sign))
        } else {
            step
        };
        _mm512_cvttps_epi32(step)
    }
}
