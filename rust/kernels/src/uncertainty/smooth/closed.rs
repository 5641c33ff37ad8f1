//! The interval of a statistic of sums in closed form, by its influences.

use super::super::design::Design;
use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::Sums;
use super::formula::{Formula, checked};
use super::scale::{Drawn, Fit, Scale};
use super::units::{UnitSums, unit_sums};
use super::width::stride;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::{self, Clustered, SumFacts, effective_weights};
use crate::intervals::proportion::{Method, proportion};
use crate::intervals::spread::{Range, STEPS};
use crate::intervals::strata::{Average, Form, StrataFacts, Units, stratified};
use crate::intervals::sums::sums_at;
use crate::intervals::{Confidence, Interval};
use crate::memory;
use crate::simd::scalar;

/// The strata of the units.
#[derive(Clone, Copy, Debug)]
pub struct Strata<'a> {
    /// The stratum of each unit, inside `0..count`.
    pub codes: &'a [i64],
    /// The number of strata.
    pub count: usize,
    /// How the strata become one statistic: that of all rows together, or the mean of those of the strata.
    pub average: Average,
}

/// A statistic with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closed {
    /// The statistic of all rows; with strata that count once, the mean of those of the strata.
    pub value: f64,
    /// The standard error; NaN where there is none.
    pub standard_error: f64,
    /// The interval, inside the range of the statistic; NaN where there is none.
    pub interval: Interval,
    /// Satterthwaite's degrees of freedom; NaN where there are none.
    pub df: f64,
    /// The number of rows in Wilson's interval; else Kish's effective sample size with weights; else NaN.
    pub n_effective: f64,
    /// Whether all units say the same, up to rounding.
    pub unspread: bool,
    /// The number of strata whose units all say the same.
    pub still: usize,
    /// Whether the interval is that of a plain proportion, with z in place of t.
    pub plain: bool,
}

/// The statistic of `columns` with its interval, in closed form.
///
/// With the sums `s_g` of unit g (a row or a cluster), S those of all units, f the statistic and `n_g` the size of the
/// unit ([`super::Smooth::size`]), `N = sum n_g`, `f_g = n_g/N`: the influence is `U_g = gradient f(S) . s_g`, the
/// variance of f(S) is `V = sum U_g^2/(1 - f_g)` (CR2), and the degrees of freedom are those of a mean of the same
/// sizes ([`crate::intervals::cluster`]), whose influences are `(S_g - m n_g)/N`. With strata V is that of the linear
/// statistic ([`crate::intervals::strata`]); strata that count once have a gradient of their own. The limits are
/// symmetric on the statistic's [`Scale`].
///
/// A statistic that is a share of 0/1 rows has Wilson's plain interval where rows are independent and count equally.
pub fn closed(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    weights: Option<&[f64]>,
    design: Design<'_>,
    strata: Option<Strata<'_>>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<Closed, NoEstimate>, Stopped> {
    answer(closed_or_ended(statistic, columns, weights, design, strata, confidence, progress))
}

fn closed_or_ended(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    weights: Option<&[f64]>,
    design: Design<'_>,
    strata: Option<Strata<'_>>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Closed, Ended> {
    let prepared = prepare(statistic, columns, weights, design, &mut *progress)?;
    let kish = weights.map_or(Ok(f64::NAN), |weights| effective_weights(weights, &mut *progress))?;
    let rows = matches!(design, Design::Rows);
    let weighted = weights.map(|weights| weights.len() as f64);
    concluded(statistic, &prepared, Known { rows, weighted, kish, strata }, confidence, progress)
}

/// What is known about the units, apart from their sums.
#[derive(Clone, Copy)]
pub(in crate::uncertainty) struct Known<'a> {
    /// Whether they are rows.
    pub rows: bool,
    /// The number of rows, where these have weights.
    pub weighted: Option<f64>,
    /// The effective number of weighted rows; NaN without weights.
    pub kish: f64,
    pub strata: Option<Strata<'a>>,
}

