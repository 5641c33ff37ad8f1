//! The probability that 0/1 answers will decide: the sum over all outcomes in which the interval, or the test, does.
//!
//! Outcomes are pairs of counts, and those that decide form a staircase: with one more loss (or right answer of the
//! baseline) at least as many wins (right answers of the new model) are needed. So the least number that decides is found
//! once and then follows the other count upwards, and what lies above it is a binomial tail, kept up to date by one
//! probability a step. Nothing is simulated; what is left out, and the rounding, are below 1e-12.

use super::answers::Test;
use super::paired::{self, Table, mcnemar, paired_binary, tango_exceeds};
use super::unpaired::{self, fisher};
use crate::bisection::first;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::proportion::{self, proportion};
use crate::intervals::{Alternative, Confidence};
use crate::math::binomial;
use crate::simd::scalar;

/// What has to happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision<M> {
    /// The lower limit of an interval exceeds a number: the verdict is "better", or "not worse".
    Interval(M),
    /// The p-value of a test of no difference is at most alpha.
    Test(Test),
}

/// The most rows of a setting: beyond, the normal distribution is as good, and counting takes long.
pub const MOST: i64 = 1 << 17;

/// Outcomes that are less likely than this, taken together, are left out.
const LEFT_OUT: f64 = 1e-16;

