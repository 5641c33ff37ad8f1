//! The hedged betting confidence sequence (Waudby-Smith and Ramdas 2024, theorem 3).
//!
//! Against the mean m one stake of 1/2 bets that values are larger, another that they are smaller; the first becomes
//! K(m)/2 with `K(m) = prod (1 + min(l, c/m) (y - m))`. If m is the mean, the larger of the two ever reaches 1/alpha
//! with a probability of at most alpha. Every factor falls in m, so that the means which the first stake has ever left
//! out are those below one limit, which is found by division into 64 parts again and again. The other limit is that of
//! 1 - y.
//!
//! A limit is a multiple of 2^-48: the last candidate that is left out. A factor and its product are rounded by less
//! than 2^-50 together. A product is made smaller by as much after every block of values, and the bound larger by twice
//! the rounding of one block, so that no candidate is left out that exact products would keep. (A bound that grew with
//! the number of values would let a limit move back.)

use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::intervals::Interval;
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// A bet may lose at most this share of what it has.
const MOST: f64 = 0.5;
/// Candidates whose products are computed together.
const LANES: usize = 16;
/// Groups of candidates of one side.
const GROUPS: usize = 4;
/// Into how many parts one round divides the range in which a limit lies.
const PARTS: usize = LANES * GROUPS;
/// 64^8 = 2^48.
const ROUNDS: usize = 8;
/// Values after which products are looked at; a bet that has become next to nothing is given up there, so that no
/// product is ever subnormal.
const BLOCK: usize = 256;
const NOTHING: f64 = f64::from_bits((1023 - 600) << 52); // 2^-600
/// More than the rounding of a block of factors, 256 2^-50.
const ROUNDING: f64 = f64::from_bits((1023 - 41) << 52); // 2^-41
/// Values between two looks at the clock.
const STRIDE: usize = BLOCK << 9;

/// The products of some candidates, and the largest that each has been.
#[derive(Clone, Copy)]
struct Products {
    now: [f64; LANES],
    most: [f64; LANES],
}

impl Products {
    const NONE: Products = Products { now: [1.0; LANES], most: [1.0; LANES] };
}

struct Wager<'a> {
    y: &'a [f64],
    bets: &'a [f64],
    means: [f64; LANES],
    /// Whether values are 1 - y.
    mirrored: bool,
    products: Products,
}

impl Kernel for Wager<'_> {
    type Out = Products;
    #[inline(always)]
    fn run<I: Isa>(self) -> Products {
        let (means, Products { mut now, mut most }) = (self.means, self.products);
        let mut caps = [f64::INFINITY; LANES];
        for l in 0..LANES {
            if means[l] > 0.0 {
                caps[l] = MOST / means[l];
            }
        }
        for (y, bets) in self.y.chunks(BLOCK).zip(self.bets.chunks(BLOCK)) {
            for (&y, &bet) in y.iter().zip(bets) {
                let y = if self.mirrored { 1.0 - y } else { y };
                for l in 0..LANES {
                    let bet = if bet < caps[l] { bet } else { caps[l] };
                    now[l] *= 1.0 + bet * (y - means[l]);
                    most[l] = if now[l] > most[l] { now[l] } else { most[l] };
                }
            }
            for l in 0..LANES {
                now[l] = if now[l] < NOTHING { 0.0 } else { now[l] * (1.0 - ROUNDING) };
            }
        }
        Products { now, most }
    }
}

/// The largest products of the candidates of both sides, each a group of means.
fn most<const N: usize>(
    y: &[f64],
    bets: &[f64],
    means: &[[f64; LANES]; N],
    mirrored: [bool; N],
    progress: Progress<'_>,
) -> Result<[[f64; LANES]; N], Stopped> {
    let mut products = [Products::NONE; N];
    for stride in 0..chunks(y.len(), STRIDE) {
        let part = chunk(stride, y.len(), STRIDE);
        let found = map_chunks(N, part.len() * 8 * LANES * N, &mut *progress, |group| {
            let (y, bets) = (&y[part.clone()], &bets[part.clone()]);
            let (means, mirrored, products) = (means[group], mirrored[group], products[group]);
            dispatch(Wager { y, bets, means, mirrored, products })
        })?;
        for (group, found) in found.into_iter().enumerate() {
            products[group] = found;
        }
    }
    Ok(products.map(|products| products.most))
}

