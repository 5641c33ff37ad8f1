//! The mean of a stratified design: rows are drawn separately in each stratum, and clusters lie inside strata.

use super::cluster::Clustered;
use super::mean::MeanInterval;
use super::proportion::wilson;
use super::spread::{Range, ValueFacts, unspread};
use super::{Confidence, Interval};
use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::memory;
use crate::named;
use crate::simd;

named! {
    /// How the means of the strata become one mean.
    pub enum Average: "strata.average" {
        /// Every row counts alike: a stratum weighs as much as its rows.
        Micro = "micro",
        /// Every stratum counts alike: the mean of the strata's means.
        Macro = "macro",
    }
}

/// What the interval of a stratified mean is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The mean and its standard error, with Student's t.
    Student,
    /// Wilson's interval with the effective number of rows that are 0 or 1.
    Answers,
    /// The same of rows in [0, 1], such as wins with ties.
    Shares,
}

/// The units of a stratified design (clusters, or rows where there are no clusters): sum, size and stratum of each.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    /// The sum of `x - shift` over the rows of each unit.
    pub sums: &'a [f64],
    /// The number of rows of each unit, or the sum of their weights.
    pub sizes: &'a [f64],
    /// The stratum of each unit, inside `0..count`.
    pub strata: &'a [i64],
    /// The number of strata.
    pub count: usize,
}

/// What is known about the rows behind the sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrataFacts {
    /// How far rounding can move two equal means of units apart; 0 where the sums are exact.
    pub noise: f64,
    /// The range in which the scores lie.
    pub range: Range,
    /// The width of that range; where it is not known, the distance of the smallest value from the largest.
    pub width: f64,
    /// Whether the sizes are sums of weights.
    pub weighted: bool,
}

impl StrataFacts {
    /// For sums of these values about `shift`; `exact` where the sums are not rounded.
    #[must_use]
    pub fn of(values: &ValueFacts, shift: f64, exact: bool, weighted: bool) -> StrataFacts {
        let noise = if exact { 0.0 } else { values.noise(shift) };
        StrataFacts { noise, range: values.range, width: values.width(), weighted }
    }
}

/// A stratified mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stratified {
    /// The mean with its standard error, interval and degrees of freedom. `unspread` says that no stratum has a spread.
    pub mean: Clustered,
    /// The number of strata whose units all have one mean, except for rounding.
    pub still: usize,
}

/// What is added up over the units of one stratum.
#[derive(Clone, Copy, Debug)]
struct Stratum {
    /// The sum `S_h` of the units' sums, and the rounding error of its additions.
    sum: f64,
    sum_rest: f64,
    /// The sum `N_h` of the units' sizes, and the rounding error of its additions.
    size: f64,
    size_rest: f64,
    /// The number of units.
    units: f64,
    /// The sum of the squared sizes.
    squares: f64,
    /// The sum and the size of the first unit that has a size.
    first: (f64, f64),
    /// Whether some unit's mean differs from that of the first.
    apart: bool,
    /// The sum of the squared residuals.
    residuals: f64,
    /// The sums of `a_g = f_g^2/(1 - f_g)` and of its square.
    leverages: [f64; 2],
    /// Whether one unit has the whole size.
    lone: bool,
}

impl Stratum {
    const EMPTY: Stratum = Stratum {
        sum: 0.0,
        sum_rest: 0.0,
        size: 0.0,
        size_rest: 0.0,
        units: 0.0,
        squares: 0.0,
        first: (0.0, 0.0),
        apart: false,
        residuals: 0.0,
        leverages: [0.0; 2],
        lone: false,
    };

    #[inline(always)]
    fn add(&mut self, sum: f64, size: f64) {
        (self.sum, self.sum_rest) = two_sum(self.sum, self.sum_rest, sum);
        (self.size, self.size_rest) = two_sum(self.size, self.size_rest, size);
        self.units += 1.0;
        self.squares += size * size;
        if self.first.1 == 0.0 {
            self.first = (sum, size);
        }
    }

    /// Puts the rounding errors of the additions back, once all units are added.
    fn close(&mut self) {
        self.sum += self.sum_rest;
        self.size += self.size_rest;
    }

    fn mean(&self) -> f64 {
        self.sum / self.size
    }

