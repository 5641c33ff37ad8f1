//! Means and ratios of clustered rows: the cluster-robust CR2 variance and its degrees of freedom.
//!
//! Rows of one cluster (questions on one document, tokens of one text, epochs of one item) are not
//! independent; clusters are. Everything follows from the cluster sums `S_g` and sizes `n_g`.

use super::proportion::wilson;
use super::sums::sums_at;
use super::{Confidence, Interval};
use crate::grid::{self, CHUNK, Pace, Stopped, Watch};
use crate::memory;
use crate::simd::{self, Element};

/// Sums and sizes of the rows of each cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSums {
    /// The sum of `x - shift` over the rows of each cluster.
    pub sums: Vec<f64>,
    /// The rows of each cluster.
    pub sizes: Vec<f64>,
}

/// Adds up rows by cluster, in order of the rows: `codes[i]`, inside `0..clusters`, is the cluster of row i.
/// A `shift` near the mean keeps what large values would round away. `None`: a code outside.
pub fn cluster_sums<T: Element>(
    x: &[T],
    codes: &[i64],
    clusters: usize,
    shift: f64,
    watch: Watch<'_>,
) -> Result<Option<ClusterSums>, Stopped> {
    let zeros = || memory::filled(clusters, 0.0);
    let mut of = ClusterSums { sums: zeros()?, sizes: zeros()? };
    let mut inside = true;
    grid::each_chunk(grid::chunks(x.len(), CHUNK), watch, |index| {
        let rows = grid::chunk(index, x.len(), CHUNK);
        simd::scalar(|| {
            for (&value, &code) in x[rows.clone()].iter().zip(&codes[rows]) {
                let code = code as usize; // a negative code becomes too large
                if code >= clusters {
                    inside = false;
                    return;
                }
                of.sums[code] += value.to_f64() - shift;
                of.sizes[code] += 1.0;
            }
        });
    })?;
    Ok(inside.then_some(of))
}

/// A clustered mean or ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustered {
    /// `m = sum S_g / sum n_g`.
    pub value: f64,
    /// V, and the square root of it; NaN under two clusters.
    pub standard_error: f64,
    /// The interval; NaN under two clusters.
    pub interval: Interval,
    /// Satterthwaite's degrees of freedom; NaN under two clusters.
    pub df: f64,
    /// `p(1-p)/V` for 0/1 scores, at most n (G where V is 0); NaN otherwise.
    pub n_effective: f64,
}

/// The pooled mean, its CR2 variance and degrees of freedom, each NaN where it cannot be had.
#[derive(Clone, Copy)]
struct Fit {
    /// The sum of the sums, and of the sizes.
    total: f64,
    all: f64,
    mean: f64,
    variance: f64,
    df: f64,
}

/// With `N = sum n_g`, `r_g = S_g - m n_g` and `f_g = n_g/N`: `V = sum r_g^2/(1 - f_g) / N^2` (Bell and
/// McCaffrey 2002, for a mean in closed form), and with `a_g = f_g^2/(1 - f_g)`:
/// `df = 1/(sum f^2 + (sum a)^2 - sum a^2)`, which is G - 1 for equal sizes.
fn fit(sums_of: &[f64], sizes: &[f64], pace: &mut Pace<'_>) -> Result<Fit, Stopped> {
    let groups = sums_of.len();
    let [total, all] = sums_at(groups, pace, |g| [sums_of[g], sizes[g]])?;
    let [squares, f2, a1, a2, lone] = sums_at(groups, pace, |g| {
        let f = sizes[g] / all;
        let rest = 1.0 - f;
        // In this form counts stay whole numbers: equal shares have no residual at all.
        let residual = (sums_of[g] * all - total * sizes[g]) / all;
        let a = f * f / rest;
        [residual * residual / rest, f * f, a, a * a, f64::from(rest <= 0.0)]
    })?;
    Ok(simd::scalar(|| {
        let mean = total / all;
        if groups < 2 || lone > 0.0 {
            return Fit { total, all, mean, variance: f64::NAN, df: f64::NAN };
        }
        Fit { total, all, mean, variance: squares / (all * all), df: 1.0 / (f2 + a1 * a1 - a2) }
    }))
}

/// The ratio `sum S_g / sum n_g` with Student's interval on V and df. Sums taken about a `shift` are given it
/// back. Under two clusters (or one that holds everything) there is a value and no interval.
pub fn ratio(
    sums_of: &[f64],
    sizes: &[f64],
    shift: f64,
    confidence: Confidence,
    watch: Watch<'_>,
) -> Result<Clustered, Stopped> {
    let fit = fit(sums_of, sizes, &mut Pace::new(watch))?;
    Ok(simd::scalar(|| student(fit, shift, confidence)))
}

