//! Tokens: score a model's logits, and say how surprised it was.

mod peak;
mod perplexity;
mod scores;
mod sequence;
mod state_bytes;
mod totals;

pub use peak::Logit;
pub use perplexity::{Perplexity, Unit};
pub use scores::{Refusal, Scores, token_scores};
pub use sequence::sequence_nll;
pub use totals::{Batch, COUNTS, EXCLUDED, IGNORED, Per, Refused, Summed, Total, Totals, sum_batch};
