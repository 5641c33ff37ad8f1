//! The sign-flip test (a randomisation test) of the hypothesis that paired differences are symmetric about zero.

mod enumerate;
mod inversion;
pub(super) mod lattice;
mod read;
mod rounding;
mod sum;

use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::intervals::Alternative;
use crate::math::{ROUND_64, exp};
use crate::memory;
use crate::simd;
use inversion::Tail;
use read::{APART, Data, Flips, needed, power};

pub(super) use read::{scaled, scaling};
use rounding::settled;
use sum::Magnitudes;

/// Up to this many non-zero values, all patterns of signs are counted.
const ALL: f64 = 40.0;
/// Patterns are also counted where at most about 2^42 of them give a sum as extreme as the observed one.
const COUNTED: f64 = 42.0;
/// On a lattice, patterns are counted only up to about 2^20 of them, since the inversion is exact there except for
/// rounding.
const COUNTED_LATTICE: f64 = 20.0;
/// Patterns of more values than this are not counted: the probability of so few patterns would be below the smallest
/// f64.
const MOST: f64 = 1100.0;
/// A value is set apart where it is larger than this many standard deviations of the sum of the others.
const DOMINATING: f64 = 6.0;
/// How often the power sums are computed at most until the series converges far enough.
const ATTEMPTS: usize = 6;
/// The power sums are not computed again where this many values are kept one by one already.
const KEPT: usize = 1 << 16;

/// The result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// The p-value; the smallest normal number, 2.2e-308, stands for everything below it.
    pub p: f64,
    /// The number of values that are not zero.
    pub nonzero: usize,
    /// The approximate relative error of `p` (of `1 - p` where that is smaller); 0 where patterns were counted.
    pub error: f64,
}

/// The number of steps that `progress` counts for `n` values.
pub fn steps(n: usize) -> usize {
    4 * grid::chunks(n, CHUNK).max(1)
}

/// The p-value of the sign-flip test of the differences `x` (of rows, or their sums over clusters).
///
/// Under the hypothesis each difference is as likely to be positive as negative, independently of the others. Let S be
/// the sum of the differences and T their sum with signs flipped at random. Then p is `P(|T| >= |S|)` over all 2^m
/// patterns of signs of the m values that are not zero (`Greater`: `P(T >= S)`, `Less`: `P(T <= S)`). No patterns are
/// sampled:
///
/// - for up to 40 values, and wherever few patterns give a sum as extreme as S, these patterns are counted;
/// - otherwise the characteristic function of T is inverted, with regard to ties where the values lie on a lattice.
///
/// Sums that differ by less than 2^-40 of sum |x| count as equal, so that rounding does not decide ties. Values that
/// are all multiples of one step, except for rounding to f64 (2^-40 of the largest) or, for 12 values or more, to f32
/// (2^-21, at most 512 steps), count as those multiples. `x` must not contain NaN.
///
/// `resolution`, one number for all values or one per value, is how far a value may be off because the numbers behind
/// it were rounded. A value within its resolution counts as 0. Values that are off by more than the shares above may
/// still lie on a lattice, of fewer steps; and sums over m values count as equal within sqrt(m) times the largest
/// resolution.
pub fn sign_flip(
    x: &[f64],
    resolution: &[f64],
    alternative: Alternative,
    progress: Progress<'_>,
) -> Result<SignFlip, Stopped> {
    // The result is one number: everything runs on the calling thread under the floating-point guard, except that
    // chunks of data and of nodes may run on other threads, which have guards of their own.
    simd::standard(|| {
        let (x, off) = settled(x, resolution, &mut *progress)?;
        let data = Data::new(&x, off, &mut *progress)?;
        let nonzero = data.nonzero;
        if nonzero == 0 {
            return Ok(SignFlip { p: 1.0, nonzero, error: 0.0 });
        }
        let flips = data.flips(&mut *progress)?;
        let Probability { p, error, .. } = p_value(&data, flips, alternative, progress)?;
        let p = if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p };
        Ok(SignFlip { p: if p < 1.0 { p } else { 1.0 }, nonzero, error })
    })
}

/// The largest whole number up to `x`.
pub(super) fn floor(x: f64) -> f64 {
    let near = nearest(x);
    if near > x { near - 1.0 } else { near }
}

/// The nearest whole number, of numbers up to 2^51.
#[inline(always)]
pub(super) fn nearest(x: f64) -> f64 {
    (x + ROUND_64) - ROUND_64
}

