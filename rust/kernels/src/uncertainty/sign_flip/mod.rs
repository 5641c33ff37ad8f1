//! The sign-flip test: is the mean of paired differences zero?

mod enumerate;
mod inversion;
mod lattice;
mod read;
mod rounding;
mod sum;

use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::intervals::Alternative;
use crate::math::{ROUND_64, exp};
use crate::memory;
use crate::simd;
use inversion::Tail;
use read::{APART, Data, Flips, needed, power, scaled};
use rounding::settled;
use sum::Magnitudes;

/// Up to so many non-zero values all patterns are counted.
const ALL: f64 = 40.0;
/// Patterns are also counted where no more than about 2^42 of them are as far out as what was observed.
const COUNTED: f64 = 42.0;
/// On a lattice only up to about 2^20 of them, since the inversion there is exact but for rounding.
const COUNTED_LATTICE: f64 = 20.0;
/// And of at most so many values: of more, the probability of so few patterns is below the smallest float64.
const MOST: f64 = 1100.0;
/// Values beyond so many standard deviations of the others' sum are set apart.
const DOMINATING: f64 = 6.0;
/// The power sums are made anew until the series reaches far enough, so many times at most.
const ATTEMPTS: usize = 6;
/// Beyond so many values that are kept, no more.
const KEPT: usize = 1 << 16;

/// What the test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// The p-value; the smallest normal number, 2.2e-308, stands for everything below it.
    pub p: f64,
    /// Values that are not zero.
    pub nonzero: usize,
    /// The relative error of `p` (of `1 - p` where that is smaller), about; 0 where patterns were counted.
    pub error: f64,
}

/// The steps that progress counts for `n` values.
pub fn steps(n: usize) -> usize {
    4 * grid::chunks(n, CHUNK).max(1)
}

/// Under the hypothesis each difference (of a row, or the sum over a cluster) is as likely positive as negative. With S
/// the sum and T the sum with signs flipped at random, p is `P(|T| >= |S|)` over all 2^m patterns of the m values that are
/// not zero (`Greater`: `P(T >= S)`, `Less`: `P(T <= S)`). No pattern is drawn:
///
/// - up to 40 values, and wherever the patterns as far out are few: counted one by one;
/// - else by inversion of the characteristic function, on a lattice with its ties.
///
/// Sums that differ by less than 2^-40 of sum |x| count as equal, so that rounding does not decide ties. Values that are
/// all multiples of one step, but for rounding to f64 (2^-40 of the largest) or, from 12 values on, to f32 (2^-21, at most
/// 512 steps), count as those multiples. Differences are independent of each other; `x` holds no NaN.
///
/// `resolution`, one for all or one a value, is how far a value may be off by the rounding of what it was made of. A value
/// within it is 0. What is further off than the shares above still lies on a lattice, of fewer steps, and m sums so made
/// are equal within sqrt(m) times the largest resolution.
pub fn sign_flip(
    x: &[f64],
    resolution: &[f64],
    alternative: Alternative,
    progress: Progress<'_>,
) -> Result<SignFlip, Stopped> {
    // One number at the end: all of it on the calling thread, what reads the data or the nodes where that is.
    simd::standard(|| {
        let (x, off) = settled(x, resolution, &mut *progress)?;
        let data = Data::new(&x, off, &mut *progress)?;
        let nonzero = data.nonzero;
        if nonzero == 0 {
            return Ok(SignFlip { p: 1.0, nonzero, error: 0.0 });
        }
        let flips = data.flips(&mut *progress)?;
        let Found { p, error, .. } = p_value(&data, flips, alternative, progress)?;
        let p = if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p };
        Ok(SignFlip { p: if p < 1.0 { p } else { 1.0 }, nonzero, error })
    })
}

/// The largest whole number up to `x`.
fn floor(x: f64) -> f64 {
    let near = nearest(x);
    if near > x { near - 1.0 } else { near }
}

/// The nearest whole number, of numbers up to 2^51.
#[inline(always)]
fn nearest(x: f64) -> f64 {
    (x + ROUND_64) - ROUND_64
}

