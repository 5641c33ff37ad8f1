//! The sums of a cluster, without memory of their own where they are few.

use crate::exact::{Packed, Sum};
use std::ops::Deref;
use std::sync::Arc;

/// As many as a ratio and a mean have.
const FEW: usize = 3;

/// Some sums.
#[derive(Clone, Debug)]
pub enum OwnSums {
    /// The first so many of these; the others are 0.
    Few(u8, [Packed; FEW]),
    /// More than that.
    Many(Arc<[Packed]>),
}

impl Deref for OwnSums {
    type Target = [Packed];

    #[inline]
    fn deref(&self) -> &[Packed] {
        match self {
            OwnSums::Few(count, sums) => &sums[..usize::from(*count)],
            OwnSums::Many(sums) => sums,
        }
    }
}

impl OwnSums {
    /// Those of `of` at the places from 0 to `count`.
    #[inline]
    pub fn of(count: usize, of: impl Fn(usize) -> Packed) -> OwnSums {
        if count > FEW {
            return OwnSums::Many((0..count).map(of).collect());
        }
        let mut sums = [const { Packed::ZERO }; FEW];
        for (place, sum) in sums.iter_mut().enumerate().take(count) {
            *sum = of(place);
        }
        OwnSums::Few(count as u8, sums)
    }

    /// Adds the sums at the same places.
    pub fn add(&mut self, other: &OwnSums) {
        debug_assert_eq!(self.len(), other.len(), "sums at the same places");
        let plus = |a: &Packed, b: &Packed| a.plus::<{ Sum::PLACES }, -1074>(b);
        match self {
            OwnSums::Few(count, sums) => {
                for (sum, other) in sums.iter_mut().take(usize::from(*count)).zip(other.iter()) {
                    *sum = plus(sum, other);
                }
            }
            OwnSums::Many(sums) => *sums = sums.iter().zip(other.iter()).map(|(a, b)| plus(a, b)).collect(),
        }
    }
}
