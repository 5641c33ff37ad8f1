//! Elementary functions and distributions of numbers or of float64 arrays.

use crate::arrays::{self, Fresh, Item, copied};
use crate::call::{call, call_quick};
use crate::give::{Give, Given, value_error};
use numpy::{PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::ops::Range;
use steelyard_kernels::grid::{fill_rows, fill_slow_rows};
use steelyard_kernels::math::{self, Function, beta, binomial, noncentral_t, normal, student_t};
use steelyard_kernels::memory;

/// A number, or the elements of an array, as an argument.
#[derive(Clone, Copy)]
enum Argument<'a> {
    One(f64),
    Many(&'a [f64]),
}

impl Argument<'_> {
    fn at(&self, i: usize) -> f64 {
        match self {
            Argument::One(x) => *x,
            Argument::Many(x) => x[i],
        }
    }
}

/// Applies `f` to numbers, which returns a number; or, where arguments are arrays of the same shape, element by
/// element. A `slow` function takes more than microseconds.
fn each<'py, const N: usize>(
    py: Python<'py>,
    arguments: [(&str, &Bound<'py, PyAny>); N],
    slow: bool,
    f: impl Fn([f64; N]) -> f64 + Sync,
) -> PyResult<Bound<'py, PyAny>> {
    let mut values = [Argument::One(0.0); N];
    let mut shape: Option<Vec<usize>> = None;
    for (value, (name, object)) in values.iter_mut().zip(&arguments) {
        let Ok(array) = object.cast::<PyUntypedArray>() else {
            *value = Argument::One(object.extract()?);
            continue;
        };
        *value = Argument::Many(arrays::slice(object, name)?);
        let here = array.shape().to_vec();
        match &shape {
            Some(first) if *first != here => {
                return Err(value_error(format!(
                    "{name}: expected the shape of the arrays before it, {first:?}; got {here:?}"
                )));
            }
            _ => shape = Some(here),
        }
    }
    let Some(shape) = shape else {
        let x = call_quick(py, || Ok(f(std::array::from_fn(|k| values[k].at(0)))))?;
        return Give(x).into_pyobject(py);
    };
    let mut out = Fresh::new(py, shape.iter().product())?;
    let column = out.elements();
    call(py, None, column.len(), |progress| {
        let fill = |rows: Range<usize>, [part]: [&mut [f64]; 1]| {
            for (i, out) in rows.zip(part) {
                *out = f(std::array::from_fn(|k| values[k].at(i)));
            }
        };
        if slow { fill_slow_rows([column], progress, fill) } else { fill_rows([column], progress, fill) }
    })?;
    Ok(out.array().reshape(shape)?.into_any())
}

/// Declares functions of numbers or arrays: their name and arguments in Python, and the function `f` of the kernels.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),+) = $f:expr;)*) => {$(
        $(#[$doc])*
        #[pyfunction]
        pub fn $name<'py>(py: Python<'py>, $($argument: &Bound<'py, PyAny>),+) -> PyResult<Bound<'py, PyAny>> {
            each(py, [$((stringify!($argument), $argument)),+], false, |[$($argument),+]| $f($($argument),+))
        }
    )*};
}
functions! {
    /// exp(x) to below 1 ulp.
    math_exp(x) = math::exp;
    /// exp(x) - 1 to below 1 ulp.
    math_expm1(x) = math::expm1;
    /// log(x) to below 1 ulp.
    math_log(x) = math::log;
    /// log(1 + x) to below 1 ulp.
    math_log1p(x) = math::log1p;
    /// cos(x) to below 1 ulp.
    math_cos(x) = math::cos;
    /// The complementary error function.
    math_erfc(x) = math::erfc;
    /// log Gamma(x) for x > 0.
    math_lgamma(x) = math::lgamma;
    /// The standard normal density.
    normal_pdf(x) = normal::pdf;
    /// P(X <= x) of the standard normal distribution.
    normal_cdf(x) = normal::cdf;
    /// P(X > x) of the standard normal distribution.
    normal_sf(x) = normal::sf;
    /// The x with P(X <= x) = p of the standard normal distribution.
    normal_quantile(p) = normal::quantile;
    /// P(T <= t) of Student's distribution.
    t_cdf(t, df) = student_t::cdf;
    /// P(T > t) of Student's distribution.
    t_sf(t, df) = student_t::sf;
    /// The t with P(T <= t) = p of Student's distribution.
    t_quantile(p, df) = student_t::quantile;
    /// P(X <= x) of the beta distribution.
    beta_cdf(a, b, x) = beta::cdf;
    /// P(X > x) of the beta distribution.
    beta_sf(a, b, x) = beta::sf;
    /// The x with P(X <= x) = p of the beta distribution.
    beta_quantile(a, b, p) = beta::quantile;
    /// The x with P(X > x) = q of the beta distribution.
    beta_isf(a, b, q) = beta::isf;
}

/// P(T > t) of the noncentral t distribution, whose mean is moved by delta.
#[pyfunction]
pub fn noncentral_t_sf<'py>(
    py: Python<'py>,
    t: &Bound<'py, PyAny>,
    df: &Bound<'py, PyAny>,
    delta: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = [("t", t), ("df", df), ("delta", delta)];
    each(py, arguments, true, |[t, df, delta]| noncentral_t::sf(t, df, delta))
}

/// exp(x) of a float32 array, to below 1 ulp of float32.
#[pyfunction]
pub fn math_exp32<'py>(py: Python<'py>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    mapped::<f32, _>(py, x, || math::Exp32)
}

/// exp(x) - 1 - x of a float64 array, without cancellation near 0.
#[pyfunction]
pub fn math_bend<'py>(py: Python<'py>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    mapped::<f64, _>(py, x, || math::Bend)
}

/// A function of each element of an array, several at once.
fn mapped<'py, T: Item + Default + numpy::Element, F: Function<T>>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    function: impl Fn() -> F + Sync,
) -> PyResult<Bound<'py, PyAny>> {
    let values = arrays::slice::<T>(x, "x")?;
    let out = call(py, None, values.len(), |progress| {
        let mut out = memory::filled(values.len(), T::default())?;
        fill_rows([&mut out[..]], progress, |rows, [part]| math::map(function(), &values[rows], part))?;
        Ok(out)
    })?;
    let shape = x.cast::<PyUntypedArray>()?.shape().to_vec();
    Ok(copied(py, &out)?.reshape(shape)?.into_any())
}

/// base to the power n, the nearest float64 between 1e-290 and 1e290.
#[pyfunction]
pub fn math_powi(py: Python<'_>, base: f64, n: u64) -> Given<f64> {
    call_quick(py, || Ok(math::powi(base, n))).map(Give)
}

/// P(X = k) of n trials with success probability p.
#[pyfunction]
pub fn binomial_pmf(py: Python<'_>, k: u64, n: u64, p: f64) -> Given<f64> {
    call_quick(py, || Ok(binomial::pmf(k, n, p))).map(Give)
}

/// P(X <= k) of n trials with success probability p.
#[pyfunction]
pub fn binomial_cdf(py: Python<'_>, k: u64, n: u64, p: f64) -> Given<f64> {
    call_quick(py, || Ok(binomial::cdf(k, n, p))).map(Give)
}

/// P(X > k) of n trials with success probability p.
#[pyfunction]
pub fn binomial_sf(py: Python<'_>, k: u64, n: u64, p: f64) -> Given<f64> {
    call_quick(py, || Ok(binomial::sf(k, n, p))).map(Give)
}
