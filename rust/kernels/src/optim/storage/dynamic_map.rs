//! The 256 numbers that an 8-bit code can stand for: a dynamic tree (Dettmers, "8-Bit Approximations for Parallelism in
//! Deep Learning", ICLR 2016), as bitsandbytes and torchao use it for the moments of optimizers (Dettmers et al.,
//! "8-bit Optimizers via Block-wise Quantization", ICLR 2022).
//!
//! A number is at most 1 in absolute value. Decade `k` (0 to 6) is the range from `10^(k-7)` to `10^(k-6)`. The signed map
//! divides it into `2^k` equal parts and the unsigned one into `2^(k+1)`; the middle of each part has a code. 0 and 1
//! have codes too. The codes are in the order of the numbers: the signed map has -0.99297 at 0, 0 at 127 and 1 at 255.
//!
//! # The nearest code
//!
//! Let `c` count the numbers that have codes, from the smallest of a sign, such that decade `k` begins at `c = n`, its
//! number of parts. With `x = 10^(k-6) y`, part `j` holds `c = n + j <= n (y + 0.8) / 0.9 < c + 1`. The right side, as
//! a function of x, is a straight line for each decade; its slope falls by a factor of 5 from one decade to the next, and
//! the lines of neighbouring decades meet where these do. So over all decades it is the smallest of the seven lines, and
//! no comparison has to find the decade.
//!
//! What is left is where two decades meet. The last part of the lower one is wider than half the way to its neighbour,
//! the first part of the upper one, so that the point between the two middles is `1/5` of a part into the upper one.
//! There, and there alone, the fraction is replaced by `5/4 f - 1/4`, which is below 0 up to that point.
//!
//! Where a processor finds the line by the exponent of x ([`Stairs`]), it needs for each decade the point from which on
//! its first number is the nearest. The codes are the same.

use crate::simd::{OCTAVES, Stairs, Table};

/// The first code of the signed map that is above 0, less one: the code of 0.
const SIGNED_ZERO: i32 = 127;
const DECADES: usize = 7;
const POWERS: [f32; DECADES] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// A straight line: slope and value at 0.
#[derive(Clone, Copy)]
pub(super) struct Line(pub f32, pub f32);

/// The numbers of a map, and the lines by which the nearest code is found.
pub(super) struct Map {
    /// The number that each code stands for.
    pub table: Table,
    /// The lines of the decades, from the uppermost down.
    pub lines: [Line; DECADES],
    /// The line that is above the others from the point on where 1 is the nearest number.
    pub one: Line,
    /// The same lines by octaves.
    pub stairs: Stairs,
}

/// The map of first moments.
pub(super) static SIGNED: Map = Map::of(true);
/// The map of second moments, which are at least 0.
pub(super) static UNSIGNED: Map = Map::of(false);

impl Map {
    const fn of(signed: bool) -> Map {
        let lines = lines(signed);
        Map { table: Table::of(values(signed)), lines, one: one(signed), stairs: stairs(lines, signed) }
    }
}

/// The least numbers that the lines above give the first code of each decade, and that of 1. A test finds them again.
const fn begins(signed: bool) -> [f32; DECADES + 1] {
    let bits: [u32; DECADES + 1] = if signed {
        [0x3493a3b6, 0x35ff037e, 0x37734507, 0x39007353, 0x3a91d14d, 0x3c2d0e53, 0x3dd28f5d, 0x3f7f199a]
    } else {
        [0x342e7ba7, 0x35c29da0, 0x374d8551, 0x38e94ee2, 0x3a8a71db, 0x3c2872b2, 0x3dcfae09, 0x3f7f8ccd]
    };
    let (mut begins, mut decade) = ([0.0; DECADES + 1], 0);
    while decade <= DECADES {
        begins[decade] = f32::from_bits(bits[decade]);
        decade += 1;
    }
    begins
}

/// Between 0 and the lowest decade, and from the beginning of 1 on, the line is level.
const fn stairs(lines: [Line; DECADES], signed: bool) -> Stairs {
    let begins = begins(signed);
    let below = Line(0.0, if signed { 0.0 } else { 1.0 });
    let above = Line(0.0, parts(DECADES, signed) as f32);
    // Below a decade's end, 2n, is the step 2n - 1, which 2n - 1/2 is above; the offset of its line is 0.8/0.9 n.
    let mut stairs =
        Stairs { next: [f32::INFINITY; OCTAVES], slope: [0.0; OCTAVES], offset: [0.0; OCTAVES], limit: 2.25 };
    let mut octave = 0;
    while octave < OCTAVES {
        let [from, to] = [power(octave), power(octave + 1)];
        let (mut line, mut decade) = (below, 0);
        while decade <= DECADES {
            if begins[decade] <= from {
                line = if decade < DECADES { lines[DECADES - 1 - decade] } else { above };
            } else if begins[decade] < to {
                stairs.next[octave] = begins[decade];
            }
            decade += 1;
        }
        (stairs.slope[octave], stairs.offset[octave]) = (line.0, line.1);
        octave += 1;
    }
    stairs
}