fn concluded(
    statistic: &dyn Sums,
    prepared: &Prepared,
    known: Known<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Closed, Ended> {
    let Known { rows, weighted, kish, strata } = known;
    if prepared.value.is_infinite() {
        return Ok(Closed { n_effective: kish, ..Closed::without_interval(prepared.value) });
    }
    if statistic.answers() && rows && weighted.is_none() && strata.is_none() {
        return Ok(plain(statistic, &prepared.totals, prepared.value, confidence));
    }
    let linear = prepared.linear_in(statistic, strata, &mut *progress)?;
    let (found, still) = linear.variance(strata, weighted, confidence, &mut *progress)?;
    let Clustered { df, standard_error: error, unspread, .. } = found;
    if !df.is_finite() {
        return Ok(Closed { n_effective: kish, ..Closed::without_interval(linear.value) });
    }
    let rows = match (statistic.answers(), strata, weighted) {
        (true, None, None) => linear.size,
        (true, None, Some(rows)) => rows,
        (true, Some(_), _) | (false, _, _) => f64::INFINITY,
    };
    let units = linear.units(strata, weighted.is_some(), &mut *progress)?;
    let of = Linearised { value: linear.value, error, df, unspread, units, size: linear.size, rows };
    let found = of.closed(statistic, &prepared.totals, confidence)?;
    let n_effective = if found.n_effective.is_nan() { kish } else { found.n_effective };
    Ok(Closed { n_effective, still, ..found })
}

/// A statistic with its error by linearisation.
struct Linearised {
    value: f64,
    error: f64,
    df: f64,
    unspread: bool,
    /// The number of units, and the sum of their sizes.
    units: f64,
    size: f64,
    /// The most rows that the effective number of rows may be.
    rows: f64,
}

impl Linearised {
    /// The interval on the scale of the statistic, for units that have these sums together.
    fn closed(
        self,
        statistic: &dyn Sums,
        totals: &[f64],
        confidence: Confidence,
    ) -> Result<Closed, NoEstimate> {
        let Linearised { value, error, df, unspread, units, size, rows } = self;
        if !error.is_finite() && !unspread {
            return Err(statistic.too_large());
        }
        Ok(scalar(|| {
            let unseen = statistic.unseen(totals, units / size, confidence.two_sided().z());
            let error = if unspread { 0.0 } else { (error * error + unseen).sqrt() };
            let still = units * statistic.effective(totals);
            let fit = Fit { value, error, df, still, rows };
            let Drawn { standard_error, interval, n_effective } = statistic.scale().draw(fit, confidence);
            Closed { value, standard_error, interval, df, n_effective, unspread, still: 0, plain: false }
        }))
    }
}

/// What a state knows of the rows of a statistic.
#[derive(Clone, Copy)]
pub(in crate::uncertainty) enum Gathered<'a> {
    /// The sums of each cluster, and the rows of the largest one.
    Units { units: &'a [Vec<f64>], most: u64, known: Known<'a> },
    /// Rows that count alike.
    Rows(GatheredRows<'a>),
}

/// The sum of the squares of a linear function of terms, with a number subtracted.
pub(in crate::uncertainty) type Squared<'a> = dyn Fn(&[f64], f64) -> Result<f64, NoEstimate> + 'a;

/// What a state knows of rows that count alike.
#[derive(Clone, Copy)]
pub(in crate::uncertainty) struct GatheredRows<'a> {
    /// The sums of the terms, and of their squares.
    pub totals: &'a [f64],
    pub squares: &'a [f64],
    pub n: u64,
    /// Whether the rows differ by no more than rounding.
    pub narrow: bool,
    /// See [`Squared`].
    pub squared: &'a Squared<'a>,
}

