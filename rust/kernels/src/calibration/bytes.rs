//! The bytes of a state, in one of three layouts.
//!
//! 1. Rows without clusters: one entry per bin (`u64 count, u64 correct, i128 sum`), then what was left out
//!    (`u64 excluded, u64 nan, u64 clamped`).
//! 2. Rows with clusters, or without clusters where [`LeftOut::rounded`] is not 0: `u64 bins, excluded, nan, clamped,
//!    rounded`, then one entry per cluster: `id, u64 k`, and `k` times `u64 bin, u64 count, u64 correct, i128 sum`, for
//!    the bins that hold rows. An id is `#` and eight bytes of a number, or `"` and text; a state without clusters has
//!    one entry, whose id is empty.
//! 3. Rows with weights: `u64 bins, excluded, nan, clamped, rounded, weightless`, then one entry per cluster as in
//!    layout 2, with an `f64 weight` before each bin. A state without clusters has one entry, whose id is empty and
//!    whose `k` items are single rows, each written as a bin of count 1.

use super::alone::Alone;
use super::bins::MAX_BINS;
use super::block::LeftOut;
use super::cells::{BinTotals, Cell, MAX_CLUSTERED_BINS, Refused};
use super::tally::{Bin, Tally};
use super::weights::Weight;
use crate::clusters::{Id, Shards};
use crate::exact::Fixed;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::sorting::sorted;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const PLAIN: u8 = 1;
const CLUSTERS: u8 = 2;
const WEIGHTS: u8 = 3;
const ROW: usize = 32;
/// The fewest bytes that a cluster's entry can have: the length of an empty id, `k`, the index of one bin, and its
/// counts.
const CLUSTER: usize = 2 + 8 + 8 + ROW;

impl State for BinTotals {
    const KIND: Kind = Kind::Reliability;
    type Refused = Refused;

    /// The copy shares the clusters' memory with the original until one of the two changes them.
    fn copied(&self) -> Result<BinTotals, NoMemory> {
        let tally = Tally { bins: memory::copied(&self.tally.bins)?, left_out: self.tally.left_out };
        let (cells, weighted) = (self.cells.copied()?, self.weighted.copied()?);
        Ok(BinTotals { tally, cells, weighted, alone: self.alone.copied()? })
    }

    /// Only integers are added, so the order of merging does not change the result.
    fn merged(
        &self,
        other: &BinTotals,
        progress: Progress<'_>,
    ) -> Result<Result<BinTotals, Refused>, Stopped> {
        if let Err(refused) = self.takes(other) {
            return Ok(Err(refused));
        }
        let Some(tally) = self.tally.plus(&other.tally)? else { return Ok(Err(Refused::Range)) };
        let alone = self.alone.joined(&other.alone, &mut Pace::new(&mut *progress))?;
        let cells = self.cells.merged(&other.cells, &mut *progress)?;
        let weighted = self.weighted.merged(&other.weighted, progress)?;
        let both = cells.zip(weighted);
        Ok(both.map(|(cells, weighted)| BinTotals { tally, cells, weighted, alone }).ok_or(Refused::Range))
    }

