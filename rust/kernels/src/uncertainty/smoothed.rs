//! The smoothed bootstrap: every draw has normal noise added to it.

use super::bootstrap::{Bootstrap, Options, concluded};
use super::limits::Correction;
use super::no_estimate::{Ended, NoEstimate, answer, finite};
use super::ordered;
use super::paired::Wide;
use super::smooth::{self, Formula};
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::math::normal;
use crate::math::{exp, log};
use crate::memory;
use crate::random::{Domain, Reader, Stream, count_into};
use crate::simd::scalar;

/// The number of draws per chunk of work.
const DRAWS: usize = 1 << 14;
/// The interquartile range of the normal distribution with variance 1, to the digits that the rule has.
const NORMAL_IQR: f64 = 1.34;

/// The standard deviation of the noise that suits the density of a column: `.9 min(s, IQR/1.34) n^(-1/5)` (Silverman
/// 1986, 3.31), with the divisor n - 1 in s; where the quartiles are equal, s alone counts.
pub fn bandwidth(x: &dyn Wide, progress: Progress<'_>) -> Result<Result<f64, NoEstimate>, Stopped> {
    answer(bandwidth_or_ended(x, progress))
}

fn bandwidth_or_ended(x: &dyn Wide, progress: Progress<'_>) -> Result<f64, Ended> {
    let n = x.len() as f64;
    let facts = finite(x.moments(&mut *progress)?, 0)?;
    let iqr = value_of(Formula::One(super::Name::Iqr), &[], x, &mut *progress)?;
    Ok(scalar(|| {
        let s = (facts.squares / (n - 1.0)).sqrt();
        let spread = iqr / NORMAL_IQR;
        let spread = if spread > 0.0 && spread < s { spread } else { s };
        0.9 * spread * exp(-0.2 * log(n))
    }))
}

/// Writes one normal deviate for each draw of the replicate of a stream: its numbers of 64 bits as probabilities.
pub(super) fn noise(stream: Stream, to: &mut [f64]) {
    let mut reader = Reader::new(stream);
    scalar(|| {
        for to in to {
            // Halfway between two multiples of 2^-53, so that it is neither 0 nor 1.
            let u = ((reader.draw() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
            *to = normal::quantile(u);
        }
    });
}

/// The bootstrap of a statistic of one column of rows, each of whose draws has `bandwidth` times a normal deviate added
/// to it: the draws are those of the usual bootstrap with the same seed, in the order of the rows. The methods that correct bias are refused.
pub fn smoothed(
    formula: Formula,
    parameters: &[f64],
    x: &dyn Wide,
    bandwidth: f64,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(smoothed_or_ended(formula, parameters, x, bandwidth, options, progress))
}

fn smoothed_or_ended(
    formula: Formula,
    parameters: &[f64],
    x: &dyn Wide,
    bandwidth: f64,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    if options.method.reads_units() || options.method.corrects_bias() {
        return Err(NoEstimate::NeedsInfluences.into());
    }
    let value = value_of(formula, parameters, x, &mut |_| progress(0))?;
    let (n, run) = (x.len(), options.to_make());
    let count = run.count as usize;
    let mut values = memory::filled(n, 0.0)?;
    x.widen(0, &mut values);
    let each = (DRAWS / n.max(1)).max(1);
    let mut done = |chunks: usize| progress(run.number((chunks * each).min(count)));
    let parts = map_chunks(chunks(count, each), count * n * size_of::<u64>(), &mut done, |part| {
        let mut counts = memory::filled(n, 0)?;
        let mut drawn = memory::filled(n, 0.0)?;
        let mut found = memory::with_capacity(each)?;
        for replicate in chunk(part, count, each) {
            count_into(run.stream(Domain::Bootstrap, replicate), &mut counts);
            noise(run.stream(Domain::Smoothing, replicate), &mut drawn);
            scalar(|| {
                let mut drawn = drawn.iter_mut();
                for (&value, &count) in values.iter().zip(&counts) {
                    for drawn in drawn.by_ref().take(count as usize) {
                        *drawn = value + bandwidth * *drawn;
                    }
                }
            });
            // What the data have and a resample has not is said as for the usual bootstrap.
            found.push(match value_of(formula, parameters, &&drawn[..], &mut |_| true) {
                Err(Ended::NoEstimate(_)) => return Err(NoEstimate::EmptyResample.into()),
                value => value?,
            });
        }
        Ok::<_, Ended>(found)
    })?;
    let mut made = memory::with_capacity(count)?;
    for part in parts {
        made.append(&mut part?);
    }
    let replicates = options.with_known(made)?;
    if replicates.iter().any(|value| !value.is_finite()) {
        return Err(NoEstimate::EmptyResample.into());
    }
    let correction = Correction { units: n, ..Correction::default() };
    let mut after = |_| progress(options.count as usize);
    concluded(value, (replicates, None), correction, (f64::NAN, f64::NAN), false, options, &mut after)
}

/// The statistic of one column.
fn value_of(
    formula: Formula,
    parameters: &[f64],
    x: &dyn Wide,
    progress: Progress<'_>,
) -> Result<f64, Ended> {
    match formula.ordered(parameters) {
        Some((statistic, second)) => ordered::value_of(&*statistic, &[x], second, progress),
        None => smooth::value_of(formula, &[x], progress),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, Name};
    use super::*;
    use crate::intervals::{Alternative, Confidence};
    use crate::math::powi;

    fn options(count: u32) -> Options<'static> {
        let confidence = Confidence { level: 0.5, alternative: Alternative::TwoSided };
        Options { method: Method::Percentile, count, seed: 5, confidence, known: &[] }
    }

    #[test]
    fn without_noise_it_is_the_usual_bootstrap() {
        let x: Vec<f64> = (0..70).map(|i| f64::from(i * i % 37)).collect();
        let found = smoothed(Formula::One(Name::Median), &[], &&x[..], 0.0, options(50), &mut |_| true);
        let (statistic, second) = Formula::One(Name::Median).ordered(&[]).unwrap();
        let usual = ordered::ordered_bootstrap(
            &*statistic,
            &[&&x[..]],
            second,
            super::super::Design::Rows,
            &super::super::designs::Simple,
            options(50),
            &mut |_| true,
        );
        assert_eq!(found.unwrap().unwrap().replicates, usual.unwrap().unwrap().replicates);
    }

    #[test]
    fn noise_is_normal() {
        let mut x = vec![0.0; 100_000];
        noise(Stream::new(3, Domain::Smoothing, 7), &mut x);
        let n = x.len() as f64;
        let moment = |k: u64| x.iter().map(|&x| powi(x, k)).sum::<f64>() / n;
        for (k, want, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            assert!((moment(k) - want).abs() < 4.0 * f64::sqrt(variance / n), "{k}");
        }
    }
}
