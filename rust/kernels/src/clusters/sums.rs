//! The exact sum of the values of each cluster.

use crate::exact::{Packed, Sum, Units};
use crate::grid::{self, CHUNK, Progress, Stopped, chunk, chunks, each_chunk, map_chunks};
use crate::memory::{self, NoMemory};
use crate::simd::Element;

/// The fewest rows that get a table of their own, and how many rows there are for each entry of it.
const PIECE: usize = 1 << 15;
const PER_ENTRY: usize = 16;
/// The most rows of a table without more of them for its entries: a thread adds them within some 20 ms.
const LONG: usize = 1 << 22;
/// The most columns of a table.
const TOGETHER: usize = 3;

/// What is known of the rows of each cluster: their number, and for each column their exact sum.
pub(crate) struct ClusterTotals {
    clusters: usize,
    tables: Vec<Table>,
    columns: Vec<Column>,
}

/// Where the sums of a column are.
enum Column {
    /// In a table, in these units.
    Tabled { table: usize, place: usize, units: Units },
    /// Here, since its values lie too far apart.
    Ordered(Vec<Packed>),
}

impl ClusterTotals {
    /// The number of clusters, some of which may have no row.
    pub(crate) fn len(&self) -> usize {
        self.clusters
    }

    /// The number of rows of a cluster.
    pub(crate) fn rows(&self, cluster: usize) -> u64 {
        self.tables.first().map_or(0, |table| table.rows(cluster))
    }

    /// The sum of a column over all rows.
    pub(crate) fn total(&self, column: usize) -> Packed {
        match &self.columns[column] {
            Column::Tabled { table, place, units } => {
                let sums = (0..self.clusters).map(|cluster| self.tables[*table].sum(cluster, *place));
                // Without overflow, except where somebody else changes the values meanwhile.
                units.packed(sums.fold(0, i128::wrapping_add))
            }
            Column::Ordered(sums) => {
                let mut all = Sum::new();
                for sum in sums {
                    all.merge(sum);
                }
                all.packed()
            }
        }
    }

    /// The sum of a column over the rows of a cluster.
    pub(crate) fn sum(&self, column: usize, cluster: usize) -> Packed {
        match &self.columns[column] {
            Column::Tabled { table, place, units } => units.packed(self.tables[*table].sum(cluster, *place)),
            Column::Ordered(sums) => sums[cluster].clone(),
        }
    }
}

/// The binary orders of a column of finite values.
pub(crate) fn units_of<T: Element>(x: &[T], progress: Progress<'_>) -> Result<Units, Stopped> {
    let found = map_chunks(chunks(x.len(), CHUNK), size_of_val(x), progress, |index| {
        Units::of(x[chunk(index, x.len(), CHUNK)].iter().map(|x| x.to_f64()))
    })?;
    Ok(found.into_iter().fold(Units::NONE, Units::with))
}

/// The exact sums of each cluster. The codes lie inside `0..clusters`, and the values are finite and of these units.
///
/// Values that lie within few binary orders are whole multiples of one unit, and each is added to the entry of its cluster
/// in a table; others are put in the order of their clusters first.
pub(crate) fn exact_sums<T: Element>(
    columns: &[(&[T], Units)],
    codes: &[i64],
    clusters: usize,
    progress: Progress<'_>,
) -> Result<ClusterTotals, Stopped> {
    let narrow: Vec<_> = columns.iter().filter(|(_, units)| units.hold(codes.len())).copied().collect();
    // Fewer columns in a table where there would be fewer tables than threads.
    let together = narrow.len().div_ceil(grid::threads()).clamp(1, TOGETHER);
    let tables = by_tables(&narrow, together, codes, clusters, &mut *progress)?;
    let (mut found, mut tabled) = (memory::with_capacity(columns.len())?, 0);
    for &(x, units) in columns {
        found.push(if units.hold(codes.len()) {
            tabled += 1;
            Column::Tabled { table: (tabled - 1) / together, place: (tabled - 1) % together, units }
        } else {
            Column::Ordered(by_order(x, codes, clusters, &mut *progress)?)
        });
    }
    Ok(ClusterTotals { clusters, tables, columns: found })
}

