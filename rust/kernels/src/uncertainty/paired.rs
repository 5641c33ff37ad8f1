//! Two models on the same rows: differences, Tango's interval and McNemar's tests.

use crate::grid::{self, CHUNK, Progress, Stopped};
use crate::intervals::cluster::{ClusterSums, cluster_sums};
use crate::intervals::moments::{Column, moments};
use crate::intervals::spread::STEPS;
use crate::intervals::{Alternative, Confidence, Interval};
use crate::math::binomial;
use crate::memory;
use crate::simd::{self, Element};

/// A column of any element type that is widened to f64 chunk by chunk, so that code that reads two columns is not
/// compiled for each pair of element types.
pub trait Wide: Sync {
    /// The number of values.
    fn len(&self) -> usize;
    /// Whether there are no values.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Writes the values from `start` on to `out` until it is full.
    fn widen(&self, start: usize, out: &mut [f64]);
    /// The moments of the column: see [`moments`](fn@moments).
    fn moments(&self, progress: Progress<'_>) -> Result<Column, Stopped>;
    /// The sums of the values minus `shift` by cluster: see [`cluster_sums`]. `None` where a code lies outside.
    fn cluster_sums(
        &self,
        codes: &[i64],
        count: usize,
        shift: f64,
        progress: Progress<'_>,
    ) -> Result<Option<ClusterSums>, Stopped>;
}

impl<T: Element> Wide for &[T] {
    fn len(&self) -> usize {
        <[T]>::len(self)
    }
    fn widen(&self, start: usize, out: &mut [f64]) {
        for (out, value) in out.iter_mut().zip(&self[start..]) {
            *out = value.to_f64();
        }
    }
    fn moments(&self, progress: Progress<'_>) -> Result<Column, Stopped> {
        moments(self, progress)
    }
    fn cluster_sums(
        &self,
        codes: &[i64],
        count: usize,
        shift: f64,
        progress: Progress<'_>,
    ) -> Result<Option<ClusterSums>, Stopped> {
        cluster_sums(self, codes, count, shift, None, progress)
    }
}

/// The differences new - base of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// The differences.
    pub values: Vec<f64>,
    /// The number of rows where new is larger.
    pub wins: u64,
    /// The number of rows where base is larger.
    pub losses: u64,
}

/// Scores whose relative difference is at most this are equal except for rounding.
const EQUAL: f64 = STEPS * f64::EPSILON;

/// The differences new - base in f64, and how often either is larger. Both have the same length and no NaN. A
/// difference that may be rounding alone (at most 2^-49 of the larger score) counts as 0.
///
/// `coarse` is for two columns of different element types: the unit in the last place of 1 and the smallest positive
/// number of the less precise type. A difference within that unit, relative to the larger score, or within that number
/// then counts as rounding as well. (0, 0) for columns of the same type.
pub fn differences(
    new: &dyn Wide,
    base: &dyn Wide,
    coarse: (f64, f64),
    progress: Progress<'_>,
) -> Result<Differences, Stopped> {
    let tie = Tie { relative: if coarse.0 > EQUAL { coarse.0 } else { EQUAL }, absolute: coarse.1 };
    let n = new.len();
    let mut all = Differences { values: memory::filled(n, 0.0)?, wins: 0, losses: 0 };
    let parts = memory::collected(all.values.chunks_mut(CHUNK))?;
    let counts = grid::fill_chunks(parts, 24 * n, progress, |index, part| {
        simd::scalar(|| {
            let mut base_values = [0.0; BLOCK];
            let (mut wins, mut losses) = (0, 0);
            for (block, values) in part.chunks_mut(BLOCK).enumerate() {
                let start = index * CHUNK + block * BLOCK;
                let base_values = &mut base_values[..values.len()];
                new.widen(start, values);
                base.widen(start, base_values);
                let (up, down) = subtract(values, base_values, tie);
                (wins, losses) = (wins + up, losses + down);
            }
            (wins, losses)
        })
    })?;
    for (wins, losses) in counts {
        all.wins += wins;
        all.losses += losses;
    }
    Ok(all)
}

