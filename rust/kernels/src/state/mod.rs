//! What every state can do: be copied, merged, written and read. The rooms' states differ in what they add and give.

pub mod bytes;
mod crc;

use self::bytes::{BytesError, Kind};
use crate::grid::{Progress, Stopped};
use crate::memory::NoMemory;

/// Something that grows by batches and by other states of its kind, in any order, and lasts as bytes.
///
/// Merging is associative and commutative, with the empty state (`Default`) as its neutral element, bit for bit.
pub trait State: Default + Send + Sync {
    /// What the bytes say they are of.
    const KIND: Kind;
    /// Why a batch or another state is not taken.
    type Refused: Send;

    /// A copy that shares memory.
    fn copied(&self) -> Result<Self, NoMemory>;

    /// This state and another one together; both stay as they are.
    fn merged(&self, other: &Self, progress: Progress<'_>) -> Result<Result<Self, Self::Refused>, Stopped>;

    /// Canonical bytes: equal states have equal bytes. `config` is the caller's and is carried along. `None` where the
    /// state is too large for its layout (2^32 clusters or more).
    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped>;

    /// The state that was written, and the configuration that came with it; only what `to_bytes` can have written.
    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError>;
}