/// A probability, its relative error, and whether it would need power sums whose series converges further out
/// (`short`).
#[derive(Clone, Copy, Debug)]
struct Probability {
    p: f64,
    error: f64,
    short: bool,
}

fn p_value(
    data: &Data<'_>,
    flips: Flips,
    alternative: Alternative,
    progress: Progress<'_>,
) -> Result<Probability, Stopped> {
    let level = flips.sum.abs() <= flips.slack;
    let outward = match alternative {
        Alternative::TwoSided if level => return Ok(Probability { p: 1.0, error: 0.0, short: false }),
        Alternative::TwoSided => true,
        Alternative::Greater => level || flips.sum > 0.0,
        Alternative::Less => level || flips.sum < 0.0,
    };
    // Where the alternative is on the side of the observed sum, p is P(T >= |S|); otherwise it is 1 - P(T > |S|).
    let tail = tail(data, flips, !outward, progress)?;
    Ok(match alternative {
        Alternative::TwoSided => Probability { p: 2.0 * tail.p, ..tail },
        Alternative::Greater | Alternative::Less if outward => tail,
        Alternative::Greater | Alternative::Less => Probability { p: 1.0 - tail.p, ..tail },
    })
}

/// `P(T >= |S|)`, or with `beyond` `P(T > |S|)`.
fn tail(
    data: &Data<'_>,
    mut flips: Flips,
    beyond: bool,
    progress: Progress<'_>,
) -> Result<Probability, Stopped> {
    if few(&flips)
        && let Some(exact) = counted(&flips, beyond, &mut *progress)?
    {
        return Ok(exact);
    }
    let count = flips.magnitudes.count;
    for attempt in 1.. {
        let mut apart = memory::copied(&flips.apart)?;
        while apart.len() < APART
            && let Some(largest) = flips.magnitudes.take_dominating(DOMINATING)
        {
            memory::push(&mut apart, largest)?;
        }
        let again = attempt < ATTEMPTS && flips.magnitudes.a.len() < KEPT;
        // Without the dominating values, the sum of the others has another scale.
        let least: f64 = flips.sum.abs() - apart.iter().sum::<f64>();
        let needed = needed(least.abs(), flips.magnitudes.squares);
        if again && flips.magnitudes.reach() < 0.99 * needed {
            flips = data.summed(flips.magnitudes.step, needed, &mut *progress)?;
            continue;
        }
        let Probability { p, error, short } = given(&flips, &apart, beyond, &mut *progress)?;
        if short && again {
            flips = data.summed(flips.magnitudes.step, 4.0 * flips.magnitudes.reach(), &mut *progress)?;
            continue;
        }
        // The observed pattern itself gives T = |S|. Off a lattice, the inversion has counted half of its probability.
        let own = if flips.magnitudes.step.is_none() && !beyond { halved(0.5, count) } else { 0.0 };
        return Ok(Probability { p: p + own, error, short });
    }
    unreachable!("the attempts end");
}

/// Whether so few patterns are expected in the tail that counting them is worth an attempt.
fn few(flips: &Flips) -> bool {
    let magnitudes = &flips.magnitudes;
    let inverts = magnitudes.step.is_some() && flips.apart.is_empty();
    let (count, apart) = (magnitudes.count + flips.apart.len() as f64, flips.apart.iter().sum::<f64>());
    let s = flips.sum.abs() - apart;
    let bound = || if s > 0.0 { inversion::tilt(magnitudes, s).bound } else { 0.0 };
    count <= if inverts { COUNTED_LATTICE } else { ALL }
        || count <= MOST
            && count + bound() * std::f64::consts::LOG2_E <= if inverts { COUNTED_LATTICE } else { COUNTED }
}

/// The mean of the tail probability over all signs of the values `apart`.
fn given(flips: &Flips, apart: &[f64], beyond: bool, progress: Progress<'_>) -> Result<Probability, Stopped> {
    let mut mean = Probability { p: 0.0, error: 0.0, short: false };
    for signs in 0..1u32 << apart.len() {
        let signed = |(i, a): (usize, &f64)| if signs >> i & 1 == 1 { -a } else { *a };
        let shift: f64 = apart.iter().enumerate().map(signed).sum();
        let s = flips.sum.abs() - shift;
        let Probability { p, error, short } =
            above(&flips.magnitudes, s, beyond, flips.slack, &mut *progress)?;
        mean = Probability { p: mean.p + p, error: mean.error + p * error, short: mean.short || short };
    }
    mean.error /= if mean.p > 0.0 { mean.p } else { 1.0 };
    mean.p = halved(mean.p, apart.len() as f64);
    Ok(mean)
}

