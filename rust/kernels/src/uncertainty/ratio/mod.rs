//! The ratio of the sums of two columns, sum x / sum y: its closed-form interval and its bootstrap.

mod units;

use super::bootstrap::{About, Bootstrap, Options, quotient};
use super::design::Design;
use super::no_estimate::{self, Ended, NoEstimate, answer};
use super::paired::Wide;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::{self, ClusterSums, Clustered, SumFacts, effective_weights};
use crate::intervals::mean::t_interval;
use crate::intervals::moments::{Column, Moments, moments};
use crate::intervals::spread::{Range, STEPS, unspread};
use crate::intervals::sums::sums_at;
use crate::intervals::{Confidence, Interval};
use crate::simd::scalar;

/// Two columns of the same length, with a design.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// The numerators.
    pub x: &'a dyn Wide,
    /// The denominators.
    pub y: &'a dyn Wide,
    /// The weights of the rows, all above 0; `None` where all rows count equally.
    pub weights: Option<&'a [f64]>,
    /// Which rows form a unit.
    pub design: Design<'a>,
}

/// A ratio with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// `r = sum w x / sum w y`.
    pub value: f64,
    /// The square root of the CR2 variance V of r; NaN where there is none.
    pub standard_error: f64,
    /// `r -+ t sqrt V`; NaN where V is.
    pub interval: Interval,
    /// Satterthwaite's degrees of freedom; NaN where one unit holds the whole denominator.
    pub df: f64,
    /// Kish's effective sample size; NaN without weights.
    pub n_effective: f64,
    /// The number of units whose denominator is not 0.
    pub units: usize,
    /// Whether the ratios of the units differ.
    pub spread: Spread,
    /// Whether the interval of the sum of y contains 0, so that the ratio has no bounds.
    pub doubtful: bool,
    /// Whether `0 <= x <= y` in every row (or the same with both signs changed), so that the ratio lies in [0, 1]. It
    /// matters where there is no spread.
    pub share: bool,
}

/// Whether the ratios of the units differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// They differ.
    Some,
    /// They differ by rounding alone.
    Rounding,
    /// They are equal.
    None,
}

/// The units of a ratio, and what both its interval and its bootstrap need to know about them.
struct Prepared {
    /// The sums of `w (x - shift y)` and of `w y` of each unit, all with the sign that makes the total of the latter
    /// positive.
    unit_sums: ClusterSums,
    /// A number near the ratio. Subtracting it keeps digits that large values with small residuals would round away.
    shift: f64,
    /// The moments of x.
    x: Moments,
    /// The ratio and its interval, before the rule for units without spread.
    fit: Clustered,
    spread: Spread,
    /// The number of units whose denominator is not 0.
    filled: f64,
    /// The effective number of units, which the rule for units without spread uses.
    counted: f64,
    doubtful: bool,
    share: bool,
}

