//! Sums that a state keeps for a statistic of sums, without knowing the rest of the rows.
//!
//! The terms of a statistic are powers of parts about centres, and the centres are known when all rows have come. A state
//! adds up the powers of the parts themselves, without rounding (`products.rs`), and moves the sums to the centres when it
//! is asked (`recipe.rs`). No digits are lost, since neither step rounds before the end.

mod boot_bytes;
pub mod boot_state;
mod by_cluster;
pub mod design;
mod design_bytes;
pub(in crate::uncertainty) mod facts;
mod few;
pub mod histogram;
mod limbs;
mod poisson;
mod products;
mod quantile_bytes;
pub mod quantile_state;
mod range;
mod recipe;
mod sums_bytes;
mod sums_design;
pub mod sums_state;
pub mod units;

use super::no_estimate::NoEstimate;
use crate::clusters::Id;

/// Why a batch or another state is refused; none of its rows has been added.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// The statistic does not take these rows.
    Rows(NoEstimate),
    /// A code lies outside `0..clusters` (holds its index), or has no name (holds the code).
    Code(usize),
    /// One of the two has clusters and the other has none.
    MixedClusters,
    /// One of the two has weights and the other has none.
    MixedWeights,
    /// One of the two has strata and the other has none.
    MixedStrata,
    /// There are weights or strata (holds which) and no clusters.
    NoClusters(&'static str),
    /// A weight is not above 0, or there is none for each row.
    Weights,
    /// A stratum has no name or no rows (holds its code), or a cluster has none.
    Stratum(usize),
    /// A cluster has rows in two strata; holds its name and theirs.
    TwoStrata(Box<[Id; 3]>),
    /// More than 2^64 rows.
    TooMany,
    /// Rows differ in size, so that the interval needs the sums of each.
    NeedsClusters,
    /// The states are of different statistics, or of other replicates.
    Other,
}

/// The sums of counts; `None` where one would leave its range.
pub(super) fn added<const N: usize>(a: [u64; N], b: [u64; N]) -> Option<[u64; N]> {
    let mut sums = [0; N];
    for (sum, (a, b)) in sums.iter_mut().zip(a.into_iter().zip(b)) {
        *sum = a.checked_add(b)?;
    }
    Some(sums)
}

/// Whether one of two states has what the other has not; `None` says that a state has no rows that could have it.
pub(super) fn mixed(here: Option<bool>, there: Option<bool>) -> bool {
    here.is_some() && there.is_some() && here != there
}

impl From<NoEstimate> for Refused {
    fn from(refused: NoEstimate) -> Self {
        Refused::Rows(refused)
    }
}
