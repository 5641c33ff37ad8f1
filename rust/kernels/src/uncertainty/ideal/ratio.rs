//! The distribution of a ratio of sums, from that of a sum: `P(sum a/sum b <= r) = P(sum (a - r b) <= 0)` for `sum b > 0`.

use super::columns::{MANY, varied};
use super::enumeration::{listed_pairs, multisets};
use super::law::{Engine, Law};
use super::mixed::mixed;
use super::power_sums::from_power_sums;
use super::smooth::{Smooth, smooth};
use super::steps::Steps;
use super::sum::{Part, Sum, larger, smaller};
use super::tails::deviations;
use super::two_lattices::{self, Joint};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::ClusterSums;
use crate::intervals::moments::{Column, moments};
use crate::math::{exp, log, normal};
use crate::memory;
use crate::sorting::sorted;
use std::cell::Cell;

/// The most resamples of pairs that are listed.
pub const MOST: f64 = 1_200_000.0;
/// Resamples without a denominator may be as likely as this.
const EMPTY: f64 = 1e-9;

/// The different pairs of a numerator and a denominator, with their probabilities.
#[derive(Clone, Debug)]
pub struct PairsOf {
    pub a: Vec<f64>,
    pub b: Vec<f64>,
    pub shares: Vec<f64>,
    /// The number of draws.
    pub draws: f64,
}

impl PairsOf {
    pub fn new(unit_sums: &ClusterSums, pace: &mut Pace<'_>) -> Result<Self, Stopped> {
        let ClusterSums { sums, sizes } = unit_sums;
        let draws = sums.len() as f64;
        let pairs = memory::collected(sums.iter().copied().zip(sizes.iter().copied()))?;
        let order = |x: &(f64, f64), y: &(f64, f64)| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1));
        let pairs = sorted(pairs, order, pace)?;
        let (mut a, mut b, mut shares) = (Vec::new(), Vec::new(), Vec::<f64>::new());
        for (x, y) in pairs {
            match shares.last_mut() {
                Some(share) if a.last() == Some(&x) && b.last() == Some(&y) => *share += 1.0 / draws,
                _ => {
                    memory::push(&mut a, x)?;
                    memory::push(&mut b, y)?;
                    memory::push(&mut shares, 1.0 / draws)?;
                }
            }
        }
        Ok(PairsOf { a, b, shares, draws })
    }
}

/// Whether a resample whose denominators add up to 0 or less is so unlikely that it does not matter; `strata` are the
/// denominators of each.
pub fn denominators_hold(strata: &[&[f64]], progress: Progress<'_>) -> Result<bool, Stopped> {
    let (mut least, mut largest, mut mean, mut squares, mut empty) = (f64::INFINITY, 0.0, 0.0, 0.0, 0.0);
    for sizes in strata {
        let Column::Finite(size) = moments(sizes, &mut *progress)? else { return Ok(false) };
        let n = sizes.len() as f64;
        least = smaller(least, size.min);
        largest = larger(largest, size.mean - size.min);
        mean += n * size.mean;
        squares += size.squares;
        empty += n * log(sizes.iter().filter(|&&b| b == 0.0).count() as f64 / n);
    }
    if least >= 0.0 {
        return Ok(least > 0.0 || empty < log(EMPTY));
    }
    let deviation = squares.sqrt();
    Ok(mean > deviation * deviations(largest / deviation))
}

