//! The ideal bootstrap: the limits that infinitely many resamples would give, without resampling.
//!
//! The sum over a resample is a sum of independent draws from the data. Its characteristic function is a product, and
//! its inversion gives the distribution of the statistic over all resamples. Which way is taken depends on the data
//! ([`Engine`]); each states its numerical error.

mod columns;
mod designed;
mod enumeration;
mod in_strata;
mod inversion;
mod lattice;
mod law;
mod march;
mod mixed;
mod nodes;
mod peel;
mod power_sums;
mod quantile;
mod ratio;
mod smooth;
mod steps;
mod studentized;
mod sum;
mod tails;
mod two_lattices;
mod units;

use super::bootstrap::{clustered, root_mean_square};
use super::design::{Design, Pairs, Rows};
use super::expanded::expanded;
use super::influence::acceleration;
use super::limits::{Method, adjusted};
use super::no_estimate::{Ended, NoEstimate, answer, finite};
use super::ratio::{Columns, Resampled, resampled};
use super::statistic::{Mean, Quotient};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::ClusterSums;
use crate::intervals::moments::{Moments, moments};
use crate::intervals::spread::{Range, ValueFacts};
use crate::intervals::sums::sums_at;
use crate::intervals::{Alternative, Confidence};
use crate::math::normal;
use crate::memory;
use crate::simd::{Element, standard};
pub use designed::{Plan, Together, designed};
pub use law::Engine;
use law::Law;
pub use quantile::quantile;
use sum::{Sum, smaller};

/// A distribution whose probabilities may be off by more than this is refused.
const CERTIFIED: f64 = 1e-5;
/// A better engine is looked for where the error is larger.
const GOOD: f64 = 1e-9;
/// The most outliers that are set apart.
const OUTLIERS: usize = 3;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The method that computes limits from the distribution.
    pub method: Method,
    /// The confidence level of the interval, and its sides.
    pub confidence: Confidence,
    /// Where the distribution function is asked for as well.
    pub at: &'a [f64],
}

/// A statistic with the limits that infinitely many resamples give.
#[derive(Clone, Debug, PartialEq)]
pub struct Ideal {
    /// The statistic of the data.
    pub value: f64,
    /// The standard deviation of the statistic over all resamples; of a ratio, of its linear approximation.
    pub standard_error: f64,
    /// The lower limit; infinite on a side that is left open.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
    /// How the distribution was computed.
    pub engine: Engine,
    /// The approximate numerical error of its probabilities.
    pub error: f64,
    /// BCa's acceleration; 0 for the other methods.
    pub acceleration: f64,
    /// BCa's bias correction z0; 0 for the other methods.
    pub bias: f64,
    /// Whether every value is 0 or 1.
    pub binary: bool,
    /// The probabilities of resamples whose statistic (studentised: whose t) is at most each of the numbers asked for;
    /// halfway up a step that is not resolved.
    pub up_to: Vec<f64>,
}

/// The ideal bootstrap of the mean of `x` under a design. `progress` gets 0 as long as it works.
pub fn mean<T: Element>(
    x: &[T],
    design: Design<'_>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Result<Ideal, NoEstimate>, Stopped> {
    // Node by node the work is divided among threads, which have guards of their own.
    standard(|| answer(mean_or_ended(x, design, question, &mut |_| progress(0))))
}

/// The ideal bootstrap of a ratio of two columns, whose weights it ignores.
pub fn ratio(
    columns: Columns<'_>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Result<Ideal, NoEstimate>, Stopped> {
    let mut progress = |_| progress(0);
    standard(|| {
        answer((|| {
            reads_quantiles(question.method)?;
            let Resampled { unit_sums, shift, value, .. } =
                resampled(columns, question.confidence, &mut progress)?;
            quotient(unit_sums, shift, value, false, question, &mut progress)
        })())
    })
}

fn mean_or_ended<T: Element>(
    x: &[T],
    design: Design<'_>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    reads_quantiles(question.method)?;
    let facts = finite(moments(x, &mut *progress)?, 0)?;
    let Moments { mean, squares, min, max, step, binary, .. } = facts;
    let n = x.len() as f64;
    let values = ValueFacts { low: min, high: max, step, rows: n, range: Range::Unknown };
    if x.len() < 2 || values.equal() {
        return Err(NoEstimate::EqualValues { n: x.len() }.into());
    }
    if let Design::Clusters { codes, count } = design {
        let shift = if binary { 0.0 } else { mean };
        let (unit_sums, value) =
            clustered(&x, (codes, count), shift, &values, question.confidence, &mut *progress)?;
        return quotient(unit_sums, shift, value, binary, question, progress);
    }
    if question.method == Method::Studentized {
        let sums = memory::collected(x.iter().map(|x| x.to_f64()))?;
        let units = ClusterSums { sizes: memory::filled(x.len(), 1.0)?, sums };
        let standard_error = squares.sqrt() / n;
        let found = Found { value: mean, standard_error, acceleration: 0.0, binary, units: x.len() };
        return by_t(&units, mean, found, question, progress);
    }
    let law = columns::law(x, &facts, &mut *progress)?;
    let acceleration = if question.method == Method::Bca {
        let (rows, mean_of) = (Rows { x, shift: mean }, Mean { shift: mean, n });
        acceleration(rows, mean_of, mean, (squares / n).sqrt(), &mut *progress)?
    } else {
        0.0
    };
    let standard_error = squares.sqrt() / n;
    let found = Found { value: mean, standard_error, acceleration, binary, units: x.len() };
    limits(&*law, found, question, progress)
}

