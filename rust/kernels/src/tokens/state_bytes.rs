//! The bytes of [`Totals`]: `u64 per, infinite, nan, excluded, ignored`, then a row a cluster: `id, u64 tokens, i128 units,
//! i128 nll`. An id is `#` and eight bytes, or `"` and its text, or empty for a cluster without a name.

use super::totals::{Id, Named, Total, Totals};
use crate::exact::Fixed;
use crate::exact::bytes::{BytesError, Kind, Reader, Writer};
use crate::grid::{Pace, Stopped, Watch};
use crate::memory;

const LAYOUT: u8 = 1;
/// The longest text that the length of an id can tell, behind its mark.
pub const LONGEST_TEXT: usize = u16::MAX as usize - 1;
const LEAST_ROW: usize = 2 + 8 + 2 * Fixed::BYTES;

impl Id {
    fn write(&self, writer: &mut Writer) -> bool {
        match self {
            Id::Number(id) => writer.id(&[b"#", &id.to_le_bytes()[..]]),
            Id::Text(id) => writer.id(&[b"\"", id.as_bytes()]),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Id, BytesError> {
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

impl Totals {
    /// Canonical: equal totals have equal bytes. `config` is the caller's, carried along. `None` past 2^32
    /// clusters, or for a name longer than [`LONGEST_TEXT`].
    pub fn to_bytes(&self, config: &[u8], watch: Watch<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        let mut pace = Pace::new(watch);
        let Ok(rows) = u32::try_from(self.clusters()) else { return Ok(None) };
        let mut writer = Writer::new(Kind::Perplexity, LAYOUT, config, rows);
        writer.u64(match self.per {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
        for count in [self.infinite, self.nan, self.excluded, self.ignored] {
            writer.u64(count);
        }
        let unnamed = self.sorted_unnamed(&mut pace)?;
        let named = self.named.iter().map(|Named(id, total)| (Some(id), total));
        for (id, total) in named.chain(unnamed.iter().map(|total| (None, total))) {
            let fits = match id {
                Some(id) => id.write(&mut writer),
                None => writer.id(&[]),
            };
            if !fits {
                return Ok(None);
            }
            writer.u64(total.tokens);
            writer.fixed(total.units);
            writer.fixed(total.nll);
            pace.step()?;
        }
        writer.finish_at(&mut pace).map(Some)
    }

    /// The totals, and the configuration that came with them.
    pub fn from_bytes(bytes: &[u8], watch: Watch<'_>) -> Result<(Totals, Vec<u8>), BytesError> {
        let mut pace = Pace::new(watch);
        let mut reader = Reader::open_at(bytes, Kind::Perplexity, LAYOUT, &mut pace)?;
        let (rows, config) = (reader.rows(), memory::copied(reader.config())?);
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
                totals.unnamed.push(total)?;
            } else if !totals.named.put_new(&Named(Id::from_bytes(id)?, total))? {
                return Err(BytesError::Malformed);
            }
            pace.step()?;
        }
        reader.finish()?;
        let mixed = !totals.named.is_empty() && !totals.unnamed.is_empty();
        if mixed { Err(BytesError::Malformed) } else { Ok((totals, config)) }
    }
}
