//! Logits as products, computed while they are read: hidden states times the weights of the vocabulary.
//!
//! A logit is the sum of `hidden[k] * weight[k]` by fused multiply-adds in the order of k, in stretches of [`STRETCH`]
//! that are added up one after another. So its bits do not depend on which logits are computed beside it, and its error
//! is at most about (STRETCH + length / STRETCH) roundings of the sum of |hidden[k] weight[k]|.
//!
//! The hidden states of [`PANEL`] rows lie side by side, so that one load gives the same element of many rows; an element
//! of a weight is multiplied with all of them at once. The sums of some classes and rows stay in registers.

use super::terms::Exponential;
use super::transform::{Steps, Transform};
use crate::grid::{Progress, Stopped, fill_chunks};
use crate::memory::{self, NoMemory};
use crate::rows::{MadeRows, Rows};
use crate::simd::{Element, Isa, Kernel, dispatch};
use std::ops::Range;

/// Rows that lie side by side.
const PANEL: usize = 32;
/// Panels that use the same converted weights.
const PANELS: usize = 2;
/// Classes that are multiplied together.
const GROUP: usize = 12;
/// Products that are summed before they are added to the sum of the ones before.
const STRETCH: usize = 256;
/// A distance between converted weights at which their cache lines do not compete for the same place.
const APART: usize = STRETCH + 16;

/// Some rows of hidden states in panels: element k of all rows of a panel, then element k + 1 of all.
pub struct Packed<R> {
    panels: Vec<R>,
    rows: usize,
    length: usize,
}

impl<R: Exponential> Packed<R> {
    /// Packs these rows. The last panel is filled up with zeros.
    pub fn new<T: Element>(hidden: &dyn Rows<T>, rows: &[usize]) -> Result<Self, NoMemory> {
        let length = hidden.width();
        let size = (PANEL * length).max(1);
        let mut panels = memory::filled(rows.len().div_ceil(PANEL).saturating_mul(size), R::default())?;
        for (panel, rows) in panels.chunks_mut(size).zip(rows.chunks(PANEL)) {
            for (place, &row) in rows.iter().enumerate() {
                dispatch(Pack { from: hidden.row(row), place, panel });
            }
        }
        Ok(Packed { panels, rows: rows.len(), length })
    }

    /// The bytes of a packed row of that many elements.
    pub const fn row_bytes(length: usize) -> usize {
        length * size_of::<R>()
    }

    /// Elements `depth` of the panel that has this row.
    fn panel(&self, row: usize, depth: Range<usize>) -> &[R] {
        let start = row / PANEL * PANEL * self.length;
        &self.panels[start + depth.start * PANEL..start + depth.end * PANEL]
    }
}

/// Puts a row in its place in a panel.
struct Pack<'a, T, R> {
    from: &'a [T],
    place: usize,
    panel: &'a mut [R],
}

impl<T: Element, R: Exponential> Kernel for Pack<'_, T, R> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (elements, x) in self.panel.chunks_exact_mut(PANEL).zip(self.from) {
            elements[self.place] = R::widen(*x);
        }
    }
}

/// The logits of packed rows: their products with the weights of each class, transformed.
pub struct Product<'a, U, R> {
    hidden: Packed<R>,
    weight: &'a dyn Rows<U>,
    steps: &'a Steps<R>,
}

impl<'a, U: Element, R: Exponential> Product<'a, U, R> {
    /// The products of packed rows and of weights, which must be as long.
    pub fn new(hidden: Packed<R>, weight: &'a dyn Rows<U>, steps: &'a Steps<R>) -> Self {
        Product { hidden, weight, steps }
    }
}

impl<U: Element, R: Exponential> MadeRows<R> for Product<'_, U, R> {
    fn count(&self) -> usize {
        self.hidden.rows
    }

    fn width(&self) -> usize {
        self.weight.count()
    }

    fn together(&self) -> usize {
        PANELS * PANEL
    }

    fn shares(&self) -> bool {
        true
    }

    fn make(&self, rows: &[usize], columns: Range<usize>, mut tile: &mut [R]) {
        let mut panels = rows.chunk_by(|a, b| a / PANEL == b / PANEL);
        loop {
            let mut some = [&[][..]; PANELS];
            for (rows, panel) in some.iter_mut().zip(&mut panels) {
                *rows = panel;
            }
            let count: usize = some.iter().map(|rows| rows.len()).sum();
            if count == 0 {
                break;
            }
            let (these, rest) = tile.split_at_mut(count * columns.len());
            dispatch(Multiply { product: self, rows: some, columns: columns.clone(), tile: these });
            tile = rest;
        }
    }
}

