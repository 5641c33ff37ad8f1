//! One step over many tensors, in one parallel region.

use super::gauge::gauged;
use super::hyper::Hyper;
use super::norm::NonFinite;
use super::row::{Part, Row, Span, Tiles};
use super::rules::{Choose, Prepared};
use super::torch;
use super::units::Units;
use super::watch::{Change, Found, Sums, Total, watched};
use crate::dtype::{Dtype, Listed};
use crate::grid::{CHUNK, chunk, chunks, map_chunks, unwatched, write_chunks};
use crate::memory::{self, NoMemory};
use crate::simd::{Bf16, Bf16Pair, Isa, Kernel, dispatch, scalar};
use std::marker::PhantomData;
use std::ops::Range;

/// What a span belongs to.
#[derive(Clone, Copy)]
struct Of {
    /// The index of its [`Hyper`].
    hyper: u32,
    /// The number of its row.
    row: u32,
}

type Spans<'a, E> = Vec<(Span<'a, E>, Of)>;

/// One unit of work. Where every array of a row has the type of the computation the rule works on the arrays
/// themselves. Other rows are computed tile by tile.
enum Work<'a> {
    Single(Spans<'a, f32>),
    Double(Spans<'a, f64>),
    SingleTiles(Vec<Part<'a>>),
    DoubleTiles(Vec<Part<'a>>),
}

/// A unit of a step that is not watched: some rules work on arrays themselves also where all of them are bf16. Their
/// loop would not be vectorized with a place to store the changes, and would take several times as long as the way
/// through buffers.
enum Unwatched<'a> {
    Any(Work<'a>),
    Brain(Spans<'a, Bf16>),
}

/// The rows of a call, divided into spans and sorted by the way in which they are computed.
struct Sorted<'a> {
    single: Units<(Span<'a, f32>, Of)>,
    double: Units<(Span<'a, f64>, Of)>,
    single_tiles: Units<Part<'a>>,
    double_tiles: Units<Part<'a>>,
}

impl<'a> Sorted<'a> {
    fn new() -> Self {
        Sorted {
            single: Units::new(CHUNK),
            double: Units::new(CHUNK),
            single_tiles: Units::new(CHUNK),
            double_tiles: Units::new(CHUNK),
        }
    }

    fn push(&mut self, row: Row<'a>, number: u32, options: &Options<'_>) {
        let mut left = Some(row);
        if left.as_ref().is_some_and(|row| options.direct(row)) {
            left = left.and_then(|row| taken(row, number, &mut self.single));
            left = left.and_then(|row| taken(row, number, &mut self.double));
        }
        if let Some(row) = left {
            let tiles = if row.is_double() { &mut self.double_tiles } else { &mut self.single_tiles };
            Part::parts(row, number, |part| tiles.push(part.row.len(), part));
        }
    }

    fn elements(&self) -> usize {
        let direct = self.single.elements() + self.double.elements();
        direct + self.single_tiles.elements() + self.double_tiles.elements()
    }

    fn finish(self) -> Result<Vec<Work<'a>>, NoMemory> {
        let (single, double) = (self.single.finish()?, self.double.finish()?);
        let (single_tiles, double_tiles) = (self.single_tiles.finish()?, self.double_tiles.finish()?);
        let tiles = single_tiles.len() + double_tiles.len();
        let mut work = memory::with_capacity(single.len() + double.len() + tiles)?;
        work.extend(single.into_iter().map(Work::Single));
        work.extend(double.into_iter().map(Work::Double));
        work.extend(single_tiles.into_iter().map(Work::SingleTiles));
        work.extend(double_tiles.into_iter().map(Work::DoubleTiles));
        Ok(work)
    }
}

/// Adds the spans of a row to `units` if its arrays are all stored as `E`; otherwise gives it back.
fn taken<'a, E: Listed>(row: Row<'a>, number: u32, units: &mut Units<(Span<'a, E>, Of)>) -> Option<Row<'a>> {
    if !row.lies_as::<E>() {
        return Some(row);
    }
    let of = Of { hyper: row.hyper as u32, row: number };
    if let Some(span) = row.own::<E>() {
        span.spans(|span| units.push(span.param.len(), (span, of)));
    }
    None
}

/// A step's options, with the scalars that follow from them.
struct Options<'h> {
    hypers: &'h [Hyper],
    rules: Vec<Prepared>,
}

impl<'h> Options<'h> {
    fn of(hypers: &'h [Hyper]) -> Result<Self, NoMemory> {
        Ok(Options { hypers, rules: memory::collected(hypers.iter().map(Prepared::of))? })
    }

    /// Whether the gradient of a row is neither divided nor rounded.
    fn direct(&self, row: &Row<'_>) -> bool {
        let hyper = &self.hypers[row.hyper];
        hyper.grad_scale == 1.0 && hyper.grad_factor == 1.0
    }
}

impl Work<'_> {
    /// Updates the elements of the unit. Each way is a kernel of its own, so that only those that need tiles have
    /// buffers for them on their stack: where memory is limited, a stack may be unable to grow.
    fn run(self, options: &Options<'_>) {
        match self {
            Work::Single(spans) => dispatch(InPlace { spans, options }),
            Work::Double(spans) => dispatch(InPlace { spans, options }),
            Work::SingleTiles(parts) => dispatch(Tiled::<f32> { parts, options, compute: PhantomData }),
            Work::DoubleTiles(parts) => dispatch(Tiled::<f64> { parts, options, compute: PhantomData }),
        }
    }

    /// How many spans it has.
    fn len(&self) -> usize {
        match self {
            Work::Single(spans) => spans.len(),
            Work::Double(spans) => spans.len(),
            Work::SingleTiles(parts) | Work::DoubleTiles(parts) => parts.len(),
        }
    }

    /// Updates the elements of the unit, and returns what was found of each span in `found`, which has room for it.
    fn watched(self, options: &Options<'_>, gradients: bool, found: Vec<Found>) -> Vec<Found> {
        let watch = Watch { options, gradients, found };
        match self {
            Work::Single(spans) => dispatch(Watched(spans, watch)),
            Work::Double(spans) => dispatch(Watched(spans, watch)),
            Work::SingleTiles(parts) => dispatch(WatchedTiles::<f32>(parts, watch, PhantomData)),
            Work::DoubleTiles(parts) => dispatch(WatchedTiles::<f64>(parts, watch, PhantomData)),
        }
    }
}

/// What is found while a unit is updated.
struct Watch<'h> {
    options: &'h Options<'h>,
    gradients: bool,
    found: Vec<Found>,
}

/// [`InPlace`], watched.
struct Watched<'a, 'h, T>(Spans<'a, T>, Watch<'h>);

impl<T: Choose> Kernel for Watched<'_, '_, T> {
    type Out = Vec<Found>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Vec<Found> {
        let Watched(spans, Watch { options, gradients, mut found }) = self;
        for (span, of) in spans {
            let mut sums = Sums::new(gradients);
            watched::<T, I>(span, &options.rules[of.hyper as usize], &mut sums);
            found.push(sums.found(of.row));
        }
        found
    }
}

/// [`Tiled`], watched.
struct WatchedTiles<'a, 'h, T>(Vec<Part<'a>>, Watch<'h>, PhantomData<T>);

impl<T: Choose> Kernel for WatchedTiles<'_, '_, T> {
    type Out = Vec<Found>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Vec<Found> {
        let WatchedTiles(parts, Watch { options: Options { hypers, rules }, gradients, mut found }, _) = self;
        let mut tiles = Tiles::<T>::new();
        for part in parts {
            let (hyper, number, mut sums) = (part.row.hyper, part.number, Sums::new(gradients));
            part.watched::<T, I>(&rules[hyper], &hypers[hyper], &mut tiles, &mut sums);
            found.push(sums.found(number));
        }
        found
    }
}

/// The update of arrays that have the type of the computation.
struct InPlace<'a, 'h, T> {
    spans: Spans<'a, T>,
    options: &'h Options<'h>,
}

impl<T: Choose> Kernel for InPlace<'_, '_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (span, of) in self.spans {
            self.options.rules[of.hyper as usize].update::<T, I>(span);
        }
    }
}