fn student(fit: Fit, shift: f64, confidence: Confidence) -> Clustered {
    let Fit { mean, variance, df, .. } = fit;
    let value = shift + mean;
    let standard_error = variance.sqrt();
    let interval = if df.is_finite() {
        confidence.around(value, confidence.t(df) * standard_error)
    } else {
        Interval { low: f64::NAN, high: f64::NAN }
    };
    Clustered { value, standard_error, interval, df, n_effective: f64::NAN }
}

/// The share of ones among 0/1 rows: Wilson's interval with `n_eff = p(1-p)/V` rows (at most n; G where V is 0)
/// and Student's t for z. Where the clusters show no spread the standard error is the width over 2t.
pub fn proportion(
    ones: &[f64],
    sizes: &[f64],
    confidence: Confidence,
    watch: Watch<'_>,
) -> Result<Clustered, Stopped> {
    let fit = fit(ones, sizes, &mut Pace::new(watch))?;
    Ok(simd::scalar(|| wilson_effective(fit, ones.len(), confidence)))
}

fn wilson_effective(fit: Fit, clusters: usize, confidence: Confidence) -> Clustered {
    let Fit { total: hits, all, mean, variance, df } = fit;
    if df.is_nan() {
        return student(fit, 0.0, confidence);
    }
    let misses = all - hits;
    let spread = hits / all * (misses / all);
    let n_effective = if variance > 0.0 {
        let effective = spread / variance;
        if effective < all { effective } else { all }
    } else {
        clusters as f64
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
    Clustered { value: mean, standard_error, interval, df, n_effective }
}

#[cfg(test)]
mod tests {
    use super::super::Alternative;
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn ratio(sums_of: &[f64], sizes: &[f64], shift: f64, confidence: Confidence) -> Clustered {
        super::ratio(sums_of, sizes, shift, confidence, &mut go).unwrap()
    }

    fn proportion(ones: &[f64], sizes: &[f64], confidence: Confidence) -> Clustered {
        super::proportion(ones, sizes, confidence, &mut go).unwrap()
    }

    fn go(_: usize) -> bool {
        true
    }

    #[test]
    fn equal_clusters_are_a_t_interval_of_their_means() {
        let sums_of = [3.0, 5.0, 1.0, 9.0, 4.0];
        let got = ratio(&sums_of, &[2.0; 5], 0.0, TWO);
        assert!((got.df - 4.0).abs() < 1e-12);
        // Means 1.5 2.5 .5 4.5 2: s^2 = 2.2, V = s^2/5.
        assert!((got.value - 2.2).abs() < 1e-15);
        assert!((got.standard_error - (2.2f64 / 5.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn inspects_clustered_example() {
        // 0..19 clustered by i mod 4: .645 with the finite-cluster factor, which equal sizes share with CR2.
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let codes: Vec<i64> = (0..20).map(|i| i % 4).collect();
        let of = cluster_sums(&x, &codes, 4, 0.0, &mut go).unwrap().unwrap();
        let got = ratio(&of.sums, &of.sizes, 0.0, TWO);
        assert!((got.standard_error - 0.6454972243679028).abs() < 1e-15);
        assert!((got.df - 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_row_a_cluster_is_the_plain_t_interval() {
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
    fn effective_rows_are_never_more_than_rows() {
        // Alternating answers inside every cluster: V is far below the binomial's.
        let got = proportion(&[2.0, 2.0, 2.0, 3.0], &[4.0, 4.0, 4.0, 6.0], TWO);
        assert!(got.n_effective <= 18.0);
    }

    #[test]
    fn a_shift_changes_nothing_but_rounding() {
        let x: Vec<f64> = (0..1000).map(|i| 1e7 + f64::from(i % 7) * 0.1).collect();
        let codes: Vec<i64> = (0..1000).map(|i| i % 13).collect();
        let of = cluster_sums(&x, &codes, 13, 1e7, &mut go).unwrap().unwrap();
        let plain = cluster_sums(&x, &codes, 13, 0.0, &mut go).unwrap().unwrap();
        let (a, b) = (ratio(&of.sums, &of.sizes, 1e7, TWO), ratio(&plain.sums, &plain.sizes, 0.0, TWO));
        assert!((a.standard_error / b.standard_error - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_code_outside_is_told() {
        assert_eq!(cluster_sums(&[1.0], &[1], 1, 0.0, &mut go), Ok(None));
        assert_eq!(cluster_sums(&[1.0], &[-1], 1, 0.0, &mut go), Ok(None));
    }
}
