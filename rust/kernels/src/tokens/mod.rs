//! Tokens: score a model's logits, and say how surprised it was.

mod peak;
mod perplexity;
mod scores;
mod sequence;
mod shards;
mod state_bytes;
mod totals;

pub use peak::Logit;
pub use perplexity::{Perplexity, Unit};
pub use scores::{Refusal, Scores, token_scores};
pub use sequence::sequence_nll;
pub use state_bytes::LONGEST_TEXT;
pub use totals::{
    Batch, COUNTS, EXCLUDED, IGNORED, Id, Names, Per, Refused, Summed, Total, Totals, sum_batch,
};
