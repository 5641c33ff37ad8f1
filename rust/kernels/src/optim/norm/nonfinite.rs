//! Elements that are not finite.

use crate::dtype::TypedSlice;
use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::simd::Element;
use crate::with_dtype;

/// The number of elements that are not finite, and where the first one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The number of elements that are not finite, in all arrays.
    pub count: usize,
    /// The index of the first array that has one.
    pub array: usize,
    /// The index of its first element that is not finite.
    pub element: usize,
}

/// Counts the elements that are not finite. This is the slow path, taken only where the sum of squares is not finite.
pub fn count_nonfinite(
    arrays: &[TypedSlice<'_>],
    progress: Progress<'_>,
) -> Result<Option<NonFinite>, Stopped> {
    let mut pace = Pace::new(progress);
    let mut bad: Option<NonFinite> = None;
    for (array, &slice) in arrays.iter().enumerate() {
        let (count, first) = with_dtype!(slice, x => count_in(x, &mut pace))?;
        if let Some(element) = first {
            bad.get_or_insert(NonFinite { count: 0, array, element }).count += count;
        }
    }
    Ok(bad)
}

fn count_in<T: Element>(x: &[T], pace: &mut Pace<'_>) -> Result<(usize, Option<usize>), Stopped> {
    let (mut count, mut first) = (0, None);
    for (index, part) in x.chunks(CHUNK).enumerate() {
        count += add(part, index, &mut first);
        pace.stride(1)?;
    }
    Ok((count, first))
}

/// How many elements of chunk `index` are not finite. The first of them is `first` in its array, if none was before it.
fn add<T: Element>(chunk: &[T], index: usize, first: &mut Option<usize>) -> usize {
    let bad = |x: &T| !x.to_f64().is_finite();
    let count = chunk.iter().filter(|x| bad(x)).count();
    if count > 0 && first.is_none() {
        *first = chunk.iter().position(bad).map(|at| index * CHUNK + at);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_beyond_32_bits_is_right() {
        let chunk = [1.0, f32::INFINITY, f32::NAN];
        for past in [1usize << 31, 1 << 32, 1 << 45] {
            let mut first = None;
            assert_eq!(add(&chunk, past / CHUNK, &mut first), 2);
            assert_eq!(first, Some(past + 1));
            add(&chunk, past / CHUNK + 1, &mut first);
            assert_eq!(first, Some(past + 1));
        }
    }
}
