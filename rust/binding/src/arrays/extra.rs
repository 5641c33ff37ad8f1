//! How a parameter of 16 bits keeps more digits than its own array holds.

use crate::give::value_error;
use pyo3::prelude::*;
use steelyard_kernels::dtype::Dtype;

/// What is kept beside such a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// The lower halves of float32 values, whose upper halves are the parameter.
    Low,
    /// What rounding the parameter has lost.
    Rest,
    /// The float32 values of which the parameter is a copy.
    Master,
}

impl Extra {
    /// The one that has this name in a state, if any.
    pub fn named(name: &str) -> Option<Self> {
        [Extra::Low, Extra::Rest, Extra::Master].into_iter().find(|extra| extra.name() == name)
    }

    /// The one that a caller names.
    pub fn of(name: &str) -> PyResult<Self> {
        Extra::named(name)
            .ok_or_else(|| value_error(format!("kept: expected low, rest or master; got {name}")))
    }

    /// The key in a state.
    pub fn name(self) -> &'static str {
        match self {
            Extra::Low => "low",
            Extra::Rest => "rest",
            Extra::Master => "master",
        }
    }

    /// The type of the elements beside a parameter of this type; `None` where it can have none. The kernel takes the
    /// lower halves for bits of bfloat16.
    pub fn dtype(self, param: Dtype) -> Option<Dtype> {
        match (self, param) {
            (Extra::Low, Dtype::Bf16) | (Extra::Rest, Dtype::Bf16 | Dtype::F16) => Some(param),
            (Extra::Master, Dtype::Bf16 | Dtype::F16) => Some(Dtype::F32),
            _ => None,
        }
    }
}
