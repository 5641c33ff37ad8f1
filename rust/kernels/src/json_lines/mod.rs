//! Lines that hold one JSON object each, as the cells of a table.
//!
//! [`Lines`] takes plain lines: an object whose keys are known columns, with values that Python's `json` reads as the
//! same. At the first line that is anything else it stops, and the caller reads that line itself: what is wrong with a
//! line, and what a number beyond 64 bits or `NaN` means, is decided in one place. A line is left to the caller where
//! it is damaged, not UTF-8, blank or cut off; where an object has a key twice; for `NaN`, `Infinity`, integers of more
//! than 18 digits, lone surrogates, escapes in keys and unknown keys; and where it is nested deeply.

mod scanner;
mod shorten;

pub use scanner::Cell;
pub use shorten::{Longest, digest};

use scanner::{Left, Scanner};
use std::collections::HashMap;

/// What a key of an object is, by its dotted path: a column, or a dictionary whose keys are columns. Both are numbered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Column(usize),
    Dictionary(usize),
}

/// A key where the line before had it: inside which dictionary, its name, and what it is.
struct Known {
    parent: usize,
    key: String,
    column: Option<usize>,
    dictionary: Option<usize>,
}

/// The number of the object that is a whole line; the dictionaries inside are counted from 1.
const TOP: usize = 0;

/// Reads lines as rows of cells.
pub struct Lines<'a> {
    data: &'a [u8],
    at: usize,
    longest: Longest,
    paths: HashMap<String, (Option<usize>, Option<usize>)>,
    prefixes: Vec<String>,
    order: Vec<Known>,
    row: u64,
    column_rows: Vec<u64>,
    dictionary_rows: Vec<u64>,
    met: Vec<usize>,
    cells: Vec<(usize, Cell<'a>)>,
}

impl<'a> Lines<'a> {
    /// The lines of `data`, with columns and dictionaries by their dotted paths.
    pub fn new(data: &'a [u8], columns: &[String], dictionaries: &[String], longest: Longest) -> Self {
        let mut paths: HashMap<String, (Option<usize>, Option<usize>)> = HashMap::new();
        for (index, path) in columns.iter().enumerate() {
            paths.entry(path.clone()).or_default().0 = Some(index);
        }
        for (index, path) in dictionaries.iter().enumerate() {
            paths.entry(path.clone()).or_default().1 = Some(index);
        }
        let prefixes =
            std::iter::once(String::new()).chain(dictionaries.iter().map(|path| format!("{path}.")));
        Self {
            data,
            at: 0,
            longest,
            paths,
            prefixes: prefixes.collect(),
            order: Vec::new(),
            row: 0,
            column_rows: vec![0; columns.len()],
            dictionary_rows: vec![0; dictionaries.len()],
            met: vec![0; dictionaries.len()],
            cells: Vec::new(),
        }
    }

    /// The cells of the next line, each with the number of its column; `None` where the next line is not a plain one,
    /// or has no end.
    pub fn next_row(&mut self) -> Option<&mut Vec<(usize, Cell<'a>)>> {
        let rest = &self.data[self.at..];
        let end = place_of(b'\n', rest)?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        self.row += 1;
        self.cells.clear();
        let mut scanner = Scanner::new(text, self.longest);
        self.line(&mut scanner).ok()?;
        self.at += end + 1;
        for (met, row) in self.met.iter_mut().zip(&self.dictionary_rows) {
            *met += usize::from(*row == self.row);
        }
        Some(&mut self.cells)
    }

    /// How many bytes the rows so far were.
    pub fn read(&self) -> usize {
        self.at
    }

    /// In how many rows each dictionary was.
    pub fn met(&self) -> &[usize] {
        &self.met
    }