/// A probability, its relative error, and whether the power sums did not reach far enough for it.
#[derive(Clone, Copy, Debug)]
struct Found {
    p: f64,
    error: f64,
    short: bool,
}

fn p_value(
    data: &Data<'_>,
    flips: Flips,
    alternative: Alternative,
    progress: Progress<'_>,
) -> Result<Found, Stopped> {
    let level = flips.sum.abs() <= flips.slack;
    let outward = match alternative {
        Alternative::TwoSided if level => return Ok(Found { p: 1.0, error: 0.0, short: false }),
        Alternative::TwoSided => true,
        Alternative::Greater => level || flips.sum > 0.0,
        Alternative::Less => level || flips.sum < 0.0,
    };
    // What is claimed lies on the side of the sum: P(T >= |S|). Else all but P(T > |S|).
    let found = tail(data, flips, !outward, progress)?;
    Ok(match alternative {
        Alternative::TwoSided => Found { p: 2.0 * found.p, ..found },
        Alternative::Greater | Alternative::Less if outward => found,
        Alternative::Greater | Alternative::Less => Found { p: 1.0 - found.p, ..found },
    })
}

/// `P(T >= |S|)`, or `P(T > |S|)`.
fn tail(data: &Data<'_>, mut flips: Flips, beyond: bool, progress: Progress<'_>) -> Result<Found, Stopped> {
    if few(&flips)
        && let Some(found) = counted(&flips, beyond, &mut *progress)?
    {
        return Ok(found);
    }
    let count = flips.of.count;
    for attempt in 1.. {
        let mut apart = memory::copied(&flips.apart)?;
        while apart.len() < APART
            && let Some(largest) = flips.of.take_dominating(DOMINATING)
        {
            memory::push(&mut apart, largest)?;
        }
        let again = attempt < ATTEMPTS && flips.of.a.len() < KEPT;
        // Without what dominates, the others' sum has another scale.
        let least: f64 = flips.sum.abs() - apart.iter().sum::<f64>();
        let needed = needed(least.abs(), flips.of.squares);
        if again && flips.of.reach() < 0.99 * needed {
            flips = data.summed(flips.of.step, needed, &mut *progress)?;
            continue;
        }
        let Found { p, error, short } = given(&flips, &apart, beyond, &mut *progress)?;
        if short && again {
            flips = data.summed(flips.of.step, 4.0 * flips.of.reach(), &mut *progress)?;
            continue;
        }
        // The pattern of the data themselves is as far out as they are: half of it is counted already.
        let own = if flips.of.step.is_none() && !beyond { halved(0.5, count) } else { 0.0 };
        return Ok(Found { p: p + own, error, short });
    }
    unreachable!("the attempts end");
}

/// Whether counting is worth an attempt.
fn few(flips: &Flips) -> bool {
    let of = &flips.of;
    let inverts = of.step.is_some() && flips.apart.is_empty();
    let (count, apart) = (of.count + flips.apart.len() as f64, flips.apart.iter().sum::<f64>());
    let s = flips.sum.abs() - apart;
    let bound = || if s > 0.0 { inversion::tilt(of, s).bound } else { 0.0 };
    count <= if inverts { COUNTED_LATTICE } else { ALL }
        || count <= MOST
            && count + bound() * std::f64::consts::LOG2_E <= if inverts { COUNTED_LATTICE } else { COUNTED }
}

/// The mean of the tail over the signs of the values `apart`.
fn given(flips: &Flips, apart: &[f64], beyond: bool, progress: Progress<'_>) -> Result<Found, Stopped> {
    let mut mean = Found { p: 0.0, error: 0.0, short: false };
    for signs in 0..1u32 << apart.len() {
        let signed = |(i, a): (usize, &f64)| if signs >> i & 1 == 1 { -a } else { *a };
        let shift: f64 = apart.iter().enumerate().map(signed).sum();
        let s = flips.sum.abs() - shift;
        let Found { p, error, short } = above(&flips.of, s, beyond, flips.slack, &mut *progress)?;
        mean = Found { p: mean.p + p, error: mean.error + p * error, short: mean.short || short };
    }
    mean.error /= if mean.p > 0.0 { mean.p } else { 1.0 };
    mean.p = halved(mean.p, apart.len() as f64);
    Ok(mean)
}

