//! Random numbers as a function of (seed, purpose, stratum, replicate, place): there is no state, so that they can be
//! computed in any order, on any thread and machine.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), the counter-based generator that cuRAND and torch on CUDA use too. The seed is its key; everything else
//! stands in its counter, each in bits of its own (`layout.rs`). All arithmetic is on integers.

mod halves;
mod laws;
mod layout;
mod multinomial;
mod philox;
mod reader;
mod units;

pub use halves::{HALVES, Halves, ROUNDED_STEPS};
pub use laws::{Counts, SLOTS, total};
pub use layout::{Domain, LEAF, PLACE_BLOCKS, ROWS, STRATA};
pub use multinomial::{
    FIELDS, Few, Leaves, Many, Rest, count_into, counts, draw_few, draw_many, field, leaves_into,
};
pub use philox::{BITS, BLOCKS, Stream, WORDS, philox};
pub use reader::Reader;
pub use units::{UNIT_LANES, UnitStream};
