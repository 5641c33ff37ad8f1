//! Perplexity with its standard error and interval from clusters of tokens.

use super::totals::Totals;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::{SumFacts, ratio};
use crate::intervals::spread::{Range, STEPS};
use crate::intervals::{Confidence, Interval};
use crate::math::exp;
use crate::memory;
use crate::named;
use crate::simd::{Precision, scalar};

named! {
    /// The unit in which a mean NLL m, which is in nats, is given.
    pub enum Unit: "perplexity.unit" {
        /// exp(m).
        Perplexity = "perplexity",
        /// m / ln 2.
        Bits = "bits",
        /// m itself.
        Nats = "nats",
    }
}

impl Unit {
    fn convert(self, nats: f64) -> f64 {
        match self {
            Unit::Perplexity => exp(nats),
            Unit::Bits => nats / std::f64::consts::LN_2,
            Unit::Nats => nats,
        }
    }
}

/// A perplexity, or another [`Unit`] of the mean NLL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// The mean m = sum NLL / sum units in the unit asked for: infinite where the NLL of a token is, NaN where the
    /// units sum to 0.
    pub value: f64,
    /// The standard error, by the delta method; NaN where there is no interval.
    pub standard_error: f64,
    /// The limits m - t sqrt V and m + t sqrt V in the unit asked for; NaN for fewer than two clusters.
    pub interval: Interval,
    /// Satterthwaite's degrees of freedom.
    pub df: f64,
    /// The number of counted tokens.
    pub tokens: u64,
    /// The number of tokens, words or bytes by which the NLL was divided.
    pub units: f64,
    /// The number of clusters with counted tokens.
    pub clusters: usize,
}

impl Totals {
    /// The perplexity of all tokens so far; `None` where there are none.
    ///
    /// The clustered variance V (CR2) of the mean m is that of [`crate::intervals::cluster`]; m itself is computed from
    /// the exact totals.
    pub fn perplexity(
        &self,
        unit: Unit,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<Option<Perplexity>, Stopped> {
        let mut pace = Pace::new(&mut *progress);
        let rows = self.rows(&mut pace)?;
        let all = self.all;
        let (mut sums, mut sizes) = (memory::with_capacity(rows.len())?, memory::with_capacity(rows.len())?);
        for total in &rows {
            sums.push(total.nll.value());
            sizes.push(total.units.value());
            pace.step()?;
        }
        if all.tokens == 0 {
            return Ok(None);
        }
        // The sums are exact. If every NLL is rounded by up to half a step (a unit in its last place), a mean moves by
        // up to half a step of its own size, so that two equal means differ by up to one step. For 16-bit floats the
        // tolerance is no more than that: eight of their steps would be 6 % of an NLL, which rounding cannot explain.
        let steps = if self.precision > Precision::F32 { 1.0 } else { STEPS };
        let noise = scalar(|| steps * self.precision.step() * (all.nll.value() / all.units.value()));
        let facts = SumFacts { noise, range: Range::Unknown, weighted: None };
        let fit = ratio(&sums, &sizes, 0.0, facts, confidence, progress)?;
        Ok(Some(scalar(|| {
            let units = all.units.value();
            let infinite = self.infinite > 0;
            let mean = if infinite { f64::INFINITY } else { all.nll.value() / units };
            let value = unit.convert(mean);
            let none = Interval { low: f64::NAN, high: f64::NAN };
            let (standard_error, interval) = if infinite || fit.standard_error.is_nan() {
                (f64::NAN, none)
            } else {
                let Interval { low, high } =
                    confidence.around(mean, confidence.t(fit.df) * fit.standard_error);
                let slope = if unit == Unit::Perplexity { value } else { unit.convert(1.0) };
                let interval = Interval { low: unit.convert(low), high: unit.convert(high) };
                (slope * fit.standard_error, interval)
            };
            Perplexity {
                value,
                standard_error,
                interval,
                df: fit.df,
                tokens: all.tokens,
                units,
                clusters: rows.len(),
            }
        })))
    }
}
