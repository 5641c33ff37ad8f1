//! The bytes of [`SequenceTotals`]: `u64 differences, ordered, excluded, nan, n, ones`, then, where values are kept in
//! their order, one row of eight bytes for each.

use super::state::{Kept, MOST, SequenceTotals, Stream};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const LAYOUT: u8 = 1;
/// Values that are read before they are appended together.
const PIECE: usize = 1 << 12;

pub(super) fn write(
    totals: &SequenceTotals,
    config: &[u8],
    progress: Progress<'_>,
) -> Result<Option<Vec<u8>>, Stopped> {
    let mut pace = Pace::new(progress);
    let (rows, ones) = match &totals.kept {
        Kept::Stream(stream) => (stream.len(), 0),
        Kept::Counts { ones, .. } => (0, *ones),
    };
    let Ok(rows) = u32::try_from(rows) else { return Ok(None) };
    let mut writer = Writer::new(Kind::Sequence, LAYOUT, config, rows);
    writer.choice(totals.differences);
    for count in [u64::from(totals.ordered()), totals.excluded, totals.nan, totals.size(), ones] {
        writer.u64(count);
    }
    if let Kept::Stream(stream) = &totals.kept {
        for y in stream.parts().flatten() {
            writer.u64(y.to_bits());
            pace.step()?;
        }
    }
    writer.finish_at(&mut pace).map(Some)
}

pub(super) fn read(bytes: &[u8], progress: Progress<'_>) -> Result<(SequenceTotals, Vec<u8>), BytesError> {
    let mut pace = Pace::new(progress);
    let mut reader = Reader::open_at(bytes, Kind::Sequence, LAYOUT, &mut pace)?;
    let (rows, config) = (reader.rows() as usize, memory::copied(reader.config())?);
    if !reader.holds(8) {
        return Err(BytesError::Malformed);
    }
    let differences = reader.choice()?;
    let [ordered, excluded, nan] = [reader.u64()?, reader.u64()?, reader.u64()?];
    let [n, ones] = [reader.u64()?, reader.u64()?];
    let held = if ordered == 1 { n == rows as u64 && ones == 0 } else { rows == 0 && ones <= n };
    let known = differences.is_some() == (n > 0) && !(ordered == 0 && differences == Some(true));
    if ordered > 1 || !held || !known || n > MOST {
        return Err(BytesError::Impossible);
    }
    let kept = if ordered == 1 {
        let mut stream = Stream::default();
        let mut piece = memory::with_capacity(PIECE.min(rows))?;
        for _ in 0..rows {
            let bits = reader.u64()?;
            // The bits of the numbers from 0 to 1 are those up to the bits of 1; -0 is none of them.
            if bits > 1f64.to_bits() {
                return Err(BytesError::Impossible);
            }
            piece.push(f64::from_bits(bits));
            if piece.len() == PIECE {
                stream.append(&piece, &mut pace)?;
                piece.clear();
            }
            pace.step()?;
        }
        stream.append(&piece, &mut pace)?;
        Kept::Stream(stream)
    } else {
        Kept::Counts { n, ones }
    };
    reader.finish()?;
    Ok((SequenceTotals { kept, differences, excluded, nan }, config))
}
