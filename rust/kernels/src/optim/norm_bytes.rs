//! The bytes of a global norm: its exact sum of squares in limbs of 64 bits, the least significant first; a sum of 0
//! has no limbs.

use crate::memory::{self, NoMemory};
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const LAYOUT: u8 = 1;
/// The configuration, which is empty because there are no options.
const CONFIG: &[u8] = b"{}";
/// The sum is in units of 2^-3200. Each sum of squares that is added is `m * 2^e` with `e >= -1074 - 2 * 1000`, from
/// the smallest f64 and the largest scale.
pub const NORM_UNIT: u32 = 3200;
/// The bits of the largest sum: 2^64 squares, each below 2^2048. No program adds as many.
pub const NORM_BITS: u32 = NORM_UNIT + 2048 + 64;

/// The bytes of the sum with these limbs.
pub fn norm_to_bytes(limbs: &[u64]) -> Result<Vec<u8>, NoMemory> {
    let mut writer = Writer::new(Kind::GlobalNorm, LAYOUT, CONFIG, limbs.len() as u32);
    for &limb in limbs {
        writer.u64(limb);
    }
    writer.finish()
}

/// The limbs in `bytes`, the last of them not 0.
pub fn norm_from_bytes(bytes: &[u8]) -> Result<Vec<u64>, BytesError> {
    let mut reader = Reader::open(bytes, Kind::GlobalNorm, LAYOUT)?;
    if !reader.holds(8) {
        return Err(BytesError::Malformed);
    }
    if reader.config() != CONFIG || reader.rows() > NORM_BITS / u64::BITS {
        return Err(BytesError::Impossible);
    }
    let mut limbs = memory::with_capacity(reader.rows() as usize)?;
    for _ in 0..reader.rows() {
        limbs.push(reader.u64()?);
    }
    reader.finish()?;
    if limbs.last() == Some(&0) { Err(BytesError::Impossible) } else { Ok(limbs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let most = [u64::MAX; (NORM_BITS / u64::BITS) as usize];
        for limbs in [&[][..], &[1], &[0, 7], &most] {
            assert_eq!(norm_from_bytes(&norm_to_bytes(limbs).unwrap()).unwrap(), limbs);
        }
    }

    #[test]
    fn limbs_that_no_update_can_give_are_refused() {
        assert_eq!(NORM_BITS % u64::BITS, 0, "a bound on the limbs is a bound on the bits");
        let many = vec![1; 100_000];
        for limbs in [&[0][..], &[5, 0], &[1; (NORM_BITS / u64::BITS) as usize + 1], &many] {
            assert_eq!(norm_from_bytes(&norm_to_bytes(limbs).unwrap()), Err(BytesError::Impossible));
        }
        let other = Writer::new(Kind::GlobalNorm, LAYOUT, b"[]", 0).finish().unwrap();
        assert_eq!(norm_from_bytes(&other), Err(BytesError::Impossible));
    }
}
