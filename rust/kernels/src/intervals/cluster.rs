//! Means and ratios of clustered rows, with the cluster-robust CR2 variance and its degrees of freedom.
//!
//! The rows of one cluster (questions about one document, tokens of one text, epochs of one item) are not
//! independent; different clusters are. Everything is computed from the sum `S_g` and the size `n_g` of each cluster g.

use super::mean::MeanInterval;
use super::proportion::wilson;
use super::spread::{Range, unspread};
use super::sums::sums_at;
use super::{Confidence, Interval};
use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::memory;
use crate::simd::{self, Element};

/// Sums and sizes of the rows of each cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSums {
    /// The sum of `x - shift` over the rows of each cluster, each row times its weight.
    pub sums: Vec<f64>,
    /// The number of rows of each cluster, or the sum of their weights.
    pub sizes: Vec<f64>,
}

impl ClusterSums {
    /// Whether the means of all clusters are the same number, without rounding.
    pub fn same_means(&self) -> bool {
        let (Some(&sum), Some(&size)) = (self.sums.first(), self.sizes.first()) else { return true };
        simd::scalar(|| self.sums.iter().zip(&self.sizes).all(|(s, n)| s * size == sum * n))
    }
}

/// The power of two by which a positive finite number becomes a number near 1, in [2^-52, 4); it is a normal number.
pub(crate) fn near_one(largest: f64) -> f64 {
    let exponent = ((largest.to_bits() >> 52) & 0x7ff).clamp(1, 2045);
    f64::from_bits((2046 - exponent) << 52)
}

/// The power of two by which the largest of the positive finite `weights` becomes a number near 1. Sums and products of
/// weights scaled by it do not overflow, and their digits do not change.
pub(crate) fn scale(weights: &[f64], pace: &mut Pace<'_>) -> Result<f64, Stopped> {
    let mut largest = 0.0;
    for block in weights.chunks(CHUNK) {
        largest = simd::scalar(|| block.iter().fold(largest, |a, &w| if w > a { w } else { a }));
        pace.stride(block.len())?;
    }
    Ok(near_one(largest))
}

/// Adds up the rows of each cluster, in the order of the rows: `codes[i]`, inside `0..clusters`, is the cluster of row
/// i. A `shift` near the mean keeps digits that the sums of large values would round away. `None` where a code lies
/// outside.
///
/// With positive `weights`, a row adds w (x - shift) to the sum and w to the size, both multiplied by the same power of
/// two for all rows, which cancels in every ratio.
pub fn cluster_sums<T: Element>(
    x: &[T],
    codes: &[i64],
    clusters: usize,
    shift: f64,
    weights: Option<&[f64]>,
    progress: Progress<'_>,
) -> Result<Option<ClusterSums>, Stopped> {
    let factor = match weights {
        Some(weights) => scale(weights, &mut Pace::new(&mut *progress))?,
        None => 1.0,
    };
    let zeros = || memory::filled(clusters, 0.0);
    let mut clustered = ClusterSums { sums: zeros()?, sizes: zeros()? };
    let mut inside = true;
    grid::each_chunk(grid::chunks(x.len(), CHUNK), progress, |index| {
        let rows = grid::chunk(index, x.len(), CHUNK);
        simd::scalar(|| {
            for i in rows {
                let code = codes[i] as usize; // a negative code becomes a number that is too large
                if code >= clusters {
                    inside = false;
                    return;
                }
                let d = x[i].to_f64() - shift;
                let (d, one) = weights.map_or((d, 1.0), |w| {
                    let w = w[i] * factor;
                    (w * d, w)
                });
                clustered.sums[code] += d;
                clustered.sizes[code] += one;
            }
        });
    })?;
    Ok(inside.then_some(clustered))
}

/// Kish's effective sample size, (sum w)^2 / sum w^2, of positive `weights`.
pub fn effective_weights(weights: &[f64], progress: Progress<'_>) -> Result<f64, Stopped> {
    let mut pace = Pace::new(progress);
    let factor = scale(weights, &mut pace)?;
    let [sum, squares] = sums_at(weights.len(), &mut pace, |i| {
        let w = weights[i] * factor;
        [w, w * w]
    })?;
    Ok(simd::scalar(|| sum * (sum / squares)))
}

