//! Where the largest logit of a row is, and which is the largest of all others.

use super::terms::{Exponential, Logit};

/// The place of the largest logit so far, the first of equal ones, and the largest of the others.
#[derive(Clone, Copy)]
pub struct Largest<R> {
    place: usize,
    second: R,
}

impl<R: Exponential> Largest<R> {
    /// Before anything was read.
    pub const NONE: Self = Largest { place: 0, second: R::LOWEST };

    /// The place of the largest, and the largest of the others.
    #[inline(always)]
    pub fn new(place: usize, second: R) -> Self {
        Largest { place, second }
    }

    /// Reads a block from class `start` on, whose largest element is `top`; `max` is the largest element before it.
    #[inline(always)]
    pub fn read<T: Logit<Real = R>>(&mut self, block: &[T], top: R, start: usize, max: R) {
        if top > max {
            *self = inside(block, top, start, max);
        } else if top > self.second {
            self.second = top;
        }
    }

    /// Adds the next part of the row; `max` is the largest element of this part, `next_max` that of the next.
    #[inline(always)]
    pub fn merge(&mut self, next: Self, max: R, next_max: R) {
        let [loser, winner] = if next_max > max { [max, next.second] } else { [next_max, self.second] };
        if next_max > max {
            self.place = next.place;
        }
        self.second = if loser > winner { loser } else { winner };
    }

    /// The place of the largest logit, and the largest of all others.
    #[inline(always)]
    pub fn finish(self) -> (usize, f64) {
        (self.place, self.second.to_f64())
    }
}

/// For a block with a logit that is larger than all before it, which happens in few blocks of a row.
#[inline(never)]
fn inside<T: Logit>(block: &[T], top: T::Real, start: usize, max: T::Real) -> Largest<T::Real> {
    let place = block.iter().position(|x| x.real() == top).unwrap_or_default();
    let mut second = max;
    for other in [&block[..place], &block[(place + 1).min(block.len())..]] {
        for x in other {
            second = if x.real() > second { x.real() } else { second };
        }
    }
    Largest { place: start + place, second }
}
