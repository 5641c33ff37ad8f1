//! The room of tokens: scores of tokens from a model's logits, and perplexity.

mod columns;
mod entropy;
mod fold;
mod log_sum_exp;
mod perplexity;
mod scores;
mod sequence;
mod state_bytes;
mod terms;
mod totals;

pub use columns::{Column, Folds};
pub use perplexity::{Perplexity, Unit, stratified_perplexity};
pub use scores::{TokenScores, Unscorable, token_scores};
pub use sequence::sequence_nll;
pub use terms::Logit;
pub use totals::{Batch, COUNTS, EXCLUDED, IGNORED, Per, Refused, Summed, Total, Totals, sum_batch};
