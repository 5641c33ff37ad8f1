//! Perplexity with its standard error and interval from clusters of tokens.

use super::totals::Totals;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::{Clustered, SumFacts, ratio};
use crate::intervals::spread::{Range, STEPS};
use crate::intervals::strata::{Average, Form, StrataFacts, Units, stratified};
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

/// The sums and sizes of clusters, in f64.
struct Columns {
    sums: Vec<f64>,
    sizes: Vec<f64>,
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
        let Columns { sums, sizes } = self.columns(&mut Pace::new(&mut *progress))?;
        if self.all.tokens == 0 {
            return Ok(None);
        }
        let facts = SumFacts { noise: self.noise(), range: Range::Unknown, weighted: None };
        let fit = ratio(&sums, &sizes, 0.0, facts, confidence, progress)?;
        Ok(Some(scalar(|| {
            let mean = if self.infinite > 0 { f64::INFINITY } else { self.mean() };
            let counts = (self.all.tokens, self.all.units.value(), sums.len());
            converted(mean, &fit, counts, unit, confidence)
        })))
    }

    /// The sum of the NLL and the number of units of each cluster.
    fn columns(&self, pace: &mut Pace<'_>) -> Result<Columns, Stopped> {
        let rows = self.rows(pace)?;
        let (mut sums, mut sizes) = (memory::with_capacity(rows.len())?, memory::with_capacity(rows.len())?);
        for total in &rows {
            sums.push(total.nll.value());
            sizes.push(total.units.value());
            pace.step()?;
        }
        Ok(Columns { sums, sizes })
    }

    fn mean(&self) -> f64 {
        scalar(|| self.all.nll.value() / self.all.units.value())
    }

    /// How far rounding can move two equal means apart. The sums are exact. If every NLL is rounded by up to half a
    /// step (a unit in its last place), a mean moves by up to half a step of its own size, so that two equal means
    /// differ by up to one step. For 16-bit floats the tolerance is no more than that: eight of their steps would be
    /// 6 % of an NLL, which rounding cannot explain.
    fn noise(&self) -> f64 {
        let steps = if self.precision > Precision::F32 { 1.0 } else { STEPS };
        scalar(|| steps * self.precision.step() * self.mean())
    }
}

/// The perplexity of strata, each of which has totals of its own with at least one token; `None` without strata.
///
/// The mean m in nats is the stratified mean of [`crate::intervals::strata`], micro (over all tokens or units) or macro
/// (the mean of the strata's means, whose exponential is the geometric mean of their perplexities). Where a stratum
/// shows no spread there is no interval, since the range of an NLL is not known.
pub fn stratified_perplexity(
    totals: &[&Totals],
    average: Average,
    unit: Unit,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Option<Perplexity>, Stopped> {
    let mut all = Columns { sums: vec![], sizes: vec![] };
    let mut strata = vec![];
    let (mut tokens, mut units, mut noise, mut infinite) = (0, 0.0, 0.0, false);
    let mut pace = Pace::new(&mut *progress);
    for (stratum, of) in totals.iter().enumerate() {
        let Columns { sums, sizes } = of.columns(&mut pace)?;
        memory::reserve(&mut strata, sums.len())?;
        strata.resize(strata.len() + sums.len(), stratum as i64);
        for (to, from) in [(&mut all.sums, &sums), (&mut all.sizes, &sizes)] {
            memory::reserve(to, from.len())?;
            to.extend_from_slice(from);
        }
        tokens += of.all.tokens;
        infinite |= of.infinite > 0;
        scalar(|| {
            units += of.all.units.value();
            noise = if of.noise() > noise { of.noise() } else { noise };
        });
    }
    if tokens == 0 {
        return Ok(None);
    }
    let units_of = Units { sums: &all.sums, sizes: &all.sizes, strata: &strata, count: totals.len() };
    let facts = StrataFacts { noise, range: Range::Unknown, width: f64::NAN, weighted: false };
    let fit = stratified(units_of, average, 0.0, Form::Student, facts, confidence, progress)?;
    Ok(fit.map(|fit| {
        let mean = if infinite { f64::INFINITY } else { fit.mean.value };
        scalar(|| converted(mean, &fit.mean, (tokens, units, all.sums.len()), unit, confidence))
    }))
}

/// A mean NLL with its interval in the unit asked for; `counts` are the tokens, units and clusters.
fn converted(
    mean: f64,
    fit: &Clustered,
    counts: (u64, f64, usize),
    unit: Unit,
    confidence: Confidence,
) -> Perplexity {
    let (tokens, units, clusters) = counts;
    let value = unit.convert(mean);
    let none = Interval { low: f64::NAN, high: f64::NAN };
    let (standard_error, interval) = if mean.is_infinite() || fit.standard_error.is_nan() {
        (f64::NAN, none)
    } else {
        let Interval { low, high } = confidence.around(mean, confidence.t(fit.df) * fit.standard_error);
        let slope = if unit == Unit::Perplexity { value } else { unit.convert(1.0) };
        (slope * fit.standard_error, Interval { low: unit.convert(low), high: unit.convert(high) })
    };
    Perplexity { value, standard_error, interval, df: fit.df, tokens, units, clusters }
}