    fn line(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Left> {
        scanner.blanks();
        let mut place = 0;
        self.object(scanner, TOP, &mut place)?;
        scanner.blanks();
        scanner.end()
    }

    /// The members of an object; `place` is where in the order of the line before its next key is expected.
    fn object(&mut self, scanner: &mut Scanner<'a>, parent: usize, place: &mut usize) -> Result<(), Left> {
        scanner.expect(b'{')?;
        scanner.blanks();
        if scanner.takes(b'}') {
            return Ok(());
        }
        loop {
            let key = scanner.key()?;
            scanner.blanks();
            scanner.expect(b':')?;
            scanner.blanks();
            match self.slot(parent, key, place, scanner.peek() == Some(b'{'))? {
                Slot::Column(column) => {
                    once(&mut self.column_rows[column], self.row)?;
                    let cell = scanner.cell()?;
                    self.cells.push((column, cell));
                }
                Slot::Dictionary(index) => {
                    once(&mut self.dictionary_rows[index], self.row)?;
                    self.object(scanner, index + 1, place)?;
                }
            }
            scanner.blanks();
            if scanner.takes(b'}') {
                return Ok(());
            }
            scanner.expect(b',')?;
            scanner.blanks();
        }
    }

    fn slot(&mut self, parent: usize, key: &str, place: &mut usize, opens: bool) -> Result<Slot, Left> {
        let here = *place;
        *place += 1;
        if self.order.get(here).is_none_or(|known| known.parent != parent || known.key != key) {
            let path = if parent == TOP { key.to_owned() } else { format!("{}{key}", self.prefixes[parent]) };
            let &(column, dictionary) = self.paths.get(&path).ok_or(Left)?;
            self.order.truncate(here);
            self.order.push(Known { parent, key: key.to_owned(), column, dictionary });
        }
        let known = &self.order[here];
        let slot =
            if opens { known.dictionary.map(Slot::Dictionary) } else { known.column.map(Slot::Column) };
        slot.ok_or(Left)
    }
}

/// Notes that a column or a dictionary is in this row; an error if it was already: a key that comes twice, or one of the
/// same path as a key inside a dictionary.
fn once(seen: &mut u64, row: u64) -> Result<(), Left> {
    if *seen == row {
        return Err(Left);
    }
    *seen = row;
    Ok(())
}

/// Where a byte stands first.
fn place_of(byte: u8, bytes: &[u8]) -> Option<usize> {
    scanner::first_of(bytes, |word| scanner::has(word, byte), |one| one == byte)
}

#[cfg(test)]
mod tests {
    use super::{Cell, Lines, Longest};

    const LONGEST: Longest = Longest { whole: 200, beginning: 40 };

    fn rows(data: &[u8]) -> (Vec<Vec<(usize, String)>>, usize) {
        let names = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let mut lines = Lines::new(data, &names(&["a", "d.b"]), &names(&["d"]), LONGEST);
        let mut found = Vec::new();
        while let Some(cells) = lines.next_row() {
            found.push(cells.drain(..).map(|(column, cell)| (column, format!("{cell:?}"))).collect());
        }
        (found, lines.read())
    }

    #[test]
    fn whole_plain_lines_are_rows() {
        let (found, read) = rows(b"{\"a\": 1, \"d\": {\"b\": [null]}}\n{\"a\":\"x\\n\"}\r\n{\"a\": 1}");
        assert_eq!(found[0], [(0, "Int(1)".to_owned()), (1, "List".to_owned())]);
        assert_eq!(found[1], [(0, "Text(\"x\\n\")".to_owned())]);
        assert_eq!((found.len(), read), (2, 42));
    }

    #[test]
    fn a_line_that_is_not_plain_ends_the_rows() {
        for line in
            ["", "{\"a\": NaN}", "{\"a\": 1, \"a\": 1}", "{\"x\": 1}", "{\"a\": 01}", "{\"a\": \"\u{1}\"}"]
        {
            assert_eq!(rows(format!("{{\"a\": 1}}\n{line}\n{{\"a\": 2}}\n").as_bytes()).1, 9, "{line}");
        }
        assert_eq!(rows(b"{\"a\": 1}\n{\"a\": \"\xff\"}\n").1, 9);
    }

    #[test]
    fn cells_of_all_kinds_differ() {
        assert_ne!(Cell::Int(1), Cell::Float(1.0));
        assert_ne!(Cell::Null, Cell::List);
    }
}
