//! Tokens: score a model's logits.

mod peak;
mod scores;

pub use peak::Logit;
pub use scores::{Refusal, Scores, token_scores};
