//! What every engine gives: the distribution of the statistic over all resamples.

use crate::grid::{Progress, Stopped};

/// How a distribution was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// All values on a lattice: a finite Fourier sum.
    L,
    /// All resamples enumerated.
    E,
    /// The inversion formula of Gil-Pelaez.
    G,
    /// The same, with power sums in place of most values.
    T,
    /// The same, given how often each of a few outliers is drawn.
    P,
    /// Order statistics, by binomial probabilities.
    O,
}

impl Engine {
    /// Its letter.
    pub fn name(self) -> &'static str {
        match self {
            Engine::L => "L",
            Engine::E => "E",
            Engine::G => "G",
            Engine::T => "T",
            Engine::P => "P",
            Engine::O => "O",
        }
    }
}

/// The distribution of a statistic over all resamples.
pub trait Law {
    /// How it was computed.
    fn engine(&self) -> Engine;

    /// The approximate numerical error of its probabilities.
    fn error(&self) -> f64;

    /// The probability of resamples below the statistic of the data, and half of that of those equal to it.
    fn middle(&self, progress: Progress<'_>) -> Result<f64, Stopped>;

    /// The smallest value that a share of at least `level` of the resamples does not exceed.
    fn quantile(&self, level: f64, progress: Progress<'_>) -> Result<f64, Stopped>;

    /// The probability of resamples of at most `value`; halfway where steps are not resolved.
    fn up_to(&self, value: f64, progress: Progress<'_>) -> Result<f64, Stopped>;
}
