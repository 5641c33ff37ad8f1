//! The binding of tokens: scores of logits, and perplexity.

pub mod gradient;
pub mod hidden;
pub mod pairs;
pub mod perplexity;
pub mod scores;
pub mod sketch;
