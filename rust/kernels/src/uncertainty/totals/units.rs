//! The numbers by which the weights of a unit are found, the same wherever its rows are read.

use crate::clusters::Names;
use crate::memory::{self, NoMemory};

/// What the id of a unit is, which is a part of the counter of its weights: the number 7 and the text "7" differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IdKind {
    /// A whole number of 64 bits, which stands in the counter itself.
    Number = 0,
    /// A text, which stands there as a hash of 64 bits.
    Text = 1,
}

/// The units of the rows of a batch.
pub struct UnitIds {
    /// What the ids are.
    pub kind: IdKind,
    /// The number of each row's unit.
    pub numbers: Vec<u64>,
}

/// Why rows have no unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutOfRange(pub usize);

impl UnitIds {
    /// Rows that are units of their own, by their numbers.
    pub fn numbered(ids: &[i64]) -> Result<UnitIds, NoMemory> {
        let numbers = memory::collected(ids.iter().map(|id| id.cast_unsigned()))?;
        Ok(UnitIds { kind: IdKind::Number, numbers })
    }

    /// Rows in clusters with these names.
    pub fn clusters(codes: &[i64], names: Names<'_>) -> Result<Result<UnitIds, OutOfRange>, NoMemory> {
        let (kind, of) = match names {
            Names::Numbers(ids) => {
                (IdKind::Number, memory::collected(ids.iter().map(|id| id.cast_unsigned()))?)
            }
            Names::Texts(ids) => (IdKind::Text, memory::collected(ids.iter().map(|id| hash(id.as_bytes())))?),
            Names::None => (IdKind::Number, Vec::new()),
        };
        let mut numbers = memory::with_capacity(codes.len())?;
        for (row, &code) in codes.iter().enumerate() {
            // A negative code becomes a number that is too large.
            let Some(&number) = of.get(code as usize) else { return Ok(Err(OutOfRange(row))) };
            numbers.push(number);
        }
        Ok(Ok(UnitIds { kind, numbers }))
    }
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of a text, the same on every machine: eight bytes at a time, little endian, and the length at the end.
///
/// Of 10^9 different texts one or two have the hash of another, and then the same weights, which correlates two of 10^9
/// units.
fn hash(text: &[u8]) -> u64 {
    let mut state = 0;
    for part in text.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        state = mixed(state ^ u64::from_le_bytes(bytes));
    }
    mixed(state ^ text.len() as u64)
}

/// A mixture of all bits, of which there is an inverse (the last steps of `MurmurHash3`, after a multiplication).
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(MULTIPLIER);
    let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn texts_have_hashes_of_their_own() {
        let texts =
            (0..100_000).map(|i| format!("row {i}")).chain([String::new(), "\0".into(), "\0\0".into()]);
        let hashes: BTreeSet<u64> = texts.map(|text| hash(text.as_bytes())).collect();
        assert_eq!(hashes.len(), 100_003);
    }

    #[test]
    fn the_bits_of_hashes_are_even() {
        for bit in 0..64 {
            let ones = (0..10_000).filter(|i| hash(format!("{i}").as_bytes()) >> bit & 1 == 1).count();
            assert!((4_700..5_300).contains(&ones), "{bit}: {ones}");
        }
    }

    #[test]
    fn rows_are_named_by_number() {
        assert_eq!(UnitIds::numbered(&[-1, 0, 1]).unwrap().numbers, [u64::MAX, 0, 1]);
        let of =
            |codes: &[i64]| UnitIds::clusters(codes, Names::Numbers(&[5, 9])).unwrap().map(|ids| ids.numbers);
        assert_eq!(of(&[1, 0, 1]), Ok(vec![9, 5, 9]));
        assert_eq!(of(&[1, 2]), Err(OutOfRange(1)));
        assert_eq!(of(&[-1]), Err(OutOfRange(0)));
    }
}