/// The update of arrays of bf16, which the rule converts.
struct Converted<'a, 'h> {
    spans: Spans<'a, Bf16>,
    options: &'h Options<'h>,
}

impl Kernel for Converted<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (span, of) in self.spans {
            let rule = &self.options.rules[of.hyper as usize];
            let (pairs, rest) = span.pairs();
            if let Some(pairs) = pairs {
                rule.convert::<f32, Bf16Pair, 2, I>(pairs);
            }
            rule.convert::<f32, Bf16, 1, I>(rest);
        }
    }
}

/// The update of arrays of any types, tile by tile, computed in `T`.
struct Tiled<'a, 'h, T> {
    parts: Vec<Part<'a>>,
    options: &'h Options<'h>,
    compute: PhantomData<T>,
}

impl<T: Choose> Kernel for Tiled<'_, '_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Options { hypers, rules } = self.options;
        let mut tiles = Tiles::new();
        for part in self.parts {
            let hyper = part.row.hyper;
            part.update::<T, I>(&rules[hyper], &hypers[hyper], &mut tiles);
        }
    }
}

/// One step over all rows, in one parallel region. It cannot be interrupted: a step is made completely or, where there
/// is no memory, not begun. `row.hyper` of each row is an index into `hypers`.
pub fn step<'a>(rows: impl IntoIterator<Item = Row<'a>>, hypers: &[Hyper]) -> Result<(), NoMemory> {
    if hypers.iter().any(|hyper| hyper.torch) {
        let (rows, hypers) = torch::divided(rows, hypers)?;
        return update(rows, &hypers);
    }
    if !hypers.iter().any(Hyper::is_gauged) {
        return update(rows, hypers);
    }
    let mut rows = memory::gathered(rows.into_iter())?;
    let hypers = gauged(&mut rows, hypers)?;
    update(rows, &hypers)
}

