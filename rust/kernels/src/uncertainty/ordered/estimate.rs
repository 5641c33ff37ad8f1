//! Intervals of statistics of sorted rows in closed form: quantiles by Woodruff's inversion, areas under the ROC curve
//! by the variance of `DeLong`.

use super::data::Data;
use super::quantile::{between, position};
use super::{Auc, OrderStatistic, Sample, Second, Sorted};
use crate::bisection::first;
use crate::grid::{Progress, Stopped};
use crate::intervals::spread::{Range, unspread};
use crate::intervals::{Confidence, Interval};
use crate::math::binomial;
use crate::memory;
use crate::simd::scalar;
use crate::uncertainty::no_estimate::{Ended, answer};
use crate::uncertainty::paired::Wide;
use crate::uncertainty::{Design, NoEstimate};

/// A statistic of sorted rows with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderedEstimate {
    /// The statistic.
    pub value: f64,
    /// The standard error; NaN where there is none.
    pub standard_error: f64,
    /// The limits; NaN where there is none, infinite on a side that is left open.
    pub interval: Interval,
    /// The degrees of freedom of Student's t; infinite for exact and normal limits.
    pub df: f64,
    /// Whether the data show no spread, so that the limits are Wilson's share.
    pub unspread: bool,
}

/// The quantile at level `q` with its interval.
///
/// Rows: the order statistics `x_(l)` and `x_(u)` with the largest `l` such that `P(Bin(n, q) < l) <= tail` and the
/// smallest `u` such that `P(Bin(n, q) >= u) <= tail` (those of Clopper and Pearson): exact, the coverage is at least
/// the level. Clusters: the values at which the empirical distribution reaches Wilson's limits for a share `q` with the
/// clustered (`G/(G - 1)`) variance of the share of rows up to the quantile, and Student's t with `G - 1` degrees of
/// freedom (Woodruff 1952). The standard error is the width of the two-sided interval over 2z.
pub fn quantile_estimate(
    x: &dyn Wide,
    q: f64,
    design: Design<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<OrderedEstimate, NoEstimate>, Stopped> {
    answer(quantile_or_ended(x, q, design, confidence, progress))
}

fn quantile_or_ended(
    x: &dyn Wide,
    q: f64,
    design: Design<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<OrderedEstimate, Ended> {
    let data = Data::of_columns(&[x], Second::Absent, design, progress)?;
    let values = &data.x.values;
    let n = values.len() as u64;
    let (rank, part) = scalar(|| position(n, q));
    let next = values[(rank as usize + 1).min(values.len() - 1)];
    let value = scalar(|| between(values[rank as usize], next, part));
    let (interval, two_sided, df) = match design {
        Design::Rows => {
            let limits = |confidence| exact_limits(values, q, confidence);
            (limits(confidence), limits(confidence.two_sided()), f64::INFINITY)
        }
        Design::Clusters { codes, count } => {
            let df = count as f64 - 1.0;
            let rows = effective_rows(&data.x, value, codes, count)?;
            let limits = |confidence| woodruff(values, q, rows, df, confidence);
            (limits(confidence), limits(confidence.two_sided()), df)
        }
    };
    let width = two_sided.high - two_sided.low;
    let standard_error = scalar(|| width / (2.0 * confidence.two_sided().z()));
    Ok(OrderedEstimate { value, standard_error, interval, df, unspread: false })
}

/// Clopper and Pearson's order statistics; NaN where so few rows have none.
fn exact_limits(values: &[f64], q: f64, confidence: Confidence) -> Interval {
    let at = |rank: Option<u64>| rank.map_or(f64::NAN, |rank| values[rank as usize]);
    let [low, high] = exact_ranks(values.len() as u64, q, confidence);
    confidence.open(Interval { low: at(low), high: at(high) }, f64::NEG_INFINITY, f64::INFINITY)
}

/// The ranks of Clopper and Pearson's order statistics among `n` rows, counted from 0.
pub(in crate::uncertainty) fn exact_ranks(n: u64, q: f64, confidence: Confidence) -> [Option<u64>; 2] {
    let tail = confidence.tail();
    // The number of l in 1..=n with P(Bin < l) <= tail, and of u in 1..=n with P(Bin >= u) > tail: both tails are
    // monotone.
    let below = scalar(|| first(0..n, |k| binomial::cdf(k, n, q) > tail));
    let above = scalar(|| first(0..n, |k| binomial::sf(k, n, q) <= tail));
    [below.checked_sub(1), Some(above).filter(|&above| above < n)]
}

/// How many independent rows say as much about the share of rows up to `value` as these clusters do; the number of
/// clusters where the shares do not vary.
fn effective_rows(x: &Sorted, value: f64, codes: &[i64], count: usize) -> Result<f64, Ended> {
    let mut sums = memory::filled(count, [0.0; 2])?;
    for (entry, &other) in x.entries.iter().zip(&x.values) {
        let [up_to, size] = &mut sums[codes[entry.row()] as usize];
        *up_to += f64::from(u8::from(other <= value));
        *size += 1.0;
    }
    Ok(scalar(|| {
        let (n, groups) = (x.values.len() as f64, count as f64);
        let share = sums.iter().map(|[up_to, _]| up_to).sum::<f64>() / n;
        let squares: f64 =
            sums.iter().map(|[up_to, size]| (up_to - share * size) * (up_to - share * size)).sum();
        let variance = groups / (groups - 1.0) * squares / (n * n);
        let rows = if variance > 0.0 { share * (1.0 - share) / variance } else { groups };
        if rows > 0.0 { rows } else { groups }
    }))
}

/// The values at which the empirical distribution reaches Wilson's limits for a share `q` of so many `rows`.
fn woodruff(values: &[f64], q: f64, rows: f64, df: f64, confidence: Confidence) -> Interval {
    scalar(|| {
        let n = values.len() as f64;
        let t = confidence.t(df);
        let centre = (q + t * t / (2.0 * rows)) / (1.0 + t * t / rows);
        let half = t / (1.0 + t * t / rows) * (q * (1.0 - q) / rows + t * t / (4.0 * rows * rows)).sqrt();
        // The smallest value at which the empirical distribution reaches a share.
        let at = |share: f64| {
            let whole = (share * n) as usize;
            let rank = if whole as f64 == share * n && whole > 0 { whole - 1 } else { whole };
            values[rank.min(values.len() - 1)]
        };
        let limits = Interval { low: at(centre - half), high: at(centre + half) };
        confidence.open(limits, f64::NEG_INFINITY, f64::INFINITY)
    })
}

/// The area under the ROC curve with its interval.
///
/// With the placements `V_i` of the rows (of a row with label 1: the share of rows with label 0 below it; of one with
/// label 0: the share of rows with label 1 above it; ties half), the variance (of `DeLong` and others, 1988) is `S1/n1 + S0/n0`, the variances of
/// the placements over their numbers; with clusters `G/(G - 1) sum_g (sum U_i)^2` with `U_i = (V_i - A)/n1` or `/n0`
/// (Obuchowski 1997). The limits are those of the logit of A, with Student's t and the degrees of freedom of Welch and
/// Satterthwaite, or `G - 1`. Where nothing varies, the limits are Wilson's share of the rarer label.
pub fn auc_estimate(
    scores: &dyn Wide,
    targets: &dyn Wide,
    design: Design<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<OrderedEstimate, NoEstimate>, Stopped> {
    answer(auc_or_ended(scores, targets, design, confidence, progress))
}

fn auc_or_ended(
    scores: &dyn Wide,
    targets: &dyn Wide,
    design: Design<'_>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<OrderedEstimate, Ended> {
    let data = Data::of_columns(&[scores, targets], Second::Labels, design, progress)?;
    let x = &data.x;
    let n = x.entries.len();
    let ones = memory::filled(n, 1)?;
    let sample = Sample { x, y: None, counts: &ones, total: n as u64 };
    let value = scalar(|| Auc.value(sample, &mut []));
    let mut influences = memory::filled(n, 0.0)?;
    let numbers = placements(x, value, &mut influences);
    let units = match design {
        Design::Rows => n,
        Design::Clusters { count, .. } => count,
    };
    let (variance, df) = match design {
        Design::Rows => by_rows(x, &influences, numbers),
        Design::Clusters { codes, count } => {
            let mut sums = memory::filled(count, 0.0)?;
            scalar(|| influences.iter().zip(codes).for_each(|(u, &code)| sums[code as usize] += u));
            let groups = units as f64;
            let squares = scalar(|| sums.iter().map(|u| u * u).sum::<f64>());
            (scalar(|| groups / (groups - 1.0) * squares), groups - 1.0)
        }
    };
    let steady = scalar(|| variance <= 1e-24) || value == 0.0 || value == 1.0;
    if steady || !df.is_finite() {
        let rarer = if numbers[0] < numbers[1] { numbers[0] } else { numbers[1] };
        let rarer = if units < rarer { units } else { rarer };
        let equal = unspread(value, rarer as f64, Range::Share, confidence);
        let (standard_error, interval) = (equal.standard_error, equal.interval);
        return Ok(OrderedEstimate { value, standard_error, interval, df: f64::NAN, unspread: true });
    }
    Ok(scalar(|| {
        let standard_error = variance.sqrt();
        let half = confidence.t(df) * standard_error / (value * (1.0 - value));
        let odds = value / (1.0 - value);
        // The logit's limits turned back into shares.
        let back = |shift: f64| {
            let odds = odds * crate::math::exp(shift);
            if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
        };
        let interval = confidence.open(Interval { low: back(-half), high: back(half) }, 0.0, 1.0);
        OrderedEstimate { value, standard_error, interval, df, unspread: false }
    }))
}

/// Writes `(V_i - A)/n1` or `(V_i - A)/n0` for each row, in the order of the data, and returns `[n0, n1]`.
fn placements(x: &Sorted, value: f64, influences: &mut [f64]) -> [usize; 2] {
    let ones = x.entries.iter().filter(|entry| entry.label()).count();
    let (positives, negatives) = (ones as f64, (x.entries.len() - ones) as f64);
    let (mut below, mut start) = ([0.0, 0.0], 0);
    scalar(|| {
        for (i, entry) in x.entries.iter().enumerate() {
            if !entry.last() {
                continue;
            }
            let tied = &x.entries[start..=i];
            let ones_here = tied.iter().filter(|entry| entry.label()).count() as f64;
            let zeros_here = tied.len() as f64 - ones_here;
            for other in tied {
                influences[other.row()] = if other.label() {
                    ((below[0] + zeros_here / 2.0) / negatives - value) / positives
                } else {
                    ((positives - below[1] - ones_here / 2.0) / positives - value) / negatives
                };
            }
            below = [below[0] + zeros_here, below[1] + ones_here];
            start = i + 1;
        }
    });
    [x.entries.len() - ones, ones]
}

/// The variance of `DeLong`, and the degrees of freedom of Welch and Satterthwaite; not finite where a label has one row.
fn by_rows(x: &Sorted, influences: &[f64], numbers: [usize; 2]) -> (f64, f64) {
    let mut squares = [0.0; 2];
    scalar(|| {
        for entry in &x.entries {
            let u = influences[entry.row()];
            squares[usize::from(entry.label())] += u * u;
        }
        // sum U^2 of a label is S (n - 1)/n^2; its part of the variance is S/n.
        let parts = [0, 1].map(|label| {
            let n = numbers[label] as f64;
            (squares[label] * n / (n - 1.0), n - 1.0)
        });
        let variance = parts[0].0 + parts[1].0;
        let df = variance * variance / parts.iter().map(|(part, df)| part * part / df).sum::<f64>();
        (variance, df)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    #[test]
    fn the_median_of_twenty_has_the_sixth_and_fifteenth_value_as_limits() {
        let x: Vec<f64> = (1..=20).map(f64::from).collect();
        let got = quantile_estimate(&&x[..], 0.5, Design::Rows, TWO, &mut |_| true).unwrap().unwrap();
        assert_eq!((got.value, got.interval.low, got.interval.high), (10.5, 6.0, 15.0));
        let few = quantile_estimate(&&x[..5], 0.5, Design::Rows, TWO, &mut |_| true).unwrap().unwrap();
        assert!(few.value == 3.0 && few.interval.low.is_nan() && few.interval.high.is_nan());
    }

    #[test]
    fn delongs_variance_by_hand() {
        // Scores 1, 3 of label 0 and 2, 4 of label 1: placements of label 1 are 1/2 and 1, of label 0 they are 1 and
        // 1/2, each with variance 1/8.
        let (scores, targets) = ([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]);
        let got =
            auc_estimate(&&scores[..], &&targets[..], Design::Rows, TWO, &mut |_| true).unwrap().unwrap();
        assert_eq!(got.value, 0.75);
        assert!((got.standard_error - 0.125f64.sqrt()).abs() < 1e-15);
        assert!((got.df - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_perfect_ranking_is_not_certain() {
        let (scores, targets) = ([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0]);
        let got =
            auc_estimate(&&scores[..], &&targets[..], Design::Rows, TWO, &mut |_| true).unwrap().unwrap();
        assert!(got.unspread && got.value == 1.0 && got.interval.high == 1.0 && got.interval.low < 0.5);
    }
}
