//! How the units of a bootstrap are drawn, where they are no series.

use super::{Balanced, Bayesian, Drawing, Poisson, Simple, Subsample};
use crate::named;
use crate::named::{Bound, Parameter};

named! {
    /// The ways in which the units of a resample are drawn.
    pub enum Sampling: "bootstrap.sampling" {
        /// As many draws as there are units, each of any of them.
        Multinomial = "multinomial" { source: "Efron 1979" },
        /// As many draws as there are units, so that over all resamples every unit is drawn equally often.
        Balanced = "balanced" { source: "Davison, Hinkley and Schechtman 1986" },
        /// Each unit counts a Poisson number of times with mean 1.
        Poisson = "poisson" { title: "Poisson", source: "Chamandy, Muralidharan, Najmi and Naidu 2012" },
        /// Each unit has an exponential weight; their shares have a Dirichlet distribution.
        Bayesian = "bayesian" { title: "Bayesian", source: "Rubin 1981" },
        /// As many draws as there are rows, each of any of them, with normal noise added to it: see
        /// [`smoothed`](crate::uncertainty::smoothed()).
        Smoothed = "smoothed" {
            source: "Silverman and Young 1987",
            parameters: &[Parameter {
                name: "bandwidth", low: Bound::Open(0.0), high: Bound::Open(f64::INFINITY), default: None,
            }],
        },
        /// m draws, each of any unit; deviations from the value are multiplied by sqrt(m/n).
        Subsample = "subsample" {
            title: "m-out-of-n", source: "Bickel, Götze and van Zwet 1997",
            parameters: &[Parameter { name: "m", low: Bound::Closed(1.0), high: Bound::Open(f64::INFINITY), default: None }],
        },
    }
}

impl Sampling {
    /// The drawing of `count` replicates, with the numbers that its row takes.
    pub fn drawing(self, count: u32, parameters: &[f64]) -> Box<dyn Drawing> {
        match self {
            Sampling::Multinomial | Sampling::Smoothed => Box::new(Simple),
            Sampling::Balanced => Box::new(Balanced { replicates: count }),
            Sampling::Poisson => Box::new(Poisson),
            Sampling::Bayesian => Box::new(Bayesian),
            Sampling::Subsample => Box::new(Subsample { size: parameters.first().map_or(1, |&m| m as u64) }),
        }
    }
}
