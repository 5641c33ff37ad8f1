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
        dispatch(Read(x)).ok_or_else(|| x.iter().position(|x| !finite(x)).unwrap_or(0))
    }

    /// The binary orders of the values.
    pub fn units(&self) -> Units {
        Units::between(self.least, if -self.low > self.high { -self.low } else { self.high })
    }
}

/// The ranges of the values of each lane, as [`Range`] has them; `bad` is above 0 where a value is not finite.
struct Lanes {
    low: [f64; LANES],
    high: [f64; LANES],
    least: [f64; LANES],
    graded: [f64; LANES],
    bad: [f64; LANES],
}

impl Lanes {
    #[inline(always)]
    fn add<T: Element>(&mut self, block: &[T; LANES]) {
        for l in 0..LANES {
            let x = block[l].to_f64();
            let magnitude = x.abs();
            let positive = if magnitude > 0.0 { magnitude } else { f64::INFINITY };
            self.low[l] = if x < self.low[l] { x } else { self.low[l] };
            self.high[l] = if x > self.high[l] { x } else { self.high[l] };
            self.least[l] = if positive < self.least[l] { positive } else { self.least[l] };
            self.graded[l] = if x == 0.0 || x == 1.0 { self.graded[l] } else { 1.0 };
            self.bad[l] = if magnitude <= f64::MAX { self.bad[l] } else { 1.0 };
        }
    }
}

/// The range of these values; `None` where one is not finite.
struct Read<'a, T>(&'a [T]);

impl<T: Element> Kernel for Read<'_, T> {
    type Out = Option<Range>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<Range> {
        let mut lanes = Lanes {
            low: [f64::INFINITY; LANES],
            high: [f64::NEG_INFINITY; LANES],
            least: [f64::INFINITY; LANES],
            graded: [0.0; LANES],
            bad: [0.0; LANES],
        };
        let (blocks, tail) = self.0.as_chunks::<LANES>();
        for block in blocks {
            lanes.add(block);
        }
        if !tail.is_empty() {
            lanes.add(&padded::<T, LANES>(tail, tail[0]));
        }
        let (mut low, mut high, mut least) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
        let (mut graded, mut bad) = (false, false);
        for l in 0..LANES {
            low = if lanes.low[l] < low { lanes.low[l] } else { low };
            high = if lanes.high[l] > high { lanes.high[l] } else { high };
            least = if lanes.least[l] < least { lanes.least[l] } else { least };
            graded |= lanes.graded[l] > 0.0;
            bad |= lanes.bad[l] > 0.0;
        }
        // Which of -0 and 0 is the smallest would depend on their order: both are 0.
        low = if low == 0.0 { 0.0 } else { low };
        high = if high == 0.0 { 0.0 } else { high };
        (!bad).then_some(Range { low, high, least, graded })
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