/// As [`closed`], of what a state has gathered.
pub(in crate::uncertainty) fn closed_of(
    statistic: &dyn Sums,
    gathered: Gathered<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Closed, Ended> {
    match gathered {
        Gathered::Units { units, most, known } => {
            let stride = stride(statistic.width());
            let mut sums = memory::filled(units.len() * stride, 0.0)?;
            for (to, unit) in sums.chunks_mut(stride).zip(units) {
                to[..unit.len()].copy_from_slice(unit);
            }
            let units = UnitSums { sums, stride, count: units.len(), largest: most as f64 };
            let prepared = prepared(statistic, units, &mut *progress)?;
            concluded(statistic, &prepared, known, confidence, progress)
        }
        Gathered::Rows(rows) => of_rows(statistic, &rows, confidence),
    }
}

/// The interval of rows that count alike, from their sums: `V = n/(n - 1) sum (U_i - mean U)^2`, which is CR2 for units of
/// one size.
fn of_rows(statistic: &dyn Sums, rows: &GatheredRows<'_>, confidence: Confidence) -> Result<Closed, Ended> {
    let GatheredRows { totals, squares, n, narrow, squared } = *rows;
    let value = valued(statistic, totals)?;
    if value.is_infinite() {
        return Ok(Closed::without_interval(value));
    }
    if statistic.answers() {
        return Ok(plain(statistic, totals, value, confidence));
    }
    if n < 2 {
        return Ok(Closed::without_interval(value));
    }
    let mut gradient = memory::filled(statistic.width(), 0.0)?;
    scalar(|| statistic.gradient(totals, &mut gradient));
    let count = n as f64;
    let mean = if statistic.degree() == 0 {
        0.0
    } else {
        scalar(|| gradient.iter().zip(totals).fold(0.0, |sum, (by, total)| sum + by * total) / count)
    };
    let spread = squared(&gradient, mean)?;
    let of = scalar(|| {
        // By Cauchy and Schwarz: the sum of magnitudes is at most this root.
        let magnitudes = squares.iter().map(|square| (square * count).sqrt());
        let reach = gradient.iter().zip(magnitudes).fold(0.0, |sum, (by, size)| sum + (by * size).abs());
        // Where two rows are further apart than rounding moves them, the sum is at least half of the square of that.
        let apart = noise(statistic, 1.0, reach) / count;
        let unspread = narrow || spread <= apart * apart / 2.0;
        let error = if unspread { 0.0 } else { (spread * (count / (count - 1.0))).sqrt() };
        let df = count - 1.0;
        Linearised { value, error, df, unspread, units: count, size: count, rows: f64::INFINITY }
    });
    Ok(of.closed(statistic, totals, confidence)?)
}

impl Closed {
    fn without_interval(value: f64) -> Closed {
        let interval = Interval { low: f64::NAN, high: f64::NAN };
        let (standard_error, df, n_effective) = (f64::NAN, f64::NAN, f64::NAN);
        Closed { value, standard_error, interval, df, n_effective, unspread: false, still: 0, plain: false }
    }
}

/// The share of ones among independent rows that count equally: Wilson's interval, on the scale of the share.
fn plain(statistic: &dyn Sums, totals: &[f64], value: f64, confidence: Confidence) -> Closed {
    let (hits, size) = scalar(|| (statistic.hits(totals), statistic.size(totals)));
    let share = proportion(hits as u64, size as u64, Method::Wilson, confidence);
    let unspread = hits == 0.0 || hits == size;
    scalar(|| {
        let scale = statistic.scale();
        let interval = scale.of_share(share.interval);
        let standard_error = share.standard_error * scale.by_share(share.value);
        Closed {
            value,
            standard_error,
            interval,
            df: f64::NAN,
            n_effective: f64::NAN,
            unspread,
            still: 0,
            plain: true,
        }
    })
}

/// The sums of the units, and the statistic of all of them.
pub(super) struct Prepared {
    pub units: UnitSums,
    /// The sums over all units, and over their magnitudes.
    pub totals: Vec<f64>,
    pub sizes: Vec<f64>,
    pub value: f64,
}

/// The statistic of some columns.
pub(in crate::uncertainty) fn value_of(
    formula: Formula,
    columns: &[&dyn Wide],
    progress: Progress<'_>,
) -> Result<f64, Ended> {
    let statistic = checked(formula, columns, &mut *progress)?;
    Ok(prepare(&*statistic, columns, None, Design::Rows, progress)?.value)
}

/// Adds the columns up.
pub(super) fn prepare(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    weights: Option<&[f64]>,
    design: Design<'_>,
    progress: Progress<'_>,
) -> Result<Prepared, Ended> {
    let units = unit_sums(statistic, columns, weights, design, &mut *progress)?;
    prepared(statistic, units, progress)
}

/// Adds the units up.
fn prepared(statistic: &dyn Sums, units: UnitSums, progress: Progress<'_>) -> Result<Prepared, Ended> {
    let (totals, sizes) = units.totals(&mut Pace::new(progress))?;
    let value = valued(statistic, &totals)?;
    Ok(Prepared { units, totals, sizes, value })
}

/// The statistic of these sums, which may be infinite.
fn valued(statistic: &dyn Sums, totals: &[f64]) -> Result<f64, NoEstimate> {
    let value = scalar(|| statistic.value(totals));
    if totals.iter().any(|sum| sum.is_nan()) || value == f64::NEG_INFINITY {
        return Err(statistic.too_large());
    }
    if value.is_nan() { Err(NoEstimate::NoAnswer) } else { Ok(value) }
}

/// How far rounding can move the linear values of two units that say the same apart: [`STEPS`] steps of the columns for
/// each power of them up to the fourth, and the additions of up to `largest` rows.
fn noise(statistic: &dyn Sums, largest: f64, reach: f64) -> f64 {
    scalar(|| {
        let step = 4.0 * STEPS * statistic.resolution() + largest * (2.0 * f64::EPSILON);
        step * reach
    })
}

impl Prepared {
    /// The statistic as a mean of linear values: of all units together, or where strata count once, of each of them.
    pub fn linear_in(
        &self,
        statistic: &dyn Sums,
        strata: Option<Strata<'_>>,
        progress: Progress<'_>,
    ) -> Result<Linear, Ended> {
        match strata {
            Some(Strata { codes, count, average: Average::Macro }) => {
                self.by_stratum(statistic, codes, count, progress)
            }
            Some(_) | None => self.linear(statistic, progress),
        }
    }

    /// The statistic as a mean of linear values: beside `value n_g` a unit has the sum `N U_g`, and the size `n_g`.
    pub fn linear(&self, statistic: &dyn Sums, progress: Progress<'_>) -> Result<Linear, Ended> {
        let mut gradient = memory::filled(statistic.width(), 0.0)?;
        scalar(|| statistic.gradient(&self.totals, &mut gradient));
        let (count, pace) = (self.units.count, &mut Pace::new(progress));
        let size_of = |g: usize| statistic.size(self.units.of(g));
        let [size] = sums_at(count, pace, |g| [size_of(g)])?;
        let pull = |g: usize| {
            gradient.iter().zip(self.units.of(g)).fold(0.0, |sum, (derivative, s)| sum + derivative * s)
        };
        let [all] = sums_at(count, pace, |g| [pull(g)])?;
        let mean = if statistic.degree() == 0 { 0.0 } else { scalar(|| all / size) };
        let (mut sums, mut sizes) = (memory::with_capacity(count)?, memory::with_capacity(count)?);
        scalar(|| {
            for g in 0..count {
                let of = size_of(g);
                sizes.push(of);
                sums.push(size * (pull(g) - mean * of));
            }
        });
        let reach = scalar(|| reach_of(&gradient, &self.sizes));
        let noise = noise(statistic, self.units.largest, reach);
        Ok(Linear { sums, sizes, size, gradient, mean, value: self.value, reach, noise })
    }

    /// The mean of the strata's statistics as a mean of linear values, each from the gradient of its own stratum.
    fn by_stratum(
        &self,
        statistic: &dyn Sums,
        codes: &[i64],
        count: usize,
        progress: Progress<'_>,
    ) -> Result<Linear, Ended> {
        let (width, units) = (self.units.stride, self.units.count);
        let mut totals = memory::filled(count * width, 0.0)?;
        let mut magnitudes = memory::filled(count * width, 0.0)?;
        let mut pace = Pace::new(progress);
        for (g, &code) in codes.iter().enumerate() {
            // A negative code becomes a number that is too large.
            let code = code as usize;
            if code >= count {
                return Err(NoEstimate::Outside.into());
            }
            let of = code * width..(code + 1) * width;
            scalar(|| {
                let sums = totals[of.clone()].iter_mut().zip(&mut magnitudes[of]);
                for ((total, magnitude), s) in sums.zip(self.units.of(g)) {
                    *total += s;
                    *magnitude += s.abs();
                }
            });
            pace.step()?;
        }
        let mut gradients = memory::filled(count * width, 0.0)?;
        let (mut values, mut all) = (memory::with_capacity(count)?, memory::filled(count, 0.0)?);
        let mut reach = 0.0;
        let parts = totals.chunks(width).zip(magnitudes.chunks(width)).zip(gradients.chunks_mut(width));
        for ((total, magnitude), gradient) in parts {
            let (value, own) = scalar(|| {
                statistic.gradient(total, &mut gradient[..statistic.width()]);
                (statistic.value(total), reach_of(gradient, magnitude))
            });
            if !value.is_finite() {
                return Err(NoEstimate::NoAnswer.into());
            }
            values.push(value);
            reach = if own > reach { own } else { reach };
        }
        let value = scalar(|| values.iter().fold(0.0, |sum, value| sum + value) / count as f64);
        let size_of = |g: usize| statistic.size(self.units.of(g));
        for g in 0..units {
            scalar(|| all[codes[g] as usize] += size_of(g));
            pace.step()?;
        }
        let (mut sums, mut sizes) = (memory::with_capacity(units)?, memory::with_capacity(units)?);
        scalar(|| {
            for g in 0..units {
                let (h, of) = (codes[g] as usize, size_of(g));
                let gradient = &gradients[h * width..(h + 1) * width];
                let pull = gradient
                    .iter()
                    .zip(self.units.of(g))
                    .fold(0.0, |sum, (derivative, s)| sum + derivative * s);
                sizes.push(of);
                sums.push((values[h] - value) * of + all[h] * pull);
            }
        });
        let size = scalar(|| all.iter().fold(0.0, |sum, size| sum + size));
        let noise = noise(statistic, self.units.largest, reach);
        let gradient = memory::filled(statistic.width(), f64::NAN)?;
        Ok(Linear { sums, sizes, size, gradient, mean: f64::NAN, value, reach, noise })
    }
}

/// How far a relative error of 1 in all terms can move the statistic.
fn reach_of(gradient: &[f64], magnitudes: &[f64]) -> f64 {
    gradient.iter().zip(magnitudes).fold(0.0, |sum, (derivative, size)| sum + (derivative * size).abs())
}

/// A statistic as a mean of linear values of its units.
pub(super) struct Linear {
    /// `N U_g` and `n_g` of each unit; where strata count once, `(f_h - f) n_g + N_h U_g` with the strata's own `f_h`.
    sums: Vec<f64>,
    sizes: Vec<f64>,
    /// N.
    size: f64,
    pub gradient: Vec<f64>,
    /// The mean influence for a unit of size 1; 0 for statistics of degree 0.
    pub mean: f64,
    value: f64,
    /// `sum_k |gradient_k| sum_g |s_gk|`: rounding in the sums moves the statistic by at most a share of this.
    pub reach: f64,
    noise: f64,
}

impl Linear {
    /// Whether all units say the same, up to rounding.
    pub fn still(&self, confidence: Confidence, progress: Progress<'_>) -> Result<bool, Ended> {
        Ok(self.variance(None, None, confidence, progress)?.0.unspread)
    }

    /// The standard error and degrees of freedom, and the number of strata without spread. `weighted` is the number of
    /// rows, where these have weights.
    pub fn variance(
        &self,
        strata: Option<Strata<'_>>,
        weighted: Option<f64>,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<(Clustered, usize), Ended> {
        let Linear { sums, sizes, noise, .. } = self;
        let Some(Strata { codes, count, average }) = strata else {
            let facts = SumFacts { noise: *noise, range: Range::Unknown, weighted };
            return Ok((cluster::ratio(sums, sizes, self.value, facts, confidence, progress)?, 0));
        };
        let (range, weighted) = (Range::Unknown, weighted.is_some());
        let facts = StrataFacts { noise: *noise, range, width: 0.0, weighted };
        let units = Units { sums, sizes, strata: codes, count };
        let found = stratified(units, average, self.value, Form::Student, facts, confidence, progress)?;
        let found = found.ok_or(NoEstimate::Outside)?;
        Ok((found.mean, found.still))
    }

    /// The effective number of units: those with a size, or with weights `N^2 / sum n_g^2`; with strata
    /// `w^2 / sum (w_h^2/G_h)`, which is this number where every stratum counts as much as its size.
    fn units(
        &self,
        strata: Option<Strata<'_>>,
        weighted: bool,
        progress: Progress<'_>,
    ) -> Result<f64, Ended> {
        let pace = &mut Pace::new(progress);
        let sizes = &self.sizes;
        let Some(Strata { codes, count, average }) = strata else {
            let [filled, squares] =
                sums_at(sizes.len(), pace, |g| [f64::from(u8::from(sizes[g] != 0.0)), sizes[g] * sizes[g]])?;
            return Ok(if weighted { scalar(|| self.size * (self.size / squares)) } else { filled });
        };
        let mut of = memory::filled(count, [0.0; 3])?;
        scalar(|| {
            for (&code, &size) in codes.iter().zip(sizes) {
                let [units, total, squares] = &mut of[code as usize];
                *units += f64::from(u8::from(size != 0.0));
                *total += size;
                *squares += size * size;
            }
        });
        Ok(scalar(|| {
            let parts = of.iter().fold(0.0, |sum, [units, total, squares]| {
                let share = match average {
                    Average::Micro => total / self.size,
                    Average::Macro => 1.0 / count as f64,
                };
                let units = if weighted { total * (total / squares) } else { *units };
                sum + share * share / units
            });
            1.0 / parts
        }))
    }
}

impl Scale {
    /// The limits of the statistic from those of the share of rows that it is a function of.
    fn of_share(self, share: Interval) -> Interval {
        if self == Scale::Jaccard { super::scale::of_jaccard(share) } else { share }
    }

    /// The derivative of the statistic with respect to that share.
    fn by_share(self, share: f64) -> f64 {
        if self == Scale::Jaccard { 2.0 / ((1.0 + share) * (1.0 + share)) } else { 1.0 }
    }
}
