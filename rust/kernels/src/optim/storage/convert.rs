//! Whole arrays into the ways of storing that need more than a rounding, and back.

use super::blocks8::{BLOCK, Codes, decode, encode};
use super::half::{Halves, with_half};
use super::random::rounded;
use crate::grid::{CHUNK, write_chunks};
use crate::memory::{self, NoMemory};
use crate::random;
use crate::simd::{Isa, Kernel, dispatch};

const SCALES: usize = CHUNK / BLOCK;
const _: () = assert!(CHUNK.is_multiple_of(BLOCK));

/// Writes the codes of `from`, and the scales of its blocks.
pub fn to_blocks8(from: &[f32], kind: Codes, codes: &mut [u8], scales: &mut [f32]) -> Result<(), NoMemory> {
    let parts = from.chunks(CHUNK).zip(codes.chunks_mut(CHUNK)).zip(scales.chunks_mut(SCALES));
    let encode = |((from, codes), scales)| Encode { kind, from, codes, scales };
    let work = memory::collected(parts.map(encode))?;
    write_chunks(work, 5 * from.len(), |_, part| dispatch(part))?;
    Ok(())
}

/// Writes the values of codes, with the scales of their blocks.
pub fn from_blocks8(codes: &[u8], scales: &[f32], kind: Codes, to: &mut [f32]) -> Result<(), NoMemory> {
    let parts = codes.chunks(CHUNK).zip(scales.chunks(SCALES)).zip(to.chunks_mut(CHUNK));
    let work = memory::collected(parts.map(|((codes, scales), to)| Decode { kind, codes, scales, to }))?;
    write_chunks(work, 5 * codes.len(), |_, part| dispatch(part))?;
    Ok(())
}

/// Rounds `from` at random. `numbers` are those of the array whose elements from `first` on these are.
pub fn round_at_random(
    from: &[f32],
    numbers: random::Halves,
    first: u64,
    to: Halves<'_>,
) -> Result<(), NoMemory> {
    let (mut rest, mut parts) = (to, memory::with_capacity(from.len().div_ceil(CHUNK))?);
    for (index, from) in from.chunks(CHUNK).enumerate() {
        let (to, tail) = rest.split(from.len());
        rest = tail;
        parts.push(Round { from, numbers, first: first + (index * CHUNK) as u64, to });
    }
    write_chunks(parts, 6 * from.len(), |_, part| dispatch(part))?;
    Ok(())
}

struct Encode<'a> {
    kind: Codes,
    from: &'a [f32],
    codes: &'a mut [u8],
    scales: &'a mut [f32],
}

impl Kernel for Encode<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        encode::<I>(self.kind, self.from, self.codes, self.scales);
    }
}

struct Decode<'a> {
    kind: Codes,
    codes: &'a [u8],
    scales: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Decode<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        decode::<I>(self.kind, self.codes, self.scales, self.to);
    }
}

struct Round<'a> {
    from: &'a [f32],
    numbers: random::Halves,
    first: u64,
    to: Halves<'a>,
}

impl Kernel for Round<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        with_half!(self.to, to => rounded(self.from, to, Some(self.numbers), self.first));
    }
}