/// As many values are widened at a time: few enough that they stay in the processor's first cache, and on the stack.
const BLOCK: usize = 1 << 10;

/// Two scores are equal where they differ by at most `relative` times the larger one, or by at most `absolute`.
#[derive(Clone, Copy)]
struct Tie {
    relative: f64,
    absolute: f64,
}

/// Subtracts `base` from `new`: how often new is larger, and how often base is.
#[inline(always)]
fn subtract(new: &mut [f64], base: &[f64], tie: Tie) -> (u64, u64) {
    let (mut wins, mut losses) = (0, 0);
    for (a, &b) in new.iter_mut().zip(base) {
        let (up, down) = (a.abs(), b.abs());
        let difference = *a - b;
        let (near, larger) = (difference.abs(), if up > down { up } else { down });
        let tie = near <= tie.relative * larger || near <= tie.absolute;
        wins += u64::from(*a > b && !tie);
        losses += u64::from(*a < b && !tie);
        *a = if tie { 0.0 } else { difference };
    }
    (wins, losses)
}

/// Tango's score interval for the difference of paired 0/1 answers (Tango 1998): the d with
/// |b - c - n d| <= z sqrt(n (2 q + d (1 - d))), where q is the restricted maximum likelihood estimate of the
/// probability of a loss: q = (sqrt(B^2 - 4AC) - B)/(2A), A = 2n, B = -b - c + (2n - b + c) d, C = -c d (1 - d).
///
/// There are `wins` b and `losses` c among `n` pairs, which need not be whole numbers (an effective number of pairs,
/// say); `z` is the critical value. The limits are found by bisection to the last bit.
pub fn tango(wins: f64, losses: f64, n: f64, z: f64) -> Interval {
    Interval { low: tango_lower(wins, losses, n, z), high: -tango_lower(losses, wins, n, z) }
}

fn tango_lower(b: f64, c: f64, n: f64, z: f64) -> f64 {
    let inside = |d: f64| {
        let linear = -b - c + (2.0 * n - b + c) * d;
        let constant = -c * d * (1.0 - d);
        let discriminant = linear * linear - 8.0 * n * constant;
        let root = if discriminant > 0.0 { discriminant.sqrt() } else { 0.0 };
        // The same root without cancellation where `linear` is positive.
        let q = if linear > 0.0 { -2.0 * constant / (root + linear) } else { (root - linear) / (4.0 * n) };
        let variance = n * (2.0 * q + d * (1.0 - d));
        b - c - n * d <= z * (if variance > 0.0 { variance } else { 0.0 }).sqrt()
    };
    let (mut outside, mut limit) = (-1.0, (b - c) / n);
    if inside(outside) {
        return outside;
    }
    loop {
        let middle = outside + (limit - outside) / 2.0;
        if middle <= outside || middle >= limit {
            return limit;
        }
        if inside(middle) {
            limit = middle;
        } else {
            outside = middle;
        }
    }
}

/// The comparison of paired 0/1 answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedBinary {
    /// (b - c)/n.
    pub value: f64,
    /// s/sqrt(n) of the differences; where all are equal, the width of the two-sided interval divided by 2z.
    pub standard_error: f64,
    /// Tango's interval.
    pub interval: Interval,
    /// The mid-p-value of McNemar's test.
    pub p_mid: f64,
    /// The p-value of McNemar's exact test.
    pub p_exact: f64,
}

/// Compares n independent pairs of 0/1 answers, of which new wins `wins` (b) and loses `losses` (c).
pub fn paired_binary(wins: u64, losses: u64, n: u64, confidence: Confidence) -> PairedBinary {
    simd::scalar(|| of_table(wins, losses, n, confidence))
}

