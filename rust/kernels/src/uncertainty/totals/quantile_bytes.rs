//! The bytes of [`QuantileCounts`]: `u64 n, excluded, nan`, then one row per block: `u64 key, shift, bins`, and for each bin
//! its bits and its count.

use super::histogram::{Block, Histogram, MANTISSA, MOST, of_rank_bits};
use super::quantile_state::QuantileCounts;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const LAYOUT: u8 = 1;
/// The bytes of a block of one bin.
const LEAST_ROW: usize = 5 * 8;

pub(super) fn write(
    totals: &QuantileCounts,
    config: &[u8],
    progress: Progress<'_>,
) -> Result<Option<Vec<u8>>, Stopped> {
    let mut pace = Pace::new(progress);
    let blocks = &totals.histogram.blocks;
    let Ok(rows) = u32::try_from(blocks.len()) else { return Ok(None) };
    let mut writer = Writer::new(Kind::Quantile, LAYOUT, config, rows);
    for count in [totals.n, totals.excluded, totals.nan] {
        writer.u64(count);
    }
    for Block { key, shift, bins } in blocks {
        for number in [u64::from(*key), u64::from(*shift), bins.len() as u64] {
            writer.u64(number);
        }
        for &(bin, count) in bins {
            writer.u64(bin);
            writer.u64(count);
        }
        pace.stride(bins.len())?;
    }
    writer.finish_at(&mut pace).map(Some)
}

pub(super) fn read(bytes: &[u8], progress: Progress<'_>) -> Result<(QuantileCounts, Vec<u8>), BytesError> {
    let mut pace = Pace::new(progress);
    let mut reader = Reader::open_at(bytes, Kind::Quantile, LAYOUT, &mut pace)?;
    let (rows, config) = (reader.rows(), memory::copied(reader.config())?);
    let [n, excluded, nan] = [reader.u64()?, reader.u64()?, reader.u64()?];
    if !reader.holds(LEAST_ROW) {
        return Err(BytesError::Malformed);
    }
    let mut blocks: Vec<Block> = memory::with_capacity(rows as usize)?;
    let mut left = n;
    for _ in 0..rows {
        let block = block(&mut reader)?;
        let own = block.bins.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
        let rest = own.and_then(|own| left.checked_sub(own)).ok_or(BytesError::Impossible)?;
        if blocks.last().is_some_and(|before| before.key >= block.key) {
            return Err(BytesError::Impossible);
        }
        left = rest;
        blocks.push(block);
        pace.stride(MOST)?;
    }
    reader.finish()?;
    if left > 0 {
        return Err(BytesError::Impossible);
    }
    Ok((QuantileCounts { n, histogram: Histogram { blocks }, excluded, nan }, config))
}

fn block(reader: &mut Reader<'_>) -> Result<Block, BytesError> {
    let [key, shift, count] = [reader.u64()?, reader.u64()?, reader.u64()?];
    let finite = key < 1 << 12 && of_rank_bits(key << MANTISSA).is_finite();
    // As many bins as one bit more would leave need no more than that.
    let possible = finite && shift <= u64::from(MANTISSA) && (1..=MOST as u64).contains(&count);
    if !possible || (shift > 0 && count <= MOST as u64 / 2) {
        return Err(BytesError::Impossible);
    }
    let shift = shift as u8;
    let mut bins: Vec<(u64, u64)> = memory::with_capacity(count as usize)?;
    for _ in 0..count {
        let (bin, values) = (reader.u64()?, reader.u64()?);
        let follows = bins.last().is_none_or(|before| before.0 < bin);
        if !follows || values == 0 || bin >= 1 << (MANTISSA - u32::from(shift)) {
            return Err(BytesError::Impossible);
        }
        bins.push((bin, values));
    }
    Ok(Block { key: key as u16, shift, bins })
}
