//! Calibration: do probabilities mean what they say?
//!
//! A state holds for every bin how many predictions it has, how many of them came true, and the exact sum of their
//! probabilities in fixed point. These are integers, so that any number of threads, levels, batches and
//! machines that add up the same data arrive at the same bits, also past 2^24 rows where a float32 count
//! stands still.
//!
//! The rules that decide a bit:
//! - the edges of `M` bins are `e_k = k / M`, divided truly and rounded to the input's own type, so that 0.3
//!   lies on the same side in every type; bin `k` is `(e_k, e_{k+1}]`, the first one closed at 0;
//! - a probability `p` adds `floor(p * 2^64)`, whatever path it takes;
//! - of rows in clusters the same is kept for each cluster and bin that occurs, under the cluster's name;
//! - of rows with weights the same is kept for each weight that occurs; rows of weight 0 are counted and left out;
//! - values in `(1, 1 + 1e-6]`, which a float32 softmax produces, count as 1 and are counted.

mod alone;
mod bins;
mod block;
mod bytes;
mod cells;
mod folded;
mod gap;
mod grouped;
mod interval;
mod labels;
mod scatter;
mod sink;
mod sources;
mod tally;
mod weights;

pub use alone::tally_weighted;
pub use bins::{MAX_BINS, Probability, bin_by_edges, edges};
pub use block::{Fault, LeftOut};
pub use cells::{BinTotals, MAX_CLUSTERED_BINS, Refused};
pub use grouped::{Clusters, tally_clusters};
pub use interval::{BinEstimate, Limits, Summary, summarise};
pub use labels::Labels;
pub use sources::{Scores, Source, TopLabels};
pub use tally::{Bin, Options, Tally, chunks, tally};
pub use weights::RowSums;
