//! What a source of probabilities passes on: blocks of rows, the counts of what it left out, or the first value that is
//! not valid.

use super::bins::Work;

/// How many rows the kernel processes at a time. It is small, so that the processor can fetch the next rows from memory
/// while it works on these (f32 from memory: 1.14 ns per row; 1.7 ns with blocks of 256).
pub const BLOCK: usize = 128;

/// Up to [`BLOCK`] rows between a source and a sink: the source fills in the first two fields, the sink the others.
pub struct Block<W> {
    /// The probability of each row, in [0, 1]; 0 where the row does not count.
    pub probability: [W; BLOCK],
    /// Bit 0 is set where the row counts, bit 1 where its prediction came true.
    pub flags: [u8; BLOCK],
    /// The bin of each row.
    pub(super) bin: [u32; BLOCK],
    /// What each row adds to the packed counters of its bin.
    pub(super) add: [[i64; 2]; BLOCK],
}

impl<W: Work> Block<W> {
    /// A block without rows.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Block { probability: [W::ZERO; BLOCK], flags: [0; BLOCK], bin: [0; BLOCK], add: [[0; 2]; BLOCK] }
    }
}

/// Counts of the rows that were left out, and of those whose probabilities were accepted although they are slightly
/// off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Rows that `where` excluded.
    pub excluded: u64,
    /// Rows with a NaN, where those are omitted.
    pub nan: u64,
    /// Rows of weight 0.
    pub weightless: u64,
    /// Rows whose probability lies in (1, 1 + 1e-6] and was treated as 1.
    pub clamped: u64,
    /// Rows of class probabilities whose sum is further from 1 than 1e-3, but by no more than rounding to
    /// 16 bits can move it (5e-3).
    pub rounded: u64,
}

impl LeftOut {
    /// The sums of both; `None` where a count would exceed its range.
    pub(super) fn plus(self, other: LeftOut) -> Option<LeftOut> {
        Some(LeftOut {
            excluded: self.excluded.checked_add(other.excluded)?,
            nan: self.nan.checked_add(other.nan)?,
            weightless: self.weightless.checked_add(other.weightless)?,
            clamped: self.clamped.checked_add(other.clamped)?,
            rounded: self.rounded.checked_add(other.rounded)?,
        })
    }
}

/// The first value that is not valid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A NaN where none is allowed.
    Nan {
        /// The row of the value.
        row: usize,
        /// Its column; 0 where there is one probability per row.
        column: usize,
    },
    /// A probability outside [0, 1].
    Range {
        /// The row of the value.
        row: usize,
        /// Its column; 0 where there is one probability per row.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A label that is not the number of a class or, beside one probability per row, neither 0 nor 1.
    Label {
        /// The row of the label.
        row: usize,
        /// The label.
        value: i64,
    },
    /// A cluster code that has no name.
    Code {
        /// The row.
        row: usize,
        /// The code.
        value: i64,
    },
    /// A weight that is not finite or not above 0.
    Weight {
        /// Its position among the weights that were given.
        at: usize,
        /// The weight.
        value: f64,
    },
    /// Probabilities of a row that do not sum to 1.
    Sum {
        /// The row.
        row: usize,
        /// Their sum.
        value: f64,
        /// How far from 1 the sum may be.
        tolerance: f64,
        /// Whether every probability of the row is exactly representable as a 16-bit float.
        short: bool,
    },
}
