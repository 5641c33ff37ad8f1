//! The bytes of [`Totals`]: `u64 per, infinite, nan, excluded, ignored`, then a row a cluster: `id, u64 tokens, i128 units,
//! i128 nll`. An id is `#` and eight bytes, or `"` and its text, or empty for a cluster without a name.

use super::totals::{Id, Total, Totals};
use crate::exact::Fixed;
use crate::exact::bytes::{BytesError, Kind, Reader, Writer};

const LAYOUT: u8 = 1;
/// The longest text that the length of an id can tell, behind its mark.
pub const LONGEST_TEXT: usize = u16::MAX as usize - 1;
const LEAST_ROW: usize = 2 + 8 + 2 * Fixed::BYTES;

impl Id {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Id::Number(id) => [b"#", &id.to_le_bytes()[..]].concat(),
            Id::Text(id) => [b"\"", id.as_bytes()].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Id> {
        match bytes.split_first()? {
            (b'#', rest) => rest.try_into().ok().map(i64::from_le_bytes).map(Id::Number),
            (b'"', rest) => std::str::from_utf8(rest).ok().map(str::to_owned).map(Id::Text),
            _ => None,
        }
    }
}

impl Totals {
    /// Canonical: equal totals have equal bytes. `config` is the caller's, carried along. `None` past 2^32
    /// clusters, or for a name longer than [`LONGEST_TEXT`].
    pub fn to_bytes(&self, config: &[u8]) -> Option<Vec<u8>> {
        let rows = self.rows();
        let mut writer = Writer::new(Kind::Perplexity, LAYOUT, config, u32::try_from(rows.len()).ok()?);
        writer.u64(match self.per {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
        for count in [self.infinite, self.nan, self.excluded, self.ignored] {
            writer.u64(count);
        }
        for (id, total) in rows {
            if !writer.id(&id.map(Id::to_bytes).unwrap_or_default()) {
                return None;
            }
            writer.u64(total.tokens);
            writer.fixed(total.units);
            writer.fixed(total.nll);
        }
        Some(writer.finish())
    }

    /// The totals, and the configuration that came with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Totals, Vec<u8>), BytesError> {
        let mut reader = Reader::open(bytes, Kind::Perplexity, LAYOUT)?;
        let (rows, config) = (reader.rows(), reader.config().to_vec());
        if !reader.holds(LEAST_ROW) {
            return Err(BytesError::Malformed);
        }
        let per = match reader.u64()? {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            _ => return Err(BytesError::Malformed),
        };
        let mut totals = Totals {
            per,
            infinite: reader.u64()?,
            nan: reader.u64()?,
            excluded: reader.u64()?,
            ignored: reader.u64()?,
            ..Totals::default()
        };
        for _ in 0..rows {
            let id = reader.id()?;
            let total = Total { tokens: reader.u64()?, units: reader.fixed()?, nll: reader.fixed()? };
            if id.is_empty() {
                totals.unnamed.push(total);
            } else {
                let id = Id::from_bytes(id).ok_or(BytesError::Malformed)?;
                if totals.named.insert(id, total).is_some() {
                    return Err(BytesError::Malformed);
                }
            }
        }
        reader.finish()?;
        let mixed = !totals.named.is_empty() && !totals.unnamed.is_empty();
        if mixed { Err(BytesError::Malformed) } else { Ok((totals, config)) }
    }
}
