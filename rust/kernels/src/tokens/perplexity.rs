//! Perplexity with the error that clusters leave in it.

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
    fn of(self, nats: f64) -> f64 {
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
    /// Of m = sum NLL / sum units: infinite where a token's NLL is, NaN where the units sum to 0.
    pub value: f64,
    /// By the delta method; NaN where there is no interval.
    pub standard_error: f64,
    /// Of m - t sqrt V and m + t sqrt V; NaN under two clusters.
    pub interval: Interval,
    /// Satterthwaite's degrees of freedom.
    pub df: f64,
    /// Counted tokens.
    pub tokens: u64,
    /// What the NLL was divided by: tokens, words, bytes.
    pub units: f64,
    /// Clusters with counted tokens.
    pub clusters: usize,
}

impl Totals {
    /// The perplexity of all tokens so far; `None` without any.
    ///
    /// m and its clustered variance V (CR2) as in [`crate::intervals::cluster`]; m itself from the exact totals.
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
        // Tokens that are each off by half a step of their size move a mean by half a step of the mean; the sums are
        // exact. Of 16-bit floats that is all: eight of their steps are 6 % of an NLL, which is no rounding.
        let steps = if self.precision > Precision::F32 { 1.0 } else { STEPS };
        let noise = scalar(|| steps * self.precision.step() * (all.nll.value() / all.units.value()));
        let facts = SumFacts { noise, range: Range::Unknown, weighted: None };
        let fit = ratio(&sums, &sizes, 0.0, facts, confidence, progress)?;
        Ok(Some(scalar(|| {
            let units = all.units.value();
            let infinite = self.infinite > 0;
            let mean = if infinite { f64::INFINITY } else { all.nll.value() / units };
            let value = unit.of(mean);
            let none = Interval { low: f64::NAN, high: f64::NAN };
            let (standard_error, interval) = if infinite || fit.standard_error.is_nan() {
                (f64::NAN, none)
            } else {
                let Interval { low, high } =
                    confidence.around(mean, confidence.t(fit.df) * fit.standard_error);
                let slope = if unit == Unit::Perplexity { value } else { unit.of(1.0) };
                (slope * fit.standard_error, Interval { low: unit.of(low), high: unit.of(high) })
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