fn of_table(wins: u64, losses: u64, n: u64, confidence: Confidence) -> PairedBinary {
    let (b, c, all) = (wins as f64, losses as f64, n as f64);
    let interval = confidence.open(tango(b, c, all, confidence.z()), -1.0, 1.0);
    let equal = wins == n || losses == n || (wins == 0 && losses == 0);
    let standard_error = if equal {
        let z = confidence.two_sided().z();
        let sides = tango(b, c, all, z);
        (sides.high - sides.low) / (2.0 * z)
    } else {
        // sum d^2 - n mean^2, computed from whole numbers: (n (b + c) - (b - c)^2)/n.
        let squares = (all * (b + c) - (b - c) * (b - c)) / all;
        (squares / (all - 1.0) / all).sqrt()
    };
    PairedBinary {
        value: (b - c) / all,
        standard_error,
        interval,
        p_mid: mcnemar(wins, losses, confidence.alternative, true),
        p_exact: mcnemar(wins, losses, confidence.alternative, false),
    }
}

/// The standard error and interval of pairs in clusters that all have the same mean difference `value`, so that the
/// spread between clusters gives no variance. The interval is Tango's, with `clusters` as the number of pairs and
/// Student's t quantile for `df` degrees of freedom as critical value; the standard error is the width of the two-sided
/// interval divided by 2t.
pub fn unspread_difference(value: f64, clusters: f64, df: f64, confidence: Confidence) -> (f64, Interval) {
    simd::scalar(|| {
        let (wins, losses) = if value > 0.0 { (value * clusters, 0.0) } else { (0.0, -value * clusters) };
        let t = confidence.two_sided().t(df);
        let sides = tango(wins, losses, clusters, t);
        let interval = confidence.open(tango(wins, losses, clusters, confidence.t(df)), -1.0, 1.0);
        ((sides.high - sides.low) / (2.0 * t), interval)
    })
}

