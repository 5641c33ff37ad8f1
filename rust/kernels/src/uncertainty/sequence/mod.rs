//! Confidence sequences: intervals of the mean of bounded values that hold at all times at once, so that data may be
//! looked at after every value, and collection stopped because of what was seen.
//!
//! Values are mapped to [0, 1] beforehand. What is assumed: given the earlier ones, each value has the same mean.

mod bernstein;
mod beta_binomial;
mod bets;
mod betting;
mod bytes;
mod state;
mod values;

pub use beta_binomial::limits as beta_binomial_limits;
pub use state::{Looks, SequenceTotals};
pub use values::{Refused, on_unit};

use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::Interval;
use crate::memory;
use crate::named;

named! {
    /// How a confidence sequence is made.
    pub enum Method: "sequence.method" {
        /// A mean is left out once bets against it would have multiplied a stake by 2/alpha.
        Betting = "betting" { title: "betting", source: "Waudby-Smith and Ramdas 2024" },
        /// A predictable mixture of Bernstein's bounds, with the variance seen so far; in closed form.
        EmpiricalBernstein = "empirical-bernstein" {
            title: "empirical Bernstein", source: "Waudby-Smith and Ramdas 2024",
        },
        /// For 0/1 values: the likelihood under a Beta(1/2, 1/2) mixture over that of the mean; of the counts alone.
        BetaBinomial = "beta-binomial" {
            title: "beta-binomial", source: "Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021",
        },
    }
}

impl Method {
    /// Whether the limits depend on the order of the values, which a state must then keep.
    pub fn of_order(self) -> bool {
        self != Method::BetaBinomial
    }
}

/// Values between two looks at the clock.
const STRIDE: usize = 1 << 14;

/// The intervals at these times (numbers of values, ascending) of `method`, which is not the beta-binomial one. Each
/// is the intersection of those at all times up to its own.
fn looks(
    y: &[f64],
    method: Method,
    alpha: f64,
    times: &[usize],
    progress: Progress<'_>,
) -> Result<Vec<Interval>, Stopped> {
    match method {
        Method::EmpiricalBernstein => bernstein::looks(y, alpha, times, &mut Pace::new(progress)),
        Method::Betting | Method::BetaBinomial => {
            let bets = bets::bets(y, alpha, &mut Pace::new(&mut *progress))?;
            let mut found = memory::with_capacity(times.len())?;
            for &time in times {
                found.push(betting::interval(&y[..time], &bets[..time], alpha, &mut *progress)?);
            }
            Ok(found)
        }
    }
}
