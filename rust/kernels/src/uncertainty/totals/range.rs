//! The range of a column, in one reading at the speed of memory.

use crate::exact::Units;
use crate::simd::{Element, Isa, Kernel, dispatch, padded};

const LANES: usize = 16;

/// The range of the values of a chunk.
#[derive(Clone, Copy)]
pub(super) struct Range {
    /// The smallest and the largest value; +infinity and -infinity where there is none.
    pub low: f64,
    pub high: f64,
    /// The smallest magnitude other than 0; infinite where there is none.
    least: f64,
    /// Whether a value is neither 0 nor 1.
    pub graded: bool,
}

impl Range {
    /// Of these values; an error holds the index of the first one that is not finite.
    pub fn of<T: Element>(x: &[T]) -> Result<Range, usize> {
        let finite = |x: &T| x.to_f64().is_finite();
        dispatch(Lanes(x)).ok_or_else(|| x.iter().position(|x| !finite(x)).unwrap_or(0))
    }

    /// The binary orders of the values.
    pub fn units(&self) -> Units {
        Units::between(self.least, if -self.low > self.high { -self.low } else { self.high })
    }
}

/// Of these values; `None` where one is not finite.
struct Lanes<'a, T>(&'a [T]);

impl<T: Element> Kernel for Lanes<'_, T> {
    type Out = Option<Range>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<Range> {
        let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let (mut least, mut graded, mut bad) = ([f64::INFINITY; LANES], [0.0; LANES], [0.0; LANES]);
        let mut add = |block: &[T; LANES]| {
            for l in 0..LANES {
                let x = block[l].to_f64();
                let magnitude = x.abs();
                low[l] = if x < low[l] { x } else { low[l] };
                high[l] = if x > high[l] { x } else { high[l] };
                let positive = if magnitude > 0.0 { magnitude } else { f64::INFINITY };
                least[l] = if positive < least[l] { positive } else { least[l] };
                graded[l] = if x == 0.0 || x == 1.0 { graded[l] } else { 1.0 };
                bad[l] = if magnitude <= f64::MAX { bad[l] } else { 1.0 };
            }
        };
        let (blocks, tail) = self.0.as_chunks::<LANES>();
        blocks.iter().for_each(&mut add);
        if let Some(&first) = tail.first() {
            add(&padded::<T, LANES>(tail, first));
        }
        if bad.iter().any(|&bad| bad > 0.0) {
            return None;
        }
        let smallest = |of: &[f64; LANES]| of.iter().fold(f64::INFINITY, |a, &b| if b < a { b } else { a });
        let largest = high.iter().fold(f64::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        // Which of -0 and 0 is the smallest would depend on their order: both are 0.
        let zero = |x: f64| if x == 0.0 { 0.0 } else { x };
        Some(Range {
            low: zero(smallest(&low)),
            high: zero(largest),
            least: smallest(&least),
            graded: graded.iter().any(|&graded| graded > 0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_a_loop() {
        for n in [0, 1, 15, 16, 17, 1000] {
            for scale in [1.0, 0.0, -1e-300] {
                let x: Vec<f64> = (0..n).map(|i| scale * f64::from(i * 7 % 13 - 5)).collect();
                let found = Range::of(&x).unwrap();
                let low = x.iter().fold(f64::INFINITY, |a, &b| if b < a { b + 0.0 } else { a });
                let high = x.iter().fold(f64::NEG_INFINITY, |a, &b| if b > a { b + 0.0 } else { a });
                assert_eq!((found.low.to_bits(), found.high.to_bits()), (low.to_bits(), high.to_bits()));
                assert_eq!(found.units(), Units::of(x.iter().copied()), "{n} {scale}");
                assert_eq!(found.graded, x.iter().any(|&x| x != 0.0 && x != 1.0));
            }
        }
        for (n, at) in [(1, 0), (40, 39), (40, 16)] {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut x = vec![0.5; n];
                (x[at], x[n - 1]) = (bad, bad);
                assert!(matches!(Range::of(&x), Err(found) if found == at));
            }
        }
    }
}
