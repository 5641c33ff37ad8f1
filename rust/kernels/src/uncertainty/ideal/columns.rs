//! Which engine the rows of one column take.

use super::lattice::{UNITS, WHOLE, whole};
use super::law::Law;
use super::power_sums::from_power_sums;
use super::sum::{Part, Sum, larger};
use super::{GOOD, linear};
use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::intervals::moments::Moments;
use crate::memory;
use crate::simd::{self, Element, Isa, Kernel, Precision};
use crate::uncertainty::sign_flip::nearest;

/// Up to this many rows, each is kept.
pub const MANY: usize = 20_000;
/// The longest table in which the values of many rows are counted.
const TABLE: f64 = (1u64 << 20) as f64;
/// Of so many values, evenly spread over the data, more than half must differ for power sums.
const SAMPLE: usize = 2000;

/// The distribution of the mean of a resample.
pub fn law<T: Element>(x: &[T], moments: &Moments, progress: Progress<'_>) -> Result<Box<dyn Law>, Stopped> {
    let place = (moments.mean, x.len() as f64);
    let off = off::<T>();
    if x.len() > MANY {
        let decimal = decimals(x, moments, off, &mut *progress)?;
        if let Some(ten) = decimal
            && let Some(part) = counted(x, moments, ten, progress)?
        {
            return linear(&Sum::new(vec![part], place.0, place.1), off, progress);
        }
        if varied(x)?
            && let Some(mut law) = from_power_sums(x, moments, place, &mut *progress)?
        {
            // Where the values lie on a lattice of more points than a table has, its steps are not resolved.
            law.error += decimal.map_or(0.0, |ten| 0.2 / (ten * law.deviation));
            if law.error <= GOOD {
                return Ok(Box::new(law));
            }
        }
    }
    let values = memory::collected(x.iter().map(|x| x.to_f64()))?;
    let part = Part::new(values, None, 1.0, &mut Pace::new(&mut *progress))?;
    linear(&Sum::new(vec![part], place.0, place.1), off, progress)
}

/// The share of itself by which a value may be off because it was rounded to its type. Values in 16 bits count as exact.
pub fn off<T: Element>() -> f64 {
    if T::PRECISION == Precision::F32 { T::PRECISION.step() } else { 0.0 }
}

/// Whether more than half of a sample differ from each other.
pub fn varied<T: Element>(x: &[T]) -> Result<bool, Stopped> {
    let mut sample = memory::gathered(x.iter().step_by(x.len() / SAMPLE).map(|x| x.to_f64()))?;
    sample.sort_unstable_by(f64::total_cmp);
    let all = sample.len();
    sample.dedup();
    Ok(2 * sample.len() > all)
}

/// Whether all values times ten to some power are whole.
struct Whole<'a, T> {
    x: &'a [T],
    ten: f64,
    off: f64,
}

impl<T: Element> Kernel for Whole<'_, T> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        let mut broken = false;
        for x in self.x {
            broken |= !whole(x.to_f64() * self.ten, self.off);
        }
        !broken
    }
}

/// The smallest power of ten that makes all values whole; continuous data are left after a few values.
fn decimals<T: Element>(
    x: &[T],
    moments: &Moments,
    off: f64,
    progress: Progress<'_>,
) -> Result<Option<f64>, Stopped> {
    let top = larger(moments.max.abs(), moments.min.abs());
    let units = if off > WHOLE { 1.0 / (64.0 * off) } else { UNITS };
    let off = larger(off, WHOLE);
    let mut ten = 1.0;
    while top * ten <= units {
        if simd::dispatch(Whole { x: &x[..64], ten, off }) {
            let part = |i| simd::dispatch(Whole { x: &x[grid::chunk(i, x.len(), CHUNK)], ten, off });
            let parts = grid::map_chunks(grid::chunks(x.len(), CHUNK), size_of_val(x), &mut *progress, part)?;
            if parts.into_iter().all(|whole| whole) {
                return Ok(Some(ten));
            }
        }
        ten *= 10.0;
        if ten > 1e9 {
            break;
        }
    }
    Ok(None)
}

/// How often each value occurs, where a table of all multiples of the step is short enough.
fn counted<T: Element>(
    x: &[T],
    moments: &Moments,
    ten: f64,
    progress: Progress<'_>,
) -> Result<Option<Part>, Stopped> {
    let (first, last) = (nearest(moments.min * ten), nearest(moments.max * ten));
    if last - first >= TABLE {
        return Ok(None);
    }
    let mut table = memory::filled((last - first) as usize + 1, 0u64)?;
    grid::each_chunk(grid::chunks(x.len(), CHUNK), progress, |i| {
        for x in &x[grid::chunk(i, x.len(), CHUNK)] {
            table[(nearest(x.to_f64() * ten) - first) as usize] += 1;
        }
    })?;
    let occurring = || table.iter().enumerate().filter(|&(_, &count)| count > 0);
    let values = memory::gathered(occurring().map(|(k, _)| (first + k as f64) / ten))?;
    let counts = memory::gathered(occurring().map(|(_, &count)| count as f64))?;
    Ok(Some(Part::counted(values, counts, x.len() as f64, 1.0)))
}
