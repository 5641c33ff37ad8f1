//! Names of clusters, which are an array of integers or a list of texts.

use crate::arrays::slice;
use crate::give::value_error;
use crate::take::listed;
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use steelyard_kernels::clusters::{LONGEST_TEXT, Names};

/// The texts of a list of names; `None` where the names are an array, or where there are none.
pub fn texts(names: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<String>>> {
    texts_of("clusters", names)
}

/// As [`texts`], of the names that `argument` gives.
pub fn texts_of(argument: &str, names: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<String>>> {
    let texts = names.filter(|names| !names.is_instance_of::<PyUntypedArray>());
    let texts = texts.map(listed::<String>).transpose()?;
    if texts.iter().flatten().any(|text| text.len() > LONGEST_TEXT) {
        return Err(value_error(format!("{argument}: expected ids of at most {LONGEST_TEXT} bytes")));
    }
    Ok(texts)
}

/// The names, in the form that the kernels take. `texts` is what [`texts`] has returned for `given`.
pub fn names<'a>(given: Option<&'a Bound<'_, PyAny>>, texts: Option<&'a Vec<String>>) -> PyResult<Names<'a>> {
    Ok(match (given, texts) {
        (None, _) => Names::None,
        (_, Some(texts)) => Names::Texts(texts),
        (Some(numbers), None) => Names::Numbers(slice(numbers, "clusters")?),
    })
}