/// `P(T >= s)`, or with `beyond` `P(T > s)`, for any `s`; sums that differ by at most `slack` count as equal.
fn above(
    magnitudes: &Magnitudes,
    s: f64,
    beyond: bool,
    slack: f64,
    progress: Progress<'_>,
) -> Result<Probability, Stopped> {
    if s < 0.0 {
        let other = above(magnitudes, -s, !beyond, slack, progress)?;
        return Ok(Probability { p: 1.0 - other.p, error: other.error * other.p / (1.0 - other.p), ..other });
    }
    let none = Probability { p: 0.0, error: 0.0, short: false };
    let s = match (magnitudes.total, magnitudes.step) {
        // The possible sums are `total - 2 k`; take the smallest one that belongs to the tail.
        (Some(total), _) => {
            let k = 0.5 * (total - s + if beyond { -slack } else { slack });
            let k = if beyond { -floor(-k) - 1.0 } else { floor(k) };
            total - 2.0 * k
        }
        (None, Some(step)) if beyond => s + 2.0 * step,
        (None, Some(_) | None) => s,
    };
    if magnitudes.total.is_some_and(|total| s > total) {
        return Ok(none);
    }
    // By Hoeffding's bound, and below by Chernoff's, the tail may be too small for a normal f64.
    if -0.5 * s * (s / magnitudes.squares) < LOG_LEAST {
        return Ok(none);
    }
    let tilt = inversion::tilt(magnitudes, s);
    if tilt.bound < LOG_LEAST {
        return Ok(none);
    }
    let Tail { log, error, short } = inversion::upper(magnitudes, s, tilt, progress)?;
    Ok(Probability { p: exp(log), error, short })
}

/// The logarithm of the smallest normal f64.
const LOG_LEAST: f64 = -708.396_418_532_264_1;

/// The tail by counting patterns; `None` where there are too many to count.
fn counted(flips: &Flips, beyond: bool, progress: Progress<'_>) -> Result<Option<Probability>, Stopped> {
    let values = expanded(flips)?;
    // T = sum a - 2 (sum of the flipped a). So T >= |S| exactly where the flipped magnitudes sum to at most the smaller
    // of the sums of the positive and of the negative values.
    let slack = 0.5 * flips.slack;
    let limit = flips.less + if beyond { -slack } else { slack };
    let count = enumerate::subsets(&values, limit, &mut Pace::new(progress))?;
    Ok(count.map(|count| Probability {
        p: halved(count as f64, values.len() as f64),
        error: 0.0,
        short: false,
    }))
}

