//! The tokens of one line of JSON.

use super::shorten::{Longest, shortened};
use std::borrow::Cow;

/// The line is not a plain one: the caller reads it.
pub struct Left;

/// One value of a table.
#[derive(Debug, PartialEq)]
pub enum Cell<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without a fraction or an exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, shortened where it is long.
    Text(Cow<'a, str>),
    /// A list, whatever is in it.
    List,
}

/// How deep lists and the objects in them may be nested.
const DEEPEST: usize = 32;
/// How many keys an object inside a list may have: each is compared with all others.
const MOST_KEYS: usize = 64;
/// Integers of so many digits fit into 64 bits.
const MOST_DIGITS: usize = 18;

/// A place in a line.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    longest: Longest,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str, longest: Longest) -> Self {
        Self { text, at: 0, longest }
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    pub fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, byte: u8) -> Result<(), Left> {
        if self.takes(byte) { Ok(()) } else { Err(Left) }
    }

    pub fn end(&self) -> Result<(), Left> {
        if self.at == self.text.len() { Ok(()) } else { Err(Left) }
    }

    /// A key: text without escapes.
    pub fn key(&mut self) -> Result<&'a str, Left> {
        match self.string()? {
            (key, false) => Ok(key),
            (_, true) => Err(Left),
        }
    }

    /// A value that is no object.
    pub fn cell(&mut self) -> Result<Cell<'a>, Left> {
        match self.peek().ok_or(Left)? {
            b'"' => {
                let (raw, escaped) = self.string()?;
                let text = if escaped { Cow::Owned(unescaped(raw)?) } else { Cow::Borrowed(raw) };
                shortened(text, self.longest).map(Cell::Text)
            }
            b't' => self.word("true", Cell::Bool(true)),
            b'f' => self.word("false", Cell::Bool(false)),
            b'n' => self.word("null", Cell::Null),
            b'[' => self.list(DEEPEST).map(|()| Cell::List),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, cell: Cell<'a>) -> Result<Cell<'a>, Left> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Left);
        }
        self.at += word.len();
        Ok(cell)
    }

    fn number(&mut self) -> Result<Cell<'a>, Left> {
        let start = self.at;
        self.takes(b'-');
        let first = self.at;
        let digits = self.digits()?;
        if digits > 1 && self.text.as_bytes()[first] == b'0' {
            return Err(Left);
        }
        let mut is_int = true;
        if self.takes(b'.') {
            is_int = false;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_int = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if is_int && digits > MOST_DIGITS {
            return Err(Left);
        }
        if is_int {
            return text.parse().map(Cell::Int).map_err(|_| Left);
        }
        text.parse().map(Cell::Float).map_err(|_| Left)
    }

    fn digits(&mut self) -> Result<usize, Left> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Left) } else { Ok(self.at - start) }
    }

    /// What stands between two quotes, and whether there are escapes in it.
    fn string(&mut self) -> Result<(&'a str, bool), Left> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            self.at += first_of(
                &bytes[self.at..],
                |word| has(word, b'"') | has(word, b'\\') | below_blank(word),
                |byte| byte == b'"' || byte == b'\\' || byte < b' ',
            )
            .ok_or(Left)?;
            match bytes[self.at] {
                b'"' => {
                    let found = &self.text[start..self.at];
                    self.at += 1;
                    return Ok((found, escaped));
                }
                b'\\' if self.at + 1 < bytes.len() => {
                    escaped = true;
                    self.at += 2; // whether it is an escape is checked where it is read
                }
                _ => return Err(Left),
            }
        }
    }

    /// Goes over a list, which is checked but not kept.
    fn list(&mut self, depth: usize) -> Result<(), Left> {
        let depth = depth.checked_sub(1).ok_or(Left)?;
        self.expect(b'[')?;
        self.blanks();
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            self.blanks();
            if self.takes(b']') {
                return Ok(());
            }
            self.expect(b',')?;
            self.blanks();
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Left> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => {
                let (raw, escaped) = self.string()?;
                if escaped { unescaped(raw).map(|_| ()) } else { Ok(()) }
            }
            _ => self.cell().map(|_| ()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Left> {
        let depth = depth.checked_sub(1).ok_or(Left)?;
        self.expect(b'{')?;
        self.blanks();
        if self.takes(b'}') {
            return Ok(());
        }
        let mut keys: Vec<&str> = Vec::new();
        loop {
            let key = self.key()?;
            if keys.len() == MOST_KEYS || keys.contains(&key) {
                return Err(Left);
            }
            keys.push(key);
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            self.value(depth)?;
            self.blanks();
            if self.takes(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
            self.blanks();
        }
    }
}

/// Text with its escapes read; a surrogate without its other half is left to the caller.
fn unescaped(raw: &str) -> Result<String, Left> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let kind = *rest.as_bytes().first().ok_or(Left)?;
        let one = match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = hex(rest.get(1..5))?;
                rest = &rest[4..];
                if (0xD800..0xDC00).contains(&code) && rest.get(1..3) == Some("\\u") {
                    let low = hex(rest.get(3..7))?;
                    if !(0xDC00..0xE000).contains(&low) {
                        return Err(Left);
                    }
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    rest = &rest[6..];
                }
                char::from_u32(code).ok_or(Left)?
            }
            _ => return Err(Left),
        };
        text.push(one);
        rest = &rest[1..];
    }
    text.push_str(rest);
    Ok(text)
}

/// Four hexadecimal digits.
fn hex(digits: Option<&str>) -> Result<u32, Left> {
    let digits = digits.ok_or(Left)?;
    if !digits.bytes().all(|one| one.is_ascii_hexdigit()) {
        return Err(Left);
    }
    u32::from_str_radix(digits, 16).map_err(|_| Left)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A word that is not zero where one of its eight bytes may be this one.
pub fn has(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & HIGH
}

/// A word that is not zero where one of its eight bytes may be below a blank.
fn below_blank(word: u64) -> u64 {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGH
}

/// Where the first byte stands that is `wanted`; `may` looks at eight bytes at once, and may be wrong where it says yes.
pub fn first_of(bytes: &[u8], may: impl Fn(u64) -> u64, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if may(u64::from_le_bytes(*word)) != 0
            && let Some(at) = word.iter().position(|&one| wanted(one))
        {
            return Some(8 * index + at);
        }
    }
    let done = 8 * words.len();
    bytes[done..].iter().position(|&one| wanted(one)).map(|at| done + at)
}
