//! Address ranges that must not overlap: those of arrays that one call writes.

use crate::call::no_memory;
use pyo3::PyResult;
use std::ops::Range;
use steelyard_kernels::memory;

/// The address ranges of arrays that are not empty, sorted, each with the array's index. None overlaps another.
#[derive(Default)]
pub(super) struct Apart {
    sorted: Vec<(Range<usize>, usize)>,
}

/// Two arrays that overlap, by their indices, the smaller one first.
pub(super) struct Overlap(pub(super) usize, pub(super) usize);

impl Apart {
    /// Sorts the ranges; finds two that overlap, if there are such.
    pub(super) fn of(ranges: impl Iterator<Item = (Range<usize>, usize)>) -> PyResult<Result<Self, Overlap>> {
        let mut sorted =
            memory::gathered(ranges.filter(|(range, _)| !range.is_empty())).map_err(no_memory)?;
        sorted.sort_unstable_by_key(|(range, index)| (range.start, *index));
        Ok(match sorted.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
            Some(pair) => Err(Overlap(pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1))),
            None => Ok(Apart { sorted }),
        })
    }

    /// The first array that `read` overlaps. `place` is the position at which the previous array was found; it is tried
    /// first, because the next array is most often there too.
    pub(super) fn hit(&self, read: &Range<usize>, place: &mut usize) -> Option<usize> {
        let ends_before = |(range, _): &(Range<usize>, usize)| range.end <= read.start;
        let (before, after) = self.sorted.split_at((*place).min(self.sorted.len()));
        if !before.last().is_none_or(ends_before) || after.first().is_some_and(ends_before) {
            *place = self.sorted.partition_point(ends_before);
        }
        let (range, index) = self.sorted.get(*place)?;
        (!read.is_empty() && range.start < read.end).then_some(*index)
    }
}
