//! The options of one step, as numbers: what a group of parameters has in common.

use super::norm::Clip;
use super::rules::Rule;

/// The parameters of one step. Rows of one call may have different ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    /// The rule of the update.
    pub rule: Rule,
    /// The learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator, outside the square root.
    pub eps: f64,
    /// Decoupled weight decay: p is multiplied by `1 - lr * weight_decay`.
    pub weight_decay: f64,
    /// The factor by which gradients are multiplied.
    pub clip: Clip,
    /// The number by which gradients are divided before anything else, as by a gradient scaler: a division for each
    /// element in the type of the computation, not a multiplication by the reciprocal.
    pub grad_scale: f64,
    /// Whether the step goes up the gradient instead of down.
    pub maximize: bool,
    /// The number of this step, from 1.
    pub step: u64,
}

impl Hyper {
    /// The defaults of torch's AdamW, at the first step. Code that makes a `Hyper` takes from here what it does not
    /// name (`..Hyper::DEFAULT`), so that new fields do not change it.
    pub const DEFAULT: Hyper = Hyper {
        rule: Rule::AdamW,
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        clip: Clip::NONE,
        grad_scale: 1.0,
        maximize: false,
        step: 1,
    };
}

/// A scalar of a rule that the type of the computation cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// `eps` rounds to 0, which leaves 0/0 where a gradient is 0.
    Eps,
    /// `lr` divided by its bias correction exceeds the range of the type.
    Rate,
    /// `lr * weight_decay` exceeds the range of the type.
    Decay,
}
