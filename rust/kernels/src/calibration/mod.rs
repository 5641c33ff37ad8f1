//! Calibration: do predicted probabilities agree with observed frequencies?
//!
//! For every bin, a state holds the number of predictions, how many of them came true, and the exact sum of their
//! probabilities in fixed point. All three are integers, so the result has the same bits however the same data is split
//! over threads, batches and machines, and on every instruction set. Integer counts also stay exact past 2^24 rows,
//! where adding 1 to a float32 count no longer changes it.
//!
//! The rules that determine the bits of a result:
//! - the edges of `M` bins are `e_k = k / M`: one division, rounded to the input's own type, so that 0.3 lies on the
//!   same side of an edge in every type; bin `k` is `(e_k, e_{k+1}]`, and the first bin contains 0 too;
//! - a probability `p` adds `floor(p * 2^64)` to the sum of its bin, whichever code path adds it;
//! - for rows in clusters, the same three integers are also kept for each cluster and bin that has rows, under the
//!   cluster's name;
//! - for rows with weights, the same is kept separately for each distinct weight; rows of weight 0 are left out, and
//!   the state says how many they were;
//! - values in `(1, 1 + 1e-6]`, which a float32 softmax produces, are treated as 1, and the state says how many they
//!   were.

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