/// The step itself, in one parallel region.
fn update<'a>(rows: impl IntoIterator<Item = Row<'a>>, hypers: &[Hyper]) -> Result<(), NoMemory> {
    let options = Options::of(hypers)?;
    let (mut sorted, mut brain) = (Sorted::new(), Units::new(CHUNK));
    for (number, row) in rows.into_iter().enumerate() {
        let (number, converts) = (number as u32, options.rules[row.hyper].converts());
        let converts = converts && options.direct(&row);
        let left = if converts { taken(row, number, &mut brain) } else { Some(row) };
        if let Some(row) = left {
            sorted.push(row, number, &options);
        }
    }
    let bytes = (sorted.elements() + brain.elements()) * 28;
    let (others, brain) = (sorted.finish()?, brain.finish()?);
    let mut work = memory::with_capacity(others.len() + brain.len())?;
    work.extend(others.into_iter().map(Unwatched::Any));
    work.extend(brain.into_iter().map(Unwatched::Brain));
    write_chunks(work, bytes, |_, work| match work {
        Unwatched::Any(work) => work.run(&options),
        Unwatched::Brain(spans) => dispatch(Converted { spans, options: &options }),
    })?;
    Ok(())
}

/// [`step`], and what it did to each row; with `gradients` also the norm of its gradient. Not of rows that follow
/// torch's convention, which are divided.
pub fn watched_step<'a>(
    rows: impl IntoIterator<Item = Row<'a>>,
    hypers: &[Hyper],
    gradients: bool,
) -> Result<Vec<Change>, NoMemory> {
    let mut rows = memory::gathered(rows.into_iter())?;
    let gauged = if hypers.iter().any(Hyper::is_gauged) {
        gauged(&mut rows, hypers)?
    } else {
        memory::copied(hypers)?
    };
    let options = Options::of(&gauged)?;
    // All that is found has its place before anything is written.
    let mut sizes = memory::with_capacity(rows.len())?;
    sizes.extend(rows.iter().map(|row| (row.len(), gauged[row.hyper].grad_scale)));
    let (mut totals, mut changes) =
        (memory::filled(rows.len(), Total::default())?, memory::with_capacity(rows.len())?);
    let mut sorted = Sorted::new();
    for (number, row) in rows.into_iter().enumerate() {
        sorted.push(row, number as u32, &options);
    }
    let bytes = sorted.elements() * 28;
    let units = sorted.finish()?;
    let mut work = memory::with_capacity(units.len())?;
    for unit in units {
        let found = memory::with_capacity(unit.len())?;
        work.push((unit, found));
    }
    let found = write_chunks(work, bytes, |_, (work, found)| work.watched(&options, gradients, found))?;
    scalar(|| {
        for found in found.iter().flatten() {
            totals[found.number as usize].add(found);
        }
    });
    changes.extend(totals.iter().zip(sizes).map(|(total, (n, scale))| total.change(n, scale, gradients)));
    Ok(changes)
}

/// Whether gradients of this norm, before division and clipping, could make moments infinite that are stored as
/// `moments`. For all but extreme gradients the norm shows that they cannot; for the others, [`count_overflow`] checks
/// every element.
pub fn may_overflow(norm: f64, hyper: &Hyper, moments: Dtype) -> bool {
    // A second moment is a weighted mean of squares, and a square is at most that of the norm.
    let safe = if moments == Dtype::F16 { 1u64 << 7 } else { 1u64 << 62 };
    scalar(|| {
        let clipped = norm / hyper.grad_scale * hyper.clip.value();
        // The product is NaN where the norm is infinite and the factor 0.
        clipped.is_nan() || clipped > safe as f64
    })
}

