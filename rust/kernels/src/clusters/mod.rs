//! Clusters: rows that belong together, under names that stay the same across updates, merges and machines.

mod batch;
mod ids;
mod near;
mod shards;
mod sums;

pub(crate) use batch::ByCode;
pub use ids::{Id, LONGEST_TEXT, Names};
pub(crate) use near::outside;
pub use near::{Near, near};
pub(crate) use shards::{Keyed, Shards};
pub(crate) use sums::{ClusterTotals, exact_sums, units_of};