    /// `None` where there are 2^32 clusters or more, or a name is longer than [`crate::clusters::LONGEST_TEXT`].
    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        let mut pace = Pace::new(progress);
        let LeftOut { excluded, nan, weightless, clamped, rounded } = self.tally.left_out;
        let (bins, weighted) = (&self.tally.bins, self.is_weighted());
        if !self.is_clustered() && !weighted && rounded == 0 {
            let mut writer = Writer::new(Kind::Reliability, PLAIN, config, bins.len() as u32);
            for bin in bins {
                write_bin(&mut writer, bin);
            }
            for count in [excluded, nan, clamped] {
                writer.u64(count);
            }
            return writer.finish_at(&mut pace).map(Some);
        }
        let mut groups = Vec::new();
        if self.is_clustered() {
            self.each_cluster(&mut pace, |bins| Ok(memory::push(&mut groups, bins.len())?))?;
        }
        let of_none = if weighted { !self.alone.is_empty() } else { !self.is_clustered() };
        let Ok(clusters) = u32::try_from(groups.len() + usize::from(of_none)) else { return Ok(None) };
        let layout = if weighted { WEIGHTS } else { CLUSTERS };
        let mut writer = Writer::new(Kind::Reliability, layout, config, clusters);
        for count in [bins.len() as u64, excluded, nan, clamped, rounded] {
            writer.u64(count);
        }
        if weighted {
            writer.u64(weightless);
        }
        if of_none {
            let filled = || self.tally.filled();
            if !writer.id(&[]) {
                return Ok(None);
            }
            writer.u64(if weighted { self.alone.len() } else { filled().count() } as u64);
            if weighted {
                let alone = memory::gathered(self.alone.iter().copied())?;
                for row in sorted(alone, Ord::cmp, &mut pace)? {
                    write_weight(&mut writer, row.weight);
                    writer.u64(u64::from(row.index));
                    write_bin(&mut writer, &row.in_bin());
                    pace.step()?;
                }
            } else {
                for (index, bin) in filled() {
                    writer.u64(index as u64);
                    write_bin(&mut writer, bin);
                }
            }
            return writer.finish_at(&mut pace).map(Some);
        }
        let fits = if weighted {
            write_clusters(&mut writer, &self.weighted, &groups, write_weight, &mut pace)?
        } else {
            write_clusters(&mut writer, &self.cells, &groups, |_, ()| (), &mut pace)?
        };
        if fits { writer.finish_at(&mut pace).map(Some) } else { Ok(None) }
    }

    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(BinTotals, Vec<u8>), BytesError> {
        let mut pace = Pace::new(progress);
        let mut reader = Reader::open_at(bytes, Kind::Reliability, WEIGHTS, &mut pace)?;
        let config = memory::copied(reader.config())?;
        let state = match reader.layout() {
            layout @ (CLUSTERS | WEIGHTS) => clusters(&mut reader, layout == WEIGHTS, &mut pace)?,
            PLAIN => BinTotals::from(plain(&mut reader)?),
            _ => return Err(BytesError::Malformed),
        };
        reader.finish()?;
        if state.tally.fits() { Ok((state, config)) } else { Err(BytesError::Impossible) }
    }
}

/// Writes the cells cluster by cluster; `groups` says how many each cluster has. False where a name is too long.
fn write_clusters<W: Ord + Copy>(
    writer: &mut Writer,
    cells: &Shards<Cell<W>>,
    groups: &[usize],
    write_weight: impl Fn(&mut Writer, W),
    pace: &mut Pace<'_>,
) -> Result<bool, Stopped> {
    let mut cells = cells.iter();
    for &bins in groups {
        for (k, Cell { key: (id, weight, index), bin }) in cells.by_ref().take(bins).enumerate() {
            if k == 0 {
                if !id.write(writer) {
                    return Ok(false);
                }
                writer.u64(bins as u64);
            }
            write_weight(writer, *weight);
            writer.u64(u64::from(*index));
            write_bin(writer, bin);
            pace.step()?;
        }
    }
    Ok(true)
}

fn write_weight(writer: &mut Writer, weight: Weight) {
    writer.u64(weight.value().to_bits());
}

fn write_bin(writer: &mut Writer, bin: &Bin) {
    writer.u64(bin.count);
    writer.u64(bin.correct);
    writer.fixed(Fixed::from_bytes(bin.sum.to_le_bytes()));
}

/// Reads a bin and refuses one that no data can produce: its frequency and its mean probability must lie in [0, 1]. The
/// checksum cannot show this, since it also matches where wrong values were written.
fn read_bin(reader: &mut Reader<'_>) -> Result<Bin, BytesError> {
    let (count, correct) = (reader.u64()?, reader.u64()?);
    let sum = i128::from_le_bytes(reader.fixed()?.to_bytes());
    let possible = correct <= count && sum >= 0 && sum <= i128::from(count) << 64;
    if possible { Ok(Bin { count, correct, sum }) } else { Err(BytesError::Impossible) }
}

fn plain(reader: &mut Reader<'_>) -> Result<Tally, BytesError> {
    let n_bins = reader.rows() as usize;
    if !reader.holds(ROW) || n_bins == 0 || n_bins > MAX_BINS {
        return Err(BytesError::Malformed);
    }
    let mut bins = memory::with_capacity(n_bins)?;
    for _ in 0..n_bins {
        bins.push(read_bin(reader)?);
    }
    let (excluded, nan, clamped) = (reader.u64()?, reader.u64()?, reader.u64()?);
    Ok(Tally { bins, left_out: LeftOut { excluded, nan, clamped, ..LeftOut::default() } })
}