/// Counts the elements whose moments this step would make infinite or NaN in the type that they are stored in, without
/// writing anything. `array` in the result is the index of the row.
pub fn count_overflow(rows: &[Row<'_>], hypers: &[Hyper]) -> Result<Option<NonFinite>, NoMemory> {
    let Options { rules, .. } = Options::of(hypers)?;
    let mut overflow: Option<NonFinite> = None;
    for (array, row) in rows.iter().enumerate() {
        let (n, rule, hyper) = (row.len(), &rules[row.hyper], &hypers[row.hyper]);
        let part = |index| dispatch(Overflow { row, range: chunk(index, n, CHUNK), rule, hyper });
        let parts = unwatched(map_chunks(chunks(n, CHUNK), n * 12, &mut |_| true, part))?;
        if let Some(element) = parts.iter().find_map(|(_, first)| *first) {
            let count = parts.iter().map(|(count, _)| count).sum::<usize>();
            overflow.get_or_insert(NonFinite { count: 0, array, element }).count += count;
        }
    }
    Ok(overflow)
}

/// [`Row::overflow`] as a kernel.
struct Overflow<'r, 'a> {
    row: &'r Row<'a>,
    range: Range<usize>,
    rule: &'r Prepared,
    hyper: &'r Hyper,
}

impl Kernel for Overflow<'_, '_> {
    type Out = (usize, Option<usize>);
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        let Overflow { row, range, rule, hyper } = self;
        if row.is_double() {
            row.overflow::<f64, I>(range, rule, hyper)
        } else {
            row.overflow::<f32, I>(range, rule, hyper)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{Clip, Stored};

    const HYPER: Hyper = Hyper { lr: 0.1, ..Hyper::DEFAULT };

    fn row<'a, P: Listed, G: Listed, M: Listed>(
        param: &'a mut [P],
        grad: &'a [G],
        moments: [&'a mut [M]; 2],
    ) -> Row<'a> {
        let plain = |x: &'a mut [M]| Some(Stored::plain(M::typed(x)));
        let [first, second] = moments;
        let moments = [plain(first), plain(second), None];
        Row { param: Stored::plain(P::typed(param)), grad: G::typed(grad), moments, hyper: 0, key: 0 }
    }

    /// Three steps computed with 40 digits, rounded to the 17 digits of f64.
    #[test]
    fn three_steps_of_the_published_trajectory() {
        let grads: [[f64; 2]; 3] = [[0.1, -0.3], [0.2, 0.1], [-0.4, 0.0]];
        let wanted = [
            [0.899000009999999, -1.8980000033333332],
            [0.80158281351125236, -1.8560801479247472],
            [0.82016067546619717, -1.8232870578641780],
        ];
        let (mut p, mut m, mut v) = ([1.0, -2.0f64], [0.0f64; 2], [0.0; 2]);
        for (i, (grad, want)) in grads.iter().zip(wanted).enumerate() {
            step([row(&mut p, grad, [&mut m, &mut v])], &[Hyper { step: i as u64 + 1, ..HYPER }]).unwrap();
            for (got, want) in p.iter().zip(want) {
                assert!((got - want).abs() < 4e-16 * 2.0, "step {i}: {got:.17} {want:.17}");
            }
        }
    }

    #[test]
    fn moments_that_overflow_are_counted_and_nothing_is_written() {
        let n = CHUNK + 9;
        let mut grad = vec![1.0f32; n];
        (grad[5], grad[CHUNK + 1]) = (6e20, -3e38);
        let (mut p, mut m, mut v) = (vec![1.0f32; n], vec![0.0f32; n], vec![0.0f32; n]);
        let rows = [row(&mut p, &grad, [&mut m, &mut v])];
        let (norm, clipped) = (3e38, Hyper { clip: Clip::by(1.0 / 3e38), ..HYPER });
        let found = count_overflow(&rows, &[HYPER]).unwrap();
        assert_eq!(found, Some(NonFinite { count: 2, array: 0, element: 5 }));
        assert_eq!(count_overflow(&rows, &[clipped]), Ok(None));
        assert!(may_overflow(norm, &HYPER, Dtype::F32) && may_overflow(f64::INFINITY, &clipped, Dtype::F32));
        assert!(!may_overflow(norm, &clipped, Dtype::F32) && !may_overflow(1e18, &HYPER, Dtype::F32));
        assert!(v.iter().all(|&v| v == 0.0));
    }

    #[test]
    fn an_elements_update_does_not_depend_on_its_position() {
        let n = 2 * CHUNK + 5;
        let grad: Vec<f32> = (0..n).map(|i| (i % 13) as f32 - 6.0).collect();
        let (mut p, mut m, mut v) = (vec![1.0f32; n], vec![0.1f32; n], vec![0.2f32; n]);
        step([row(&mut p, &grad, [&mut m, &mut v])], &[Hyper { step: 3, ..HYPER }]).unwrap();
        for i in 13..n {
            assert_eq!(p[i].to_bits(), p[i % 13].to_bits());
            assert_eq!(v[i].to_bits(), v[i % 13].to_bits());
        }
    }
}