/// The distribution of `shift + sum a/sum b` over resamples of the units in `strata`, with sums `a` and sizes `b`.
pub fn law(
    strata: Vec<ClusterSums>,
    shift: f64,
    value: f64,
    standard_error: f64,
    progress: Progress<'_>,
) -> Result<Box<dyn Law>, Stopped> {
    let place = Place { shift, value: value - shift, standard_error };
    if strata.iter().map(|units| units.sums.len()).sum::<usize>() > MANY {
        return Ok(Box::new(
            Ratio { units: Units::Many(strata), place, error: Cell::new(0.0), engine: Cell::new(Engine::T) }
                .probed(progress)?,
        ));
    }
    let mut pairs = memory::with_capacity(strata.len())?;
    for units in &strata {
        pairs.push(PairsOf::new(units, &mut Pace::new(&mut *progress))?);
    }
    let ways = pairs.iter().map(|pairs| multisets(pairs.a.len(), pairs.draws)).product::<f64>();
    if ways <= MOST {
        let listed = listed_pairs(&pairs, &mut Pace::new(&mut *progress))?;
        return Ok(Box::new(Steps::new(listed, shift, place.value, Engine::E, progress)?));
    }
    let joint = two_lattices::joint(&pairs, shift, &mut *progress)?;
    match joint {
        Joint::Known(cells) => {
            let ratios = cells.into_iter().filter(|cell| cell.1 > 0.0).map(|(a, b, share)| (a / b, share));
            Ok(Box::new(Steps::new(memory::gathered(ratios)?, 0.0, value, Engine::L, progress)?))
        }
        Joint::Fine(noise) => Ok(Box::new(ratio(pairs, place, noise, progress)?)),
        Joint::None => Ok(Box::new(ratio(pairs, place, 0.0, progress)?)),
    }
}

fn ratio(pairs: Vec<PairsOf>, place: Place, noise: f64, progress: Progress<'_>) -> Result<Ratio, Stopped> {
    let units = Units::Few { pairs, noise };
    Ratio { units, place, error: Cell::new(0.0), engine: Cell::new(Engine::G) }.probed(progress)
}

#[derive(Clone, Copy, Debug)]
struct Place {
    shift: f64,
    /// The ratio of the data, without the shift.
    value: f64,
    standard_error: f64,
}

#[derive(Debug)]
enum Units {
    Few { pairs: Vec<PairsOf>, noise: f64 },
    Many(Vec<ClusterSums>),
}

/// A distribution that is inverted anew for each ratio.
#[derive(Debug)]
struct Ratio {
    units: Units,
    place: Place,
    /// The largest error so far.
    error: Cell<f64>,
    engine: Cell<Engine>,
}

impl Ratio {
    /// Computes the distribution at the value and two standard errors beside it, so that its error is known.
    fn probed(self, progress: Progress<'_>) -> Result<Self, Stopped> {
        for by in [-2.0, 0.0, 2.0] {
            self.at(self.place.value + by * self.place.standard_error, &mut *progress)?;
        }
        Ok(self)
    }

    /// The probability of ratios of at most `r` (without the shift).
    fn at(&self, r: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let law = match &self.units {
            Units::Few { pairs, noise } => few(pairs, r, *noise, progress)?,
            Units::Many(sums) => many(sums, r, progress)?,
        };
        self.error.set(larger(self.error.get(), law.error));
        self.engine.set(law.engine);
        // The law is of the sum about its mean, which is not 0.
        let at = -law.value * law.per / law.deviation;
        Ok(if at > law.range.1 {
            1.0
        } else if at < -law.range.0 {
            0.0
        } else {
            law.at(at).0
        })
    }
}

fn few(strata: &[PairsOf], r: f64, noise: f64, progress: Progress<'_>) -> Result<Smooth, Stopped> {
    let mut parts = memory::with_capacity(strata.len())?;
    for pairs in strata {
        let rests = pairs.a.iter().zip(&pairs.b).map(|(a, b)| a - r * b);
        let rests = memory::collected(rests.zip(pairs.shares.iter().copied()))?;
        let order = |x: &(f64, f64), y: &(f64, f64)| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1));
        let rests = sorted(rests, order, &mut Pace::new(&mut *progress))?;
        let values = memory::collected(rests.iter().map(|pair| pair.0))?;
        let shares = memory::collected(rests.iter().map(|pair| pair.1))?;
        parts.push(Part::counted(values, shares, pairs.draws, 1.0));
    }
    let mut law = rest_of(parts, progress)?;
    law.error += noise;
    Ok(law)
}

