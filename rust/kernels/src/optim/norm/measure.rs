//! One pass over many arrays for the norm of all of them and of each.

use super::largest::{Infinity, Magnitude};
use super::one::One;
use super::power::Power;
use super::scaled::{Norm, Scaled};
use super::two::{SumOfSquares, Two};
use crate::dtype::TypedSlice;
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory;
use crate::optim::units::units;
use crate::simd::{Isa, Kernel, dispatch, standard};
use crate::with_dtype;

/// What an element type needs for every order.
pub(in crate::optim) trait Measured: SumOfSquares + Magnitude {}
impl<T: SumOfSquares + Magnitude> Measured for T {}

/// How norms of one order are computed.
pub(super) trait Rule: Copy + Send + Sync {
    /// What is kept of a span; its default is the part of a span without elements.
    type Part: Copy + Default + Send;
    /// The part of a span; to be marked `#[inline(always)]`.
    fn part<I: Isa, T: Measured>(self, x: &[T]) -> Self::Part;
    /// The part of two spans together.
    fn join(self, a: Self::Part, b: Self::Part) -> Self::Part;
    /// The norm.
    fn norm(self, part: Self::Part) -> Norm;
}

/// The order p of a norm, `(sum |x|^p)^(1/p)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// The sum of magnitudes.
    One,
    /// The Euclidean norm.
    Two,
    /// The largest magnitude.
    Infinity,
    /// Any other p > 0, finite.
    Power(f64),
}

impl Order {
    /// The order `p`; `None` where `p` is not above 0.
    pub fn of(p: f64) -> Option<Order> {
        match p {
            1.0 => Some(Order::One),
            2.0 => Some(Order::Two),
            f64::INFINITY => Some(Order::Infinity),
            p if p > 0.0 => Some(Order::Power(p)),
            _ => None,
        }
    }
}

/// The norm of all arrays together, and the norm of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Norms {
    /// That of all elements of all arrays; 0 where there are none.
    pub total: Norm,
    /// One per array, in order.
    pub each: Vec<Norm>,
}

/// The norms of this order.
pub fn norms(order: Order, arrays: &[TypedSlice<'_>], progress: Progress<'_>) -> Result<Norms, Stopped> {
    match order {
        Order::One => norms_by(One, arrays, progress),
        Order::Two => norms_by(Two, arrays, progress),
        Order::Infinity => norms_by(Infinity, arrays, progress),
        Order::Power(p) => norms_by(Power::of(p), arrays, progress),
    }
}

/// The sum of squares of all elements of all arrays; the sums of their spans are added pairwise, in the order of the
/// arrays.
pub fn sum_of_squares(arrays: &[TypedSlice<'_>], progress: Progress<'_>) -> Result<Scaled, Stopped> {
    let parts = parts(Two, arrays, progress)?;
    Ok(standard(|| fold(Two, &parts)))
}

/// The sums of squares of the chunks of each array, in order: what is in one depends on that array alone.
pub fn sums_of_squares(arrays: &[TypedSlice<'_>], progress: Progress<'_>) -> Result<Vec<Scaled>, Stopped> {
    parts(Two, arrays, progress)
}

/// The sum of squares of all elements, with the same bits as [`sum_of_squares`], and that of each array.
pub fn sum_of_squares_and_each(
    arrays: &[TypedSlice<'_>],
    progress: Progress<'_>,
) -> Result<(Scaled, Vec<Scaled>), Stopped> {
    let parts = parts(Two, arrays, progress)?;
    let mut each = memory::with_capacity(arrays.len())?;
    standard(|| {
        each.extend(of_each(Two, arrays, &parts));
        Ok((fold(Two, &parts), each))
    })
}

/// What belongs to each array.
fn of_each<R: Rule>(rule: R, arrays: &[TypedSlice<'_>], parts: &[R::Part]) -> impl Iterator<Item = R::Part> {
    let mut rest = parts;
    arrays.iter().map(move |array| {
        let (own, after) = rest.split_at(chunks(array.len(), CHUNK));
        rest = after;
        fold(rule, own)
    })
}

fn norms_by<R: Rule>(rule: R, arrays: &[TypedSlice<'_>], progress: Progress<'_>) -> Result<Norms, Stopped> {
    let parts = parts(rule, arrays, progress)?;
    let mut each = memory::with_capacity(arrays.len())?;
    standard(|| {
        each.extend(of_each(rule, arrays, &parts).map(|part| rule.norm(part)));
        Ok(Norms { total: rule.norm(fold(rule, &parts)), each })
    })
}

/// The part of every span: each array is cut into chunks.
fn parts<R: Rule>(
    rule: R,
    arrays: &[TypedSlice<'_>],
    progress: Progress<'_>,
) -> Result<Vec<R::Part>, Stopped> {
    let spans = arrays.iter().flat_map(|&array| {
        let n = array.len();
        (0..chunks(n, CHUNK)).map(move |i| array.part(chunk(i, n, CHUNK)))
    });
    let units = units(spans, |span| span.len(), CHUNK)?;
    let bytes = arrays.iter().map(|array| array.bytes()).sum();
    let of_unit = |i: usize| {
        let mut parts = memory::filled(units[i].len(), R::Part::default())?;
        dispatch(Unit { rule, spans: &units[i], parts: &mut parts });
        Ok(parts)
    };
    let parts = map_chunks(units.len(), bytes, progress, of_unit)?;
    Ok(memory::joined(parts)?)
}

/// The parts of the spans in one unit of work.
struct Unit<'a, 'x, R: Rule> {
    rule: R,
    spans: &'a [TypedSlice<'x>],
    parts: &'a mut [R::Part],
}

impl<R: Rule> Kernel for Unit<'_, '_, R> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (part, span) in self.parts.iter_mut().zip(self.spans) {
            *part = with_dtype!(*span, x: T => self.rule.part::<I, T>(x));
        }
    }
}

/// Joins parts pairwise, so that the error grows with the logarithm of their number.
pub(super) fn fold<R: Rule>(rule: R, parts: &[R::Part]) -> R::Part {
    match parts {
        [] => R::Part::default(),
        [one] => *one,
        _ => {
            let (left, right) = parts.split_at(parts.len().next_power_of_two() / 2);
            rule.join(fold(rule, left), fold(rule, right))
        }
    }
}
