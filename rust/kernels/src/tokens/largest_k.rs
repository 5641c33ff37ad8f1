//! The k largest logits of a row, in one read of it.
//!
//! Candidates go into a buffer of twice the size that is needed. When it is full, it is cut to the k best, the smallest of
//! which is the threshold for all that follow: few logits of a row exceed it, so that most of the reading is a comparison
//! of [`STRIDE`] logits at once. A logit that equals the threshold comes after k that are as large, and ties go to the
//! first.

use super::terms::{Exponential, LANES, Logit};
use crate::memory::{self, NoMemory};
use std::cmp::Ordering;

/// Logits that are compared with the threshold before any of them is looked at.
const STRIDE: usize = 4 * LANES;
/// The fewest candidates beside the k largest that the buffer has room for.
const SPARE: usize = 64;

/// The search for the k largest logits, whose memory serves one row after another.
pub struct LargestK<R> {
    k: usize,
    /// The most candidates that `found` may hold.
    room: usize,
    /// Logits with their classes.
    found: Vec<(R, usize)>,
    /// A logit that is not larger is not among the k largest.
    threshold: R,
}

impl<R: Exponential> LargestK<R> {
    /// A search for `k` logits, at least 1.
    pub fn new(k: usize) -> Result<Self, NoMemory> {
        let room = k + if k > SPARE { k } else { SPARE };
        Ok(LargestK { k, room, found: memory::with_capacity(room)?, threshold: R::LOWEST })
    }

    /// The k largest logits of a row of at least k and their classes, the largest first, and of equal ones the first.
    /// There are fewer where the row contains a NaN.
    #[inline(always)]
    pub fn of<T: Logit<Real = R>>(&mut self, row: &[T]) -> &[(R, usize)] {
        self.found.clear();
        self.threshold = R::LOWEST;
        let (body, tail) = row.as_chunks::<STRIDE>();
        for (i, stride) in body.iter().enumerate() {
            if any_above(stride, self.threshold) {
                self.take(stride, i * STRIDE);
            }
        }
        self.take(tail, body.len() * STRIDE);
        self.cut();
        if self.found.len() < self.k {
            self.complete(row);
        }
        self.found.sort_unstable_by(before);
        &self.found
    }

    /// Looks at the logits from class `start` on, a few at a time.
    #[inline(always)]
    fn take<T: Logit<Real = R>>(&mut self, logits: &[T], start: usize) {
        let (body, tail) = logits.as_chunks::<LANES>();
        for (i, few) in body.iter().enumerate() {
            if any_above(few, self.threshold) {
                self.push(few, start + i * LANES);
            }
        }
        self.push(tail, start + body.len() * LANES);
    }

    /// Adds those above the threshold.
    #[inline(always)]
    fn push<T: Logit<Real = R>>(&mut self, logits: &[T], start: usize) {
        for (i, x) in logits.iter().enumerate() {
            let x = x.real();
            if x > self.threshold {
                if self.found.len() == self.room {
                    self.cut();
                }
                // The cut has raised the threshold; one candidate too many does no harm.
                self.found.push((x, start + i));
            }
        }
    }

    /// Keeps the k best candidates.
    fn cut(&mut self) {
        if self.found.len() >= self.k {
            let (_, last, _) = self.found.select_nth_unstable_by(self.k - 1, before);
            self.threshold = last.0;
            self.found.truncate(self.k);
        }
    }

    /// Adds the first masked classes where fewer than k are not masked.
    #[cold]
    fn complete<T: Logit<Real = R>>(&mut self, row: &[T]) {
        let masked = row.iter().enumerate().filter(|(_, x)| x.real() == R::LOWEST);
        for (class, _) in masked.take(self.k - self.found.len()) {
            self.found.push((R::LOWEST, class));
        }
    }
}

/// Whether any logit exceeds the threshold.
#[inline(always)]
fn any_above<T: Logit, const N: usize>(logits: &[T; N], threshold: T::Real) -> bool {
    let mut any = false;
    for x in logits {
        any |= x.real() > threshold;
    }
    any
}

/// The larger first, and of equal ones that of the first class. No candidate is NaN.
fn before<R: Exponential>(a: &(R, usize), b: &(R, usize)) -> Ordering {
    b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::scores::tests::logits;

    fn sorted(row: &[f64], k: usize) -> Vec<(f64, usize)> {
        let mut all: Vec<(f64, usize)> = row.iter().copied().zip(0..).collect();
        all.sort_by(before);
        all.truncate(k);
        all
    }

    #[test]
    fn the_k_largest_are_those_of_a_stable_sort() {
        for width in [1, 2, 31, 32, 33, 127, 128, 129, 1000, 5000] {
            let random = logits(width, 4.0, width as u64);
            let coarse: Vec<f64> = random.iter().map(|x| x.trunc()).collect();
            let rising: Vec<f64> = (0..width).map(|i| i as f64).collect();
            let falling: Vec<f64> = rising.iter().map(|x| -x).collect();
            let equal = vec![0.0; width];
            let masked: Vec<f64> =
                rising.iter().map(|&x| if x as usize % 50 == 7 { x } else { f64::NEG_INFINITY }).collect();
            for row in [random, coarse, rising, falling, equal, masked] {
                for k in [1, 2, 63, 64, 65, 200, width].into_iter().filter(|&k| k <= width) {
                    let mut search = LargestK::<f64>::new(k).unwrap();
                    // A second row finds nothing of the first.
                    search.of(&vec![1e9; width]);
                    assert_eq!(search.of(&row), sorted(&row, k), "{k} of {width}");
                }
            }
        }
    }

    #[test]
    fn zeros_of_both_signs_are_equal() {
        let mut search = LargestK::<f32>::new(2).unwrap();
        let found: Vec<usize> =
            search.of(&[-1.0f32, -0.0, 0.0, -0.0]).iter().map(|&(_, class)| class).collect();
        assert_eq!(found, [1, 2]);
    }
}
