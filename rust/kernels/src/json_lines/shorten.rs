//! Long text as its beginning and a digest of the whole.

use super::scanner::Left;
use std::borrow::Cow;
use std::fmt::Write;

/// How long a text may be, in characters, and how much of a longer one is kept before its digest.
#[derive(Clone, Copy)]
pub struct Longest {
    /// Characters of a text that is kept whole.
    pub whole: usize,
    /// Characters that are kept of a longer one.
    pub beginning: usize,
}

/// The text, or what stands for a longer one: without blanks around it, its beginning and the digest of its UTF-8.
/// A long number whose digits after the point are zeros is left to the caller, for whom 7.0 is 7.
pub(super) fn shortened(text: Cow<'_, str>, longest: Longest) -> Result<Cow<'_, str>, Left> {
    if !is_longer(&text, longest.whole) {
        return Ok(text);
    }
    let whole = text.trim_matches(is_blank);
    if whole.ends_with('0') && whole.bytes().all(|one| matches!(one, b'0'..=b'9' | b'.' | b'-')) {
        return Err(Left);
    }
    if !is_longer(whole, longest.whole) {
        return Ok(Cow::Owned(whole.to_owned()));
    }
    let kept = whole.char_indices().nth(longest.beginning).map_or(whole.len(), |(at, _)| at);
    let mut short = String::with_capacity(kept + 36);
    short.push_str(&whole[..kept]);
    short.push_str("...#");
    // Writing to a String does not fail.
    let _ = write!(short, "{:032x}", u128::from_be_bytes(digest(whole.as_bytes())));
    Ok(Cow::Owned(short))
}

/// Whether a text has more than `most` characters.
fn is_longer(text: &str, most: usize) -> bool {
    text.len() > most && (text.len() > 4 * most || text.chars().nth(most).is_some())
}

/// What Python's `strip` takes away.
fn is_blank(one: char) -> bool {
    one.is_whitespace() || matches!(one, '\u{1c}'..='\u{1f}')
}

const START: [u64; 8] = [
    0x6a09e667f3bcc908,
    0xbb67ae8584caa73b,
    0x3c6ef372fe94f82b,
    0xa54ff53a5f1d36f1,
    0x510e527fade682d1,
    0x9b05688c2b3e6c1f,
    0x1f83d9abfb41bd6b,
    0x5be0cd19137e2179,
];
/// The order in which each round takes the words of a block; rounds 10 and 11 are like 0 and 1.
const ORDER: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const BLOCK: usize = 128;
const DIGEST: usize = 16;

/// `BLAKE2b` (RFC 7693) with a digest of 16 bytes and no key, as `hashlib.blake2b(data, digest_size=16)` computes it.
pub fn digest(data: &[u8]) -> [u8; DIGEST] {
    let mut state = START;
    state[0] ^= 0x0101_0000 ^ DIGEST as u64;
    let last = data.len().saturating_sub(1) / BLOCK;
    for index in 0..=last {
        let piece = &data[index * BLOCK..data.len().min((index + 1) * BLOCK)];
        let mut block = [0; BLOCK];
        block[..piece.len()].copy_from_slice(piece);
        compress(&mut state, &block, (index * BLOCK + piece.len()) as u64, index == last);
    }
    let mut out = [0; DIGEST];
    out[..8].copy_from_slice(&state[0].to_le_bytes());
    out[8..].copy_from_slice(&state[1].to_le_bytes());
    out
}

fn compress(state: &mut [u64; 8], block: &[u8; BLOCK], bytes: u64, is_last: bool) {
    let (words, _) = block.as_chunks::<8>();
    let mut message = [0; 16];
    for (word, bytes) in message.iter_mut().zip(words) {
        *word = u64::from_le_bytes(*bytes);
    }
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&START);
    v[12] ^= bytes;
    if is_last {
        v[14] = !v[14];
    }
    for round in 0..12 {
        let order = &ORDER[round % 10];
        let m = |k: usize| message[order[k] & 15];
        mix(&mut v, [0, 4, 8, 12], m(0), m(1));
        mix(&mut v, [1, 5, 9, 13], m(2), m(3));
        mix(&mut v, [2, 6, 10, 14], m(4), m(5));
        mix(&mut v, [3, 7, 11, 15], m(6), m(7));
        mix(&mut v, [0, 5, 10, 15], m(8), m(9));
        mix(&mut v, [1, 6, 11, 12], m(10), m(11));
        mix(&mut v, [2, 7, 8, 13], m(12), m(13));
        mix(&mut v, [3, 4, 9, 14], m(14), m(15));
    }
    for (k, word) in state.iter_mut().enumerate() {
        *word ^= v[k] ^ v[k + 8];
    }
}

#[inline(always)]
fn mix(v: &mut [u64; 16], [a, b, c, d]: [usize; 4], x: u64, y: u64) {
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(x);
    v[d] = (v[d] ^ v[a]).rotate_right(32);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(24);
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(y);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(63);
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_of_hashlib() {
        let hex = |data: &[u8]| format!("{:032x}", u128::from_be_bytes(digest(data)));
        assert_eq!(hex(b""), "cae66941d9efbd404e4d88758ea67670");
        assert_eq!(hex(b"abc"), "cf4ab791c62b8d2b2109c90275287816");
        assert_eq!(hex(&[7; 128]), "756a48ce14169f40cd99326c54065708");
        assert_eq!(hex(&[7; 129]), "5523fec1519f1d315e4fed9447db857f");
        assert_eq!(hex(&[7; 300]), "119e8ee566cc271b97e483ef8a8a99b1");
    }
}
