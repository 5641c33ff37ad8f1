//! The log loss of probabilities.

use super::super::{Domain, Scale, Smooth};
use crate::math::{log, log1p};

/// `-sum (t log p + (1 - t) log(1 - p)) / n` in nats, from `[n, sum of losses]`; infinite where a probability is 0 for
/// what happened.
#[derive(Clone, Copy)]
pub struct LogLoss;

impl Smooth<2, 2> for LogLoss {
    const DOMAINS: [Domain; 2] = [Domain::Share, Domain::Binary];
    const SCALE: Scale = Scale::LogFrom(0.0);

    fn terms(self, [probability, target]: [f64; 2]) -> [f64; 2] {
        [1.0, if target == 1.0 { -log(probability) } else { -log1p(-probability) }]
    }

    fn value(self, [n, losses]: [f64; 2]) -> f64 {
        losses / n
    }

    fn gradient(self, [n, losses]: [f64; 2]) -> [f64; 2] {
        [-losses / n / n, 1.0 / n]
    }
}
