//! Counts of rows in clusters. The bin of every row is found as in the tally without clusters; then the rows are sorted
//! by cluster, and each cluster's rows are added up by bin.

use super::alone::Alone;
use super::bins::Probability;
use super::block::{Block, Fault, LeftOut};
use super::cells::{BinTotals, Cell};
use super::sink::{EqualWidth, Gather, Sink};
use super::sources::Source;
use super::tally::{Bin, Options, chunk_rows, fixed};
use super::weights::Weight;
use crate::clusters::Names;
use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::{dispatch, scalar};
use std::ops::Range;

type Work<S> = <<S as Source>::Item as Probability>::Work;

/// Which cluster each row belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Clusters<'a> {
    /// The code of each row. It is read only where the row counts.
    pub codes: &'a [i64],
    /// The name of each code. Rows of one cluster that have different weights have different codes with the same name.
    pub names: Names<'a>,
    /// The weight of each code's rows, where rows have weights.
    pub weights: Option<&'a [f64]>,
}

impl Clusters<'_> {
    /// The weight of a row with that code, where rows have weights.
    fn weight(&self, code: usize) -> Result<Option<Weight>, Fault> {
        let Some(weights) = self.weights else { return Ok(None) };
        // A code without a weight is treated as NaN, which is refused below.
        let value = weights.get(code).copied().unwrap_or(f64::NAN);
        Weight::new(value).map(Some).ok_or(Fault::Weight { at: code, value })
    }
}

/// A row whose bin is known and whose cluster is not looked at yet.
#[derive(Clone, Copy)]
pub(super) struct Item<W> {
    probability: W,
    /// `bin << 2 | flags`.
    mark: u32,
}

impl<W: super::bins::Work> Item<W> {
    /// Whether the row counts.
    pub(super) fn counts(&self) -> bool {
        self.mark & 1 == 1
    }

    /// The row as one that is kept by itself; its weight is to be set by the caller.
    pub(super) fn alone(&self) -> Alone {
        let (high, low) = fixed(self.probability.wide());
        let sum = (i128::from(high) << 16) + i128::from(low);
        Alone { weight: Weight::NONE, index: self.mark >> 2, correct: self.mark & 2 != 0, sum }
    }
}

/// A sink that stores every row of a chunk with its bin.
struct Placed<'a, P: Probability> {
    binning: &'a EqualWidth<P>,
    /// Where the next rows are stored.
    items: &'a mut [Item<P::Work>],
}

impl<P: Probability> Sink<P::Work> for Placed<'_, P> {
    #[inline(always)]
    fn add(&mut self, block: &mut Block<P::Work>, n: usize) {
        self.binning.find(block, n);
        let (items, rest) = std::mem::take(&mut self.items).split_at_mut(n);
        for (i, item) in items.iter_mut().enumerate() {
            let mark = block.bin[i] << 2 | u32::from(block.flags[i]);
            *item = Item { probability: block.probability[i], mark };
        }
        self.items = rest;
    }
}

/// The rows of one cluster in one bin.
struct Part {
    code: usize,
    index: u32,
    bin: Bin,
}

