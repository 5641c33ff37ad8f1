//! Losses of ranked answers.

use crate::arrays::{Fresh, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::preference::ranked::{self, Answers, Columns};

/// The loss of each row of answers: the columns `losses` (NaN where no two labels differ), `gradients` (of each answer),
/// `compared`, the numbers of pairs of answers with different labels, and `right`, how many of these the scores have in
/// order, equal ones half; and in how many rows an argument of the loss is `saturated`.
///
/// `width` is the number of answers of a row. An answer with a label of NaN does not count.
#[pyfunction]
#[pyo3(signature = (scores, labels, *, width, loss, beta, progress=None))]
pub fn ranked_losses<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    width: usize,
    loss: &str,
    beta: f64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let loss = named(loss)?;
    let (scores, labels) = (slice::<f64>(scores, "scores")?, slice::<f64>(labels, "labels")?);
    if width == 0 || !scores.len().is_multiple_of(width) || labels.len() != scores.len() {
        return Err(value_error(format!(
            "scores: expected whole rows of {width} answers, each with a label; got {} and {} labels",
            scores.len(),
            labels.len()
        )));
    }
    let rows = scores.len() / width;
    let mut columns = [Fresh::new(py, rows)?, Fresh::new(py, rows)?, Fresh::new(py, rows)?];
    let mut slopes = Fresh::new(py, scores.len())?;
    let [losses, compared, right] = columns.each_mut().map(Fresh::elements);
    let to = Columns { losses, gradients: slopes.elements(), compared, right };
    let answers = Answers { scores, labels, width };
    let saturated =
        call(py, progress, rows, move |progress| ranked::ranked_losses(answers, loss, beta, to, progress))?;
    let ([losses, compared, right], gradients) = (columns.map(Fresh::array), slopes.array());
    record!(py, { losses, gradients, compared, right, saturated })
}