/// Writes all products of the rows of `a` with those of `b`, which are as long, one row of `a` after another. `progress`
/// gets the number of bands of 64 rows done.
pub fn products<T: Element, U: Element, R: Exponential>(
    a: &dyn Rows<T>,
    b: &dyn Rows<U>,
    to: &mut [R],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let steps = Steps::new(Transform::default())?;
    let (rows, width) = (memory::gathered(0..a.count())?, b.count());
    let product = Product::new(Packed::new(a, &rows)?, b, &steps);
    let bands =
        memory::collected(rows.chunks(PANELS * PANEL).zip(to.chunks_mut(PANELS * PANEL * width.max(1))))?;
    // A product of two elements takes about as long as a byte.
    let bytes = rows.len().saturating_mul(width).saturating_mul(a.width());
    fill_chunks(bands, bytes, progress, |_, (rows, to)| product.make(rows, 0..width, to))?;
    Ok(())
}

/// Computes the logits `columns` of the rows of two panels.
struct Multiply<'a, U, R> {
    product: &'a Product<'a, U, R>,
    rows: [&'a [usize]; PANELS],
    columns: Range<usize>,
    tile: &'a mut [R],
}

/// Weights of some classes, converted.
type Converted<R> = [[R; APART]; GROUP];
/// Sums for each of some classes and each row of a panel.
type Sums<R> = [[R; PANEL]; GROUP];

impl<U: Element, R: Exponential> Kernel for Multiply<'_, U, R> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Multiply { product, rows, columns, tile } = self;
        let Product { hidden, weight, steps } = product;
        let (length, width) = (hidden.length, columns.len());
        let mut converted = [[R::default(); APART]; GROUP];
        for start in columns.clone().step_by(GROUP) {
            let classes = start..columns.end.min(start + GROUP);
            let mut sums = [[[R::default(); PANEL]; GROUP]; PANELS];
            for depth in (0..length).step_by(STRETCH).map(|k| k..length.min(k + STRETCH)) {
                for (to, class) in converted.iter_mut().zip(classes.clone()) {
                    convert(&weight.row(class)[depth.clone()], to);
                }
                for (rows, sums) in rows.iter().zip(&mut sums) {
                    if let Some(&row) = rows.first() {
                        multiply::<I, R>(hidden.panel(row, depth.clone()), &converted, sums);
                    }
                }
            }
            let mut tiles = tile.chunks_exact_mut(width);
            for (rows, sums) in rows.iter().zip(&sums) {
                for (row, tile) in rows.iter().zip(&mut tiles) {
                    let to = &mut tile[start - columns.start..][..classes.len()];
                    for (to, sums) in to.iter_mut().zip(sums) {
                        *to = sums[row % PANEL];
                    }
                }
            }
        }
        for tile in tile.chunks_exact_mut(width) {
            steps.apply::<I>(tile, columns.start);
        }
    }
}

/// Converts a stretch of the weights of one class.
#[inline(always)]
fn convert<U: Element, R: Exponential>(from: &[U], to: &mut [R; APART]) {
    for (to, x) in to.iter_mut().zip(from) {
        *to = R::widen(*x);
    }
}

/// Adds the products of a stretch of a panel and of converted weights to the sums.
#[inline(always)]
fn multiply<I: Isa, R: Exponential>(panel: &[R], weights: &Converted<R>, sums: &mut Sums<R>) {
    // So many sums that they, some elements of the panel and one of a weight fill the registers.
    match I::REGISTER / size_of::<R>() {
        16.. => tiles::<I, R, 12, 32>(panel, weights, sums),
        8.. => tiles::<I, R, 6, 16>(panel, weights, sums),
        _ => tiles::<I, R, 6, 8>(panel, weights, sums),
    }
}

/// The same in tiles of `J` classes and `T` rows.
#[inline(always)]
fn tiles<I: Isa, R: Exponential, const J: usize, const T: usize>(
    panel: &[R],
    weights: &Converted<R>,
    sums: &mut Sums<R>,
) {
    let (panel, _) = panel.as_chunks::<PANEL>();
    for class in (0..GROUP).step_by(J) {
        for row in (0..PANEL).step_by(T) {
            let mut of_class: [&[R]; J] = [&[]; J];
            for j in 0..J {
                of_class[j] = &weights[class + j][..panel.len()];
            }
            let mut tile = [[R::default(); T]; J];
            for k in 0..panel.len() {
                let mut elements = [R::default(); T];
                #[allow(clippy::manual_memcpy)] // which would be a call where std is not inlined
                for i in 0..T {
                    elements[i] = panel[k][row + i];
                }
                for j in 0..J {
                    // A value that replaces another, so that the compiler keeps all of the tile in registers.
                    tile[j] = add_products::<I, R, T>(elements, of_class[j][k], tile[j]);
                }
            }
            for j in 0..J {
                for i in 0..T {
                    sums[class + j][row + i] = sums[class + j][row + i] + tile[j][i];
                }
            }
        }
    }
}