/// The p-value of McNemar's test: under the hypothesis, the wins among the discordant pairs are binomial with
/// probability 1/2. `mid` gives the mid-p-value, which counts the observed outcome half; it keeps the level in practice
/// without being conservative (Fagerland, Lydersen and Laake 2013).
pub fn mcnemar(wins: u64, losses: u64, alternative: Alternative, mid: bool) -> f64 {
    let discordant = wins + losses;
    // P(X <= k), or for the mid-p-value the mean of P(X <= k) and P(X < k).
    let below = |k: u64| {
        let up_to = binomial::cdf(k, discordant, 0.5);
        if !mid {
            return up_to;
        }
        0.5 * (up_to + if k == 0 { 0.0 } else { binomial::cdf(k - 1, discordant, 0.5) })
    };
    match alternative {
        Alternative::Greater => below(losses),
        Alternative::Less => below(wins),
        // As many wins as losses: the doubled exact tail would exceed 1, and the mid-p-value is 1 by symmetry.
        Alternative::TwoSided if wins == losses => 1.0,
        Alternative::TwoSided => {
            let p = 2.0 * below(if wins < losses { wins } else { losses });
            if p < 1.0 { p } else { 1.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    #[test]
    fn a_difference_of_one_point_in_a_small_and_a_large_sample() {
        let small = paired_binary(12, 10, 200, TWO);
        assert!((small.p_mid - 0.678).abs() < 5e-4, "{small:?}");
        let large = paired_binary(1200, 1000, 20_000, TWO);
        assert!((large.p_mid - 2.0e-5).abs() < 5e-7, "{large:?}");
        assert!((large.value - 0.01).abs() < 1e-15);
        assert!((large.interval.low - 0.0054).abs() < 5e-5 && (large.interval.high - 0.0146).abs() < 5e-5);
    }

    #[test]
    fn two_models_on_gsm8k() {
        let got = paired_binary(209, 152, 1319, TWO);
        assert!((got.value - 0.0432146).abs() < 5e-8 && (got.standard_error - 0.0143611).abs() < 5e-8);
        assert!((got.p_exact - 0.00315066).abs() < 5e-9 && (got.p_mid - 0.00268739).abs() < 5e-9, "{got:?}");
    }

    #[test]
    fn mcnemar_of_15_and_19() {
        assert!((mcnemar(15, 19, Alternative::TwoSided, false) - 0.60759136127308).abs() < 1e-13);
        assert_eq!(
            mcnemar(15, 19, Alternative::TwoSided, true),
            mcnemar(19, 15, Alternative::TwoSided, true)
        );
    }

    #[test]
    fn one_sided_mid_p_of_both_sides_is_one() {
        for (b, c) in [(0, 0), (0, 5), (3, 3), (12, 10), (60, 35)] {
            let up = mcnemar(b, c, Alternative::Greater, true);
            let down = mcnemar(b, c, Alternative::Less, true);
            assert!((up + down - 1.0).abs() < 1e-14, "{b} {c}: {up} {down}");
        }
    }

    #[test]
    fn tango_mirrors_and_stays_inside() {
        for n in 1..=12u64 {
            for b in 0..=n {
                for c in 0..=n - b {
                    let (x, y) = (paired_binary(b, c, n, TWO), paired_binary(c, b, n, TWO));
                    assert_eq!((x.interval.low, x.interval.high), (-y.interval.high, -y.interval.low));
                    assert!(-1.0 <= x.interval.low && x.interval.low <= x.value);
                    assert!(x.value <= x.interval.high && x.interval.high <= 1.0);
                    assert!(x.standard_error > 0.0 && x.interval.high > x.interval.low, "{b} {c} {n}");
                }
            }
        }
    }

    #[test]
    fn tango_solves_its_equation() {
        // The defining equation at the limits, with q by the plain quadratic formula.
        let (b, c, n, z) = (9.0, 3.0, 32.0, 1.959963984540054);
        let limits = tango(b, c, n, z);
        for (d, sign) in [(limits.low, 1.0), (limits.high, -1.0)] {
            let (a2, a1, a0) = (2.0 * n, -b - c + (2.0 * n - b + c) * d, -c * d * (1.0 - d));
            let q = ((a1 * a1 - 4.0 * a2 * a0).sqrt() - a1) / (2.0 * a2);
            let score = (b - c - n * d) / (n * (2.0 * q + d * (1.0 - d))).sqrt();
            assert!((score - sign * z).abs() < 1e-12, "{score}");
        }
    }

    #[test]
    fn ties_alone_have_an_interval_of_positive_width() {
        // No discordant pair: d = +-z^2/(n + z^2).
        let z2 = 1.959963984540054f64 * 1.959963984540054;
        let got = paired_binary(0, 0, 50, TWO);
        assert!((got.interval.high - z2 / (50.0 + z2)).abs() < 1e-14);
        assert_eq!((got.value, got.p_mid, got.p_exact), (0.0, 1.0, 1.0));
    }

    #[test]
    fn pairs_without_spread_count_clusters() {
        let (error, interval) = unspread_difference(0.0, 4.0, 3.0, TWO);
        let t = TWO.t(3.0);
        assert!((interval.high - t * t / (4.0 + t * t)).abs() < 1e-14 && interval.low == -interval.high);
        assert!((error - interval.high / t).abs() < 1e-15);
    }

    #[test]
    fn differences_of_two_types() {
        let new: &[f32] = &[1.0, 0.5, 0.0, 2.0];
        let base: &[f64] = &[0.0, 0.5, 1.0, 0.25];
        let got = differences(&new, &base, (0.0, 0.0), &mut |_| true).unwrap();
        assert_eq!(got, Differences { values: vec![1.0, 0.0, -1.0, 1.75], wins: 2, losses: 1 });
    }

    #[test]
    fn a_difference_by_rounding_alone_is_a_tie() {
        let new: &[f64] = &[0.1 + 0.2, 0.3, 0.3 + 1e-15, -5e-324, 1e15 + 2.0, 0.0, f64::MAX];
        let base: &[f64] = &[0.3, 0.1 + 0.2, 0.3, 5e-324, 1e15, -0.0, -f64::MAX];
        let got = differences(&new, &base, (0.0, 0.0), &mut |_| true).unwrap();
        assert_eq!((got.wins, got.losses), (3, 1));
        assert_eq!(got.values[..2], [0.0, 0.0]);
        assert!(got.values[2] > 1e-16 && got.values[3] == -1e-323 && got.values[4] == 2.0);
    }
}
