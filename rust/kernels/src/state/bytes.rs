//! The bytes of a state, little endian:
//!
//! `"SYST" | u8 kind | u8 layout | u16 numerics | u32 config_len | config | u32 rows | rows | u32 crc32`
//!
//! `numerics` is that of the kind: [`Kind::numerics`]. `config` is canonical JSON and is compared as bytes. The kind
//! and its layout determine the fields of a row. The reader checks magic, length and checksum before anything else and
//! allocates nothing: a state is read completely or not at all.

use super::crc::{Crc, crc32};
use crate::exact::Fixed;
use crate::grid::{Pace, Stopped};
use crate::memory::{self, NoMemory};
use std::fmt;

const MAGIC: &[u8; 4] = b"SYST";
const HEADER: usize = 8;
const CRC: usize = 4;
/// Bytes that are added to a checksum between two calls of `progress`, which takes about a millisecond.
const CRC_STRIDE: usize = 1 << 19;
/// The length of the shortest state: header, two counts, checksum.
const SHORTEST: usize = HEADER + 4 + 4 + CRC;

/// The kind of a state. The numbers stand in saved bytes and never change. 5, 6 and 9 are those of a `TokenState`, a
/// `PreferenceState` and a `CompareState`, whose bytes the Python face writes around those of their columns, which are
/// of the kind `Estimate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Totals of negative log-likelihoods, one per cluster.
    Perplexity = 1,
    /// Bins of a reliability diagram.
    Reliability = 2,
    /// A global norm.
    GlobalNorm = 3,
    /// Values whose mean is estimated.
    Estimate = 4,
    /// Values of a confidence sequence.
    Sequence = 7,
    /// Rows whose statistic of sums is estimated.
    Statistic = 8,
    /// Bootstrap replicates of rows.
    Bootstrap = 10,
    /// Values whose quantiles are asked for.
    Quantile = 11,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Perplexity,
        Kind::Reliability,
        Kind::GlobalNorm,
        Kind::Estimate,
        Kind::Sequence,
        Kind::Statistic,
        Kind::Bootstrap,
        Kind::Quantile,
    ];

    /// The name of the Python class.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Perplexity => "PerplexityState",
            Kind::Reliability => "ReliabilityState",
            Kind::GlobalNorm => "GlobalNormState",
            Kind::Estimate | Kind::Statistic => "EstimateState",
            Kind::Sequence => "ConfidenceSequenceState",
            Kind::Bootstrap => "BootstrapState",
            Kind::Quantile => "QuantileState",
        }
    }

    /// The version of the arithmetic behind a state of this kind: the [`crate::NUMERICS`] at which the sums in it
    /// last changed. States with another number are refused.
    pub const fn numerics(self) -> u16 {
        match self {
            Kind::Perplexity
            | Kind::Reliability
            | Kind::GlobalNorm
            | Kind::Estimate
            | Kind::Sequence
            | Kind::Statistic
            | Kind::Bootstrap
            | Kind::Quantile => 1,
        }
    }
}

/// Why bytes are not the state that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesError {
    /// The first four bytes are not the magic.
    NotAState,
    /// Shorter than the shortest state; holds the length.
    TooShort(usize),
    /// The checksum differs.
    Damaged,
    /// A state of another kind: the expected kind, and the number of the kind in the bytes.
    Kind(Kind, u8),
    /// Written by a newer version: the newest layout known here, and the layout in the bytes.
    Layout(u8, u8),
    /// Written with other arithmetic: the expected kind, and the numerics in the bytes.
    Numerics(Kind, u16),
    /// The checksum is right, but the counts and the length disagree.
    Malformed,
    /// The bytes are well-formed, but no data can give these counts and sums.
    Impossible,
    /// Reading was stopped, or there was no memory for what the bytes hold.
    Stopped(Stopped),
}

impl From<NoMemory> for BytesError {
    fn from(error: NoMemory) -> Self {
        BytesError::Stopped(error.into())
    }
}

