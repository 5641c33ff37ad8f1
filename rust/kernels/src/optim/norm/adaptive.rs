//! Adaptive gradient clipping: each unit of a gradient is clipped to a share of the norm of the same unit of the
//! parameter (Brock, De, Smith and Simonyan, "High-performance large-scale image recognition without normalization",
//! 2021).

use super::clip::Clip;
use super::columns::column_norms;
use super::measure::{Order, norms};
use super::scale::{Factors, Products};
use super::scaled::Norm;
use crate::dtype::{Listed, TypedSlice, TypedSliceMut};
use crate::grid::{Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::scalar;
use crate::with_dtype;

/// An array as a matrix, stored row by row, whose rows or columns are the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitShape {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// Whether a unit is a column; otherwise it is a row.
    pub by_column: bool,
}

impl UnitShape {
    /// The number of units; none where there are no elements.
    pub fn units(self) -> usize {
        match self {
            UnitShape { rows: 0, .. } | UnitShape { columns: 0, .. } => 0,
            UnitShape { columns, by_column: true, .. } => columns,
            UnitShape { rows, .. } => rows,
        }
    }
}

/// The rule: a unit's norm is at most `clip_factor * max(norm of the parameter's unit, eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// The share.
    pub clip_factor: f64,
    /// The least norm of a parameter that counts.
    pub eps: f64,
}

/// The factors of units.
#[derive(Clone, Debug, PartialEq)]
pub struct Clips {
    /// One per unit of each gradient, in order.
    pub each: Vec<Clip>,
    /// Whether all elements of the gradients are finite.
    pub grads_finite: bool,
    /// Whether all elements of the parameters are finite.
    pub params_finite: bool,
}

impl Adaptive {
    /// The factor of each unit of each gradient. The shapes have as many elements as their arrays.
    pub fn clips(
        self,
        grads: &[TypedSlice<'_>],
        params: &[TypedSlice<'_>],
        shapes: &[UnitShape],
        progress: Progress<'_>,
    ) -> Result<Clips, Stopped> {
        let of_grads = unit_norms(grads, shapes, &mut *progress)?;
        let of_params = unit_norms(params, shapes, progress)?;
        let clip = |(grad, param): (Norm, Norm)| {
            let norm = param.value();
            // A NaN stays.
            let norm = if norm < self.eps { self.eps } else { norm };
            Clip::to(Some(scalar(|| self.clip_factor * norm)), grad)
        };
        let finite = |norms: &[Norm]| norms.iter().all(|norm| norm.is_finite());
        let (grads_finite, params_finite) = (finite(&of_grads), finite(&of_params));
        let each = memory::collected(of_grads.into_iter().zip(of_params).map(clip))?;
        Ok(Clips { each, grads_finite, params_finite })
    }
}

/// The Euclidean norms of the units of all arrays, in order. All rows of all arrays are measured in one pass.
fn unit_norms(
    arrays: &[TypedSlice<'_>],
    shapes: &[UnitShape],
    progress: Progress<'_>,
) -> Result<Vec<Norm>, Stopped> {
    let pairs = || arrays.iter().zip(shapes).filter(|(_, shape)| shape.units() > 0);
    let rows = memory::gathered(pairs().filter(|(_, shape)| !shape.by_column).flat_map(|(array, shape)| {
        (0..shape.rows).map(|i| array.part(i * shape.columns..(i + 1) * shape.columns))
    }))?;
    let mut of_rows = norms(Order::Two, &rows, &mut *progress)?.each.into_iter();
    let mut all = memory::with_capacity(shapes.iter().map(|shape| shape.units()).sum())?;
    for (array, shape) in pairs() {
        if shape.by_column {
            all.extend(column_norms(*array, shape.columns, &mut *progress)?);
        } else {
            all.extend(of_rows.by_ref().take(shape.rows));
        }
    }
    Ok(all)
}

/// Multiplies each unit by its factor. An array none of whose units is clipped is not written, nor is a row that is not.
pub fn scale_units(
    arrays: Vec<TypedSliceMut<'_>>,
    shapes: &[UnitShape],
    clips: &[Clip],
) -> Result<(), NoMemory> {
    let factors = memory::collected(clips.iter().map(|clip| Factors::of(*clip)))?;
    let mut products = Products::new();
    let mut start = 0;
    for (array, shape) in arrays.into_iter().zip(shapes) {
        let own = start..start + shape.units();
        start = own.end;
        if clips[own.clone()].iter().all(|clip| *clip == Clip::NONE) {
            continue;
        }
        if shape.by_column {
            products.push(array, &factors[own]);
            continue;
        }
        with_dtype!(array, x: T => {
            for (row, unit) in x.chunks_exact_mut(shape.columns).zip(own) {
                if clips[unit] != Clip::NONE {
                    products.push(T::typed(row), &factors[unit..=unit]);
                }
            }
        });
    }
    products.write()
}
