//! Tokens: score a model's logits.

mod peak;
mod scores;
mod sequence;

pub use peak::Logit;
pub use scores::{Refusal, Scores, token_scores};
pub use sequence::sequence_nll;
