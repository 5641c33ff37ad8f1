//! Divides the elements of many arrays into units of work of about equal size, for one parallel region.

use crate::memory::{self, NoMemory};

/// Groups spans, each at most a chunk long, into units of about a chunk: ten thousand small arrays become a
/// few hundred units, one large array becomes as many as it has chunks. The grouping never changes the spans
/// themselves, so that no result depends on it.
pub(super) struct Units<T> {
    chunk: usize,
    whole: Vec<Vec<T>>,
    unit: Vec<T>,
    filled: usize,
    elements: usize,
    failed: Option<NoMemory>,
}

impl<T> Units<T> {
    pub(super) fn new(chunk: usize) -> Self {
        Units { chunk, whole: Vec::new(), unit: Vec::new(), filled: 0, elements: 0, failed: None }
    }

    /// Adds the next span, which has `n` elements. Missing memory is reported at the end, by [`Units::finish`].
    pub(super) fn push(&mut self, n: usize, span: T) {
        if self.failed.is_none() {
            self.failed = self.try_push(n, span).err();
        }
    }

    fn try_push(&mut self, n: usize, span: T) -> Result<(), NoMemory> {
        if self.filled > 0 && self.filled + n > self.chunk {
            // The next unit is likely to have as many spans.
            let next = memory::with_capacity(self.unit.len())?;
            memory::push(&mut self.whole, std::mem::replace(&mut self.unit, next))?;
            self.filled = 0;
        }
        self.filled += n;
        self.elements += n;
        memory::push(&mut self.unit, span)
    }

    /// The number of elements of all spans together.
    pub(super) fn elements(&self) -> usize {
        self.elements
    }

    /// The spans as units.
    pub(super) fn finish(mut self) -> Result<Vec<Vec<T>>, NoMemory> {
        if !self.unit.is_empty() {
            memory::push(&mut self.whole, self.unit)?;
        }
        match self.failed {
            None => Ok(self.whole),
            Some(error) => Err(error),
        }
    }
}

/// Groups the spans of an iterator into units.
pub(super) fn units<T>(
    spans: impl Iterator<Item = T>,
    length: impl Fn(&T) -> usize,
    chunk: usize,
) -> Result<Vec<Vec<T>>, NoMemory> {
    let mut units = Units::new(chunk);
    for span in spans {
        units.push(length(&span), span);
    }
    units.finish()
}

#[cfg(test)]
mod tests {
    use super::Units;

    #[test]
    fn units_keep_order_and_size() {
        let lengths = [10, 10, 90, 5, 100, 1, 1];
        let mut units = Units::new(100);
        for n in lengths {
            units.push(n, n);
        }
        assert_eq!(units.elements(), 217);
        assert_eq!(units.finish(), Ok(vec![vec![10, 10], vec![90, 5], vec![100], vec![1, 1]]));
    }
}
