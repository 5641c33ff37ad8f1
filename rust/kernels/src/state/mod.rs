//! What every state can do: be copied, merged, written and read. The states of the rooms differ in what is added to
//! them and in what they compute from it.

pub mod bytes;
mod crc;

use self::bytes::{BytesError, Kind};
use crate::grid::{Progress, Stopped};
use crate::memory::NoMemory;

/// An accumulator to which batches and other states of its kind can be added in any order, and which can be saved as
/// bytes.
///
/// Merging is associative and commutative, with the empty state of the same options as its neutral element, bit for bit.
/// (A state that keeps values whose order matters refuses to merge with another that has some.)
pub trait State: Sized + Send + Sync {
    /// The kind that stands in the bytes.
    const KIND: Kind;
    /// Why a batch or another state is refused.
    type Refused: Send;

    /// A copy that shares memory.
    fn copied(&self) -> Result<Self, NoMemory>;

    /// The state of the data of both; neither of them changes.
    fn merged(&self, other: &Self, progress: Progress<'_>) -> Result<Result<Self, Self::Refused>, Stopped>;

    /// Canonical bytes: equal states have equal bytes. The bytes contain `config`, whose meaning is the caller's.
    /// `None` where the state is too large for its layout (2^32 clusters or more).
    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped>;

    /// The state that was written, and the configuration that stood in its bytes. Bytes that `to_bytes` cannot have
    /// written are refused.
    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError>;
}