fn many(strata: &[ClusterSums], r: f64, progress: Progress<'_>) -> Result<Smooth, Stopped> {
    let mut all = memory::with_capacity(strata.len())?;
    for ClusterSums { sums, sizes } in strata {
        all.push(memory::collected(sums.iter().zip(sizes).map(|(a, b)| a - r * b))?);
    }
    if let [rests] = &all[..] {
        if let Column::Finite(facts) = moments(rests, &mut *progress)?
            && varied(rests)?
            && let Some(law) =
                from_power_sums(&rests[..], &facts, (rests.len() as f64 * facts.mean, 1.0), &mut *progress)?
        {
            return Ok(law);
        }
    } else {
        let values = memory::collected(all.iter().map(|rests| (&rests[..], 1.0)))?;
        let mean = all.iter().map(|rests| rests.iter().sum::<f64>()).sum();
        if let Some(law) = mixed(&values, (mean, 1.0), &mut *progress)? {
            return Ok(law);
        }
    }
    let mut parts = memory::with_capacity(all.len())?;
    for rests in all {
        parts.push(Part::new(rests, None, 1.0, &mut Pace::new(&mut *progress))?);
    }
    rest_of(parts, progress)
}

/// The distribution of the sum of `a - r b`.
fn rest_of(parts: Vec<Part>, progress: Progress<'_>) -> Result<Smooth, Stopped> {
    let mean = parts.iter().map(|part| part.draws * part.mean).sum();
    smooth(&Sum::new(parts, mean, 1.0), progress)
}

impl Law for Ratio {
    fn engine(&self) -> Engine {
        self.engine.get()
    }

    fn error(&self) -> f64 {
        self.error.get()
    }

    fn middle(&self, progress: Progress<'_>) -> Result<f64, Stopped> {
        self.at(self.place.value, progress)
    }

    /// The secant method on the normal quantiles of F, which are nearly linear, inside a bracket.
    fn quantile(&self, level: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let Place { shift, value, standard_error } = self.place;
        let z = normal::quantile(level);
        let mut off = |r: f64| -> Result<f64, Stopped> {
            let f = self.at(r, &mut *progress)?;
            Ok(normal::quantile(smaller(larger(f, 1e-15), 1.0 - 1e-15)) - z)
        };
        let mut before = (value + z * standard_error, 0.0);
        before.1 = off(before.0)?;
        let mut now = (before.0 - before.1 * standard_error, 0.0);
        now.1 = off(now.0)?;
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        for step in 0..60 {
            for (r, off) in [before, now] {
                if off <= 0.0 && r > low {
                    low = r;
                }
                if off >= 0.0 && r < high {
                    high = r;
                }
            }
            let close = (now.0 - before.0).abs() <= 1e-15 * larger(now.0.abs(), standard_error);
            if now.1.abs() < 1e-14 || close {
                break;
            }
            let mut next = now.0 - now.1 * (now.0 - before.0) / (now.1 - before.1);
            if !next.is_finite() {
                next = now.0 - now.1 * standard_error;
            }
            if high.is_finite() && low.is_finite() && !(next > low && next < high) || step > 20 {
                next = 0.5 * (low + high);
            }
            (before, now) = (now, (next, 0.0));
            now.1 = off(now.0)?;
        }
        Ok(shift + now.0)
    }

    fn up_to(&self, value: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        self.at(value - self.place.shift, progress)
    }
}

/// The root mean square of the characteristic function of a sum on a lattice with cells of area `cell`, in two
/// dimensions of covariance determinant `determinant`.
pub fn cell_noise(cell: f64, determinant: f64) -> f64 {
    if determinant > 0.0 {
        exp(0.5 * log(cell / (4.0 * std::f64::consts::PI * determinant.sqrt())))
    } else {
        1.0
    }
}
