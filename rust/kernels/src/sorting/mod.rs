//! Sorting of long lists that can be stopped half-way (Ctrl-C) and reports missing memory as an error.

mod by_value;

pub use by_value::rows_by_value;
pub(crate) use by_value::{key, of_key};

use crate::grid::{CHUNK, Pace, Stopped};
use crate::memory;
use std::cmp::Ordering::{self, Greater};

/// Sorts `items`: runs of one chunk each by the standard library's unstable sort, which are then merged pairwise.
///
/// Only identical items may compare equal under `order`; then the result does not depend on how the runs are cut.
pub fn sorted<T: Copy>(
    mut items: Vec<T>,
    order: impl Fn(&T, &T) -> Ordering,
    pace: &mut Pace<'_>,
) -> Result<Vec<T>, Stopped> {
    for run in items.chunks_mut(CHUNK) {
        run.sort_unstable_by(&order); // a stable sort would allocate, and end the process where there is no memory
        pace.stride(run.len())?;
    }
    if items.len() <= CHUNK {
        return Ok(items);
    }
    let mut other = memory::with_capacity(items.len())?;
    let mut run = CHUNK;
    while run < items.len() {
        other.clear();
        for pair in items.chunks(2 * run) {
            let (left, right) = pair.split_at(run.min(pair.len()));
            merge(left, right, &order, &mut other, pace)?;
        }
        (items, other) = (other, items);
        run *= 2;
    }
    Ok(items)
}

fn merge<T: Copy>(
    mut left: &[T],
    mut right: &[T],
    order: &impl Fn(&T, &T) -> Ordering,
    to: &mut Vec<T>,
    pace: &mut Pace<'_>,
) -> Result<(), Stopped> {
    while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
        if order(first, second) == Greater {
            to.push(*second);
            right = right_rest;
        } else {
            to.push(*first);
            left = left_rest;
        }
        pace.step()?;
    }
    for rest in left.chunks(CHUNK).chain(right.chunks(CHUNK)) {
        to.extend_from_slice(rest);
        pace.stride(rest.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_standard_librarys() {
        for n in [0, 1, 1000, CHUNK, CHUNK + 1, 3 * CHUNK + 17, 5 * CHUNK] {
            let items: Vec<(u64, usize)> =
                (0..n).map(|i| ((i as u64).wrapping_mul(2_654_435_761) % 5003, i)).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            let got = sorted(items, Ord::cmp, &mut Pace::new(&mut |_| true)).unwrap();
            assert!(got == expected, "{n}");
        }
    }

    #[test]
    fn it_can_be_stopped() {
        let items: Vec<u64> = (0..60 * CHUNK as u64).rev().collect();
        let got = sorted(items, Ord::cmp, &mut Pace::new(&mut |_| false));
        assert_eq!(got, Err(Stopped::Cancelled));
    }
}
