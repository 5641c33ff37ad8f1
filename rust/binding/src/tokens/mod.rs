//! The binding of tokens: scores of logits, and perplexity.

pub mod perplexity;
pub mod scores;
