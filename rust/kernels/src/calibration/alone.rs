//! Rows with weights but without clusters. Each row is a cluster of its own, so each is kept by itself.

use super::block::Fault;
use super::cells::BinTotals;
use super::grouped::place;
use super::sources::Source;
use super::tally::{Bin, Options};
use super::weights::Weight;
use crate::grid::{CHUNK, Pace, Progress, Stopped};

/// One row with its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alone {
    /// Its weight.
    pub weight: Weight,
    /// The number of its bin.
    pub index: u32,
    /// Whether its prediction came true.
    pub correct: bool,
    /// Its probability as `floor(p * 2^64)`.
    pub sum: i128,
}

impl Alone {
    /// A bin that holds only this row.
    pub(super) fn in_bin(&self) -> Bin {
        Bin { count: 1, correct: u64::from(self.correct), sum: self.sum }
    }
}

/// Collects the rows of a source, each with its weight. Where values are not valid, the first fault in row order is
/// returned; faults of probabilities and labels come before those of weights.
pub fn tally_weighted<S: Source>(
    source: &S,
    options: Options,
    weights: &[f64],
    progress: Progress<'_>,
) -> Result<Result<BinTotals, Fault>, Stopped> {
    let total = super::chunks(source.count(), source.width(), options.n_bins);
    let (items, left_out) = match place(source, options, progress)? {
        Ok(placed) => placed,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut state = BinTotals::new(options.n_bins)?;
    state.tally.left_out = left_out;
    let mut done = |_| progress(total);
    let mut pace = Pace::new(&mut done);
    for (c, (items, weights)) in items.chunks(CHUNK).zip(weights.chunks(CHUNK)).enumerate() {
        for (i, (item, &value)) in
            items.iter().zip(weights).enumerate().filter(|(_, (item, _))| item.counts())
        {
            let Some(weight) = Weight::new(value) else {
                return Ok(Err(Fault::Weight { at: c * CHUNK + i, value }));
            };
            state.add_alone(Alone { weight, ..item.alone() })?;
        }
        pace.stride(items.len())?;
    }
    Ok(Ok(state))
}
