//! The convention of torch's fused step on the CPU ([`Hyper::torch`]), which differs from ours in two places: the last
//! elements of a tensor, which do not fill a vector register, follow another rule; and a clipped gradient is rounded to
//! its own type before the step.

use super::hyper::Hyper;
use super::norm::Clip;
use super::row::Row;
use crate::dtype::Dtype;
use crate::memory::{self, NoMemory};
use crate::simd::{Bf16, F16};

/// How many elements torch updates at once; `None` for a row whose arrays have different types, which torch refuses.
fn width(row: &Row<'_>) -> Option<usize> {
    match row.param.dtype()? {
        Dtype::F32 => row.lies_as::<f32>().then_some(8),
        Dtype::F64 => row.lies_as::<f64>().then_some(4),
        Dtype::Bf16 => row.lies_as::<Bf16>().then_some(16),
        Dtype::F16 => row.lies_as::<F16>().then_some(16),
    }
}

/// The options of the elements before the last ones and of the last ones, and both for gradients that are rounded after
/// clipping.
fn options(hyper: &Hyper) -> [Hyper; 4] {
    let rounded = Hyper { clip: Clip::NONE, grad_factor: hyper.clip.value(), ..*hyper };
    let tail = |hyper| Hyper { tail: true, ..hyper };
    [*hyper, tail(*hyper), rounded, tail(rounded)]
}

/// Rows and options of a step of which some have torch's convention, for the step itself: with the last elements of
/// these as rows of their own.
pub(super) fn divided<'a>(
    rows: impl IntoIterator<Item = Row<'a>>,
    hypers: &[Hyper],
) -> Result<(Vec<Row<'a>>, Vec<Hyper>), NoMemory> {
    let mut divided = Vec::new();
    for row in rows {
        let hyper = &hypers[row.hyper];
        let is_half = matches!(row.grad.dtype(), Dtype::Bf16 | Dtype::F16);
        let first = 4 * row.hyper + if hyper.torch && is_half && hyper.clip != Clip::NONE { 2 } else { 0 };
        let body = match width(&row) {
            Some(width) if hyper.torch => row.len() - row.len() % width,
            _ => row.len(),
        };
        let (body, tail) = row.split(body);
        for (row, hyper) in [(body, first), (tail, first + 1)] {
            if row.len() > 0 {
                memory::push(&mut divided, Row { hyper, ..row })?;
            }
        }
    }
    Ok((divided, memory::gathered(hypers.iter().flat_map(options))?))
}
