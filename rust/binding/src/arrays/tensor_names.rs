//! Which tensors of a torch optimizer belong to a parameter: the keys of its state, and what messages call them.

use super::extra::Extra;
use super::tensor_rows::Present;
use super::tensors::{Scratch, Seen, Tensors};
use pyo3::prelude::*;
use pyo3::types::PyString;
use steelyard_kernels::dtype::Dtype;
use steelyard_kernels::optim::MOMENTS;

/// What is written of a row: the parameter, its moments, its number of steps, what is kept beside it, and the scales of
/// moments in 8 bits.
pub(super) const ROLES: usize = 3 + 2 * MOMENTS;
pub(super) const STEP: usize = 1 + MOMENTS;
pub(super) const KEPT: usize = STEP + 1;
pub(super) const SCALES: usize = KEPT + 1;

/// The place of a parameter among the groups: the group's index, and its own index there.
pub type Position = (usize, usize);

/// How messages name a parameter.
pub type Namer<'a> = &'a dyn Fn(Position) -> String;

/// The keys of the states of parameters.
#[derive(Clone, Copy)]
pub struct Keys<'a, 'py> {
    /// Those of the moments, for each group.
    pub moments: &'a [Vec<Bound<'py, PyString>>],
    /// What is kept beside parameters of 16 bits.
    pub kept: Option<Extra>,
}

/// Where the tensor is that is kept beside a parameter; `None` where it does not go with one of this type and layout.
pub(super) fn see_extra<'a>(
    extra: Extra,
    tensors: &Tensors,
    tensor: &'a Bound<'_, PyAny>,
    scratch: &'a mut Scratch,
    (param, shape, strides): (Dtype, &[i64], &[i64]),
) -> PyResult<Option<Seen<'a>>> {
    let Some(dtype) = extra.dtype(param) else { return Ok(None) };
    let seen = if extra == Extra::Low {
        tensors.see_bits(tensor, scratch)?
    } else {
        tensors.see(tensor, scratch)?
    };
    Ok(seen.filter(|seen| seen.dtype == dtype && seen.is_laid_out_like(shape, strides)))
}

/// How messages name what is written, by the number of the row times [`ROLES`] plus the role.
pub(super) fn written_name(
    index: usize,
    present: &[Present<'_>],
    keys: Keys<'_, '_>,
    name: Namer<'_>,
) -> String {
    let (row, role) = (index / ROLES, index % ROLES);
    let found = present.iter().find(|present| present.row == row);
    let param = found.map_or_else(|| format!("parameter {row}"), |present| name(present.position));
    match role {
        0 => param,
        STEP => format!("step of {param}"),
        KEPT => format!("{} of {param}", keys.kept.map_or("", Extra::name)),
        moment => {
            let (moment, scale) =
                if moment >= SCALES { (moment - SCALES, "_scale") } else { (moment - 1, "") };
            let key = found.and_then(|present| keys.moments[present.position.0].get(moment));
            key.map_or_else(
                || format!("moment {moment} of {param}"),
                |key| format!("{key}{scale} of {param}"),
            )
        }
    }
}
