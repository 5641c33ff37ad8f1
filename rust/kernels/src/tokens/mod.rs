//! The room of tokens: scores of tokens from a model's logits, and perplexity.

mod coded;
mod columns;
mod divergence;
mod entropy;
mod fold;
mod gradient;
mod hidden;
mod largest;
mod log_sum_exp;
mod moments;
mod pairs;
mod passes;
mod perplexity;
mod product;
mod ranks;
mod reading;
mod scores;
mod sequence;
mod state_bytes;
mod targets;
mod terms;
mod totals;
mod transform;

pub use coded::{CodedRows, coded_length, encode_rows};
pub use columns::{Column, Folds};
pub use gradient::{Loss, token_gradients};
pub use hidden::token_scores_from_hidden;
pub use pairs::{Models, PairColumn, PairScores, Refusal, pair_scores};
pub use perplexity::{Perplexity, Unit, stratified_perplexity};
pub use scores::{Asked, TokenScores, Unscorable, token_scores};
pub use sequence::sequence_nll;
pub use targets::Targets;
pub use terms::{Exponential, Logit};
pub use totals::{Batch, COUNTS, EXCLUDED, IGNORED, Per, Refused, Summed, Total, Totals, sum_batch};
pub use transform::{Transform, Transformed};
