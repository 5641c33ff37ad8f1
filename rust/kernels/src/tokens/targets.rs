//! The classes whose logits are looked up in each row.

use crate::memory::{self, NoMemory};

/// The targets of all rows, one row after another.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// Class indices.
    pub classes: &'a [i64],
    /// How many a row has: 1, or several candidates.
    pub per_row: usize,
    /// A target that is not scored.
    pub ignore: Option<i64>,
    /// Which targets count, 0 for those that do not; `None` where all do.
    pub mask: Option<&'a [u8]>,
}

impl<'a> Targets<'a> {
    /// One target a row, all of which count.
    pub fn new(classes: &'a [i64]) -> Self {
        Targets { classes, per_row: 1, ignore: None, mask: None }
    }

    /// Whether target `index` is scored.
    fn counts(&self, index: usize) -> bool {
        Some(self.classes[index]) != self.ignore && self.mask.is_none_or(|mask| mask[index] != 0)
    }

    /// Whether each target is scored.
    pub fn counted(&self) -> Result<Vec<bool>, NoMemory> {
        memory::collected((0..self.classes.len()).map(|index| self.counts(index)))
    }

    /// The first target that counts and is not a class of rows of that width.
    pub fn out_of_range(&self, width: usize) -> Option<usize> {
        let valid = |class: i64| usize::try_from(class).is_ok_and(|class| class < width);
        (0..self.classes.len()).find(|&index| self.counts(index) && !valid(self.classes[index]))
    }
}