/// What is known about the rows behind cluster sums, apart from the sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumFacts {
    /// How far rounding can move two equal cluster means apart ([`super::spread::ValueFacts::noise`]); 0 where the sums
    /// are exact.
    pub noise: f64,
    /// The range in which the scores lie.
    pub range: Range,
    /// The number of rows where the rows have weights; `None` where the sizes are the numbers of rows themselves.
    pub weighted: Option<f64>,
}

impl SumFacts {
    /// For exact sums of rows without weights.
    pub const EXACT: SumFacts = SumFacts { noise: 0.0, range: Range::Unknown, weighted: None };
}

/// A clustered mean or ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustered {
    /// `m = sum S_g / sum n_g`.
    pub value: f64,
    /// The square root of the CR2 variance V; NaN for fewer than two clusters.
    pub standard_error: f64,
    /// The interval; NaN for fewer than two clusters, and for equal cluster means in a range that is not known.
    pub interval: Interval,
    /// Satterthwaite's degrees of freedom; NaN for fewer than two clusters.
    pub df: f64,
    /// `p(1-p)/V` where Wilson's interval is used (for 0/1 scores at most n; the number of clusters G where V is 0);
    /// NaN otherwise.
    pub n_effective: f64,
    /// Whether all cluster means are equal except for rounding, so that V is no estimate of the variance.
    pub unspread: bool,
}

/// The pooled mean, its CR2 variance and degrees of freedom; the latter two are NaN for fewer than two clusters.
#[derive(Clone, Copy)]
pub(super) struct Fit {
    /// The sum of the cluster sums `S_g`.
    pub total: f64,
    /// The sum N of the cluster sizes `n_g`.
    pub all: f64,
    pub mean: f64,
    /// 0 where all cluster means are equal.
    pub variance: f64,
    pub df: f64,
    pub unspread: bool,
    /// The number of clusters; for weighted rows the effective number `(sum n_g)^2 / sum n_g^2`.
    pub clusters: f64,
}

/// With `N = sum n_g`, `r_g = S_g - m n_g` and `f_g = n_g/N`: `V = sum r_g^2/(1 - f_g) / N^2` (Bell and
/// McCaffrey 2002, for a mean in closed form), and with `a_g = f_g^2/(1 - f_g)`:
/// `df = 1/(sum f^2 + (sum a)^2 - sum a^2)`, which is G - 1 for equal sizes.
pub(super) fn fit(
    sums_of: &[f64],
    sizes: &[f64],
    facts: SumFacts,
    pace: &mut Pace<'_>,
) -> Result<Fit, Stopped> {
    let groups = sums_of.len();
    let [total, all] = sums_at(groups, pace, |g| [sums_of[g], sizes[g]])?;
    // Every cluster mean is compared with the first one. Compared with the pooled mean, all of them would differ by the
    // rounding error of the total.
    let first = simd::scalar(|| sizes.iter().position(|&size| size > 0.0)).unwrap_or(0);
    let (sum, size) = sums_of.get(first).map_or((0.0, 1.0), |&sum| (sum, sizes[first]));
    let [apart] = sums_at(groups, pace, |g| {
        let difference = sums_of[g] * size - sum * sizes[g];
        // Written so that a NaN does not count as agreement.
        let agrees = difference.abs() <= facts.noise * sizes[g] * size;
        [f64::from(!agrees)]
    })?;
    let unspread = apart == 0.0;
    let [squares, f2, a1, a2, lone] = sums_at(groups, pace, |g| {
        let f = sizes[g] / all;
        let rest = 1.0 - f;
        // In this form counts remain whole numbers, so that the residuals of equal shares are exactly 0.
        let residual = (sums_of[g] * all - total * sizes[g]) / all;
        let a = f * f / rest;
        [residual * residual / rest, f * f, a, a * a, f64::from(rest <= 0.0)]
    })?;
    Ok(simd::scalar(|| {
        let mean = total / all;
        let clusters = if facts.weighted.is_some() { 1.0 / f2 } else { groups as f64 };
        if groups < 2 || lone > 0.0 {
            let (variance, df) = (f64::NAN, f64::NAN);
            return Fit { total, all, mean, variance, df, unspread: false, clusters };
        }
        let variance = if unspread { 0.0 } else { squares / (all * all) };
        Fit { total, all, mean, variance, df: 1.0 / (f2 + a1 * a1 - a2), unspread, clusters }
    }))
}

