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
    let bad = |x: &T| !x.to_f64().is_finite();
    let (mut count, mut first) = (0, None);
    for (part, start) in x.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let here = part.iter().filter(|x| bad(x)).count();
        if here > 0 && first.is_none() {
            first = part.iter().position(bad).map(|at| start + at);
        }
        count += here;
        pace.stride(1)?;
    }
    Ok((count, first))
}
