//! The names of clusters, and their bytes.

use crate::state::bytes::{BytesError, Writer};
use std::sync::Arc;

/// The longest text of a name in bytes: what the 16-bit length of an id in a state's bytes allows, less one byte that
/// tells texts from numbers.
pub const LONGEST_TEXT: usize = u16::MAX as usize - 1;

/// The name of a cluster. Numbers and texts are different names: 1 is not "1".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(Arc<str>),
}

impl Id {
    /// Writes `#` and the number's eight bytes, or `"` and the text. False, with nothing written, beyond
    /// [`LONGEST_TEXT`].
    pub(crate) fn write(&self, writer: &mut Writer) -> bool {
        match self {
            Id::Number(id) => writer.id(&[b"#", &id.to_le_bytes()[..]]),
            Id::Text(id) => writer.id(&[b"\"", id.as_bytes()]),
        }
    }

    /// Reads what [`Id::write`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Id, BytesError> {
        match bytes.split_first() {
            Some((b'#', rest)) => {
                let number = rest.try_into().map_err(|_| BytesError::Malformed)?;
                Ok(Id::Number(i64::from_le_bytes(number)))
            }
            Some((b'"', rest)) => {
                let text = std::str::from_utf8(rest).map_err(|_| BytesError::Malformed)?;
                Ok(Id::Text(text.into()))
            }
            _ => Err(BytesError::Malformed),
        }
    }
}

/// The names of the clusters of a batch; a cluster's code is the index of its name.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// No names: every cluster of the batch is a new one.
    None,
    /// Whole numbers.
    Numbers(&'a [i64]),
    /// Texts.
    Texts(&'a [String]),
}

impl Names<'_> {
    /// How many codes have a name.
    pub fn count(&self) -> usize {
        match self {
            Names::None => 0,
            Names::Numbers(ids) => ids.len(),
            Names::Texts(ids) => ids.len(),
        }
    }

    /// Whether the names ascend.
    pub(crate) fn ascend(&self) -> bool {
        match self {
            Names::None => true,
            Names::Numbers(ids) => ids.windows(2).all(|pair| pair[0] < pair[1]),
            Names::Texts(ids) => ids.windows(2).all(|pair| pair[0] < pair[1]),
        }
    }

    /// The name of the cluster with this code, if it has one.
    pub(crate) fn id(&self, code: usize) -> Option<Id> {
        match self {
            Names::None => None,
            Names::Numbers(ids) => ids.get(code).copied().map(Id::Number),
            Names::Texts(ids) => ids.get(code).map(|id| Id::Text(id.as_str().into())),
        }
    }
}