/// For each i, the probability that the interval of `method` of a share exceeds `above[i]` where `n[i]` answers are right
/// with probability `p[i]`: `P(K >= k)`, k the least number of right answers whose lower limit exceeds it. Written to
/// `out`.
pub fn of_shares(
    n: &[i64],
    [p, above]: [&[f64]; 2],
    method: proportion::Method,
    confidence: Confidence,
    out: &mut [f64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let mut pace = Pace::new(progress);
    for (i, out) in out.iter_mut().enumerate() {
        let n = n[i] as u64;
        let exceeds = |k| scalar(|| proportion(k, n, method, confidence).interval.low > above[i]);
        let least = first(0..n + 1, exceeds);
        *out = if least == 0 { 1.0 } else { binomial::sf(least - 1, n, p[i]) };
        pace.step()?;
    }
    Ok(())
}

/// For each i, the probability of the decision on `n[i]` pairs, of which the new model wins each with probability `wins[i]`
/// and loses it with `losses[i]`: that the lower limit exceeds `-margin[i]`, or that McNemar's p is at most alpha.
pub fn of_pairs(
    n: &[i64],
    [wins, losses, margin]: [&[f64]; 3],
    decision: Decision<paired::Method>,
    confidence: Confidence,
    out: &mut [f64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let mut pace = Pace::new(progress);
    let (z, alpha) = scalar(|| (confidence.z(), 1.0 - confidence.level));
    for (i, out) in out.iter_mut().enumerate() {
        let (n, up, down) = (n[i] as u64, wins[i], losses[i]);
        let pairs = |up, down| Walk { outer: (n, down), inner: (n, given_no(up, down)), shared: true };
        *out = match decision {
            Decision::Interval(paired::Method::Tango) => {
                let all = n as f64;
                let d = scalar(|| -margin[i]);
                pairs(up, down).sum(|c, b| tango_exceeds(b as f64, c as f64, all, z, d), &mut pace)?
            }
            Decision::Interval(method) => {
                let exceeds = |c, b| {
                    let table = Table { both: 0, wins: b, losses: c, neither: n - b - c };
                    paired_binary(table, method, Test::MidP, confidence).interval.low > -margin[i]
                };
                pairs(up, down).sum(exceeds, &mut pace)?
            }
            Decision::Test(test) => {
                let rejects = |c, b| b > c && mcnemar(b, c, confidence.alternative, test) <= alpha;
                let better = pairs(up, down).sum(rejects, &mut pace)?;
                match confidence.alternative {
                    // The test rejects for as many losses as it does for wins.
                    Alternative::TwoSided => {
                        let worse = pairs(down, up).sum(rejects, &mut pace)?;
                        scalar(|| better + worse)
                    }
                    _ => better,
                }
            }
        };
    }
    Ok(())
}

/// For each i, the probability of the decision on two samples of `n[i]` and `m[i]` answers that are right with
/// probabilities `p[i]` and `q[i]`: that the lower limit of the difference exceeds `-margin[i]`, or that Fisher's p is at
/// most alpha.
pub fn of_samples(
    [n, m]: [&[i64]; 2],
    [p, q, margin]: [&[f64]; 3],
    decision: Decision<unpaired::Method>,
    confidence: Confidence,
    out: &mut [f64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let mut pace = Pace::new(progress);
    let (z, alpha) = scalar(|| (confidence.z(), 1.0 - confidence.level));
    for (i, out) in out.iter_mut().enumerate() {
        let sizes = [n[i] as u64, m[i] as u64];
        let [new, base] = [(sizes[0], p[i]), (sizes[1], q[i])];
        *out = match decision {
            Decision::Interval(method) => Walk { outer: base, inner: new, shared: false }
                .sum(|j, k| method.exceeds([k, j], sizes, z, -margin[i]), &mut pace)?,
            Decision::Test(test) => {
                // By how much k of n is larger than j of m, in whole numbers.
                let larger = |[k, j]: [u64; 2], [n, m]: [u64; 2]| {
                    u128::from(k) * u128::from(m) > u128::from(j) * u128::from(n)
                };
                let p_of = |hits| fisher(hits, sizes, confidence.alternative, test);
                let better = |j, k| larger([k, j], sizes) && p_of([k, j]) <= alpha;
                let up = Walk { outer: base, inner: new, shared: false }.sum(better, &mut pace)?;
                let worse = |k, j| larger([j, k], [sizes[1], sizes[0]]) && p_of([k, j]) <= alpha;
                match confidence.alternative {
                    Alternative::TwoSided => {
                        let down = Walk { outer: new, inner: base, shared: false }.sum(worse, &mut pace)?;
                        scalar(|| up + down)
                    }
                    _ => up,
                }
            }
        };
    }
    Ok(())
}

/// The probability of a win where it is no loss.
fn given_no(up: f64, down: f64) -> f64 {
    scalar(|| {
        let p = if down < 1.0 { up / (1.0 - down) } else { 0.0 };
        if p < 1.0 { p } else { 1.0 }
    })
}

/// Two binomial counts, each as trials and probability. Where they are `shared`, the trials of the inner one are those in
/// which the outer one did not happen.
#[derive(Clone, Copy)]
struct Walk {
    outer: (u64, f64),
    inner: (u64, f64),
    shared: bool,
}

impl Walk {
    /// The probability of all `(outer, inner)` that `decides`. Where it does for some inner count, it does for all larger
    /// ones and for all smaller outer counts.
    fn sum(self, decides: impl Fn(u64, u64) -> bool, pace: &mut Pace<'_>) -> Result<f64, Stopped> {
        let (trials, p) = self.outer;
        let from = first(0..trials, |j| binomial::cdf(j, trials, p) > LEFT_OUT);
        let to = first(from..trials, |j| binomial::sf(j, trials, p) < LEFT_OUT);
        let left = |j: u64| if self.shared { self.inner.0 - j } else { self.inner.0 };
        let least = first(0..left(from) + 1, |k| scalar(|| decides(from, k)));
        let mut tail = UpperTail::of(least, left(from), self.inner.1);
        let mut sum = 0.0;
        for j in from..=to {
            if j > from && self.shared {
                tail.lose_a_trial();
            }
            while tail.k <= tail.trials && !scalar(|| decides(j, tail.k)) {
                tail.raise();
                pace.step()?;
            }
            if tail.k > tail.trials {
                break;
            }
            let at = binomial::pmf(j, trials, p);
            scalar(|| sum += at * tail.value);
            pace.step()?;
        }
        Ok(if sum < 1.0 { sum } else { 1.0 })
    }
}

/// `P(X >= k)` of so many trials.
struct UpperTail {
    k: u64,
    trials: u64,
    p: f64,
    value: f64,
}

impl UpperTail {
    fn of(k: u64, trials: u64, p: f64) -> Self {
        let value = if k == 0 { 1.0 } else { binomial::sf(k - 1, trials, p) };
        UpperTail { k, trials, p, value }
    }

    /// `P(X >= k + 1) = P(X >= k) - P(X = k)`.
    fn raise(&mut self) {
        self.subtract(binomial::pmf(self.k, self.trials, self.p));
        self.k += 1;
    }

    /// With one trial fewer: k are reached without it, unless it was a success that was needed.
    fn lose_a_trial(&mut self) {
        self.trials -= 1;
        if self.k > 0 {
            let needed = binomial::pmf(self.k - 1, self.trials, self.p);
            self.subtract(scalar(|| self.p * needed));
        }
    }

    fn subtract(&mut self, part: f64) {
        let rest = scalar(|| self.value - part);
        self.value = if rest > 0.0 { rest } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::uncertainty::unpaired::two_samples;

    const WAYS: [Confidence; 3] = [
        Confidence { level: 0.95, alternative: Alternative::TwoSided },
        Confidence { level: 0.9, alternative: Alternative::Greater },
        Confidence { level: 0.5, alternative: Alternative::TwoSided },
    ];

    fn one(fill: impl FnOnce(&mut [f64], Progress<'_>) -> Result<(), Stopped>) -> f64 {
        let mut out = [f64::NAN];
        fill(&mut out, &mut |_| true).unwrap();
        out[0]
    }

    /// The sum over every table of its probability, by the comparison itself.
    #[test]
    fn pairs_equal_the_sum_over_all_tables() {
        let decisions = Test::ALL.iter().map(|&test| Decision::Test(test));
        let intervals = [paired::Method::Tango, paired::Method::BonettPrice].map(Decision::Interval);
        for decision in decisions.chain(intervals) {
            for (confidence, n) in WAYS.iter().flat_map(|&way| [1u64, 2, 7, 19, 40].map(|n| (way, n))) {
                for (up, down) in
                    [(0.3, 0.1), (0.2, 0.0), (0.15, 0.15), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.6, 0.4)]
                {
                    for margin in [0.0, 0.05, 0.3] {
                        let got = one(|out, progress| {
                            of_pairs(
                                &[n as i64],
                                [&[up], &[down], &[margin]],
                                decision,
                                confidence,
                                out,
                                progress,
                            )
                        });
                        let mut want = 0.0;
                        for (b, c) in (0..=n).flat_map(|b| (0..=n - b).map(move |c| (b, c))) {
                            let table = Table { both: 0, wins: b, losses: c, neither: n - b - c };
                            let decides = match decision {
                                Decision::Interval(method) => {
                                    paired_binary(table, method, Test::MidP, confidence).interval.low
                                        > -margin
                                }
                                Decision::Test(test) => {
                                    paired_binary(table, paired::Method::Tango, test, confidence).p
                                        <= 1.0 - confidence.level
                                        && (b > c
                                            || (confidence.alternative == Alternative::TwoSided && b < c))
                                }
                            };
                            if decides {
                                want +=
                                    binomial::pmf(c, n, down) * binomial::pmf(b, n - c, given_no(up, down));
                            }
                        }
                        assert!(
                            (got - want).abs() < 1e-12,
                            "{decision:?} {confidence:?} n {n}, {up} {down}, margin {margin}: {got} {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn samples_equal_the_sum_over_all_tables() {
        let decisions = Test::ALL.iter().map(|&test| Decision::Test(test));
        let intervals = unpaired::Method::ALL.iter().map(|&method| Decision::Interval(method));
        for decision in decisions.chain(intervals) {
            for (confidence, n, m) in WAYS.iter().flat_map(|&way| {
                [(1u64, 1u64), (9, 9), (20, 11), (7, 30), (28, 28)].map(|(n, m)| (way, n, m))
            }) {
                for (p, q, margin) in [(0.9, 0.5, 0.0), (0.4, 0.4, 0.1), (1.0, 0.0, 0.0), (0.97, 0.93, 0.2)] {
                    let got = one(|out, progress| {
                        let (n, m) = (n as i64, m as i64);
                        of_samples([&[n], &[m]], [&[p], &[q], &[margin]], decision, confidence, out, progress)
                    });
                    let mut want = 0.0;
                    for (k, j) in (0..=n).flat_map(|k| (0..=m).map(move |j| (k, j))) {
                        let decides = match decision {
                            Decision::Interval(method) => {
                                two_samples([k, j], [n, m], method, Test::MidP, confidence).interval.low
                                    > -margin
                            }
                            Decision::Test(test) => {
                                let of =
                                    two_samples([k, j], [n, m], unpaired::Method::Newcombe, test, confidence);
                                let side = (k * m).cmp(&(j * n));
                                of.p <= 1.0 - confidence.level
                                    && (side.is_gt()
                                        || (confidence.alternative == Alternative::TwoSided && side.is_lt()))
                            }
                        };
                        if decides {
                            want += binomial::pmf(k, n, p) * binomial::pmf(j, m, q);
                        }
                    }
                    assert!(
                        (got - want).abs() < 1e-12,
                        "{decision:?} {confidence:?} {n} {m}, {p} {q}, margin {margin}: {got} {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn shares_equal_the_sum_over_all_counts() {
        for &method in proportion::Method::ALL {
            for (confidence, n) in WAYS.iter().flat_map(|&way| [1u64, 6, 33].map(|n| (way, n))) {
                for (p, above) in [(0.8, 0.5), (0.3, 0.0), (0.05, 0.25), (1.0, 0.9), (0.0, 0.0)] {
                    let got = one(|out, progress| {
                        of_shares(&[n as i64], [&[p], &[above]], method, confidence, out, progress)
                    });
                    let exceeds = |k: &u64| proportion(*k, n, method, confidence).interval.low > above;
                    let want: f64 = (0..=n).filter(exceeds).map(|k| binomial::pmf(k, n, p)).sum();
                    assert!(
                        (got - want).abs() < 1e-12,
                        "{method:?} {confidence:?} n {n}, {p} above {above}: {got} {want}"
                    );
                }
            }
        }
    }

    /// The exact McNemar test of 50 pairs, by SciPy's binomial distribution; that of 144 pairs, which the R package MESS
    /// prints as 0.80; and the exact binomial test of .65 where .8 is true, by SciPy and in the manual of G*Power.
    #[test]
    fn published_examples() {
        let exact = Decision::Test(Test::Exact);
        for (n, up, down, alpha, want, tolerance) in
            [(50, 0.32, 0.08, 0.05, 0.8393569848602911, 1e-12), (144, 0.45, 0.25, 0.025, 0.8, 0.005)]
        {
            let one_sided = Confidence { level: 1.0 - alpha, alternative: Alternative::Greater };
            let got = one(|out, progress| {
                of_pairs(&[n], [&[up], &[down], &[0.0]], exact, one_sided, out, progress)
            });
            assert!((got - want).abs() < tolerance, "{got}");
        }
        let one_sided = Confidence { level: 0.95, alternative: Alternative::Greater };
        let method = proportion::Method::ClopperPearson;
        let got = one(|out, progress| of_shares(&[20], [&[0.8], &[0.65]], method, one_sided, out, progress));
        assert!((got - 0.4114488619565686).abs() < 1e-12, "{got}");
    }
}
