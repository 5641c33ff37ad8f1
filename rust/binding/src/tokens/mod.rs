//! The tokens room: scores of logits, and sums of them.

pub mod scores;
