//! The tokens room: scores of logits, and perplexity.

pub mod perplexity;
pub mod scores;
