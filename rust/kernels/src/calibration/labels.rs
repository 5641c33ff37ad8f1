//! Labels of any integer type, read in place.

/// The labels: 0 or 1 where there is one probability per row, or the class that came true where each row has class
/// probabilities.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // one variant per integer type
pub enum Labels<'a> {
    U8(&'a [u8]),
    I8(&'a [i8]),
    U16(&'a [u16]),
    I16(&'a [i16]),
    U32(&'a [u32]),
    I32(&'a [i32]),
    U64(&'a [u64]),
    I64(&'a [i64]),
}

/// Runs `$body` with `$x` bound to the typed slice.
macro_rules! each {
    ($labels:expr, $x:ident => $body:expr) => {
        match $labels {
            Labels::U8($x) => $body,
            Labels::I8($x) => $body,
            Labels::U16($x) => $body,
            Labels::I16($x) => $body,
            Labels::U32($x) => $body,
            Labels::I32($x) => $body,
            Labels::U64($x) => $body,
            Labels::I64($x) => $body,
        }
    };
}

impl Labels<'_> {
    /// The number of labels.
    pub fn len(&self) -> usize {
        each!(self, x => x.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Label `index`. A uint64 beyond the range of int64 becomes `i64::MAX`, which is refused as any number that is no
    /// class is.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> i64 {
        match self {
            Labels::U8(x) => x[index].into(),
            Labels::I8(x) => x[index].into(),
            Labels::U16(x) => x[index].into(),
            Labels::I16(x) => x[index].into(),
            Labels::U32(x) => x[index].into(),
            Labels::I32(x) => x[index].into(),
            Labels::U64(x) => i64::try_from(x[index]).unwrap_or(i64::MAX),
            Labels::I64(x) => x[index],
        }
    }

    /// Writes labels `start..start + out.len()` as 0 or 1. False where one of them is neither; what is written for that
    /// one is then without meaning.
    #[inline(always)]
    pub(super) fn binary(&self, start: usize, out: &mut [u8]) -> bool {
        each!(self, x => {
            let mut other = 0;
            for (label, out) in x[start..start + out.len()].iter().zip(&mut *out) {
                #[allow(clippy::unnecessary_cast)] // the cast does nothing where the label is a u8
                let bit = (*label & 1) as u8;
                *out = bit;
                other |= *label & !1;
            }
            other == 0
        })
    }
}