/// Where an octave begins.
const fn power(octave: usize) -> f32 {
    f32::from_bits((127 + 1 + octave as u32 - OCTAVES as u32) << 23)
}

/// The number of parts in a decade.
const fn parts(decade: usize, signed: bool) -> usize {
    if signed { 1 << decade } else { 2 << decade }
}

/// The same bits as bitsandbytes has them, whose table is computed by torch.
const fn values(signed: bool) -> [f32; 256] {
    let mut values = [0.0; 256];
    let mut decade = 0;
    while decade < DECADES {
        let n = parts(decade, signed);
        let mut part = 0;
        while part < n {
            let middle = 0.5 * (boundary(part, n) + boundary(part + 1, n));
            let value = POWERS[decade] * middle;
            if signed {
                values[SIGNED_ZERO as usize + n + part] = value;
                values[SIGNED_ZERO as usize - n - part] = -value;
            } else {
                values[n + part - 1] = value;
            }
            part += 1;
        }
        decade += 1;
    }
    values[255] = 1.0;
    values
}

/// The boundary between two of `n` equal parts of 0.1 to 1, as `torch.linspace` rounds it on processors that have a
/// fused multiply-add: the lower half is computed from below, the upper one from above, each with one rounding. (Without
/// it torch rounds twice, and a third of its numbers differ in the last two bits.) Products are exact in f64.
const fn boundary(part: usize, n: usize) -> f32 {
    let width = (1.0f32 - 0.1f32) as f64 / n as f64;
    let rounded = if part < n.div_ceil(2) {
        0.1f32 as f64 + width * part as f64
    } else {
        1.0 - width * (n - part) as f64
    };
    rounded as f32
}

const fn lines(signed: bool) -> [Line; DECADES] {
    let mut lines = [Line(0.0, 0.0); DECADES];
    let (mut decade, mut tens) = (DECADES, 1.0);
    while decade > 1 {
        decade -= 1;
        let n = parts(decade, signed) as f64;
        lines[DECADES - 1 - decade] = Line((n * tens / 0.9) as f32, (n * 0.8 / 0.9) as f32);
        tens *= 10.0;
    }
    // Below the lowest decade comes 0, not another decade. Its line passes 1/5 of a part above its beginning, as above,
    // at half of its first number, and the right point between its first and its second one, if it has two.
    lines[DECADES - 1] = if signed {
        Line((1e6 / 0.9) as f32, (1.2 - 0.275 / 0.9) as f32)
    } else {
        let slope = 0.8 / (0.55 - 0.1625);
        Line((slope * 1e6) as f32, (2.2 - 0.1625 * slope) as f32)
    };
    lines
}

/// The line passes 2^7 (signed) or 2^8, the place of 1, halfway between 1 and the number before it, and stays below the
/// next whole number up to 1.
const fn one(signed: bool) -> Line {
    let n = 2 * parts(DECADES - 1, signed);
    let halfway = 1.0 - 0.45 / n as f64;
    let slope = 1.6 * n as f64;
    Line(slope as f32, (n as f64 - slope * halfway) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maps_are_those_of_bitsandbytes() {
        // Some of its bits (0.50.2, on torch 2.15); tests/torch compares all of them.
        let signed =
            [(0, 0xbf7e3333), (64, 0xbdc9eb85), (126, 0xb513a3b7), (129, 0x365a1a94), (254, 0x3f7e3333)];
        let unsigned =
            [(1, 0x34ae7baa), (40, 0x3b70a3d7), (126, 0x3dcb5c29), (133, 0x3e153334), (254, 0x3f7f199a)];
        for (map, some) in [(&SIGNED, signed), (&UNSIGNED, unsigned)] {
            for (code, bits) in some {
                assert_eq!(map.table.values[code].to_bits(), bits, "{code}");
            }
        }
        assert_eq!((SIGNED.table.values[127], SIGNED.table.values[255]), (0.0, 1.0));
        assert_eq!((UNSIGNED.table.values[0], UNSIGNED.table.values[255]), (0.0, 1.0));
        for map in [&SIGNED, &UNSIGNED] {
            assert!(map.table.values.is_sorted());
        }
        assert!((1..128).all(|i| SIGNED.table.values[127 + i] == -SIGNED.table.values[127 - i]));
    }
}
