//! The state of an estimate of a mean: the sums of values that the estimate and its interval are computed from.

use crate::arrays::{floats, given, slice};
use crate::call::call;
use crate::give::{Give, Given, Record, record, type_error, value_error};
use crate::intervals::record_of_moments;
use crate::names::{names, texts};
use crate::state_class;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::mean_state::{MeanTotals, Refused, sum_values};
use steelyard_kernels::with_dtype;

type Array<'py> = Bound<'py, PyArray1<f64>>;

state_class!(
    /// Exact sums of values, of their squares, and of the values of each cluster.
    EstimateTotals of MeanTotals, refused by refusal, {
    /// Adds values. `codes`, one per value, are positions in `names` (an int64 array or a list of str), the names of
    /// the clusters. `excluded` and `nan` are the numbers of values that the caller left out. Either all of it is added
    /// or nothing.
    #[pyo3(signature = (x, *, codes=None, names=None, excluded=0, nan=0, progress=None))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        codes: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
        excluded: u64,
        nan: u64,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let texts = texts(names)?;
        let names = self::names(names, texts.as_ref())?;
        let codes = codes.map(|codes| slice::<i64>(codes, "clusters")).transpose()?;
        let batch = with_dtype!(floats(x, "x")?, x => {
            if codes.is_some_and(|codes| codes.len() != x.len()) {
                return Err(value_error(format!("clusters: expected one per value, {}", x.len())));
            }
            let groups = codes.map(|codes| (codes, names.count()));
            call(py, progress, x.len(), |progress| sum_values(x, groups, progress))?
        });
        let batch = batch.map_err(refusal)?;
        let left_out = [excluded, nan];
        self.0.change(py, |totals, progress| totals.with(&batch, names, left_out, progress))?.map_err(refusal)
    }

    /// The number of values that count, the number of their clusters, and how many values were excluded or NaN.
    fn size<'py>(&self, py: Python<'py>) -> Record<'py> {
        let ((values, clusters), excluded, nan) =
            self.0.look(|totals| (totals.size(), totals.excluded, totals.nan));
        record!(py, { values, clusters, excluded, nan })
    }

    /// Whether values come in clusters.
    fn clustered(&self) -> Give<bool> {
        Give(self.0.look(MeanTotals::clustered))
    }

    /// The moments of all values, as `column_moments` returns them.
    fn moments<'py>(&self, py: Python<'py>) -> Record<'py> {
        let totals = self.0.now()?;
        record_of_moments(py, call(py, None, 0, |_| Ok(totals.moments()))?)
    }

    /// The sum of `x - shift` and the size of each cluster, in the order of the clusters' names.
    fn cluster_sums<'py>(&self, py: Python<'py>, shift: f64) -> Given<(Array<'py>, Array<'py>)> {
        let totals = self.0.now()?;
        let of = call(py, None, 0, |progress| totals.cluster_sums(shift, progress))?;
        Ok(Give((given(py, of.sums)?, given(py, of.sizes)?)))
    }
});

fn refusal(refused: Refused) -> PyErr {
    match refused {
        Refused::NotFinite(i) => value_error(format!("x: expected finite values; got another at index {i}")),
        Refused::Code(i) => value_error(format!("clusters: code out of range at {i}")),
        Refused::MixedClusters => type_error(
            "clusters: expected ids in every update of a state or in none; this state has the other kind; give each row an \
             id of its own where rows are independent",
        ),
        Refused::TooMany => value_error("state: expected fewer than 2**64 values"),
    }
}
