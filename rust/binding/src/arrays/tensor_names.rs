//! Which tensors of a torch optimizer belong to a parameter: the keys of its state, and what messages call them.

use super::tensor_rows::Present;
use super::tensors::{Kind, Scratch, Seen, Tensors};
use crate::give::value_error;
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
    /// What is kept or written beside parameters.
    pub kept: Option<KeptTensor>,
}

/// How a parameter of 16 bits keeps more digits than its own tensor holds; or that a tensor, which is not in its state,
/// gets a copy of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeptTensor {
    /// The lower halves of float32 values, whose upper halves are the parameter.
    Low,
    /// What rounding the parameter has lost.
    Rest,
    /// The float32 values of which the parameter is a copy.
    Master,
    /// A copy of the parameter, of any type that it can be rounded to.
    Copy,
}

impl KeptTensor {
    pub fn of(name: &str) -> PyResult<Self> {
        // Copies are in no state.
        let all = [KeptTensor::Low, KeptTensor::Rest, KeptTensor::Master];
        all.into_iter()
            .find(|kept| kept.key() == name)
            .ok_or_else(|| value_error(format!("kept: expected low, rest or master; got {name}")))
    }

    /// The key in the state of a parameter, or the option.
    pub fn key(self) -> &'static str {
        match self {
            KeptTensor::Low => "low",
            KeptTensor::Rest => "rest",
            KeptTensor::Master => "master",
            KeptTensor::Copy => "copy_to",
        }
    }

    /// What the elements are beside a parameter of this type; `None` where it can have none.
    pub(super) fn kind(self, param: Dtype) -> Option<Kind> {
        match (self, param) {
            (KeptTensor::Low, Dtype::Bf16) => Some(Kind::Bits),
            (KeptTensor::Rest, Dtype::Bf16 | Dtype::F16) => Some(Kind::Float(param)),
            (KeptTensor::Master, Dtype::Bf16 | Dtype::F16) => Some(Kind::Float(Dtype::F32)),
            _ => None,
        }
    }

    /// The type as which the kernel reads the elements: it takes the lower halves for bits of bfloat16.
    pub(super) fn dtype(kind: Kind) -> Option<Dtype> {
        match kind {
            Kind::Float(dtype) => Some(dtype),
            Kind::Bits => Some(Dtype::Bf16),
            Kind::Code => None,
        }
    }

    /// Where the tensor is; `None` where it does not go with a parameter of this type and layout.
    pub(super) fn see<'a>(
        self,
        tensors: &Tensors,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
        (param, shape, strides): (Dtype, &[i64], &[i64]),
    ) -> PyResult<Option<Seen<'a>>> {
        if self == KeptTensor::Copy {
            let seen = tensors.see(tensor, scratch)?;
            return Ok(seen.filter(|seen| seen.is_laid_out_like(shape, strides)));
        }
        let Some(kind) = self.kind(param) else { return Ok(None) };
        let seen = if kind == Kind::Bits {
            tensors.see_bits(tensor, scratch)?
        } else {
            tensors.see(tensor, scratch)?
        };
        let fits = |seen: &Seen<'_>| {
            KeptTensor::dtype(kind) == Some(seen.dtype) && seen.is_laid_out_like(shape, strides)
        };
        Ok(seen.filter(fits))
    }
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
        KEPT => format!("{} of {param}", keys.kept.map_or("what is kept", KeptTensor::key)),
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
