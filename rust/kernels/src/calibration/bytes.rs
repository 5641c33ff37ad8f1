//! The bytes of a tally: a row a bin (`u64 count, u64 correct, i128 sum`), then what was left out
//! (`u64 excluded, u64 nan, u64 clamped`).

use super::bins::MAX_BINS;
use super::block::LeftOut;
use super::tally::{Row, Tally};
use crate::exact::Fixed;
use crate::exact::bytes::{BytesError, Kind, Reader, Writer};
use crate::memory::{self, NoMemory};

const LAYOUT: u8 = 1;
const ROW: usize = 32;

/// A tally, with the configuration of the state that it belongs to.
pub fn to_bytes(tally: &Tally, config: &[u8]) -> Result<Vec<u8>, NoMemory> {
    let mut writer = Writer::new(Kind::Reliability, LAYOUT, config, tally.rows.len() as u32);
    for row in &tally.rows {
        writer.u64(row.count);
        writer.u64(row.correct);
        writer.fixed(Fixed::from_bytes(row.sum.to_le_bytes()));
    }
    let LeftOut { excluded, nan, clamped } = tally.left_out;
    for count in [excluded, nan, clamped] {
        writer.u64(count);
    }
    writer.finish()
}

/// The tally and the configuration in `bytes`.
pub fn from_bytes(bytes: &[u8]) -> Result<(Tally, Vec<u8>), BytesError> {
    let mut reader = Reader::open(bytes, Kind::Reliability, LAYOUT)?;
    let n_bins = reader.rows() as usize;
    if !reader.holds(ROW) || n_bins == 0 || n_bins > MAX_BINS {
        return Err(BytesError::Malformed);
    }
    let config = memory::copied(reader.config())?;
    let mut rows = memory::with_capacity(n_bins)?;
    for _ in 0..n_bins {
        let (count, correct) = (reader.u64()?, reader.u64()?);
        let sum = i128::from_le_bytes(reader.fixed()?.to_bytes());
        // A checksum that fits does not make sense of nonsense: frequencies and means lie in [0, 1].
        if correct > count || sum < 0 || sum > i128::from(count) << 64 {
            return Err(BytesError::Impossible);
        }
        rows.push(Row { count, correct, sum });
    }
    let left_out = LeftOut { excluded: reader.u64()?, nan: reader.u64()?, clamped: reader.u64()? };
    reader.finish()?;
    let tally = Tally { rows, left_out };
    if tally.fits() { Ok((tally, config)) } else { Err(BytesError::Impossible) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let rows = vec![Row { count: 3, correct: 2, sum: 3 << 63 }, Row::default()];
        Tally { rows, left_out: LeftOut { excluded: 1, nan: 2, clamped: 3 } }
    }

    #[test]
    fn what_is_written_is_read() {
        let (read, config) = from_bytes(&to_bytes(&tally(), b"{}").unwrap()).unwrap();
        assert_eq!((read, config), (tally(), b"{}".to_vec()));
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = to_bytes(&tally(), b"{}").unwrap();
        for length in 0..whole.len() {
            assert!(from_bytes(&whole[..length]).is_err());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut nonsense = tally();
        nonsense.rows[0].correct = 4;
        let refused =
            |tally: &Tally| from_bytes(&to_bytes(tally, b"").unwrap()) == Err(BytesError::Impossible);
        assert!(refused(&nonsense));
        nonsense = tally();
        nonsense.rows[1].sum = 1;
        assert!(refused(&nonsense));
        nonsense = tally();
        nonsense.left_out.clamped = 4;
        assert!(refused(&nonsense), "more rows above 1 than rows");
        for (count, nan) in [(u64::MAX, 0), (1 << 63, 0), ((1 << 63) - 3, 2)] {
            nonsense = tally();
            (nonsense.rows[1].count, nonsense.left_out.nan) = (count, nan);
            assert!(refused(&nonsense), "more rows than can be counted");
        }
        assert_eq!(from_bytes(&to_bytes(&Tally::new(0).unwrap(), b"").unwrap()), Err(BytesError::Malformed));
    }
}
