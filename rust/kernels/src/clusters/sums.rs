//! The exact sum of the values of each cluster.

use crate::exact::{Packed, Units};
use crate::grid::{self, CHUNK, Progress, Stopped, chunk, chunks, each_chunk, map_chunks};
use crate::memory::{self, NoMemory};
use crate::simd::Element;

/// The fewest rows that get a table of their own, and how many rows there are for each entry of it.
const PIECE: usize = 1 << 17;
const PER_ENTRY: usize = 4;

/// The number of rows of each cluster. The codes lie inside `0..clusters`.
pub(crate) fn sizes(codes: &[i64], clusters: usize, progress: Progress<'_>) -> Result<Vec<u64>, Stopped> {
    let mut sizes = memory::filled(clusters, 0u64)?;
    each_chunk(chunks(codes.len(), CHUNK), progress, |index| {
        for &code in &codes[chunk(index, codes.len(), CHUNK)] {
            sizes[code as usize] += 1;
        }
    })?;
    Ok(sizes)
}

/// The exact sum of each cluster. The codes lie inside `0..clusters`, and the values are finite.
///
/// Values that lie within few binary orders are whole multiples of one unit, and each is added to the entry of its cluster
/// in a table; others are put in the order of their clusters first.
pub(crate) fn exact_sums<T: Element>(
    x: &[T],
    codes: &[i64],
    clusters: usize,
    progress: Progress<'_>,
) -> Result<Vec<Packed>, Stopped> {
    let found = map_chunks(chunks(x.len(), CHUNK), size_of_val(x), &mut *progress, |index| {
        Units::of(x[chunk(index, x.len(), CHUNK)].iter().map(|x| x.to_f64()))
    })?;
    match found.into_iter().reduce(Units::with) {
        None => Ok(memory::filled(clusters, Packed::default())?),
        Some(units) if units.hold(x.len()) => by_table(x, codes, clusters, units, progress),
        Some(_) => by_order(x, codes, clusters, progress),
    }
}

fn by_table<T: Element>(
    x: &[T],
    codes: &[i64],
    clusters: usize,
    units: Units,
    progress: Progress<'_>,
) -> Result<Vec<Packed>, Stopped> {
    let piece = PIECE.max(PER_ENTRY * clusters);
    let tables = map_chunks(chunks(x.len(), piece), size_of_val(x) * 8, &mut *progress, |index| {
        let rows = chunk(index, x.len(), piece);
        let mut table = memory::filled(clusters, 0i128)?;
        for (x, &code) in x[rows.clone()].iter().zip(&codes[rows]) {
            table[code as usize] += units.count(x.to_f64());
        }
        Ok::<_, NoMemory>(table)
    })?;
    let mut tables = tables.into_iter();
    let mut sums = tables.next().unwrap_or(Ok(Vec::new()))?;
    for table in tables {
        for (sum, part) in sums.iter_mut().zip(table?) {
            *sum += part;
        }
    }
    let each = CHUNK / 16;
    let parts = map_chunks(chunks(clusters, each), clusters * 256, progress, |index| {
        memory::collected(sums[chunk(index, clusters, each)].iter().map(|&sum| units.packed(sum)))
    })?;
    Ok(memory::joined(parts)?)
}

/// By counting sort, so that each thread needs only one superaccumulator, of half a kilobyte, at a time.
fn by_order<T: Element>(
    x: &[T],
    codes: &[i64],
    clusters: usize,
    progress: Progress<'_>,
) -> Result<Vec<Packed>, Stopped> {
    // starts[code + 1] first counts the rows of the cluster `code`; summed up, starts[code] is where its rows begin.
    let mut starts = memory::filled(clusters + 1, 0usize)?;
    let mut ordered = memory::filled(x.len(), 0.0)?;
    let strides = chunks(x.len(), CHUNK);
    each_chunk(strides, &mut *progress, |index| {
        chunk(index, x.len(), CHUNK).for_each(|i| starts[codes[i] as usize + 1] += 1);
    })?;
    (0..clusters).for_each(|code| starts[code + 1] += starts[code]);
    let mut next = memory::copied(&starts[..clusters])?;
    each_chunk(strides, &mut *progress, |index| {
        for i in chunk(index, x.len(), CHUNK) {
            let place = &mut next[codes[i] as usize];
            ordered[*place] = x[i].to_f64();
            *place += 1;
        }
    })?;
    let each = CHUNK.div_ceil(16);
    let parts = map_chunks(grid::chunks(clusters, each), size_of_val(x) * 8, progress, |index| {
        memory::collected(
            chunk(index, clusters, each).map(|code| Packed::of(&ordered[starts[code]..starts[code + 1]])),
        )
    })?;
    Ok(memory::joined(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_order_give_the_sums_of_each_cluster() {
        let codes: Vec<i64> = (0..300_000i64).map(|i| (i * i + i / 5) % 37).collect();
        for scale in [1.0, 1e-200] {
            let x: Vec<f64> = (0..300_000u64)
                .map(|i| {
                    let x = (i.wrapping_mul(2_654_435_761) % 1009) as f64 * 0.37 - 100.0;
                    if i % 11 == 0 { x * scale } else { x }
                })
                .collect();
            let found = exact_sums(&x, &codes, 40, &mut |_| true).unwrap();
            let sizes = sizes(&codes, 40, &mut |_| true).unwrap();
            for (code, sum) in found.iter().enumerate() {
                let own: Vec<f64> =
                    x.iter().zip(&codes).filter(|(_, c)| **c == code as i64).map(|(x, _)| *x).collect();
                assert_eq!(sum, &Packed::of(&own), "{scale} {code}");
                assert_eq!(sizes[code], own.len() as u64);
            }
        }
    }
}
