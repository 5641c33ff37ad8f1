//! How many logits of a row are larger than the target's, and how many equal it.

use super::columns::Target;
use super::terms::{Exponential, LANES, Logit};

/// A target of a row while the row is read. Its logit is known before, so that ranks need no second look at the row.
#[derive(Clone, Copy)]
pub struct Sought<R> {
    /// The class.
    pub class: usize,
    /// Its logit.
    pub logit: R,
    larger: u64,
    equal: u64,
    equal_before: u64,
}

impl<R: Exponential> Sought<R> {
    /// No target: no logit is as large as its logit.
    pub fn none() -> Self {
        Sought::new(0, -R::LOWEST)
    }

    /// Before anything was counted.
    #[inline(always)]
    pub fn new(class: usize, logit: R) -> Self {
        Sought { class, logit, larger: 0, equal: 0, equal_before: 0 }
    }

    /// Counts a block from class `start` on, whose largest element is `top`.
    #[inline(always)]
    pub fn count<T: Logit<Real = R>>(&mut self, block: &[T], top: R, start: usize) {
        if top < self.logit {
            return;
        }
        let (larger, equal) = compared(block, self.logit);
        self.larger += larger;
        self.equal += equal;
        if self.class >= start + block.len() {
            self.equal_before += equal;
        } else if self.class > start && equal > 0 {
            self.equal_before += compared(&block[..self.class - start], self.logit).1;
        }
    }

    /// Adds the counts of another part of the row.
    pub fn merge(&mut self, other: &Self) {
        self.larger += other.larger;
        self.equal += other.equal;
        self.equal_before += other.equal_before;
    }

    /// What is known of it.
    #[inline(always)]
    pub fn finish(&self) -> Target {
        let Sought { class, larger, equal, equal_before, .. } = *self;
        Target { class, logit: self.logit.to_f64(), larger, equal, equal_before }
    }
}

/// How many elements of a block are larger than `x`, and how many equal it.
#[inline(always)]
fn compared<T: Logit>(block: &[T], x: T::Real) -> (u64, u64) {
    let (body, tail) = block.as_chunks::<LANES>();
    let (mut larger, mut least) = ([0u32; LANES], [0u32; LANES]);
    for chunk in body {
        for i in 0..LANES {
            larger[i] += u32::from(chunk[i].real() > x);
            least[i] += u32::from(chunk[i].real() >= x);
        }
    }
    for i in 0..tail.len() {
        larger[i] += u32::from(tail[i].real() > x);
        least[i] += u32::from(tail[i].real() >= x);
    }
    let [larger, least] = [larger, least].map(|lanes| lanes.iter().map(|&n| u64::from(n)).sum::<u64>());
    (larger, least - larger)
}