/// Tables of up to `together` columns, to which each row was added at the entry of its cluster; one table without columns
/// where there is no column.
fn by_tables<T: Element>(
    columns: &[(&[T], Units)],
    together: usize,
    codes: &[i64],
    clusters: usize,
    progress: Progress<'_>,
) -> Result<Vec<Table>, Stopped> {
    let tables = columns.len().div_ceil(together).max(1);
    // As few pieces as there is work for all threads: each costs a table.
    let share = codes.len().div_ceil(grid::threads().div_ceil(tables));
    let piece = share.clamp(PIECE, LONG).max(PER_ENTRY * clusters);
    let pieces = chunks(codes.len(), piece).max(1);
    let work = size_of_val(codes) * (tables + 4 * columns.len());
    let parts = map_chunks(tables * pieces, work, progress, |index| {
        let rows = chunk(index % pieces, codes.len(), piece);
        let own = columns.chunks(together).nth(index / pieces).unwrap_or_default();
        let mut table = Table::new(own.len(), clusters)?;
        let codes = &codes[rows.clone()];
        let cut = |k: usize| (&own[k].0[rows.clone()], own[k].1);
        match own {
            [] => table.add::<T, 0>([], codes),
            [_] => table.add([cut(0)], codes),
            [_, _] => table.add([0, 1].map(cut), codes),
            [_, _, _, ..] => table.add([0, 1, 2].map(cut), codes),
        }
        Ok::<_, NoMemory>(table)
    })?;
    let mut all: Vec<Table> = memory::with_capacity(tables)?;
    for (index, part) in parts.into_iter().enumerate() {
        let part = part?;
        match all.get_mut(index / pieces) {
            Some(table) => table.merge(&part),
            None => all.push(part),
        }
    }
    Ok(all)
}

/// For each cluster its number of rows and its sums, in one place, so that a row touches one or two lines of the cache.
/// A sum has two words, the lower one first.
struct Table {
    columns: usize,
    words: Vec<u64>,
}

/// The sum in two words.
#[inline(always)]
fn joined(words: &[u64]) -> i128 {
    (u128::from(words[1]) << 64 | u128::from(words[0])).cast_signed()
}

#[inline(always)]
fn add_to(words: &mut [u64], number: i128) {
    let sum = joined(words).wrapping_add(number);
    (words[0], words[1]) = (sum as u64, (sum >> 64) as u64);
}

impl Table {
    fn new(columns: usize, clusters: usize) -> Result<Self, NoMemory> {
        Ok(Table { columns, words: memory::filled(clusters * (1 + 2 * columns), 0)? })
    }

    fn entry(&self, cluster: usize) -> &[u64] {
        let stride = 1 + 2 * self.columns;
        &self.words[cluster * stride..][..stride]
    }

    fn rows(&self, cluster: usize) -> u64 {
        self.entry(cluster)[0]
    }

    fn sum(&self, cluster: usize, place: usize) -> i128 {
        joined(&self.entry(cluster)[1 + 2 * place..])
    }

    /// Adds rows; K is the number of columns.
    fn add<T: Element, const K: usize>(&mut self, columns: [(&[T], Units); K], codes: &[i64]) {
        let columns = columns.map(|(x, units)| (&x[..codes.len()], units));
        let stride = 1 + 2 * K;
        for (row, &code) in codes.iter().enumerate() {
            let entry = &mut self.words[code as usize * stride..][..stride];
            entry[0] += 1;
            for (k, (x, units)) in columns.iter().enumerate() {
                add_to(&mut entry[1 + 2 * k..][..2], units.count(x[row].to_f64()));
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        let stride = 1 + 2 * self.columns;
        for (entry, own) in self.words.chunks_exact_mut(stride).zip(other.words.chunks_exact(stride)) {
            entry[0] += own[0];
            for (sum, own) in entry[1..].chunks_exact_mut(2).zip(own[1..].chunks_exact(2)) {
                add_to(sum, joined(own));
            }
        }
    }
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
            // Five columns, of which a table holds three.
            let x: Vec<f64> = (0..300_000u64)
                .map(|i| {
                    let x = (i.wrapping_mul(2_654_435_761) % 1009) as f64 * 0.37 - 100.0;
                    if i % 11 == 0 { x * scale } else { x }
                })
                .collect();
            let other: Vec<f64> = x.iter().map(|x| x.trunc()).collect();
            let columns = [&x[..], &other[..], &other[..], &x[..], &other[..]]
                .map(|x| (x, units_of(x, &mut |_| true).unwrap()));
            let found = exact_sums(&columns, &codes, 40, &mut |_| true).unwrap();
            for code in 0..40 {
                for (k, (x, _)) in columns.iter().enumerate() {
                    let own: Vec<f64> =
                        x.iter().zip(&codes).filter(|(_, c)| **c == code as i64).map(|(x, _)| *x).collect();
                    assert_eq!(found.sum(k, code), Packed::of(&own), "{scale} {code}");
                    assert_eq!(found.rows(code), own.len() as u64);
                }
            }
            for (k, (x, _)) in columns.iter().enumerate() {
                assert_eq!(found.total(k), Packed::of(x), "{scale}");
            }
        }
    }
}