    /// Satterthwaite's degrees of freedom of the stratum's own CR2 variance; NaN where it has none.
    fn df(&self) -> f64 {
        if self.units < 2.0 || self.lone {
            return f64::NAN;
        }
        let [a, squares] = self.leverages;
        1.0 / (self.squares / (self.size * self.size) + a * a - squares)
    }

    /// The number of units; for weighted rows the effective number.
    fn effective(&self, weighted: bool) -> f64 {
        if weighted { self.size * (self.size / self.squares) } else { self.units }
    }
}

/// `total + x`, with the rounding error of the addition added to `rest` (Knuth's two-sum).
#[inline(always)]
fn two_sum(total: f64, rest: f64, x: f64) -> (f64, f64) {
    let sum = total + x;
    let part = sum - total;
    (sum, rest + ((total - (sum - part)) + (x - part)))
}

/// The mean of a stratified design with its interval.
///
/// Unit g of stratum h has the sum `S_g` and the size `n_g`. `G_h`, `S_h` and `N_h` are the number of units of the
/// stratum and the sums over them, `m_h = S_h/N_h`, `f_g = n_g/N_h`, `r_g = S_g - m_h n_g`, `N = sum N_h`. Each stratum
/// adds `v_h` to the variance V of the mean m:
///
/// - macro: `m = sum m_h / H`, `v_h = sum r_g^2/(1 - f_g) / (H N_h)^2`, the CR2 variance of `m_h` divided by H^2;
/// - micro: `m = sum S_h / N`, `v_h = sum e_g^2 / N^2` with
///   `e_g = r_g/sqrt(1 - f_g) + (m_h - m) (n_g - N_h/G_h)/sqrt(1 - 1/G_h)`. The second term is the uncertainty of the
///   stratum's share of the rows where its units differ in size. For one stratum this is CR2, for units of one size
///   the variance of a stratified sample of them.
///
/// Strata whose units have one mean show no spread of their own. Together they add the square of the standard error
/// that [`unspread`] gives to values without spread: `q w R/(2z)`, with w the sum of their shares `w_h` in the mean
/// (`1/H` or `N_h/N`), `k = w^2 / sum (w_h^2/G_h)` their effective number of units, `q = z^2/(k + z^2)`, and R the width
/// of the range. The degrees of freedom are Satterthwaite's, `V^2 / sum (v_h^2/df_h)`, with those of CR2 in the stratum
/// as `df_h`.
///
/// The interval is Student's t, or Wilson's with `p(1-p)/V` rows and t in place of z. These are not capped by the number
/// of rows, since strata that differ make the mean more certain than that of as many independent rows. Where no
/// stratum has a spread, [`unspread`] or Wilson's interval with k units gives the limits. `None` where a stratum code
/// lies outside.
pub fn stratified(
    units: Units<'_>,
    average: Average,
    shift: f64,
    form: Form,
    facts: StrataFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Option<Stratified>, Stopped> {
    let mut pace = Pace::new(progress);
    let Some(mut strata) = totals(units, &mut pace)? else { return Ok(None) };
    compare_means(units, &mut strata, facts.noise, &mut pace)?;
    let mean = simd::scalar(|| Mean::of(&strata, average));
    let all_equal = simd::scalar(|| one_mean(&strata, facts.noise));
    residuals(units, &mut strata, &mean, all_equal, &mut pace)?;
    Ok(simd::scalar(|| {
        let fit = Fit::of(&strata, &mean, facts, confidence);
        let still = strata.iter().filter(|stratum| !stratum.apart).count();
        Some(Stratified { mean: fit.interval(shift, form, facts.range, confidence), still })
    }))
}

/// Adds the units up by stratum.
fn totals(units: Units<'_>, pace: &mut Pace<'_>) -> Result<Option<Vec<Stratum>>, Stopped> {
    let mut strata = memory::filled(units.count, Stratum::EMPTY)?;
    let n = units.sums.len();
    for start in (0..n).step_by(CHUNK) {
        let block = start..n.min(start + CHUNK);
        let inside = simd::scalar(|| {
            for g in block.clone() {
                // A negative code becomes a number that is too large.
                let Some(stratum) = strata.get_mut(units.strata[g] as usize) else { return false };
                stratum.add(units.sums[g], units.sizes[g]);
            }
            true
        });
        if !inside {
            return Ok(None);
        }
        pace.stride(block.len())?;
    }
    simd::scalar(|| strata.iter_mut().for_each(Stratum::close));
    Ok(Some(strata))
}

/// Notes in each stratum whether the means of its units differ, and adds up what the degrees of freedom need.
fn compare_means(
    units: Units<'_>,
    strata: &mut [Stratum],
    noise: f64,
    pace: &mut Pace<'_>,
) -> Result<(), Stopped> {
    each(units, strata, pace, |stratum, sum, size| {
        let (first, of) = stratum.first;
        // Written so that a NaN does not count as agreement.
        let agrees = (sum * of - first * size).abs() <= noise * size * of;
        stratum.apart |= !agrees;
        let f = size / stratum.size;
        let rest = 1.0 - f;
        let a = f * f / rest;
        stratum.leverages[0] += a;
        stratum.leverages[1] += a * a;
        stratum.lone |= rest <= 0.0;
    })
}

/// Calls `what` with the stratum, the sum and the size of each unit, in order. All strata lie inside.
fn each(
    units: Units<'_>,
    strata: &mut [Stratum],
    pace: &mut Pace<'_>,
    what: impl Fn(&mut Stratum, f64, f64),
) -> Result<(), Stopped> {
    let n = units.sums.len();
    for start in (0..n).step_by(CHUNK) {
        let block = start..n.min(start + CHUNK);
        let length = block.len();
        simd::scalar(|| {
            block.for_each(|g| what(&mut strata[units.strata[g] as usize], units.sums[g], units.sizes[g]));
        });
        pace.stride(length)?;
    }
    Ok(())
}

/// Whether all units of all strata have one mean, except for rounding.
fn one_mean(strata: &[Stratum], noise: f64) -> bool {
    let Some(&Stratum { first: (sum, size), .. }) = strata.first() else { return true };
    strata.iter().all(|stratum| {
        let (first, of) = stratum.first;
        !stratum.apart && (first * size - sum * of).abs() <= noise * size * of
    })
}

/// The stratified mean, and what its strata count in it.
#[derive(Clone, Copy, Debug)]
struct Mean {
    average: Average,
    value: f64,
    /// The sum of all sizes.
    size: f64,
    strata: f64,
}

impl Mean {
    fn of(strata: &[Stratum], average: Average) -> Mean {
        let (mut sum, mut size, mut means) = (0.0, 0.0, 0.0);
        for stratum in strata {
            sum += stratum.sum;
            size += stratum.size;
            means += stratum.mean();
        }
        let count = strata.len() as f64;
        let value = match average {
            Average::Micro => sum / size,
            Average::Macro => means / count,
        };
        Mean { average, value, size, strata: count }
    }

    /// The share `w_h` of a stratum in the mean.
    fn share(&self, stratum: &Stratum) -> f64 {
        match self.average {
            Average::Micro => stratum.size / self.size,
            Average::Macro => 1.0 / self.strata,
        }
    }
}

/// Adds up the squared residuals of each stratum.
fn residuals(
    units: Units<'_>,
    strata: &mut [Stratum],
    mean: &Mean,
    all_equal: bool,
    pace: &mut Pace<'_>,
) -> Result<(), Stopped> {
    each(units, strata, pace, |stratum, sum, size| {
        let own = if stratum.apart {
            // In this form counts remain whole numbers, so that the residuals of equal means are exactly 0.
            let residual = (sum * stratum.size - stratum.sum * size) / stratum.size;
            residual / (1.0 - size / stratum.size).sqrt()
        } else {
            0.0
        };
        let lean = if mean.average == Average::Macro || all_equal {
            0.0
        } else {
            let lean = size - stratum.size / stratum.units;
            (stratum.mean() - mean.value) * lean / (1.0 - 1.0 / stratum.units).sqrt()
        };
        let residual = own + lean;
        stratum.residuals += residual * residual;
    })
}

/// The mean, its variance and degrees of freedom; the latter two are NaN where a stratum has fewer than two units.
struct Fit {
    value: f64,
    variance: f64,
    df: f64,
    /// The effective number of units of the strata without spread.
    still_units: f64,
    unspread: bool,
}

impl Fit {
    fn of(strata: &[Stratum], mean: &Mean, facts: StrataFacts, confidence: Confidence) -> Fit {
        let (mut own, mut own_df, mut still_df) = (0.0, 0.0, 0.0);
        let (mut still, mut still_square) = (0.0, 0.0);
        for stratum in strata {
            let (w, df) = (mean.share(stratum), stratum.df());
            let scale = w / stratum.size;
            let part = stratum.residuals * (scale * scale);
            own += part;
            own_df += part * part / df;
            if !stratum.apart {
                still_df += df;
                still += w;
                still_square += w * w / stratum.effective(facts.weighted);
            }
        }
        let still_units = if still > 0.0 { still * still / still_square } else { f64::INFINITY };
        let unspread = strata.iter().all(|stratum| !stratum.apart) && own <= 0.0;
        if unspread {
            return Fit { value: mean.value, variance: 0.0, df: still_df, still_units, unspread };
        }
        let z = confidence.two_sided().z();
        let error = if still > 0.0 { z / (still_units + z * z) * still * facts.width / 2.0 } else { 0.0 };
        let added = error * error;
        let variance = own + added;
        let added_df = if added > 0.0 { added * added / still_df } else { 0.0 };
        // A NaN of a stratum with one unit stays one.
        let df = variance * (variance / (own_df + added_df));
        let df = if own_df.is_nan() { f64::NAN } else { df };
        Fit { value: mean.value, variance, df, still_units, unspread }
    }

    fn interval(&self, shift: f64, form: Form, range: Range, confidence: Confidence) -> Clustered {
        let Fit { value: mean, variance, df, still_units, unspread: equal } = *self;
        let value = shift + mean;
        if df.is_nan() {
            let interval = Interval { low: f64::NAN, high: f64::NAN };
            let (standard_error, n_effective) = (f64::NAN, f64::NAN);
            return Clustered { value, standard_error, interval, df, n_effective, unspread: false };
        }
        if equal && form != Form::Answers {
            let MeanInterval { standard_error, interval } = unspread(value, still_units, range, confidence);
            return Clustered { value, standard_error, interval, df, n_effective: f64::NAN, unspread: true };
        }
        let t = confidence.t(df);
        let standard_error = variance.sqrt();
        if form == Form::Student {
            let interval = confidence.around(value, t * standard_error);
            return Clustered { value, standard_error, interval, df, n_effective: f64::NAN, unspread: false };
        }
        let misses = 1.0 - mean;
        let n_effective = if equal { still_units } else { mean * misses / variance };
        let limits = |t: f64| wilson(mean * n_effective, misses * n_effective, t);
        let interval = confidence.open(limits(t), 0.0, 1.0);
        let standard_error = if equal {
            let t = confidence.two_sided().t(df);
            let sides = limits(t);
            (sides.high - sides.low) / (2.0 * t)
        } else {
            standard_error
        };
        Clustered { value, standard_error, interval, df, n_effective, unspread: equal }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cluster::{self, SumFacts};
    use super::super::{Alternative, mean};
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
    const SHARES: StrataFacts = StrataFacts { noise: 0.0, range: Range::Share, width: 1.0, weighted: false };

    fn of(sums: &[f64], sizes: &[f64], strata: &[i64], average: Average, form: Form) -> Stratified {
        let count = 1 + strata.iter().copied().max().unwrap_or(0) as usize;
        let units = Units { sums, sizes, strata, count };
        stratified(units, average, 0.0, form, SHARES, TWO, &mut |_| true).unwrap().unwrap()
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-13 * b.abs()
    }

    #[test]
    fn one_stratum_is_the_clustered_mean() {
        let (sums, sizes) = ([3.0, 5.0, 1.0, 9.0, 4.0], [4.0, 6.0, 3.0, 9.0, 7.0]);
        let same = cluster::ratio(&sums, &sizes, 0.0, SumFacts::EXACT, TWO, &mut |_| true).unwrap();
        for average in [Average::Micro, Average::Macro] {
            let got = of(&sums, &sizes, &[0; 5], average, Form::Student);
            assert!(near(got.mean.standard_error, same.standard_error) && near(got.mean.df, same.df));
            assert!(near(got.mean.interval.low, same.interval.low) && got.still == 0);
        }
    }

    #[test]
    fn rows_of_two_strata_add_their_variances() {
        // Means 2 and 6, s^2 = 1 and 4, n = 3 and 5.
        let x = [1.0, 2.0, 3.0, 4.0, 4.0, 6.0, 8.0, 8.0];
        let strata = [0, 0, 0, 1, 1, 1, 1, 1];
        let [a, b] = [1.0 / 3.0, 4.0 / 5.0];
        let macro_ = of(&x, &[1.0; 8], &strata, Average::Macro, Form::Student).mean;
        let v: f64 = (a + b) / 4.0;
        assert!(near(macro_.value, 4.0) && near(macro_.standard_error, v.sqrt()));
        assert!(near(macro_.df, (a + b) * (a + b) / (a * a / 2.0 + b * b / 4.0)));
        let micro = of(&x, &[1.0; 8], &strata, Average::Micro, Form::Student).mean;
        let v: f64 = (9.0 * a + 25.0 * b) / 64.0;
        assert!(near(micro.value, 4.5) && near(micro.standard_error, v.sqrt()));
    }

    #[test]
    fn a_stratum_with_one_unit_has_no_variance() {
        let got = of(&[1.0, 2.0, 3.0], &[1.0; 3], &[0, 0, 1], Average::Macro, Form::Student).mean;
        assert!(got.value == 2.25 && got.standard_error.is_nan() && got.df.is_nan());
    }

    #[test]
    fn strata_without_spread_add_their_error() {
        let x = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let got = of(&x, &[1.0; 8], &[0, 0, 0, 0, 1, 1, 1, 1], Average::Macro, Form::Student);
        let z2 = TWO.z() * TWO.z();
        let alone = mean::mean_interval(
            1.0,
            0.0,
            4,
            &super::super::spread::ValueFacts {
                low: 1.0,
                high: 1.0,
                step: 0.0,
                rows: 4.0,
                range: Range::Share,
            },
            TWO,
        );
        let error = alone.unwrap().0.standard_error;
        assert!(near(error, z2 / (4.0 + z2) / (2.0 * TWO.z())));
        let v = 1.0 / 12.0;
        assert!(got.still == 1 && near(got.mean.standard_error, ((v + error * error) / 4.0).sqrt()));
    }

    #[test]
    fn without_any_spread_the_units_count() {
        let (ones, strata) = ([1.0; 20], [[0i64; 4].as_slice(), &[1; 16]].concat());
        let micro = of(&ones, &ones, &strata, Average::Micro, Form::Answers).mean;
        let macro_ = of(&ones, &ones, &strata, Average::Macro, Form::Answers).mean;
        assert!(near(micro.n_effective, 20.0) && near(macro_.n_effective, 1.0 / (0.25 / 4.0 + 0.25 / 16.0)));
        assert!(micro.unspread && micro.interval.high == 1.0 && micro.interval.low > macro_.interval.low);
        let graded = of(&ones, &ones, &strata, Average::Micro, Form::Student).mean;
        assert_eq!(graded.interval, unspread(1.0, micro.n_effective, Range::Share, TWO).interval);
    }

    #[test]
    fn strata_that_differ_make_answers_more_certain() {
        let mut x = [0.0; 200];
        let strata: Vec<i64> = (0..200).map(|i| i64::from(i >= 100)).collect();
        (0..200).for_each(|i| x[i] = f64::from(u8::from((i >= 100) != (i % 50 == 0))));
        let got = of(&x, &[1.0; 200], &strata, Average::Micro, Form::Answers).mean;
        assert!(got.n_effective > 1000.0 && got.interval.low > 0.48 && got.interval.high < 0.52);
    }

    #[test]
    fn sizes_that_vary_make_the_shares_uncertain() {
        let sums = [2.0, 8.0, 5.0, 0.0, 0.0, 0.0];
        let (sizes, strata) = ([2.0, 8.0, 5.0, 1.0, 9.0, 5.0], [0, 0, 0, 1, 1, 1]);
        let got = of(&sums, &sizes, &strata, Average::Micro, Form::Student);
        // Both strata are without spread, but the share of the ones is not known: e = .5 (n_g - 5)/sqrt(2/3).
        let shares = 0.25 * (9.0 + 9.0 + 16.0 + 16.0) * 1.5 / 900.0;
        assert!(got.still == 2 && !got.mean.unspread && got.mean.standard_error > f64::sqrt(shares));
    }

    #[test]
    fn a_code_outside_gives_none() {
        let units = Units { sums: &[1.0, 2.0], sizes: &[1.0; 2], strata: &[0, -1], count: 1 };
        let got = stratified(units, Average::Micro, 0.0, Form::Student, SHARES, TWO, &mut |_| true);
        assert_eq!(got, Ok(None));
    }
}
