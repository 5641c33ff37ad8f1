//! The options of a step, as the faces hand them over: a dictionary by the names of the kernel's fields.

use crate::give::value_error;
use crate::take::named;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::dtype::{Dtype, RealDtype};
use steelyard_kernels::optim::{Hyper, Unfit};

/// Takes the options of a step. What the dictionary does not name has the default of the kernel.
pub fn hyper(options: &Bound<'_, PyDict>, step: u64) -> PyResult<Hyper> {
    let mut hyper = Hyper { step, ..Hyper::DEFAULT };
    for (key, value) in options {
        let key: String = key.extract()?;
        match key.as_str() {
            "rule" => hyper.rule = named(&value.extract::<String>()?)?,
            "decay" => hyper.decay = named(&value.extract::<String>()?)?,
            "lr" => hyper.lr = value.extract()?,
            "max_lr" => hyper.max_lr = value.extract()?,
            "beta1" => hyper.beta1 = value.extract()?,
            "beta2" => hyper.beta2 = value.extract()?,
            "eps" => hyper.eps = value.extract()?,
            "weight_decay" => hyper.weight_decay = value.extract()?,
            "momentum" => hyper.momentum = value.extract()?,
            "dampening" => hyper.dampening = value.extract()?,
            "nesterov" => hyper.nesterov = value.extract()?,
            "bias_correction" => hyper.bias_correction = value.extract()?,
            "cautious" => hyper.cautious = value.extract()?,
            "stable" => hyper.stable = value.extract()?,
            "tight" => hyper.tight = value.extract()?,
            "flush_denormals" => hyper.flush_denormals = value.extract()?,
            "torch" => hyper.torch = value.extract()?,
            "maximize" => hyper.maximize = value.extract()?,
            _ => return Err(value_error(format!("options: expected names of options; got {key}"))),
        }
    }
    Ok(hyper)
}

/// The exception for options with which elements of this type cannot be updated; `called` gives an option's name in
/// messages.
pub fn unfit(hyper: &Hyper, dtype: RealDtype, called: impl Fn(&str) -> String) -> Option<PyErr> {
    let name = Dtype::from(dtype).name();
    let Hyper { lr, eps, weight_decay, .. } = *hyper;
    let (option, expected, got) = match hyper.unfit(dtype)? {
        Unfit::Eps => {
            let there = if eps == 0.0 { "" } else { ", which is 0 there" };
            let got = format!("{eps:?}{there}: an element without a gradient would become NaN");
            ("eps", format!("more than 0 in {name}, the type of the computation"), got)
        }
        Unfit::Rate => {
            let expected = format!("a rate that {name}, the type of the computation, can hold");
            ("lr", expected, format!("{lr:?}"))
        }
        Unfit::Decay => {
            let expected = format!("lr * weight_decay in the range of {name}, the type of the computation");
            ("weight_decay", expected, format!("{lr:?} * {weight_decay:?}"))
        }
    };
    Some(value_error(format!("{}: expected {expected}; got {got}", called(option))))
}

/// Raises an exception where `eps` rounds to 0 in the type of the computation, float32 or float64.
#[pyfunction]
pub fn check_eps(eps: f64, float32: bool) -> PyResult<()> {
    let hyper = Hyper { lr: 0.0, eps, weight_decay: 0.0, ..Hyper::DEFAULT };
    let dtype = if float32 { RealDtype::F32 } else { RealDtype::F64 };
    unfit(&hyper, dtype, str::to_owned).map_or(Ok(()), Err)
}