/// All magnitudes in ascending order, each repeated as often as it occurs.
fn expanded(flips: &Flips) -> Result<Vec<f64>, memory::NoMemory> {
    let magnitudes = &flips.magnitudes;
    let mut values = memory::gathered(
        magnitudes
            .a
            .iter()
            .zip(&magnitudes.times)
            .flat_map(|(&a, &times)| std::iter::repeat_n(a, times as usize))
            .chain(flips.apart.iter().copied()),
    )?;
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

/// `value` times 2^-`times`, rounded once.
fn halved(value: f64, times: f64) -> f64 {
    let times = if times < 2000.0 { times as i32 } else { 2000 };
    scaled(value, [-times / 2, -times - -times / 2].map(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(x: &[f64], alternative: Alternative) -> SignFlip {
        sign_flip(x, &[0.0], alternative, &mut |_| true).unwrap()
    }

    #[test]
    fn few_values_are_counted() {
        // Four equal differences: 2 of 16 patterns give a sum as extreme.
        assert_eq!(test(&[1.0; 4], Alternative::TwoSided), SignFlip { p: 0.125, nonzero: 4, error: 0.0 });
        assert_eq!(test(&[1.0; 4], Alternative::Greater).p, 1.0 / 16.0);
        assert_eq!(test(&[1.0; 4], Alternative::Less).p, 1.0);
        assert_eq!(test(&[0.0, 0.0], Alternative::TwoSided), SignFlip { p: 1.0, nonzero: 0, error: 0.0 });
    }

    #[test]
    fn rounding_does_not_decide_ties() {
        // Added one after another, ten tenths are less than 1; added by halves, they are 1.
        assert_eq!(test(&[0.1; 10], Alternative::TwoSided).p, 2.0 / 1024.0);
        assert_eq!(test(&[0.1; 10], Alternative::Greater).p, 1.0 / 1024.0);
        let f32s = [0.1f32, 0.7, 0.3, 0.6, 0.2, 0.9, 0.5, 0.4, 0.8, 0.1, 0.2, 0.3, 0.6].map(f64::from);
        let tenths = [1.0, 7.0, 3.0, 6.0, 2.0, 9.0, 5.0, 4.0, 8.0, 1.0, 2.0, 3.0, 6.0];
        for flips in 0..13 {
            let signed = |mut x: [f64; 13]| {
                x[..flips].iter_mut().for_each(|v| *v = -*v);
                test(&x, Alternative::Greater).p
            };
            assert_eq!(signed(f32s), signed(tenths), "{flips}");
        }
    }

    #[test]
    fn values_within_the_resolution_are_zero() {
        let test = |x: &[f64], resolution: &[f64]| {
            sign_flip(x, resolution, Alternative::TwoSided, &mut |_| true).unwrap()
        };
        let none = SignFlip { p: 1.0, nonzero: 0, error: 0.0 };
        assert_eq!(test(&[-3e-17; 60], &[1e-16]), none);
        let four = SignFlip { p: 0.125, nonzero: 4, error: 0.0 };
        assert_eq!(test(&[1.0, 1e-16, 1.0, -1e-16, 1.0, 1.0], &[1e-15]), four);
        // One resolution per value: 1e-3 may be rounding for one value and real for another.
        assert_eq!(test(&[1.0, 1e-3, 1.0, 1e-3, 1.0], &[0.0, 0.0, 0.0, 1e-2, 0.0]), four);
    }

    #[test]
    fn sums_within_the_resolution_are_equal() {
        // Three values that are equal except for rounding: every pattern gives a sum as extreme as 1.
        let x = [-1.0, 1.0 + 1e-7, 1.0 + 2e-7];
        let p =
            |resolution: f64| sign_flip(&x, &[resolution], Alternative::TwoSided, &mut |_| true).unwrap().p;
        assert_eq!((p(0.0), p(1e-6)), (0.5, 1.0));
    }

    /// `P(X >= k)`, X binomial with p = 1/2.
    fn binomial(k: u64, n: u64) -> f64 {
        crate::math::binomial::sf(k - 1, n, 0.5)
    }

    #[test]
    fn equal_differences_are_binomial() {
        for (n, plus) in [(17, 12), (40, 28), (64, 40), (500, 290), (3000, 2900), (100_000, 50_400)] {
            for size in [1.0, 0.1, 3e200, 7e-310] {
                let x: Vec<f64> = (0..n).map(|i| if i < plus { size } else { -size }).collect();
                let got = test(&x, Alternative::Greater);
                let want = binomial(plus, n);
                let least = if want < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { want };
                assert!((got.p - least).abs() <= 2e-12 * least, "{n} {size} {got:?} {want}");
            }
        }
    }

    #[test]
    fn the_smallest_p_is_that_of_one_pattern() {
        let x: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 1.5).sqrt()).collect();
        for n in [50, 200, 1000] {
            let want = halved(1.0, n as f64);
            assert_eq!(test(&x[..n], Alternative::Greater), SignFlip { p: want, nonzero: n, error: 0.0 });
        }
        assert_eq!(test(&[1.0; 2000], Alternative::TwoSided).p, f64::MIN_POSITIVE);
    }

    #[test]
    fn both_tails_and_the_atom_between_make_one() {
        for n in [30, 70, 5000] {
            for whole in [true, false] {
                let value = |i: usize| if whole { (i % 7) as f64 - 2.75 } else { libm::sin(i as f64) + 0.05 };
                let x: Vec<f64> = (0..n).map(value).collect();
                let [less, greater] = [Alternative::Less, Alternative::Greater].map(|side| test(&x, side));
                let mirrored: Vec<f64> = x.iter().map(|v| -v).collect();
                assert_eq!(test(&mirrored, Alternative::Less).p, greater.p);
                // Every pattern is in one of the two tails; those with a sum equal to S are in both.
                let atom = less.p + greater.p - 1.0;
                assert!(
                    if whole { atom > 0.0 || greater.p < 1e-9 } else { atom.abs() < 1e-7 },
                    "{n} {whole} {atom:e}"
                );
            }
        }
    }

    #[test]
    fn scaling_by_a_power_of_two_changes_nothing() {
        for n in [35, 90, 6000] {
            let x: Vec<f64> = (0..n).map(|i| libm::sin(f64::from(i) * 0.7) + 0.1).collect();
            let scaled: Vec<f64> = x.iter().map(|v| v * power(-600)).collect();
            assert_eq!(test(&x, Alternative::TwoSided), test(&scaled, Alternative::TwoSided));
        }
    }
}