impl From<Stopped> for BytesError {
    fn from(stopped: Stopped) -> Self {
        BytesError::Stopped(stopped)
    }
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BytesError::NotAState => {
                write!(f, "expected the bytes of a steelyard state; got bytes that do not begin with SYST")
            }
            BytesError::TooShort(length) => {
                write!(
                    f,
                    "expected a whole state of at least {SHORTEST} bytes; got {length}: it was cut short"
                )
            }
            BytesError::Damaged => {
                write!(f, "expected an intact state; its checksum differs: it was cut short or changed")
            }
            BytesError::Kind(expected, got) => {
                let known = Kind::ALL.into_iter().find(|&kind| kind as u8 == got).map(Kind::name);
                let got =
                    known.map_or_else(|| format!("an unknown kind ({got})"), |name| format!("a {name}"));
                write!(f, "expected a {}; got {got}", expected.name())
            }
            BytesError::Layout(newest, got) => {
                write!(f, "expected layout {newest} or older; got {got}; a newer steelyard wrote this state")
            }
            BytesError::Numerics(expected, got) => write!(
                f,
                "expected numerics {} of a {}; got {got}; sums of two arithmetics are not mixed: compute it \
                 again from the data",
                expected.numerics(),
                expected.name()
            ),
            BytesError::Malformed => {
                write!(f, "expected rows that fill the state; its counts and its length disagree")
            }
            BytesError::Impossible => {
                write!(
                    f,
                    "expected counts and sums that data can have, in the order they are written in; got others"
                )
            }
            BytesError::Stopped(Stopped::NoMemory(error)) => write!(f, "{error}"),
            BytesError::Stopped(Stopped::Cancelled) => write!(f, "reading was stopped"),
        }
    }
}

impl std::error::Error for BytesError {}

/// Writes a state: header and configuration first, then its rows, field by field. Missing memory is reported at the
/// end, by [`Writer::finish`].
pub struct Writer {
    bytes: Vec<u8>,
    failed: Option<NoMemory>,
}

impl Writer {
    /// Begins a state of `kind`; `rows` rows are to follow.
    pub fn new(kind: Kind, layout: u8, config: &[u8], rows: u32) -> Self {
        let mut writer = Writer { bytes: Vec::new(), failed: None };
        writer.put(MAGIC);
        writer.put(&[kind as u8, layout]);
        writer.put(&kind.numerics().to_le_bytes());
        writer.put(&(config.len() as u32).to_le_bytes());
        writer.put(config);
        writer.put(&rows.to_le_bytes());
        writer
    }

    fn put(&mut self, field: &[u8]) {
        if self.failed.is_some() {
            return; // asking for memory again for each field, in vain, would take minutes
        }
        match memory::reserve(&mut self.bytes, field.len()) {
            Ok(()) => self.bytes.extend_from_slice(field),
            Err(error) => self.failed = Some(error),
        }
    }

    /// Writes a count.
    pub fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// Writes a choice that may not have been made yet: 0 for none, 1 for false, 2 for true.
    pub fn choice(&mut self, value: Option<bool>) {
        self.u64(value.map_or(0, |value| 1 + u64::from(value)));
    }

    /// Writes a sum.
    pub fn fixed(&mut self, value: Fixed) {
        self.put(&value.to_bytes());
    }

    /// Writes an identifier, given in parts, after its length (two bytes). False, with nothing written, beyond 65,535
    /// bytes.
    #[must_use]
    pub fn id(&mut self, parts: &[&[u8]]) -> bool {
        let Ok(length) = u16::try_from(parts.iter().map(|part| part.len()).sum::<usize>()) else {
            return false;
        };
        self.put(&length.to_le_bytes());
        for part in parts {
            self.put(part);
        }
        true
    }

    /// The bytes of the whole state.
    pub fn finish(self) -> Result<Vec<u8>, NoMemory> {
        let crc = crc32(&self.bytes);
        self.sealed(crc)
    }

    /// As [`Writer::finish`], for a state of many rows; `pace` may stop it.
    pub fn finish_at(self, pace: &mut Pace<'_>) -> Result<Vec<u8>, Stopped> {
        let crc = crc32_at(&self.bytes, pace)?;
        Ok(self.sealed(crc)?)
    }

    fn sealed(mut self, crc: u32) -> Result<Vec<u8>, NoMemory> {
        self.put(&crc.to_le_bytes());
        match self.failed {
            None => Ok(self.bytes),
            Some(error) => Err(error),
        }
    }
}

fn crc32_at(bytes: &[u8], pace: &mut Pace<'_>) -> Result<u32, Stopped> {
    let mut crc = Crc::new();
    for part in bytes.chunks(CRC_STRIDE) {
        crc.add(part);
        pace.stride(1)?;
    }
    Ok(crc.value())
}

