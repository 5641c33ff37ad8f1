//! The mean of rows in clusters of two kinds that cross, such as items and judges.

use super::Confidence;
use super::cluster::{ClusterSums, Clustered, Fit, SumFacts, fit, student, wilson_effective};
use super::spread::Range;
use super::strata::Form;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd;

/// The cells, that is, the pairs of clusters that rows have: sum, size and cluster of either kind of each.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    /// The sum of `x - shift` over the rows of each cell.
    pub sums: &'a [f64],
    /// The number of rows of each cell, or the sum of their weights.
    pub sizes: &'a [f64],
    /// The cluster of each cell of either kind, inside `0..counts`.
    pub of: [&'a [i64]; 2],
    /// The number of clusters of either kind.
    pub counts: [usize; 2],
}

/// A mean of rows in crossed clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossed {
    /// The mean and its interval; `df` is the smaller one of the two kinds.
    pub mean: Clustered,
    /// The variances of the mean by the clusters of either kind alone.
    pub variances: [f64; 2],
    /// Whether `V_a + V_b - V_ab` is below the larger one of these, which is then used.
    pub ruled: bool,
}

/// The mean over cells with `V = V_a + V_b - V_ab` (Cameron, Gelbach and Miller 2011): the CR2 variances
/// ([`super::cluster`]) by the clusters of either kind and by the cells, and where this is below the larger one of the
/// first two, that one (MacKinnon, Nielsen and Webb 2024). The degrees of freedom are the smaller ones of the two kinds.
/// `None` where a cluster lies outside.
pub fn crossed(
    cells: Cells<'_>,
    shift: f64,
    form: Form,
    facts: SumFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Option<Crossed>, Stopped> {
    let pace = &mut Pace::new(progress);
    let [Some(a), Some(b)] = [by(cells, 0, pace)?, by(cells, 1, pace)?] else { return Ok(None) };
    let a = fit(&a.sums, &a.sizes, facts, pace)?;
    let b = fit(&b.sums, &b.sizes, facts, pace)?;
    let both = fit(cells.sums, cells.sizes, facts, pace)?;
    Ok(Some(simd::scalar(|| {
        let (together, larger) = (a.variance + b.variance - both.variance, max(a.variance, b.variance));
        let ruled = together < larger;
        let fit = Fit {
            variance: if ruled { larger } else { together },
            df: if a.df.is_nan() || b.df.is_nan() { f64::NAN } else { -max(-a.df, -b.df) },
            unspread: a.unspread && b.unspread,
            clusters: -max(-a.clusters, -b.clusters),
            ..both
        };
        let mean = match form {
            Form::Student => student(fit, shift, facts.range, confidence),
            Form::Answers => wilson_effective(fit, facts.weighted.unwrap_or(fit.all), confidence),
            Form::Shares if fit.unspread => student(fit, 0.0, Range::Share, confidence),
            Form::Shares => wilson_effective(fit, f64::INFINITY, confidence),
        };
        Crossed { mean, variances: [a.variance, b.variance], ruled }
    })))
}

fn max(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// The sums of the clusters of one kind, in the order of the cells.
fn by(cells: Cells<'_>, kind: usize, pace: &mut Pace<'_>) -> Result<Option<ClusterSums>, Stopped> {
    let count = cells.counts[kind];
    let mut found = ClusterSums { sums: memory::filled(count, 0.0)?, sizes: memory::filled(count, 0.0)? };
    for (cell, &code) in cells.of[kind].iter().enumerate() {
        // A negative code becomes a number that is too large.
        let code = code as usize;
        if code >= count {
            return Ok(None);
        }
        simd::scalar(|| {
            found.sums[code] += cells.sums[cell];
            found.sizes[code] += cells.sizes[cell];
        });
        pace.step()?;
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::super::Alternative;
    use super::super::cluster::ratio;
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn of(sums: &[f64], of: [&[i64]; 2], counts: [usize; 2]) -> Crossed {
        let sizes = vec![1.0; sums.len()];
        let cells = Cells { sums, sizes: &sizes, of, counts };
        crossed(cells, 0.0, Form::Student, SumFacts::EXACT, TWO, &mut |_| true).unwrap().unwrap()
    }

    #[test]
    fn a_kind_in_which_every_row_is_alone_changes_nothing() {
        let x = [1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 1.5];
        let (a, rows) = ([0, 0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5, 6]);
        let got = of(&x, [&a, &rows], [3, 7]);
        let want =
            ratio(&[7.0, 13.0, 8.5], &[3.0, 2.0, 2.0], 0.0, SumFacts::EXACT, TWO, &mut |_| true).unwrap();
        assert!((got.mean.standard_error / want.standard_error - 1.0).abs() < 1e-14);
        assert!((got.mean.df - want.df).abs() < 1e-12);
    }

    #[test]
    fn a_balanced_table_has_the_formula_with_factors_for_few_clusters() {
        // Three items by two judges, residuals from the mean 3.5: V = (a + b - ab) with G/(G - 1) each.
        let x = [1.0, 2.0, 3.0, 5.0, 4.0, 6.0];
        let got = of(&x, [&[0, 0, 1, 1, 2, 2], &[0, 1, 0, 1, 0, 1]], [3, 2]);
        let items: f64 = (16.0 + 1.0 + 9.0) * 1.5 / 36.0;
        let judges = (2.5 * 2.5 * 2.0) * 2.0 / 36.0;
        let cells = (6.25 + 2.25 + 0.25 + 2.25 + 0.25 + 6.25) * 1.2 / 36.0;
        assert!((got.mean.standard_error - (items + judges - cells).sqrt()).abs() < 1e-14);
        assert!((got.mean.df - 1.0).abs() < 1e-12 && !got.ruled);
    }

    #[test]
    fn the_larger_variance_of_one_kind_is_the_least() {
        // Neither items nor judges differ, which cells do.
        let got = of(&[1.0, -1.0, -1.0, 1.1], [&[0, 0, 1, 1], &[0, 1, 0, 1]], [2, 2]);
        assert!(got.ruled && got.mean.standard_error > 0.0);
        assert!((got.mean.standard_error - got.variances[0].sqrt()).abs() < 1e-15);
    }

    #[test]
    fn one_cluster_of_a_kind_has_no_interval_and_a_code_outside_gives_none() {
        let got = of(&[1.0, 2.0], [&[0, 1], &[0, 0]], [2, 1]);
        assert!(got.mean.standard_error.is_nan() && got.mean.value == 1.5);
        let cells = Cells { sums: &[1.0], sizes: &[1.0], of: [&[0], &[1]], counts: [1, 1] };
        let found = crossed(cells, 0.0, Form::Student, SumFacts::EXACT, TWO, &mut |_| true);
        assert_eq!(found.unwrap(), None);
    }
}