fn clusters(reader: &mut Reader<'_>, weighted: bool, pace: &mut Pace<'_>) -> Result<BinTotals, BytesError> {
    let groups = reader.rows();
    let n_bins = reader.u64()?;
    let (excluded, nan, clamped, rounded) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
    let weightless = if weighted { reader.u64()? } else { 0 };
    let left_out = LeftOut { excluded, nan, weightless, clamped, rounded };
    // Bytes without entries have no row that counts. A state is written so only where it has rows of weight 0, which
    // make it a state with weights.
    let none = groups == 0 && weightless == 0;
    if !reader.holds(CLUSTER) || none || n_bins == 0 || n_bins > MAX_BINS as u64 {
        return Err(BytesError::Malformed);
    }
    let mut state = BinTotals::new(n_bins as usize)?;
    state.tally.left_out = left_out;
    if weighted && n_bins > MAX_CLUSTERED_BINS as u64 {
        return Err(BytesError::Impossible);
    }
    let mut before = None;
    for _ in 0..groups {
        let id = reader.id()?;
        if id.is_empty() {
            // An empty id holds the rows of a state without clusters. It stands alone, and layout 2 has it only for
            // rounded probabilities.
            if groups != 1 || (!weighted && rounded == 0) {
                return Err(BytesError::Impossible);
            }
            if weighted {
                alone(reader, n_bins, &mut state, pace)?;
            } else {
                bins(reader, n_bins, false, &mut state.tally, |_, _, _| Ok(()))?;
            }
            continue;
        }
        let id = Id::from_bytes(id)?;
        if n_bins > MAX_CLUSTERED_BINS as u64 || before.as_ref().is_some_and(|before| *before >= id) {
            return Err(BytesError::Impossible);
        }
        let BinTotals { tally, cells, weighted: of_weights, .. } = &mut state;
        bins(reader, n_bins, weighted, tally, |weight, index, bin| {
            if weighted {
                of_weights.push(Cell { key: (id.clone(), weight, index), bin })?;
            } else {
                cells.push(Cell { key: (id.clone(), (), index), bin })?;
            }
            Ok(pace.step()?)
        })?;
        before = Some(id);
    }
    Ok(state)
}

/// Reads the bins of a cluster, which must ascend by weight and, within a weight, by index. They are added to the tally
/// of all rows and given to `take`.
fn bins(
    reader: &mut Reader<'_>,
    n_bins: u64,
    weighted: bool,
    tally: &mut Tally,
    mut take: impl FnMut(Weight, u32, Bin) -> Result<(), BytesError>,
) -> Result<(), BytesError> {
    let k = reader.u64()?;
    let mut before = None;
    for _ in 0..k {
        let weight = if weighted { read_weight(reader)? } else { Weight::NONE };
        let (index, bin) = (reader.u64()?, read_bin(reader)?);
        if before.is_some_and(|before| before >= (weight, index)) || index >= n_bins || bin.count == 0 {
            return Err(BytesError::Impossible);
        }
        let all = &mut tally.bins[index as usize];
        *all = all.plus(&bin).ok_or(BytesError::Impossible)?;
        take(weight, index as u32, bin)?;
        before = Some((weight, index));
    }
    if k > 0 { Ok(()) } else { Err(BytesError::Impossible) }
}

/// Reads the rows of a state with weights but without clusters, which must be sorted.
fn alone(
    reader: &mut Reader<'_>,
    n_bins: u64,
    state: &mut BinTotals,
    pace: &mut Pace<'_>,
) -> Result<(), BytesError> {
    let k = reader.u64()?;
    let mut before = None;
    for _ in 0..k {
        let (weight, index, Bin { count, correct, sum }) =
            (read_weight(reader)?, reader.u64()?, read_bin(reader)?);
        if count != 1 || index >= n_bins {
            return Err(BytesError::Impossible);
        }
        let one = Alone { weight, index: index as u32, correct: correct > 0, sum };
        if before.is_some_and(|before| before > one) {
            return Err(BytesError::Impossible);
        }
        state.add_alone(one)?;
        before = Some(one);
        pace.step()?;
    }
    if k > 0 { Ok(()) } else { Err(BytesError::Impossible) }
}