/// Reads a state that [`Reader::open`] has found intact and of the right kind.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    config: &'a [u8],
    layout: u8,
    rows: u32,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks everything but the rows' own fields. `newest` is the newest layout the caller understands.
    pub fn open(bytes: &'a [u8], kind: Kind, newest: u8) -> Result<Self, BytesError> {
        Self::open_checked(bytes, kind, newest, |body| Ok(crc32(body)))
    }

    /// As [`Reader::open`], for a state of many rows; `pace` may stop it.
    pub fn open_at(bytes: &'a [u8], kind: Kind, newest: u8, pace: &mut Pace<'_>) -> Result<Self, BytesError> {
        Self::open_checked(bytes, kind, newest, |body| crc32_at(body, pace))
    }

    fn open_checked(
        bytes: &'a [u8],
        kind: Kind,
        newest: u8,
        checksum: impl FnOnce(&[u8]) -> Result<u32, Stopped>,
    ) -> Result<Self, BytesError> {
        if bytes.len() < MAGIC.len() || !bytes.starts_with(MAGIC) {
            return Err(if MAGIC.starts_with(bytes) {
                BytesError::TooShort(bytes.len())
            } else {
                BytesError::NotAState
            });
        }
        if bytes.len() < SHORTEST {
            return Err(BytesError::TooShort(bytes.len()));
        }
        let (body, crc) = bytes.split_at(bytes.len() - CRC);
        if crc != checksum(body)?.to_le_bytes() {
            return Err(BytesError::Damaged);
        }
        let (got, layout) = (body[4], body[5]);
        let numerics = u16::from_le_bytes([body[6], body[7]]);
        if got != kind as u8 {
            return Err(BytesError::Kind(kind, got));
        }
        if layout > newest {
            return Err(BytesError::Layout(newest, layout));
        }
        if numerics != kind.numerics() {
            return Err(BytesError::Numerics(kind, numerics));
        }
        let mut reader = Reader { config: &[], layout, rows: 0, rest: &body[HEADER..] };
        let length = reader.u32()? as usize;
        reader.config = reader.take(length)?;
        reader.rows = reader.u32()?;
        Ok(reader)
    }

    /// The configuration, as it was written.
    pub fn config(&self) -> &'a [u8] {
        self.config
    }

    /// The layout of the rows.
    pub fn layout(&self) -> u8 {
        self.layout
    }

    /// How many rows follow. Before allocating memory for them, ask [`Reader::holds`].
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether the remaining bytes suffice for all rows, of at least `least` bytes per row.
    pub fn holds(&self, least: usize) -> bool {
        self.rest.len() / least.max(1) >= self.rows as usize
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BytesError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(BytesError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BytesError> {
        self.take(N)?.try_into().map_err(|_| BytesError::Malformed)
    }

    fn u32(&mut self) -> Result<u32, BytesError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a count.
    pub fn u64(&mut self) -> Result<u64, BytesError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads what [`Writer::choice`] wrote.
    pub fn choice(&mut self) -> Result<Option<bool>, BytesError> {
        match self.u64()? {
            0 => Ok(None),
            1 => Ok(Some(false)),
            2 => Ok(Some(true)),
            _ => Err(BytesError::Malformed),
        }
    }

    /// Reads a sum.
    pub fn fixed(&mut self) -> Result<Fixed, BytesError> {
        self.array().map(Fixed::from_bytes)
    }

    /// Reads an identifier.
    pub fn id(&mut self) -> Result<&'a [u8], BytesError> {
        let length = self.array().map(u16::from_le_bytes)?;
        self.take(usize::from(length))
    }

    /// To be called after the last row: an error where bytes are left over.
    pub fn finish(self) -> Result<(), BytesError> {
        if self.rest.is_empty() { Ok(()) } else { Err(BytesError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind::Perplexity;
    const CONFIG: &[u8] = br#"{"unit":"nats"}"#;

    fn sum(x: f64) -> Fixed {
        Fixed::from_f64(x).unwrap()
    }

    /// Two documents: id, tokens, sum.
    fn state() -> Vec<u8> {
        let mut writer = Writer::new(KIND, 1, CONFIG, 2);
        for (id, tokens, total) in [(&b"a"[..], 3, 1.5), (b"doc/2", u64::MAX, -0.25)] {
            assert!(writer.id(&[id]));
            writer.u64(tokens);
            writer.fixed(sum(total));
        }
        writer.finish().unwrap()
    }

    /// Reads a state as the rooms do: every row, then the end.
    fn read(bytes: &[u8]) -> Result<Vec<(Vec<u8>, u64, Fixed)>, BytesError> {
        let mut reader = Reader::open(bytes, KIND, 1)?;
        assert_eq!(reader.config(), CONFIG);
        let rows = (0..reader.rows())
            .map(|_| Ok((reader.id()?.to_vec(), reader.u64()?, reader.fixed()?)))
            .collect::<Result<_, BytesError>>()?;
        reader.finish().map(|()| rows)
    }

    /// The bytes after a change, with a checksum that fits them.
    fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        bytes.truncate(bytes.len() - CRC);
        change(&mut bytes);
        let crc = crc32(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let rows = read(&state()).unwrap();
        assert_eq!(rows, [(b"a".to_vec(), 3, sum(1.5)), (b"doc/2".to_vec(), u64::MAX, sum(-0.25))]);
        let head = &state()[..12];
        assert_eq!(
            head,
            [b'S', b'Y', b'S', b'T', 1, 1, KIND.numerics() as u8, 0, CONFIG.len() as u8, 0, 0, 0]
        );
        assert!(!Writer::new(KIND, 1, b"", 1).id(&[&vec![0; 65_535], &[0]]));
    }

    /// The numerics of a kind is a value that the package's number once had, so it cannot be larger.
    #[test]
    fn no_kind_has_numerics_above_the_packages() {
        for kind in Kind::ALL {
            assert!((1..=crate::NUMERICS).contains(&kind.numerics()), "{}", kind.name());
        }
        assert!((1..=crate::NUMERICS).contains(&crate::optim::NUMERICS));
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = state();
        for length in 0..whole.len() {
            let expected = if length < SHORTEST { BytesError::TooShort(length) } else { BytesError::Damaged };
            assert_eq!(read(&whole[..length]).unwrap_err(), expected, "{length}");
        }
        assert_eq!(read(&[whole, vec![0]].concat()).unwrap_err(), BytesError::Damaged);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let whole = state();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 32 { BytesError::NotAState } else { BytesError::Damaged };
            assert_eq!(read(&bytes).unwrap_err(), expected, "{bit}");
        }
    }

    #[test]
    fn an_intact_state_of_another_kind_layout_or_arithmetic_is_refused() {
        let refused = |change: &dyn Fn(&mut Vec<u8>)| read(&resealed(state(), change)).unwrap_err();
        assert_eq!(refused(&|b| b[4] = 2), BytesError::Kind(KIND, 2));
        assert_eq!(refused(&|b| b[5] = 2), BytesError::Layout(1, 2));
        assert_eq!(refused(&|b| b[6] = 9), BytesError::Numerics(KIND, 9));
        // Counts that do not fit the length: the configuration's, the rows', an id's, and bytes left over.
        let rows = HEADER + 4 + CONFIG.len();
        for change in [
            &|b: &mut Vec<u8>| b[11] = 255,
            &move |b: &mut Vec<u8>| b[rows + 3] = 255,
            &move |b: &mut Vec<u8>| b[rows + 5] = 255,
            &|b: &mut Vec<u8>| b.push(0),
        ] as [&dyn Fn(&mut Vec<u8>); 4]
        {
            assert_eq!(refused(change), BytesError::Malformed);
        }
        let many = resealed(state(), |b| b[rows + 3] = 255);
        assert!(!Reader::open(&many, KIND, 1).unwrap().holds(26));
        assert!(Reader::open(&state(), KIND, 1).unwrap().holds(26));
    }

    #[test]
    fn each_refusal_is_one_sentence() {
        let messages: Vec<String> = [
            BytesError::NotAState,
            BytesError::TooShort(5),
            BytesError::Damaged,
            BytesError::Kind(KIND, 2),
            BytesError::Kind(KIND, 77),
            BytesError::Layout(1, 2),
            BytesError::Numerics(KIND, 9),
            BytesError::Malformed,
            BytesError::Impossible,
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert!(messages.iter().all(|text| text.starts_with("expected ") && !text.ends_with('.')));
        assert!(messages.iter().enumerate().all(|(i, text)| !messages[..i].contains(text)));
        assert_eq!(messages[3], "expected a PerplexityState; got a ReliabilityState");
        assert_eq!(messages[4], "expected a PerplexityState; got an unknown kind (77)");
    }
}
