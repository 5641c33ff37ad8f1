//! Random numbers as a function of (seed, purpose, stratum, replicate, place): no state, no order, any machine.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), the function behind cuRAND's and torch's CUDA streams. The seed is its key; everything else stands in
//! its counter, each in bits of its own (`layout.rs`). Only integers occur.

mod layout;
mod multinomial;
mod philox;

pub use layout::{Domain, LEAF, PLACE_BLOCKS, STRATA, TREE};
pub use multinomial::{FIELDS, Node, SLOTS, Visit, blocks, counts, field, walk};
pub use philox::{BITS, BLOCKS, Stream, WORDS, philox};