/// Counts the rows of a source by cluster and bin. Where values are not valid, the first fault in row order is
/// returned; faults of probabilities and labels come before those of codes, and those before faults of weights.
pub fn tally_clusters<S: Source>(
    source: &S,
    options: Options,
    clusters: Clusters<'_>,
    progress: Progress<'_>,
) -> Result<Result<BinTotals, Fault>, Stopped> {
    let total = super::chunks(source.count(), source.width(), options.n_bins);
    let (items, left_out) = match place(source, options, progress)? {
        Ok(placed) => placed,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut done = |_| progress(total);
    let starts = match starts(&items, clusters, &mut done)? {
        Ok(starts) => starts,
        Err(fault) => return Ok(Err(fault)),
    };
    let items = grouped(&items, clusters.codes, &starts, &mut done)?;
    let parts = add_up(&items, &starts, options.n_bins, &mut done)?;
    drop(items);
    let mut state = BinTotals::new(options.n_bins)?;
    state.tally.left_out = left_out;
    let (mut pace, mut named) = (Pace::new(&mut done), None);
    for part in parts {
        for Part { code, index, bin } in part? {
            if named.as_ref().is_none_or(|(of, _, _)| *of != code) {
                // The code of every row that counts has a name: `starts` has checked it.
                let Some(id) = clusters.names.id(code) else { continue };
                let weight = match clusters.weight(code) {
                    Ok(weight) => weight,
                    Err(fault) => return Ok(Err(fault)),
                };
                named = Some((code, id, weight));
            }
            if let Some((_, id, weight)) = &named {
                // Memory holds fewer than 2^63 rows, so every sum is in range.
                match *weight {
                    None => state.cells.add(Cell { key: (id.clone(), (), index), bin })?,
                    Some(weight) => state.weighted.add(Cell { key: (id.clone(), weight, index), bin })?,
                };
                state.tally.bins[index as usize].add(&bin);
            }
            pace.step()?;
        }
    }
    Ok(Ok(state))
}

/// A vector of `n` times `value`, which can be interrupted while it is filled.
fn filled<T: Copy>(n: usize, value: T, pace: &mut Pace<'_>) -> Result<Vec<T>, Stopped> {
    let mut items = memory::with_capacity(n)?;
    while items.len() < n {
        items.resize(n.min(items.len() + CHUNK), value);
        pace.stride(CHUNK)?;
    }
    Ok(items)
}

/// The rows of a source, and what was left out of them.
type ItemsOf<S> = (Vec<Item<Work<S>>>, LeftOut);

/// Finds the bin of every row.
pub(super) fn place<S: Source>(
    source: &S,
    options: Options,
    progress: Progress<'_>,
) -> Result<Result<ItemsOf<S>, Fault>, Stopped> {
    use super::bins::Work as _;
    let (count, size) = (source.count(), chunk_rows(source.width(), options.n_bins));
    let binning = EqualWidth::<S::Item>::new(options.n_bins)?;
    let nothing = Item { probability: Work::<S>::ZERO, mark: 0 };
    let mut none_done = |_| progress(0);
    let mut items = filled(count, nothing, &mut Pace::new(&mut none_done))?;
    let bytes = count * source.width() * size_of::<S::Item>();
    let parts = memory::collected(items.chunks_mut(size))?;
    let found = grid::fill_chunks(parts, bytes, progress, |index, items| {
        let rows = index * size..index * size + items.len();
        let sink = Placed { binning: &binning, items };
        dispatch(Gather { source, rows, omit_nan: options.omit_nan, sink })
    })?;
    let mut left_out = LeftOut::default();
    for part in found {
        match part {
            // Memory holds fewer than 2^63 rows, so the sum is always in range.
            Ok(part) => left_out = left_out.plus(part).unwrap_or(left_out),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok((items, left_out)))
}

/// For each code, where its rows begin once the rows that count are sorted by code; and, last, where the last code's
/// end.
fn starts<W: Copy>(
    items: &[Item<W>],
    clusters: Clusters<'_>,
    progress: Progress<'_>,
) -> Result<Result<Vec<usize>, Fault>, Stopped> {
    let mut pace = Pace::new(progress);
    let names = clusters.names.count();
    let mut starts = filled(names + 1, 0usize, &mut pace)?;
    for (c, (items, codes)) in items.chunks(CHUNK).zip(clusters.codes.chunks(CHUNK)).enumerate() {
        for (i, (item, &code)) in items.iter().zip(codes).enumerate() {
            if item.mark & 1 == 1 {
                let Some(code) = usize::try_from(code).ok().filter(|&code| code < names) else {
                    return Ok(Err(Fault::Code { row: c * CHUNK + i, value: code }));
                };
                starts[code + 1] += 1;
            }
        }
        pace.stride(items.len())?;
    }
    let mut sum = 0;
    for part in starts.chunks_mut(CHUNK) {
        for start in &mut *part {
            sum += *start;
            *start = sum;
        }
        pace.stride(part.len())?;
    }
    Ok(Ok(starts))
}

/// The rows that count, sorted by code; rows of one code keep their order.
fn grouped<W: Copy>(
    items: &[Item<W>],
    codes: &[i64],
    starts: &[usize],
    progress: Progress<'_>,
) -> Result<Vec<Item<W>>, Stopped> {
    let mut pace = Pace::new(progress);
    let Some(&nothing) = items.first() else { return Ok(Vec::new()) };
    let mut next = filled(starts.len(), 0usize, &mut pace)?;
    next.copy_from_slice(starts);
    let mut groups = filled(starts.last().copied().unwrap_or(0), nothing, &mut pace)?;
    for (items, codes) in items.chunks(CHUNK).zip(codes.chunks(CHUNK)) {
        for (item, &code) in items.iter().zip(codes) {
            if item.mark & 1 == 1 {
                let place = &mut next[code as usize];
                groups[*place] = *item;
                *place += 1;
            }
        }
        pace.stride(items.len())?;
    }
    Ok(groups)
}

/// The counts of each code's rows in each of its bins. The work is divided into spans of codes with about a chunk of
/// rows each.
fn add_up<W: super::bins::Work + Sync>(
    items: &[Item<W>],
    starts: &[usize],
    n_bins: usize,
    progress: Progress<'_>,
) -> Result<Vec<Result<Vec<Part>, NoMemory>>, Stopped> {
    let spans = spans(starts)?;
    let bytes = size_of_val(items);
    grid::map_chunks(spans.len(), bytes, progress, |index| {
        let (mut parts, mut bins) = (Vec::new(), memory::filled(n_bins, Bin::default())?);
        let mut touched = memory::with_capacity(n_bins)?;
        for code in spans[index].clone() {
            scalar(|| add_cluster(&items[starts[code]..starts[code + 1]], &mut bins, &mut touched));
            for index in touched.drain(..) {
                let bin = std::mem::take(&mut bins[index as usize]);
                memory::push(&mut parts, Part { code, index, bin })?;
            }
        }
        Ok(parts)
    })
}

/// Adds up the rows of one code. `touched` receives the bins that they fall into, in ascending order.
fn add_cluster<W: super::bins::Work>(items: &[Item<W>], bins: &mut [Bin], touched: &mut Vec<u32>) {
    for item in items {
        let (high, low) = fixed(item.probability.wide());
        let index = item.mark >> 2;
        let bin = &mut bins[index as usize];
        if bin.count == 0 {
            touched.push(index); // at most once per bin, so there is room
        }
        bin.count += 1;
        bin.correct += u64::from(item.mark >> 1 & 1);
        bin.sum += (i128::from(high) << 16) + i128::from(low);
    }
    touched.sort_unstable();
}

/// Divides the codes into spans of consecutive ones. A span ends once it has a chunk of rows ([`CHUNK`]), or a
/// sixteenth as many codes.
fn spans(starts: &[usize]) -> Result<Vec<Range<usize>>, NoMemory> {
    let (mut spans, mut first) = (Vec::new(), 0);
    let last = starts.len().saturating_sub(1);
    for code in 0..last {
        if code + 1 == last || starts[code + 1] - starts[first] >= CHUNK || code - first >= CHUNK / 16 {
            memory::push(&mut spans, first..code + 1)?;
            first = code + 1;
        }
    }
    Ok(spans)
}