/// The ratio of two columns with its CR2 interval, in closed form.
///
/// The residual of a unit is its influence `U_g = sum w (x - r y)`, and `f_g` is its share of sum y: see
/// [`crate::intervals::cluster`], whose mean is the special case y = 1. The sums are taken of `x - shift y` with a
/// shift near r. Where y has values of both signs and Student's t interval of its sum contains 0, there is a value but
/// no interval.
pub fn ratio(
    columns: Columns<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<Ratio, NoEstimate>, Stopped> {
    answer(ratio_or_ended(columns, confidence, progress))
}

fn ratio_or_ended(
    columns: Columns<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Ratio, Ended> {
    let prepared = prepare(columns, confidence, &mut *progress)?;
    let Clustered { value, mut standard_error, mut interval, df, .. } = prepared.fit;
    let Prepared { spread, filled, counted, doubtful, share, .. } = prepared;
    if df.is_finite() && spread != Spread::Some {
        let range = if share { Range::Share } else { Range::Unknown };
        let equal = unspread(value, counted, range, confidence);
        (standard_error, interval) = (equal.standard_error, equal.interval);
    } else if df.is_finite() && standard_error.is_infinite() {
        return Err(too_large(&prepared.x).into());
    }
    if doubtful {
        (standard_error, interval) = (f64::NAN, Interval { low: f64::NAN, high: f64::NAN });
    }
    let n_effective = columns.weights.map_or(Ok(f64::NAN), |weights| effective_weights(weights, progress))?;
    let units = filled as usize;
    Ok(Ratio { value, standard_error, interval, df, n_effective, units, spread, doubtful, share })
}

/// The bootstrap of a ratio of two columns, whose weights it ignores. `progress` gets the number of replicates done.
pub fn ratio_bootstrap(
    columns: Columns<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(bootstrap_or_ended(columns, options, progress))
}

fn bootstrap_or_ended(
    columns: Columns<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let Resampled { unit_sums, shift, value, range } =
        resampled(columns, options.confidence, &mut |_| progress(0))?;
    let n = unit_sums.sums.len();
    let [size] = sums_at(n, &mut Pace::new(&mut |_| progress(0)), |g| [unit_sums.sizes[g]])?;
    let size = scalar(|| size / n as f64);
    let about = About { value, scale: f64::NAN, size, exact: false, range };
    quotient(&unit_sums, shift, about, options, progress)
}

/// The units of a ratio that can be resampled.
pub(super) struct Resampled {
    pub unit_sums: ClusterSums,
    pub shift: f64,
    /// The ratio of the data.
    pub value: f64,
    /// The smallest and the largest x.
    pub range: (f64, f64),
}

pub(super) fn resampled(
    columns: Columns<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Resampled, Ended> {
    let prepared = prepare(columns, confidence, progress)?;
    let n = prepared.unit_sums.sums.len();
    match columns.design {
        Design::Clusters { count, .. } if count < 2 => return Err(NoEstimate::OneCluster.into()),
        Design::Clusters { .. } if prepared.spread != Spread::Some => {
            return Err(NoEstimate::EqualMeans { n }.into());
        }
        Design::Rows if n < 2 || prepared.spread != Spread::Some => {
            return Err(NoEstimate::EqualValues { n }.into());
        }
        Design::Rows | Design::Clusters { .. } if prepared.doubtful => {
            return Err(NoEstimate::Doubtful.into());
        }
        Design::Rows | Design::Clusters { .. } => {}
    }
    let Prepared { unit_sums, shift, x, fit, .. } = prepared;
    Ok(Resampled { unit_sums, shift, value: fit.value, range: (x.min, x.max) })
}

fn too_large(x: &Moments) -> NoEstimate {
    NoEstimate::TooLarge { column: 0, low: x.min, high: x.max }
}

fn finite(column: &dyn Wide, place: usize, progress: Progress<'_>) -> Result<Moments, Ended> {
    Ok(no_estimate::finite(column.moments(progress)?, place)?)
}

fn prepare(columns: Columns<'_>, confidence: Confidence, progress: Progress<'_>) -> Result<Prepared, Ended> {
    let (x, y) = (finite(columns.x, 0, &mut *progress)?, finite(columns.y, 1, &mut *progress)?);
    let mixed = y.min < 0.0 && y.max > 0.0;
    // Denominators of both signs may nearly cancel; the ratio of the means could then be anything and serves as no
    // shift.
    let shift = if mixed || y.mean == 0.0 { 0.0 } else { scalar(|| x.mean / y.mean) };
    if !shift.is_finite() {
        return Err(too_large(&x).into());
    }
    let (mut unit_sums, facts) = units::sums(columns, shift, &mut *progress)?;
    let groups = unit_sums.sums.len();
    let [total] = sums_at(groups, &mut Pace::new(&mut *progress), |g| [unit_sums.sizes[g]])?;
    let rounding =
        scalar(|| if mixed { STEPS * y.step * facts.weight * columns.x.len() as f64 } else { 0.0 });
    if total.abs() <= rounding {
        return Err(NoEstimate::ZeroDenominator.into());
    }
    if total < 0.0 {
        let ClusterSums { sums, sizes } = &mut unit_sums;
        scalar(|| sums.iter_mut().chain(sizes).for_each(|sum| *sum = -*sum));
    }
    let doubtful = mixed && contains_zero(&unit_sums.sizes, confidence, &mut *progress)?;
    let noise = facts.noise(shift, &x, &y);
    let (spread, [filled, counted]) = spread(&unit_sums, noise, columns.weights.is_some(), &mut *progress)?;
    let ClusterSums { sums, sizes } = &unit_sums;
    let fit = cluster::ratio(sums, sizes, shift, SumFacts::EXACT, confidence, progress)?;
    if !fit.value.is_finite() {
        return Err(too_large(&x).into());
    }
    Ok(Prepared { unit_sums, shift, x, fit, spread, filled, counted, doubtful, share: facts.share })
}

/// Whether Student's t interval of the mean of the units' sizes, and so that of their sum, contains 0.
fn contains_zero(sizes: &[f64], confidence: Confidence, progress: Progress<'_>) -> Result<bool, Stopped> {
    let Column::Finite(size) = moments(sizes, progress)? else { return Ok(true) };
    let mean = t_interval(size.mean, size.squares, sizes.len() as u64, confidence.two_sided());
    Ok(mean.is_none_or(|mean| mean.interval.low <= 0.0 && mean.interval.high >= 0.0))
}

/// Whether the ratios of the units differ, each compared with the first; the number of units whose denominator is not
/// 0; and the effective number of units, which is that number, or with weights `(sum n_g)^2 / sum n_g^2`.
fn spread(
    unit_sums: &ClusterSums,
    noise: f64,
    weighted: bool,
    progress: Progress<'_>,
) -> Result<(Spread, [f64; 2]), Stopped> {
    let ClusterSums { sums, sizes } = unit_sums;
    let first = scalar(|| sizes.iter().position(|&size| size > 0.0)).unwrap_or(0);
    let [apart, unequal, filled, all, squares] = sums_at(sums.len(), &mut Pace::new(progress), |g| {
        let difference = (sums[g] * sizes[first] - sums[first] * sizes[g]).abs();
        // Written so that a NaN does not count as agreement.
        let agrees = difference <= noise * (sizes[g].abs() + sizes[first]);
        let size = sizes[g];
        let flag = |is| f64::from(u8::from(is));
        [flag(!agrees), flag(difference != 0.0), flag(size != 0.0), size, size * size]
    })?;
    let spread = match (apart > 0.0, unequal > 0.0) {
        (true, _) => Spread::Some,
        (false, true) => Spread::Rounding,
        (false, false) => Spread::None,
    };
    let counted = scalar(|| if weighted { all * (all / squares) } else { filled });
    Ok((spread, [filled, counted]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::intervals::mean::mean_interval;
    use crate::intervals::spread::ValueFacts;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn by_units(x: &[f64], y: &[f64], design: Design<'_>) -> Result<Ratio, NoEstimate> {
        ratio(Columns { x: &x, y: &y, weights: None, design }, TWO, &mut |_| true).unwrap()
    }

    fn by_rows(x: &[f64], y: &[f64]) -> Ratio {
        by_units(x, y, Design::Rows).unwrap()
    }

    #[test]
    fn the_city_ratio() {
        let u = [138.0, 93.0, 61.0, 179.0, 48.0, 37.0, 29.0, 23.0, 30.0, 2.0];
        let x = [143.0, 104.0, 69.0, 260.0, 75.0, 63.0, 50.0, 48.0, 111.0, 50.0];
        let got = by_rows(&x, &u);
        let r = 973.0 / 640.0;
        let v: f64 = x.iter().zip(u).map(|(x, u)| (x - r * u) * (x - r * u) / (1.0 - u / 640.0)).sum();
        assert!((got.value - r).abs() < 1e-15);
        assert!((got.standard_error / (v.sqrt() / 640.0) - 1.0).abs() < 1e-14);
        // Changing the signs of both columns changes nothing.
        let negated = by_rows(&x.map(|x| -x), &u.map(|u| -u));
        assert_eq!((negated.value, negated.interval), (got.value, got.interval));
    }

    #[test]
    fn a_mean_is_a_ratio_to_ones() {
        let x: Vec<f64> = (0..1000).map(|i| 1e7 + f64::from(i * i % 97) * 0.1).collect();
        let Column::Finite(m) = moments(&x, &mut |_| true).unwrap() else { panic!() };
        let values = ValueFacts { low: m.min, high: m.max, step: m.step, rows: 1e3, range: Range::Unknown };
        let (want, _) = mean_interval(m.mean, m.squares, 1000, &values, TWO).unwrap();
        let got = by_rows(&x, &vec![1.0; 1000]);
        assert!((got.value / m.mean - 1.0).abs() < 1e-15 && (got.df - 999.0).abs() < 1e-9);
        assert!((got.standard_error / want.standard_error - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rows_without_a_denominator_leave_the_mean_of_the_others() {
        let got = by_rows(&[0.0, 3.0, 0.0, 5.0, 0.0, 4.0], &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert!((got.value - 4.0).abs() < 1e-15 && (got.df - 2.0).abs() < 1e-12);
        assert!((got.standard_error - (1.0f64 / 3.0).sqrt()).abs() < 1e-15);
        let equal = by_rows(&[0.0, 0.5, 0.0, 1.0], &[0.0, 1.0, 0.0, 2.0]);
        assert_eq!(equal.interval, unspread(0.5, 2.0, Range::Share, TWO).interval);
    }

    #[test]
    fn a_denominator_of_uncertain_sign_gives_no_limits() {
        let got = by_rows(&[1.0, 2.0, 3.0], &[5.0, -4.0, 1.0]);
        assert!(got.doubtful && got.value == 3.0 && got.interval.low.is_nan() && got.standard_error.is_nan());
        let sure = by_rows(&[1.0, 2.0, 3.0, 2.0, 1.0], &[5.0, -0.1, 5.0, 5.0, 5.0]);
        assert!(!sure.doubtful && sure.interval.low < sure.value);
        for y in [[0.1, 0.2, -0.3], [0.0; 3], [1.0, 1.0, -2.0]] {
            assert_eq!(by_units(&[1.0, 2.0, 3.0], &y, Design::Rows), Err(NoEstimate::ZeroDenominator));
        }
    }

    #[test]
    fn equal_ratios_in_all_rows_have_no_spread() {
        let y: Vec<f64> = (1..40).map(f64::from).collect();
        let x: Vec<f64> = y.iter().map(|y| 0.1 * y).collect();
        let got = by_rows(&x, &y);
        assert!(got.spread != Spread::Some && got.share, "{got:?}");
        assert_eq!(got.interval, unspread(got.value, 39.0, Range::Share, TWO).interval);
        let wide: Vec<f64> = y.iter().map(|y| 3.0 * y).collect();
        let got = by_rows(&wide, &y);
        assert!(got.spread == Spread::None && !got.share && got.interval.low.is_nan());
        let thirds: Vec<f64> = y.iter().map(|y| y / 3.0 * 0.7).collect();
        assert!(by_rows(&thirds, &y).spread == Spread::Rounding);
        // One row off by more than rounding is a spread.
        let mut off = x.clone();
        off[7] += 1e-12;
        assert!(by_rows(&off, &y).spread == Spread::Some);
    }

    #[test]
    fn one_unit_with_the_whole_denominator_has_no_interval() {
        let got = by_rows(&[3.0, 1.0], &[6.0, 0.0]);
        assert!(got.df.is_nan() && got.interval.low.is_nan());
        let codes = [0, 0, 0];
        let one_cluster = Design::Clusters { codes: &codes, count: 1 };
        let got = by_units(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0], one_cluster).unwrap();
        assert!(got.df.is_nan() && (got.value - 7.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn equal_weights_change_nothing() {
        let (x, y) = ([1.0, 2.5, 3.0, 0.5], [2.0, 2.0, 5.0, 1.0]);
        let plain = by_rows(&x, &y);
        let columns = Columns { x: &&x[..], y: &&y[..], weights: Some(&[4.0; 4]), design: Design::Rows };
        let got = ratio(columns, TWO, &mut |_| true).unwrap().unwrap();
        assert_eq!((got.value, got.interval, got.n_effective), (plain.value, plain.interval, 4.0));
    }
}