/// The ratio `sum S_g / sum n_g` with Student's t interval from V and df. `shift` is added back to the value of sums
/// that were taken about it. For fewer than two clusters (or where one cluster holds all of the size) there is a value
/// and no interval; where the cluster means are equal, [`unspread`] gives the interval, with the clusters as its
/// values.
pub fn ratio(
    sums_of: &[f64],
    sizes: &[f64],
    shift: f64,
    facts: SumFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Clustered, Stopped> {
    let fit = fit(sums_of, sizes, facts, &mut Pace::new(progress))?;
    Ok(simd::scalar(|| student(fit, shift, facts.range, confidence)))
}

pub(super) fn student(fit: Fit, shift: f64, range: Range, confidence: Confidence) -> Clustered {
    let Fit { mean, variance, df, unspread: equal, clusters, .. } = fit;
    let value = shift + mean;
    if equal {
        let MeanInterval { standard_error, interval } = unspread(value, clusters, range, confidence);
        return Clustered { value, standard_error, interval, df, n_effective: f64::NAN, unspread: true };
    }
    let standard_error = variance.sqrt();
    let interval = if df.is_finite() {
        confidence.around(value, confidence.t(df) * standard_error)
    } else {
        Interval { low: f64::NAN, high: f64::NAN }
    };
    Clustered { value, standard_error, interval, df, n_effective: f64::NAN, unspread: false }
}

/// The proportion of ones among 0/1 rows, with Wilson's interval for `n_eff = p(1-p)/V` rows (at most n) and Student's
/// t quantile in place of z. Where V is 0, `n_eff` is the number of clusters (for weighted rows the effective number
/// `(sum n_g)^2 / sum n_g^2`), and the standard error is the width of the interval divided by 2t.
pub fn proportion(
    ones: &[f64],
    sizes: &[f64],
    facts: SumFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Clustered, Stopped> {
    let fit = fit(ones, sizes, facts, &mut Pace::new(progress))?;
    Ok(simd::scalar(|| wilson_effective(fit, facts.weighted.unwrap_or(fit.all), confidence)))
}

/// The mean of rows in [0, 1] that need not be 0 or 1, such as wins with ties: Wilson's interval for `p(1-p)/V` rows
/// (more than n where the rows lie close together) with Student's t quantile in place of z, so that no limit leaves
/// [0, 1]. Where all cluster means are equal, [`unspread`] gives the interval.
pub fn share(
    sums_of: &[f64],
    sizes: &[f64],
    facts: SumFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Clustered, Stopped> {
    let fit = fit(sums_of, sizes, facts, &mut Pace::new(progress))?;
    Ok(simd::scalar(|| {
        if fit.unspread {
            return student(fit, 0.0, Range::Share, confidence);
        }
        wilson_effective(fit, f64::INFINITY, confidence)
    }))
}

pub(super) fn wilson_effective(fit: Fit, rows: f64, confidence: Confidence) -> Clustered {
    let Fit { total: hits, all, mean, variance, df, unspread, clusters } = fit;
    if df.is_nan() {
        return student(fit, 0.0, Range::Unknown, confidence);
    }
    let misses = all - hits;
    let spread = hits / all * (misses / all);
    let n_effective = if variance > 0.0 {
        let effective = spread / variance;
        if effective < rows { effective } else { rows }
    } else {
        clusters
    };
    let scale = n_effective / all;
    let t = confidence.t(df);
    let interval = confidence.open(wilson(hits * scale, misses * scale, t), 0.0, 1.0);
    let standard_error = if variance > 0.0 {
        variance.sqrt()
    } else {
        let t = confidence.two_sided().t(df);
        let sides = wilson(hits * scale, misses * scale, t);
        (sides.high - sides.low) / (2.0 * t)
    };
    Clustered { value: mean, standard_error, interval, df, n_effective, unspread }
}

#[cfg(test)]
mod tests {
    use super::super::Alternative;
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn ratio(sums_of: &[f64], sizes: &[f64], shift: f64, confidence: Confidence) -> Clustered {
        super::ratio(sums_of, sizes, shift, SumFacts::EXACT, confidence, &mut go).unwrap()
    }

    fn proportion(ones: &[f64], sizes: &[f64], confidence: Confidence) -> Clustered {
        super::proportion(ones, sizes, SumFacts::EXACT, confidence, &mut go).unwrap()
    }

    fn go(_: usize) -> bool {
        true
    }

    #[test]
    fn clusters_of_equal_size_give_the_t_interval_of_their_means() {
        let sums_of = [3.0, 5.0, 1.0, 9.0, 4.0];
        let got = ratio(&sums_of, &[2.0; 5], 0.0, TWO);
        assert!((got.df - 4.0).abs() < 1e-12);
        // Means 1.5 2.5 .5 4.5 2: s^2 = 2.2, V = s^2/5.
        assert!((got.value - 2.2).abs() < 1e-15);
        assert!((got.standard_error - (2.2f64 / 5.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn inspects_clustered_example() {
        // 0..19 clustered by i mod 4: .645 with the factor for few clusters, which equals CR2 for equal sizes.
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let codes: Vec<i64> = (0..20).map(|i| i % 4).collect();
        let clustered = cluster_sums(&x, &codes, 4, 0.0, None, &mut go).unwrap().unwrap();
        let got = ratio(&clustered.sums, &clustered.sizes, 0.0, TWO);
        assert!((got.standard_error - 0.6454972243679028).abs() < 1e-15);
        assert!((got.df - 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_row_per_cluster_gives_the_plain_t_interval() {
        let x = [0.3, 1.7, 2.2, -0.4, 0.9, 5.5];
        let got = ratio(&x, &[1.0; 6], 0.0, TWO);
        let mean = x.iter().sum::<f64>() / 6.0;
        let squares = x.iter().map(|v| (v - mean) * (v - mean)).sum();
        let plain = super::super::mean::t_interval(mean, squares, 6, TWO).unwrap();
        assert!((got.standard_error - plain.standard_error).abs() < 1e-15);
        assert!((got.interval.low - plain.interval.low).abs() < 1e-13);
    }

    #[test]
    fn under_two_clusters_there_is_no_error() {
        for (sums_of, sizes) in [(vec![3.0], vec![4.0]), (vec![3.0, 0.0], vec![4.0, 0.0])] {
            for got in [ratio(&sums_of, &sizes, 0.0, TWO), proportion(&sums_of, &sizes, TWO)] {
                assert_eq!(got.value, 0.75);
                assert!(got.standard_error.is_nan() && got.interval.low.is_nan() && got.df.is_nan());
            }
        }
    }

    #[test]
    fn a_perfect_clustered_score_counts_clusters() {
        let got = proportion(&[5.0, 3.0, 4.0], &[5.0, 3.0, 4.0], TWO);
        assert_eq!((got.value, got.n_effective, got.interval.high), (1.0, 3.0, 1.0));
        assert!(got.interval.low > 0.0 && got.interval.low < 0.5 && got.standard_error > 0.0);
    }

    #[test]
    fn equal_shares_have_no_spread_whatever_the_share() {
        for (hits, rows) in [(1.0, 3.0), (3.0, 10.0), (5.0, 49.0), (7.0, 93.0)] {
            let (ones, sizes) = ([hits, 2.0 * hits, 5.0 * hits], [rows, 2.0 * rows, 5.0 * rows]);
            let got = proportion(&ones, &sizes, TWO);
            assert!(got.n_effective == 3.0 && got.standard_error > 0.05, "{got:?}");
        }
    }

    #[test]
    fn shares_with_ties_stay_inside() {
        // 19 wins and a tie: s^2 = .0125, so p (1 - p)/V = .975 * .025/.000625 = 39 rows.
        let mut sums_of = [1.0; 20];
        sums_of[7] = 0.5;
        let got = super::share(&sums_of, &[1.0; 20], SumFacts::EXACT, TWO, &mut go).unwrap();
        let want = wilson(0.975 * 39.0, 0.025 * 39.0, TWO.t(19.0));
        assert!((got.n_effective - 39.0).abs() < 1e-9 && (got.interval.low - want.low).abs() < 1e-12);
        assert!((got.interval.high - want.high).abs() < 1e-12 && got.interval.high < 1.0);
        let ties = super::share(&[0.5; 4], &[1.0; 4], SumFacts::EXACT, TWO, &mut go).unwrap();
        assert_eq!(ties.interval, unspread(0.5, 4.0, Range::Share, TWO).interval);
    }

    #[test]
    fn effective_rows_are_never_more_than_rows() {
        // Alternating answers inside every cluster: V is far below the binomial's.
        let got = proportion(&[2.0, 2.0, 2.0, 3.0], &[4.0, 4.0, 4.0, 6.0], TWO);
        assert!(got.n_effective <= 18.0);
    }

    #[test]
    fn a_shift_changes_nothing_but_rounding() {
        let x: Vec<f64> = (0..1000).map(|i| 1e7 + f64::from(i % 7) * 0.1).collect();
        let codes: Vec<i64> = (0..1000).map(|i| i % 13).collect();
        let shifted = cluster_sums(&x, &codes, 13, 1e7, None, &mut go).unwrap().unwrap();
        let plain = cluster_sums(&x, &codes, 13, 0.0, None, &mut go).unwrap().unwrap();
        let a = ratio(&shifted.sums, &shifted.sizes, 1e7, TWO);
        let b = ratio(&plain.sums, &plain.sizes, 0.0, TWO);
        assert!((a.standard_error / b.standard_error - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_code_outside_gives_none() {
        assert_eq!(cluster_sums(&[1.0], &[1], 1, 0.0, None, &mut go), Ok(None));
        assert_eq!(cluster_sums(&[1.0], &[-1], 1, 0.0, None, &mut go), Ok(None));
    }

    #[test]
    fn equal_cluster_means_are_recognised_despite_rounding() {
        // Ten rows of .1 add up to .9999999999999999.
        let codes: Vec<i64> = (0..14).map(|i| [0, 1, 2, 2].get(i).map_or(0, |&code| code)).collect();
        let clustered = cluster_sums(&[0.1f64; 14], &codes, 3, 0.0, None, &mut go).unwrap().unwrap();
        let exact = ratio(&clustered.sums, &clustered.sizes, 0.0, TWO);
        assert!(!exact.unspread && exact.standard_error > 0.0 && exact.standard_error < 1e-16);
        let values = super::super::spread::ValueFacts {
            low: 0.1,
            high: 0.1,
            step: 0.1 * f64::EPSILON,
            rows: 14.0,
            range: Range::Share,
        };
        let facts = SumFacts { noise: values.noise(0.0), range: Range::Share, weighted: None };
        let with = |facts| super::ratio(&clustered.sums, &clustered.sizes, 0.0, facts, TWO, &mut go).unwrap();
        let got = with(facts);
        let want = unspread(got.value, 3.0, Range::Share, TWO);
        assert!(got.unspread && (got.standard_error, got.interval) == (want.standard_error, want.interval));
        assert!(with(SumFacts { range: Range::Unknown, ..facts }).interval.low.is_nan());
    }

    #[test]
    fn weights_of_one_change_nothing_and_the_scale_of_weights_cancels() {
        let x: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let codes: Vec<i64> = (0..40).map(|i| i % 7).collect();
        let plain = cluster_sums(&x, &codes, 7, 3.0, None, &mut go).unwrap();
        assert_eq!(cluster_sums(&x, &codes, 7, 3.0, Some(&[1.0; 40]), &mut go).unwrap(), plain);
        let weights: Vec<f64> = (0..40).map(|i| 1.0 / f64::from(1 + i % 5)).collect();
        let scaled_by = |factor: f64| {
            let w: Vec<f64> = weights.iter().map(|w| w * factor).collect();
            (
                cluster_sums(&x, &codes, 7, 3.0, Some(&w), &mut go).unwrap(),
                effective_weights(&w, &mut go).unwrap(),
            )
        };
        for factor in [f64::from_bits(23 << 52), 0.5, f64::from_bits(2000 << 52)] {
            assert_eq!(scaled_by(factor), scaled_by(1.0));
        }
        let (sum, squares) = weights.iter().fold((0.0, 0.0), |(a, b), w| (a + w, b + w * w));
        assert!((scaled_by(1.0).1 - sum * sum / squares).abs() < 1e-12);
        assert_eq!(effective_weights(&[5e-324, 5e-324], &mut go).unwrap(), 2.0);
    }

    #[test]
    fn a_perfect_weighted_score_counts_effective_clusters() {
        let facts = SumFacts { noise: 1e-14, range: Range::Share, weighted: Some(4.0) };
        let got = super::proportion(&[1.0, 0.5, 0.1], &[1.0, 0.5, 0.1], facts, TWO, &mut go).unwrap();
        assert!(
            (got.n_effective - 1.6 * 1.6 / 1.26).abs() < 1e-12 && got.unspread && got.interval.high == 1.0
        );
    }
}