fn read_weight(reader: &mut Reader<'_>) -> Result<Weight, BytesError> {
    Weight::new(f64::from_bits(reader.u64()?)).ok_or(BytesError::Impossible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(_: usize) -> bool {
        true
    }

    fn tally() -> Tally {
        let bins = vec![Bin { count: 3, correct: 2, sum: 3 << 63 }, Bin::default()];
        Tally { bins, left_out: LeftOut { excluded: 1, nan: 2, clamped: 3, ..LeftOut::default() } }
    }

    fn written(state: &BinTotals) -> Vec<u8> {
        state.to_bytes(b"{}", &mut go).unwrap().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<BinTotals, BytesError> {
        let (state, config) = BinTotals::from_bytes(bytes, &mut go)?;
        assert_eq!(config, b"{}");
        assert_eq!(written(&state), bytes, "canonical");
        Ok(state)
    }

    /// A cluster: its id, and its bins as (index, count, correct, sum).
    type Cluster = (&'static [u8], &'static [(u64, u64, u64, i128)]);

    fn clustered(counts: [u64; 5], clusters: &[Cluster]) -> Vec<u8> {
        let mut writer = Writer::new(Kind::Reliability, CLUSTERS, b"{}", clusters.len() as u32);
        for count in counts {
            writer.u64(count);
        }
        for (id, bins) in clusters {
            assert!(writer.id(&[id]));
            writer.u64(bins.len() as u64);
            for &(bin, count, correct, sum) in *bins {
                writer.u64(bin);
                write_bin(&mut writer, &Bin { count, correct, sum });
            }
        }
        writer.finish().unwrap()
    }

    const COUNTS: [u64; 5] = [3, 1, 2, 3, 0];
    const A: Cluster = (b"\"a", &[(0, 3, 2, 1 << 62), (2, 1, 1, 1 << 64)]);
    const B: Cluster = (b"\"b", &[(2, 5, 0, 3 << 63)]);

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&written(&BinTotals::from(tally()))).unwrap().tally, tally());
        let state = read(&clustered(COUNTS, &[A, B])).unwrap();
        assert_eq!(state.tally.bins[2], Bin { count: 6, correct: 1, sum: (1 << 64) + (3 << 63) });
        assert_eq!(state.cells.len(), 3);
        let mut rounded = tally();
        rounded.left_out.rounded = 3;
        assert_eq!(read(&written(&BinTotals::from(rounded.clone()))).unwrap().tally, rounded);
    }

    #[test]
    fn every_truncation_is_refused() {
        for whole in [written(&BinTotals::from(tally())), clustered(COUNTS, &[A, B])] {
            for length in 0..whole.len() {
                assert!(BinTotals::from_bytes(&whole[..length], &mut go).is_err());
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut nonsense = tally();
        nonsense.bins[0].correct = 4;
        let refused = |tally: &Tally| {
            BinTotals::from_bytes(&written(&BinTotals::from(tally.clone())), &mut go).unwrap_err()
                == BytesError::Impossible
        };
        assert!(refused(&nonsense));
        nonsense = tally();
        nonsense.bins[1].sum = 1;
        assert!(refused(&nonsense));
        nonsense = tally();
        nonsense.left_out.clamped = 4;
        assert!(refused(&nonsense), "more rows above 1 than rows");
        for (count, nan) in [(u64::MAX, 0), (1 << 63, 0), ((1 << 63) - 3, 2)] {
            nonsense = tally();
            (nonsense.bins[1].count, nonsense.left_out.nan) = (count, nan);
            assert!(refused(&nonsense), "more rows than can be counted");
        }
        let none = written(&BinTotals::new(0).unwrap());
        assert_eq!(BinTotals::from_bytes(&none, &mut go).unwrap_err(), BytesError::Malformed);
    }

    #[test]
    fn clusters_that_no_rows_make_are_refused() {
        let refused = |counts, clusters: &[Cluster]| {
            BinTotals::from_bytes(&clustered(counts, clusters), &mut go).unwrap_err()
                == BytesError::Impossible
        };
        assert!(refused(COUNTS, &[B, A]), "ids that descend");
        assert!(refused(COUNTS, &[A, A]), "an id twice");
        assert!(refused(COUNTS, &[(b"", B.1)]), "no cluster, and nothing rounded");
        assert!(refused([3, 1, 2, 3, 1], &[(b"", B.1), A]), "rows with and without clusters");
        assert!(refused([3, 1, 2, 3, 10], &[A, B]), "more rounded rows than rows");
        assert!(refused(COUNTS, &[(b"\"a", &[(3, 1, 1, 0)])]), "no such bin");
        assert!(refused(COUNTS, &[(b"\"a", &[(1, 1, 1, 0), (1, 1, 1, 0)])]), "a bin twice");
        assert!(refused(COUNTS, &[(b"\"a", &[(1, 0, 0, 0)])]), "an empty bin");
        assert!(refused(COUNTS, &[(b"\"a", &[(1, 2, 3, 0)])]), "more right than rows");
        assert!(refused(COUNTS, &[(b"\"a", &[(1, 1, 0, -1)])]), "a negative sum");
        assert!(refused(COUNTS, &[A, (b"\"b", &[(0, 1 << 63, 0, 0)])]), "more rows than can be counted");
        assert!(refused([1001, 0, 0, 0, 0], &[A, B]), "more bins than clusters may have");
        let malformed = |counts, clusters: &[Cluster]| {
            BinTotals::from_bytes(&clustered(counts, clusters), &mut go).unwrap_err() == BytesError::Malformed
        };
        assert!(malformed(COUNTS, &[]) && malformed([0, 0, 0, 0, 0], &[A]));
        assert!(malformed(COUNTS, &[(b"x", B.1)]), "an id without its mark");
    }
}
