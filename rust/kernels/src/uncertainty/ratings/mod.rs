//! Ratings of models from battles between two of them: the Bradley-Terry model by maximum likelihood, its covariance and
//! its bootstrap.
//!
//! Model i has a rating `x_i` on the scale of logits and `w_i = exp(x_i)`. Without ties, or with each tie as half a win for
//! either side, `P(i beats j) = w_i / (w_i + w_j)` (Bradley and Terry, Biometrika 39 (1952)). Davidson (JASA 65 (1970))
//! gives ties a probability of their own,
//!
//! ```text
//! P(i beats j) = w_i / d,   P(tie) = nu sqrt(w_i w_j) / d,   d = w_i + w_j + nu sqrt(w_i w_j).
//! ```
//!
//! In both, the likelihood depends on the number of battles of each pair, the score of each model (its wins and half its
//! ties) and the number of ties alone: battles are collapsed into a table once, and every fit costs as much as the table.
//! Ratings are determined up to a constant; here they sum to 0.

mod battles;
mod covariance;
mod existence;
mod fit;
mod ladder;
mod likelihood;
mod matrix;
mod replicates;
mod totals;

pub use battles::{Battles, Grouped, Law};
pub use covariance::covariance;
pub use existence::groups;
pub use fit::{Fit, NoFit, fit};
pub use replicates::{Units, replicates, spread};

/// The most models that are rated together: a step of the fit takes about a fifth of a second for so many.
pub const MODELS: usize = 1024;
/// Ratings further apart than this, in logits, are refused: their odds are beyond what f64 multiplies.
pub const FARTHEST: f64 = 700.0;
