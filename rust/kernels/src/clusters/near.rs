//! Codes of ids that are whole numbers of a small range, by a table of that range, without sorting.

use crate::grid::{CHUNK, Pace, Progress, Stopped, chunk, chunks, fill_chunks, map_chunks};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What the ids are whose codes were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The smallest id.
    pub low: i64,
    /// By how much the id of each code is larger, in ascending order.
    pub above: Vec<i64>,
}

/// Writes the code of each id: the rank of the id among those that occur. `None`, with arbitrary codes, where the ids lie
/// so far apart that the table would be much longer than they are, where there are none, and where somebody else changes
/// them meanwhile.
///
/// # Panics
/// If there is not one code for each id.
pub fn near(ids: &[i64], codes: &mut [i64], progress: Progress<'_>) -> Result<Option<Near>, Stopped> {
    assert_eq!(ids.len(), codes.len(), "a code for each id");
    let n = ids.len();
    let (low, high) = extremes(ids, &mut *progress)?.unwrap_or((0, 0));
    let span = high.abs_diff(low);
    if n == 0 || span >= 4 * n as u64 + 1024 {
        return Ok(None);
    }
    let places = span as usize + 1;
    let present = memory::collected((0..places).map(|_| AtomicU8::new(0)))?;
    let parts = memory::collected(ids.chunks(CHUNK).zip(codes.chunks_mut(CHUNK)))?;
    let inside = fill_chunks(parts, 2 * size_of_val(ids), &mut *progress, |_, (ids, codes)| {
        dispatch(Offsets { ids, low, present: &present, codes })
    })?;
    if !inside.into_iter().all(|inside| inside) {
        return Ok(None);
    }
    let mut pace = Pace::new(&mut *progress);
    let found = present.iter().filter(|found| found.load(Relaxed) > 0).count();
    pace.stride(places)?;
    let mut above = memory::with_capacity(found)?;
    for (start, marks) in (0i64..).step_by(CHUNK).zip(present.chunks(CHUNK)) {
        above.extend((start..).zip(marks).filter(|(_, found)| found.load(Relaxed) > 0).map(|(at, _)| at));
        pace.stride(marks.len())?;
    }
    if above.len() < present.len() {
        let mut ranks = memory::filled(present.len(), 0i64)?;
        for (chunk, above) in above.chunks(CHUNK).enumerate() {
            for (rank, &at) in (chunk * CHUNK..).zip(above) {
                ranks[at as usize] = rank as i64;
            }
            pace.stride(above.len())?;
        }
        let parts = memory::collected(codes.chunks_mut(CHUNK))?;
        fill_chunks(parts, 2 * size_of_val(ids), progress, |_, codes| {
            for code in codes {
                *code = ranks[*code as usize];
            }
        })?;
    }
    Ok(Some(Near { low, above }))
}

/// The smallest and the largest of some numbers, if there are any.
fn extremes(numbers: &[i64], progress: Progress<'_>) -> Result<Option<(i64, i64)>, Stopped> {
    let n = numbers.len();
    let parts = map_chunks(chunks(n, CHUNK), size_of_val(numbers), progress, |i| {
        dispatch(Extremes(&numbers[chunk(i, n, CHUNK)]))
    })?;
    Ok(parts.into_iter().reduce(|(low, high), (l, h)| (low.min(l), high.max(h))))
}

/// The index of the first code outside `0..count`.
pub(crate) fn outside(codes: &[i64], count: usize, progress: Progress<'_>) -> Result<Option<usize>, Stopped> {
    let is_out = |code: i64| code < 0 || code as usize >= count;
    Ok(match extremes(codes, progress)? {
        Some((low, high)) if is_out(low) || is_out(high) => codes.iter().position(|&code| is_out(code)),
        Some(_) | None => None,
    })
}

/// The smallest and the largest of some numbers.
struct Extremes<'a>(&'a [i64]);

impl Kernel for Extremes<'_> {
    type Out = (i64, i64);

    #[inline(always)]
    fn run<I: Isa>(self) -> (i64, i64) {
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        for &id in self.0 {
            low = if id < low { id } else { low };
            high = if id > high { id } else { high };
        }
        (low, high)
    }
}

/// Writes by how much each id is larger than `low`, and marks that; whether all are inside the table.
struct Offsets<'a> {
    ids: &'a [i64],
    low: i64,
    present: &'a [AtomicU8],
    codes: &'a mut [i64],
}

impl Kernel for Offsets<'_> {
    type Out = bool;

    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        for (code, &id) in self.codes.iter_mut().zip(self.ids) {
            let offset = id.wrapping_sub(self.low);
            let Some(mark) = self.present.get(offset as usize) else { return false };
            // Only the first one writes, so that the threads share the lines of the table.
            if mark.load(Relaxed) == 0 {
                mark.store(1, Relaxed);
            }
            *code = offset;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(ids: &[i64]) -> Option<(Vec<i64>, Vec<i64>)> {
        let mut codes = vec![-1; ids.len()];
        let found = near(ids, &mut codes, &mut |_| true).unwrap()?;
        Some((codes, found.above.iter().map(|above| found.low.wrapping_add(*above)).collect()))
    }

    #[test]
    fn codes_are_ranks() {
        for (n, step, low) in [(1, 1, 0), (5, 3, -7), (200_000, 1, 1 << 40), (200_000, 3, i64::MIN)] {
            let ids: Vec<i64> = (0..n).map(|i: i64| low + i * 7919 % (n / 2 + 1) * step).collect();
            let (codes, unique) = codes(&ids).unwrap();
            assert!(unique.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(codes.iter().zip(&ids).all(|(&code, &id)| unique[code as usize] == id));
            let mut seen: Vec<i64> = ids.clone();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(unique, seen);
        }
    }

    #[test]
    fn ids_far_apart_and_none_at_all_have_no_table() {
        assert_eq!(codes(&[]), None);
        assert_eq!(codes(&[0, 1 << 20]), None);
        assert_eq!(codes(&[i64::MIN, i64::MAX]), None);
    }
}
