//! Values that may be nothing but rounding errors.

use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::memory;
use std::borrow::Cow;

/// `x` with zeros in place of values within their `resolution` (one number for all values, or one per value), and the
/// largest resolution of the other values.
pub fn settled<'a>(
    x: &'a [f64],
    resolution: &[f64],
    progress: Progress<'_>,
) -> Result<(Cow<'a, [f64]>, f64), Stopped> {
    if resolution.iter().all(|&r| r == 0.0) {
        return Ok((Cow::Borrowed(x), 0.0));
    }
    let resolution_of = |i: usize| if resolution.len() == 1 { resolution[0] } else { resolution[i] };
    let (mut pace, mut settled, mut largest) = (Pace::new(progress), Cow::Borrowed(x), 0.0);
    for (block, values) in x.chunks(CHUNK).enumerate() {
        for (i, v) in values.iter().enumerate().map(|(i, v)| (block * CHUNK + i, v)) {
            let (a, r) = (v.abs(), resolution_of(i));
            if a > r {
                largest = if r > largest { r } else { largest };
            } else if a > 0.0 {
                if let Cow::Borrowed(_) = settled {
                    settled = Cow::Owned(memory::copied(x)?);
                }
                settled.to_mut()[i] = 0.0;
            }
        }
        pace.stride(values.len())?;
    }
    Ok((settled, largest))
}
