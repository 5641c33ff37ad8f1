//! The order of many numbers, by their digits: no two of them are compared.

use super::sorted;
use crate::grid::{CHUNK, Pace, Stopped};
use crate::memory;

/// From so many numbers on digits are faster than comparisons: below, their tables cost more than they save.
const MANY: usize = 1 << 10;
/// The bits of a digit: three of them are the [`LEADING`] bits.
const DIGIT: u32 = 11;
const VALUES: usize = 1 << DIGIT;
const DIGITS: usize = 3;
/// The bits of a key that digits sort. They tell nearly all numbers of real data apart; comparisons do the rest.
const LEADING: u32 = 32;

/// The rows of `values` in ascending order by [`f64::total_cmp`], equal ones in the order of the rows, of which there
/// are 2^32 at most.
pub fn rows_by_value(values: &[f64], pace: &mut Pace<'_>) -> Result<Vec<u32>, Stopped> {
    let mut items = memory::with_capacity(values.len())?;
    if values.len() < MANY {
        items.extend(values.iter().zip(0..).map(|(&value, row)| (key(value), row)));
        items.sort_unstable();
        return Ok(memory::collected(items.iter().map(|&(_, row)| row))?);
    }
    let (mut least, mut most) = (u64::MAX, 0);
    for part in values.chunks(CHUNK) {
        for &value in part {
            let key = key(value);
            least = if key < least { key } else { least };
            most = if key > most { key } else { most };
        }
        pace.stride(part.len())?;
    }
    let keys =
        Keys { values, least, rest: (u64::BITS - (most - least).leading_zeros()).saturating_sub(LEADING) };
    let mut items = memory::with_capacity(values.len())?;
    for (part, start) in values.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        items.extend(part.iter().zip(start..).map(|(&value, row)| keys.item(value, row)));
        pace.stride(part.len())?;
    }
    let mut items = by_digits(items, pace)?;
    if keys.rest > 0 {
        keys.settle(&mut items, pace)?;
    }
    Ok(memory::collected(items.iter().map(|&item| item as u32))?)
}

/// A number of which the order is that of the values by [`f64::total_cmp`].
#[inline(always)]
pub fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    // The sign of what is positive is set, and all bits of what is negative are turned over.
    bits ^ (((bits as i64 >> 63) as u64) | 1 << 63)
}

/// The value of a [`key`].
pub fn of_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key ^ 1 << 63 } else { !key })
}

/// The keys of some values, counted from the least: `rest` bits of them are below the leading ones.
struct Keys<'a> {
    values: &'a [f64],
    least: u64,
    rest: u32,
}

impl Keys<'_> {
    /// The leading bits of a value, above its row.
    fn item(&self, value: f64, row: u64) -> u64 {
        (key(value) - self.least) >> self.rest << LEADING | row
    }

    /// What decides between items of the same leading bits.
    fn of(&self, item: u64) -> (u64, u64) {
        (key(self.values[item as u32 as usize]), item)
    }

    /// Sorts the items that have the same leading bits.
    fn settle(&self, items: &mut [u64], pace: &mut Pace<'_>) -> Result<(), Stopped> {
        let mut start = 0;
        while start < items.len() {
            let leading = items[start] >> LEADING;
            let mut end = start + 1;
            while end < items.len() && items[end] >> LEADING == leading {
                end += 1;
                pace.step()?;
            }
            pace.step()?;
            let alike = &mut items[start..end];
            if alike.len() > CHUNK {
                let settled = sorted(memory::copied(alike)?, |&a, &b| self.of(a).cmp(&self.of(b)), pace)?;
                alike.copy_from_slice(&settled);
            } else if alike.len() > 1 {
                alike.sort_unstable_by_key(|&item| self.of(item));
            }
            start = end;
        }
        Ok(())
    }
}

/// Sorts items by the digits above their rows, the lowest digit first; what shares a digit keeps its order.
fn by_digits(mut items: Vec<u64>, pace: &mut Pace<'_>) -> Result<Vec<u64>, Stopped> {
    let mut counts = memory::filled(DIGITS, [0u32; VALUES])?;
    for part in items.chunks(CHUNK) {
        for (place, counts) in counts.iter_mut().enumerate() {
            for &item in part {
                counts[digit(item, place)] += 1;
            }
        }
        pace.stride(part.len())?;
    }
    let mut other = memory::filled(items.len(), 0)?;
    for (place, counts) in counts.iter_mut().enumerate() {
        if counts[digit(items[0], place)] as usize == items.len() {
            continue; // all share this digit
        }
        let mut before = 0;
        for count in counts.iter_mut() {
            (*count, before) = (before, before + *count);
        }
        for part in items.chunks(CHUNK) {
            for &item in part {
                let next = &mut counts[digit(item, place)];
                other[*next as usize] = item;
                *next += 1;
            }
            pace.stride(part.len())?;
        }
        (items, other) = (other, items);
    }
    Ok(items)
}

#[inline(always)]
fn digit(item: u64, place: usize) -> usize {
    (item >> (LEADING + DIGIT * place as u32)) as usize % VALUES
}

const _: () = assert!(DIGIT * DIGITS as u32 >= LEADING);

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(values: &[f64]) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..values.len() as u32).collect();
        rows.sort_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]));
        rows
    }

    /// Numbers without a pattern.
    fn mixed(i: usize) -> u64 {
        let z = (i as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    /// What columns look like: of any bits, of a few values, near to each other, of which many are nearly equal, equal,
    /// sorted, and with all that is special.
    fn columns(n: usize) -> Vec<Vec<f64>> {
        let special =
            [0.0, -0.0, f64::INFINITY, -f64::INFINITY, f64::NAN, -f64::NAN, 5e-324, -5e-324, 1.0, f64::MAX];
        let column = |of: &dyn Fn(usize) -> f64| (0..n).map(of).collect();
        vec![
            column(&|i| f64::from_bits(mixed(i))),
            column(&|i| (mixed(i) % 7) as f64 - 3.0),
            column(&|i| (mixed(i) >> 11) as f64 / 9_007_199_254_740_992.0),
            column(&|i| 1.0 + (mixed(i) % 1000) as f64 * f64::EPSILON),
            column(&|i| if i == 1 { -1e300 } else { 1.0 + (mixed(i) % 100_000) as f64 * f64::EPSILON }),
            column(&|_| 2.5),
            column(&|i| i as f64),
            column(&|i| -(i as f64)),
            column(&|i| special[mixed(i) as usize % special.len()]),
            column(&|i| f64::from(f32::from_bits(mixed(i) as u32 & 0x7f7f_ffff))),
        ]
    }

    #[test]
    fn the_order_is_that_of_comparisons() {
        for n in [0, 1, 2, 3, 100, MANY - 1, MANY, MANY + 1, 5000, CHUNK + 3, 2 * CHUNK + 1] {
            for (kind, values) in columns(n).iter().enumerate() {
                let got = rows_by_value(values, &mut Pace::new(&mut |_| true)).unwrap();
                assert!(got == compared(values), "n = {n}, column {kind}");
            }
        }
    }

    #[test]
    fn a_key_has_its_value() {
        for column in columns(1000) {
            assert!(column.iter().all(|value| of_key(key(*value)).to_bits() == value.to_bits()));
        }
    }

    #[test]
    fn it_can_be_stopped() {
        let values: Vec<f64> = (0..100 * CHUNK).map(|i| mixed(i) as f64).collect();
        let got = rows_by_value(&values, &mut Pace::new(&mut |_| false));
        assert_eq!(got, Err(Stopped::Cancelled));
    }
}
