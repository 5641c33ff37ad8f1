//! Random numbers as a function of (seed, purpose, replicate, place): no state, no order, any machine.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), the function behind cuRAND's and torch's CUDA streams. The seed is its key; the counter is
//! `(block, replicate, domain << 24 | tag, node)`. Only integers occur.

mod multinomial;
mod philox;

pub use multinomial::{FIELDS, Node, SLOTS, Visit, blocks, counts, field, walk};
pub use philox::{BITS, BLOCKS, Domain, Stream, WORDS, philox};
