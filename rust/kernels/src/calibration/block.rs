//! What a source hands to the tally: rows in blocks, what it left out of them, or the first value it cannot take.

use super::bins::Work;

/// Rows that pass through the kernel's buffers at a time: few enough that the next ones are fetched from memory
/// meanwhile (f32 from memory: 1.14 ns a row; 1.7 with 256).
pub const BLOCK: usize = 128;

/// Up to [`BLOCK`] rows on their way: what a source has made of them, and where they go.
pub struct Block<W> {
    /// Probabilities in [0, 1]; 0 where the row does not count.
    pub probability: [W; BLOCK],
    /// Bit 0: the row counts; bit 1: it came true.
    pub flags: [u8; BLOCK],
    /// Its bin.
    pub(super) bin: [u32; BLOCK],
    /// What it adds there.
    pub(super) add: [[i64; 2]; BLOCK],
}

impl<W: Work> Block<W> {
    /// No rows.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Block { probability: [W::ZERO; BLOCK], flags: [0; BLOCK], bin: [0; BLOCK], add: [[0; 2]; BLOCK] }
    }
}

/// Rows that do not count, and values that count as something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Rows that `where` excluded.
    pub excluded: u64,
    /// Rows with a NaN, where those are omitted.
    pub nan: u64,
    /// Rows of weight 0.
    pub weightless: u64,
    /// Probabilities in (1, 1 + 1e-6], which counted as 1.
    pub clamped: u64,
    /// Rows of classes whose sum is off 1 by as much as rounding to 16 bits may move it.
    pub rounded: u64,
}

impl LeftOut {
    /// Both together; `None` where a count would leave its range.
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

/// The first value that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A NaN where none is allowed.
    Nan {
        /// Bin of the value.
        row: usize,
        /// Its column; 0 for one probability a row.
        column: usize,
    },
    /// A probability outside [0, 1].
    Range {
        /// Bin of the value.
        row: usize,
        /// Its column; 0 for one probability a row.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A label that is no class (or neither 0 nor 1).
    Label {
        /// Bin of the label.
        row: usize,
        /// The label.
        value: i64,
    },
    /// The code of a cluster that is none.
    Code {
        /// The row.
        row: usize,
        /// The code.
        value: i64,
    },
    /// A weight that is not finite or not above 0.
    Weight {
        /// Where it stands.
        at: usize,
        /// The weight.
        value: f64,
    },
    /// Probabilities of a row that do not sum to 1.
    Sum {
        /// The row.
        row: usize,
        /// Its sum.
        value: f64,
        /// How far from 1 it may be.
        tolerance: f64,
        /// Whether all of them are 16-bit floats.
        short: bool,
    },
}
