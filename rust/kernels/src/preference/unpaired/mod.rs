//! Losses of answers that are not paired: each is desirable or undesirable by itself.

mod sorted;
mod terms;

use crate::exact::Sum;
use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::named;
use crate::named::{Bound, Parameter};

pub use sorted::{Coupled, Side, sorted_losses};
pub use terms::{Terms, terms, terms_into};

const BETA: Parameter =
    Parameter { name: "beta", low: Bound::Open(0.0), high: Bound::Open(f64::INFINITY), default: Some(0.1) };
const DESIRABLE: Parameter = Parameter {
    name: "desirable_weight",
    low: Bound::Closed(0.0),
    high: Bound::Open(f64::INFINITY),
    default: Some(1.0),
};
const UNDESIRABLE: Parameter = Parameter { name: "undesirable_weight", ..DESIRABLE };
/// Without a default: the mean of the rewards takes its place.
const SHIFT: Parameter = Parameter {
    name: "shift",
    low: Bound::Open(f64::NEG_INFINITY),
    high: Bound::Open(f64::INFINITY),
    default: None,
};

named! {
    /// The loss of an answer.
    pub enum Unpaired: "preference.unpaired.loss" {
        /// Kahneman-Tversky optimization: how far an answer is on the wrong side of the divergence, between 0 and 1.
        Kto = "kto" { source: "Ethayarajh et al. 2024", columns: &["kl"], parameters: &[BETA, DESIRABLE, UNDESIRABLE] },
        /// Binary classifier optimization: the logistic loss of the reward, told from a shift.
        Bco = "bco" { source: "Jung et al. 2024", parameters: &[BETA, SHIFT, DESIRABLE, UNDESIRABLE] },
        /// Alignment by optimal transport: the logistic loss of the quantiles of both kinds.
        AotUnpaired = "aot_unpaired" { source: "Melnyk et al. 2024", parameters: &[BETA] },
    }
}

/// The mean of finite numbers: their exact sum, divided and rounded once, so that no order of them changes it. The mean
/// of none is NaN.
pub fn exact_mean(values: &[f64], progress: Progress<'_>) -> Result<f64, Stopped> {
    if values.is_empty() {
        return Ok(f64::NAN);
    }
    let mut pace = Pace::new(progress);
    let mut sum = Sum::new();
    for part in values.chunks(CHUNK) {
        for &value in part {
            sum.add(value);
        }
        pace.stride(part.len())?;
    }
    Ok(sum.over(values.len() as u64))
}