/// The ideal bootstrap of `shift + sum sums/sum sizes` over units, whose value it is.
pub(super) fn quotient(
    unit_sums: ClusterSums,
    shift: f64,
    value: f64,
    binary: bool,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    let ClusterSums { sums, sizes } = &unit_sums;
    if !ratio::denominators_hold(&[sizes], &mut *progress)? {
        return Err(NoEstimate::EmptyResample.into());
    }
    let (units, statistic) = (Pairs { sums, sizes }, Quotient { shift });
    let scale = root_mean_square(units, statistic, value, &mut *progress)?;
    let acceleration = if question.method == Method::Bca {
        acceleration(units, statistic, value, scale, &mut *progress)?
    } else {
        0.0
    };
    let n = sums.len();
    let [size] = sums_at(n, &mut Pace::new(&mut *progress), |g| [sizes[g]])?;
    let standard_error = scale * (n as f64).sqrt() / size;
    let found = Found { value, standard_error, acceleration, binary, units: n };
    if question.method == Method::Studentized {
        return by_t(&unit_sums, value - shift, found, question, progress);
    }
    let law = ratio::law(vec![unit_sums], shift, value, standard_error, &mut *progress)?;
    limits(&*law, found, question, progress)
}

/// The limits of the studentised bootstrap of units whose ratio is `value`.
fn by_t(
    units: &ClusterSums,
    value: f64,
    found: Found,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    let law = studentized::law(units, value, found.standard_error, &mut *progress)?;
    let answer = limits(&law, found, question, progress)?;
    let asked = [(answer.low, Alternative::Less), (answer.high, Alternative::Greater)];
    if asked.iter().any(|&(limit, open)| question.confidence.alternative != open && limit.is_infinite()) {
        return Err(NoEstimate::StillResamples { share: law.without_spread() }.into());
    }
    Ok(answer)
}

/// The statistic of the data and what does not depend on the distribution.
#[derive(Clone, Copy, Debug)]
struct Found {
    value: f64,
    standard_error: f64,
    acceleration: f64,
    binary: bool,
    units: usize,
}

/// Refuses a method whose limits are not quantiles of the distribution of the statistic, or of its t, alone.
fn reads_quantiles(method: Method) -> Result<(), NoEstimate> {
    if method.reads_quantiles() || method == Method::Studentized {
        Ok(())
    } else {
        Err(NoEstimate::NeedsReplicates)
    }
}

/// The limits of a distribution.
fn limits(
    law: &dyn Law,
    found: Found,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    let Found { value, standard_error, acceleration, binary, units } = found;
    let Question { method, confidence, at } = question;
    certified(law.error())?;
    let tail = confidence.tail();
    let (mut low, mut high) = (tail, 1.0 - tail);
    let mut bias = 0.0;
    match method {
        Method::Percentile => {}
        Method::Basic | Method::Studentized => (low, high) = (high, low),
        Method::Expanded => (low, high) = (expanded(low, units), expanded(high, units)),
        Method::Bca | Method::Bc => {
            bias = normal::quantile(law.middle(&mut *progress)?);
            (low, high) = (adjusted(bias, acceleration, low)?, adjusted(bias, acceleration, high)?);
        }
        Method::Normal | Method::BetaT | Method::Double | Method::Abc => {
            return Err(NoEstimate::NeedsReplicates.into());
        }
    }
    let mut limit = |open: Alternative, level: f64, infinite: f64| -> Result<f64, Ended> {
        if confidence.alternative == open {
            return Ok(infinite);
        }
        // Beyond, the numerical error would be a tenth of the probability.
        certified(CERTIFIED * law.error() / smaller(CERTIFIED, 0.1 * smaller(level, 1.0 - level)))?;
        let limit = law.quantile(level, &mut *progress)?;
        Ok(match method {
            Method::Basic => 2.0 * value - limit,
            Method::Studentized => value - standard_error * limit,
            _ => limit,
        })
    };
    let low = limit(Alternative::Less, low, f64::NEG_INFINITY)?;
    let high = limit(Alternative::Greater, high, f64::INFINITY)?;
    let mut up_to = memory::with_capacity(at.len())?;
    for &value in at {
        up_to.push(law.up_to(value, &mut *progress)?);
    }
    // The error of a ratio is known where it was computed.
    let (engine, error) = (law.engine(), law.error());
    certified(error)?;
    Ok(Ideal { value, standard_error, low, high, engine, error, acceleration, bias, binary, up_to })
}

fn certified(error: f64) -> Result<(), NoEstimate> {
    if error <= CERTIFIED { Ok(()) } else { Err(NoEstimate::Uncertified { error }) }
}

/// The distribution of a sum; the values of its parts may be off by a share `off` of themselves.
fn linear(sum: &Sum, off: f64, progress: Progress<'_>) -> Result<Box<dyn Law>, Stopped> {
    let halves = enumeration::halves(sum)?;
    if let Some(places) = lattice::places(sum, off)? {
        // A short list of resamples takes less time than a long lattice.
        if let Some(halves) = halves.filter(|halves| halves.longest < lattice::points(sum, &places)) {
            let law = enumeration::enumerated(sum, &halves, Some(&places), &mut Pace::new(progress))?;
            return Ok(Box::new(law));
        }
        return Ok(Box::new(lattice::on_lattice(sum, &places, progress)?));
    }
    if let Some(halves) = halves {
        return Ok(Box::new(enumeration::enumerated(sum, &halves, None, &mut Pace::new(progress))?));
    }
    let law = smooth::smooth(sum, &mut *progress)?;
    // Setting values apart does not help against steps that few draws leave everywhere.
    if law.error > GOOD && law.inverse.atoms < 0.1 * law.error {
        for outliers in 1..=OUTLIERS {
            if let Some(peeled) = peel::peeled(sum, outliers, 0.01 * law.error, &mut *progress)? {
                return Ok(Box::new(peeled));
            }
        }
    }
    Ok(Box::new(law))
}
