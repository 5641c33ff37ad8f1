//! The layout of Philox's 128-bit counter: which bits hold the purpose, stratum, replicate and place of a random
//! number.
//!
//! | field | bits | what it holds |
//! |---|---|---|
//! | domain | 6 | the purpose: a [`Domain`] |
//! | stratum | 20 | the stratum, the group of a comparison of groups, or the tensor of an optimizer |
//! | replicate | 32 | the replicate, the pattern of signs, or the step of an optimizer |
//! | place | 32 | a leaf of rows, an array of a tensor, a node of a design, or 0 |
//! | block | 38 | blocks of four words, counted from 0 at each place |
//!
//! The fields do not overlap, and each value is checked against its field's limit, so that different values of these
//! fields never give the same counter. `docs/decisions/0010-random-streams.md` says what each purpose puts where.

/// The purposes of random numbers; two purposes never share a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Domain {
    /// Multinomial counts of a bootstrap replicate.
    Bootstrap = 1,
    /// Patterns of signs, where many columns are flipped together.
    SignFlip = 2,
    /// The noise that a smoothed bootstrap adds to each draw.
    Smoothing = 3,
    /// Stochastic rounding of what an optimizer writes.
    Rounding = 4,
    /// Normal deviates that are the same in every call, for integrals over many dimensions.
    Normals = 5,
    /// The weights of a beta bootstrap replicate.
    BetaWeights = 6,
    /// Multinomial counts of the resamples of a bootstrap replicate, whose number is the stratum.
    Inner = 7,
    /// Random orders of rows.
    Permutation = 8,
    /// Battles, or clusters of them, of a bootstrap replicate of ratings.
    Battles = 9,
    /// Counts of units by their ids, for states that see a part of the rows.
    Units = 10,
}

impl Domain {
    /// Every purpose.
    pub const ALL: [Domain; 10] = [
        Domain::Bootstrap,
        Domain::SignFlip,
        Domain::Smoothing,
        Domain::Rounding,
        Domain::Normals,
        Domain::BetaWeights,
        Domain::Inner,
        Domain::Permutation,
        Domain::Battles,
        Domain::Units,
    ];
}

/// A field of the counter: some bits of one of its four words.
#[derive(Clone, Copy)]
pub(super) struct Field {
    word: usize,
    shift: u32,
    bits: u32,
}

pub(super) const BLOCK_LOW: Field = Field { word: 0, shift: 0, bits: 32 };
pub(super) const REPLICATE: Field = Field { word: 1, shift: 0, bits: 32 };
pub(super) const BLOCK_HIGH: Field = Field { word: 2, shift: 0, bits: 6 };
pub(super) const STRATUM: Field = Field { word: 2, shift: 6, bits: 20 };
pub(super) const DOMAIN: Field = Field { word: 2, shift: 26, bits: 6 };
pub(super) const PLACE: Field = Field { word: 3, shift: 0, bits: 32 };

impl Field {
    /// How many values fit into the field.
    pub(super) const fn limit(self) -> u64 {
        1 << self.bits
    }

    /// `value` shifted to the field's position in its word.
    #[inline(always)]
    pub(super) const fn put(self, value: u64) -> u32 {
        assert!(value < self.limit(), "a value beyond its field would spill into another field");
        (value as u32) << self.shift
    }

    /// The field's bits within its word.
    pub(super) const fn mask(self) -> u32 {
        (u32::MAX >> (32 - self.bits)) << self.shift
    }
}

/// Every bit of the counter belongs to exactly one field.
const _: () = {
    let fields = [BLOCK_LOW, REPLICATE, BLOCK_HIGH, STRATUM, DOMAIN, PLACE];
    let (mut taken, mut i) = ([0u32; 4], 0);
    while i < fields.len() {
        assert!(taken[fields[i].word] & fields[i].mask() == 0, "two fields share a bit");
        taken[fields[i].word] |= fields[i].mask();
        i += 1;
    }
    assert!(taken[0] & taken[1] & taken[2] & taken[3] == u32::MAX, "a bit is in no field");
};

/// The number of strata.
pub const STRATA: u64 = STRATUM.limit();
/// The number of blocks at each place.
pub const PLACE_BLOCKS: u64 = 1 << (BLOCK_LOW.bits + BLOCK_HIGH.bits);
/// log2 of the largest number of rows.
pub const ROWS: u32 = 40;
/// log2 of the rows in a leaf: 8 KiB of f64, which stay in the first-level cache. Three draws of this many bits fit in a
/// word.
pub const LEAF: u32 = 10;

/// The places of leaves come after this one.
const LEAVES: u64 = 1 << (ROWS - LEAF);

const _: () = assert!(2 * LEAVES <= PLACE.limit());

/// The place of leaf `index`.
#[inline(always)]
pub(super) fn leaf(index: u64) -> u32 {
    assert!(index < LEAVES, "a leaf beyond the last row");
    (LEAVES + index) as u32
}