/// `P(T >= s)`, or `P(T > s)`, for any `s`; sums within `slack` are equal.
fn above(
    of: &Magnitudes,
    s: f64,
    beyond: bool,
    slack: f64,
    progress: Progress<'_>,
) -> Result<Found, Stopped> {
    if s < 0.0 {
        let found = above(of, -s, !beyond, slack, progress)?;
        return Ok(Found { p: 1.0 - found.p, error: found.error * found.p / (1.0 - found.p), ..found });
    }
    let none = Found { p: 0.0, error: 0.0, short: false };
    let s = match (of.total, of.step) {
        // The sums are `total - 2 k`: the smallest of them that counts.
        (Some(total), _) => {
            let k = 0.5 * (total - s + if beyond { -slack } else { slack });
            let k = if beyond { -floor(-k) - 1.0 } else { floor(k) };
            total - 2.0 * k
        }
        (None, Some(step)) if beyond => s + 2.0 * step,
        (None, Some(_) | None) => s,
    };
    if of.total.is_some_and(|total| s > total) {
        return Ok(none);
    }
    // Hoeffding's bound, and Chernoff's: nothing is left that a number could hold.
    if -0.5 * s * (s / of.squares) < LOG_LEAST {
        return Ok(none);
    }
    let tilt = inversion::tilt(of, s);
    if tilt.bound < LOG_LEAST {
        return Ok(none);
    }
    let Tail { log, error, short } = inversion::upper(of, s, tilt, progress)?;
    Ok(Found { p: exp(log), error, short })
}

/// The logarithm of the smallest normal number.
const LOG_LEAST: f64 = -708.396_418_532_264_1;

/// The tail by counting; None where too much would have to be counted.
fn counted(flips: &Flips, beyond: bool, progress: Progress<'_>) -> Result<Option<Found>, Stopped> {
    let values = expanded(flips)?;
    // T = sum a - 2 (what is flipped): T >= |S| where the flipped ones come to at most the smaller side.
    let slack = 0.5 * flips.slack;
    let limit = flips.less + if beyond { -slack } else { slack };
    let found = enumerate::subsets(&values, limit, &mut Pace::new(progress))?;
    Ok(found.map(|count| Found { p: halved(count as f64, values.len() as f64), error: 0.0, short: false }))
}

/// Every magnitude as often as it occurs, in ascending order.
fn expanded(flips: &Flips) -> Result<Vec<f64>, memory::NoMemory> {
    let of = &flips.of;
    let mut values = memory::gathered(
        of.a.iter()
            .zip(&of.times)
            .flat_map(|(&a, &times)| std::iter::repeat_n(a, times as usize))
            .chain(flips.apart.iter().copied()),
    )?;
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

/// `value` times 2^-times, rounded once.
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
        // Four equal differences: 2 of 16 patterns are as far out.
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
    fn what_is_within_the_resolution_is_zero() {
        let test = |x: &[f64], resolution: &[f64]| {
            sign_flip(x, resolution, Alternative::TwoSided, &mut |_| true).unwrap()
        };
        let none = SignFlip { p: 1.0, nonzero: 0, error: 0.0 };
        assert_eq!(test(&[-3e-17; 60], &[1e-16]), none);
        let four = SignFlip { p: 0.125, nonzero: 4, error: 0.0 };
        assert_eq!(test(&[1.0, 1e-16, 1.0, -1e-16, 1.0, 1.0], &[1e-15]), four);
        // One a value: what is rounding beside large sums may be all there is of small ones.
        assert_eq!(test(&[1.0, 1e-3, 1.0, 1e-3, 1.0], &[0.0, 0.0, 0.0, 1e-2, 0.0]), four);
    }

    #[test]
    fn sums_apart_by_the_resolution_are_equal() {
        // Three equal ones but for rounding: every pattern is as far out as 1.
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
                // Every sum is in one of them; those that equal S are in both.
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