/// The interval after these values, which is the intersection of the intervals at all times up to now.
pub(super) fn interval(
    y: &[f64],
    bets: &[f64],
    alpha: f64,
    progress: Progress<'_>,
) -> Result<Interval, Stopped> {
    const BOTH: usize = 2 * GROUPS;
    let mirrored: [bool; BOTH] = std::array::from_fn(|group| group >= GROUPS);
    let enough = scalar(|| 2.0 / alpha * (1.0 + 2.0 * ROUNDING));
    let (mut lows, mut step) = ([0.0; 2], 1.0 / PARTS as f64);
    for _ in 0..ROUNDS {
        let at = |group: usize, lane: usize| {
            let place = (group % GROUPS * LANES + lane) as f64;
            lows[group / GROUPS] + place * step
        };
        let means: [[f64; LANES]; BOTH] =
            scalar(|| std::array::from_fn(|group| std::array::from_fn(|lane| at(group, lane))));
        let found = most(y, bets, &means, mirrored, &mut *progress)?;
        for side in 0..2 {
            let reached = found[side * GROUPS..][..GROUPS].as_flattened();
            // The first candidate is the limit so far. Products fall from candidate to candidate but for rounding.
            let left_out = reached[1..].iter().take_while(|&&most| most >= enough).count();
            lows[side] = scalar(|| lows[side] + left_out as f64 * step);
        }
        step = scalar(|| step / PARTS as f64);
    }
    Ok(scalar(|| Interval { low: lows[0], high: 1.0 - lows[1] }))
}

/// 1 over the larger of both stakes at its largest: a p-value of the hypothesis that the mean is `mean`, which holds
/// at whatever time it is looked at.
pub(super) fn p_value(y: &[f64], bets: &[f64], mean: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
    let means = scalar(|| [[mean; LANES], [1.0 - mean; LANES]]);
    let [[up, ..], [down, ..]] = most(y, bets, &means, [false, true], progress)?;
    Ok(scalar(|| {
        let larger = if up > down { up } else { down };
        let p = if larger > 2.0 { 2.0 / larger } else { 1.0 };
        if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::bets::bets;
    use super::*;
    use crate::grid::Pace;

    fn go(_: usize) -> bool {
        true
    }

    fn of(y: &[f64], alpha: f64) -> Interval {
        let bets = bets(y, alpha, &mut Pace::new(&mut go)).unwrap();
        interval(y, &bets, alpha, &mut go).unwrap()
    }

    fn values(n: usize) -> Vec<f64> {
        (0..n as u64).map(|i| (i.wrapping_mul(2654435761) % 1009) as f64 / 1008.0).collect()
    }

    /// The largest product by definition.
    fn largest(y: &[f64], bets: &[f64], m: f64) -> f64 {
        let (mut now, mut most) = (1.0, 1.0);
        for (y, bet) in y.iter().zip(bets) {
            let bet = if *bet < MOST / m { *bet } else { MOST / m };
            now *= 1.0 + bet * (y - m);
            most = if now > most { now } else { most };
        }
        most
    }

    #[test]
    fn the_limits_are_where_the_largest_product_reaches_the_bound() {
        for n in [1, 7, 300, 3000] {
            let y = values(n);
            let bets = bets(&y, 0.05, &mut Pace::new(&mut go)).unwrap();
            let found = of(&y, 0.05);
            let mirrored: Vec<f64> = y.iter().map(|y| 1.0 - y).collect();
            for (y, low) in [(&y, found.low), (&mirrored, 1.0 - found.high)] {
                let step = 1.0 / (1u64 << 48) as f64;
                assert!(low == 0.0 || largest(y, &bets, low) >= 40.0);
                assert!(largest(y, &bets, low + 2.0 * step) < 40.0 * (1.0 + 1e-9), "{n} {low}");
            }
            assert!(found.low < found.high);
        }
    }

    #[test]
    fn more_values_never_widen_and_a_mirror_mirrors() {
        let y = values(2000);
        let mut before = Interval { low: 0.0, high: 1.0 };
        for n in [0, 1, 2, 40, 255, 256, 257, 2000] {
            let now = of(&y[..n], 0.05);
            assert!(now.low >= before.low && now.high <= before.high);
            before = now;
            let mirrored: Vec<f64> = y[..n].iter().map(|y| 1.0 - y).collect();
            let other = of(&mirrored, 0.05);
            assert!((other.low - (1.0 - now.high)).abs() < 1e-12, "{n}");
        }
    }

    #[test]
    fn long_streams_of_one_value_reach_it() {
        let ones = of(&vec![1.0; 20_000], 0.05);
        assert!(ones.high == 1.0 && ones.low > 0.999, "{ones:?}");
        let zeros = of(&vec![0.0; 20_000], 0.05);
        assert!(zeros.low == 0.0 && zeros.high < 0.001, "{zeros:?}");
    }

    #[test]
    fn p_and_interval_agree() {
        let y: Vec<f64> = values(400).iter().map(|y| 0.3 + 0.7 * y).collect();
        let bets = bets(&y, 0.05, &mut Pace::new(&mut go)).unwrap();
        let found = of(&y, 0.05);
        for (m, left_out) in [(found.low - 1e-9, true), (found.low + 1e-9, false), (found.high + 1e-9, true)]
        {
            let p = p_value(&y, &bets, m, &mut go).unwrap();
            assert_eq!(p <= 0.05, left_out, "{m} {p}");
        }
    }
}