/// `sums` plus the product of each element with `weight`.
#[inline(always)]
fn add_products<I: Isa, R: Exponential, const T: usize>(
    elements: [R; T],
    weight: R,
    mut sums: [R; T],
) -> [R; T] {
    for i in 0..T {
        sums[i] = R::fma::<I>(elements[i], weight, sums[i]);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Table;
    use crate::simd::{Bf16, Level, force};

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 2003.0 - 0.5).collect()
    }

    /// The sum of products in the order that is promised.
    fn logit(a: &[f32], b: &[f32]) -> f32 {
        let stretches = a.chunks(STRETCH).zip(b.chunks(STRETCH));
        stretches.fold(0.0, |sum, (a, b)| sum + a.iter().zip(b).fold(0.0, |sum, (&a, &b)| a.mul_add(b, sum)))
    }

    #[test]
    fn every_logit_has_the_bits_of_its_formula_in_whatever_tile_it_is_computed() {
        for (count, classes, length) in [(1, 1, 1), (3, 13, 5), (70, 40, 300), (33, 25, 1030)] {
            let (hidden, weight) = (numbers(count * length, 1), numbers(classes * length, 2));
            let [h, w] = [&hidden, &weight].map(|data| Table::new(data, length).unwrap());
            let rows: Vec<usize> = (0..count).rev().collect();
            let steps = Steps::new(Transform::default()).unwrap();
            let expected = |row: usize, class: usize| logit(h.row(rows[row]), w.row(class)).to_bits();
            for level in Level::ALL.map(Some).into_iter().filter(|&level| force(level)) {
                let product = Product::new(Packed::<f32>::new(&h, &rows).unwrap(), &w, &steps);
                let some: Vec<usize> = (0..count).filter(|row| row % 5 != 3).collect();
                for (rows, columns) in [(&some[..], 0..classes), (&some[..1], classes / 2..classes / 2 + 1)] {
                    let mut tile = vec![f32::NAN; rows.len() * columns.len()];
                    product.make(rows, columns.clone(), &mut tile);
                    let cells = rows.iter().flat_map(|&row| columns.clone().map(move |class| (row, class)));
                    for (got, (row, class)) in tile.iter().zip(cells) {
                        assert_eq!(got.to_bits(), expected(row, class), "{level:?} {row} {class} {length}");
                    }
                }
            }
            force(None);
        }
    }

    #[test]
    fn all_products_are_those_of_each_row_with_each_other_one() {
        for (count, others, length) in [(1, 1, 1), (130, 13, 300), (64, 70, 5), (0, 3, 2)] {
            let (a, b) = (numbers(count * length, 5), numbers(others * length, 6));
            let [x, y] = [&a, &b].map(|data| Table::new(data, length).unwrap());
            let mut got = vec![f32::NAN; count * others];
            products::<f32, f32, f32>(&x, &y, &mut got, &mut |_| true).unwrap();
            let cells = (0..count).flat_map(|i| (0..others).map(move |j| (i, j)));
            assert!(cells.zip(&got).all(|((i, j), got)| logit(x.row(i), y.row(j)) == *got));
        }
        let (a, mut to) = (numbers(3_000_000, 5), vec![0.0; 9_000_000]);
        let (x, y) = (Table::new(&a, 1000).unwrap(), Table::new(&a, 1000).unwrap());
        assert_eq!(products::<f32, f32, f32>(&x, &y, &mut to, &mut |_| false), Err(Stopped::Cancelled));
    }

    #[test]
    fn weights_of_16_bits_are_widened_first() {
        let hidden = numbers(40 * 17, 3);
        let half: Vec<Bf16> = numbers(5 * 17, 4).iter().map(|&x| Bf16::from_f32(x)).collect();
        let wide: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
        let (h, narrow, w) = (
            Table::new(&hidden, 17).unwrap(),
            Table::new(&half, 17).unwrap(),
            Table::new(&wide, 17).unwrap(),
        );
        let rows: Vec<usize> = (0..40).collect();
        let steps = Steps::new(Transform { scale: Some(0.5), ..Transform::default() }).unwrap();
        let (mut got, mut want) = (vec![0.0; 200], vec![0.0; 200]);
        Product::new(Packed::<f32>::new(&h, &rows).unwrap(), &narrow, &steps).make(&rows, 0..5, &mut got);
        Product::new(Packed::<f32>::new(&h, &rows).unwrap(), &w, &steps).make(&rows, 0..5, &mut want);
        assert_eq!(got, want);
        assert_eq!(got[7], 0.5 * logit(h.row(1), w.row(2)));
    }
}
