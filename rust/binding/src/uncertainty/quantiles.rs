//! The state of quantiles.

use super::columns::refusal;
use crate::arrays::floats;
use crate::call::call;
use crate::give::{Give, Record, record, value_error};
use crate::intervals::confidence;
use crate::state_class;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::totals::Refused;
use steelyard_kernels::uncertainty::totals::quantile_state::{Found, QuantileCounts};
use steelyard_kernels::with_dtype;

state_class!(
    /// Counts of values in bins, which are exact while there are few different values.
    QuantileTotals of QuantileCounts, refused by refused, {
    /// Adds values. `excluded` and `nan` are the numbers of values that the caller left out. Either all of it is added or
    /// nothing. Returns a record, of the reason and its fields where a value is not finite.
    #[pyo3(signature = (x, *, excluded=0, nan=0, progress=None))]
    fn update<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        excluded: u64,
        nan: u64,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Record<'py> {
        let made = with_dtype!(floats(x, "x")?, x => {
            let x: &dyn Wide = &x;
            call(py, progress, x.len(), |progress| QuantileCounts::of_values(x, [excluded, nan], progress))?
        });
        match made {
            Ok(made) => {
                self.0.change(py, |state, progress| {
                    steelyard_kernels::state::State::merged(state, &made, progress)
                })?.map_err(refused)?;
                record!(py, { added: true })
            }
            Err(reason) => refusal(py, reason),
        }
    }

    /// The number of values that count, of bins that hold them, and how many values were excluded or NaN.
    fn size<'py>(&self, py: Python<'py>) -> Record<'py> {
        let ((values, bins), excluded, nan) = self.0.look(|of| (of.size(), of.excluded, of.nan));
        record!(py, { values, bins, excluded, nan })
    }

    /// Whether quantiles are exact.
    fn exact(&self) -> Give<bool> {
        Give(self.0.look(QuantileCounts::exact))
    }

    /// The quantile at level `q` with its interval and the ends of where it certainly lies: a dictionary of the fields of
    /// the kernel's `Found`.
    fn quantile<'py>(&self, py: Python<'py>, q: f64, confidence_level: f64, alternative: &str) -> Record<'py> {
        let confidence = confidence(confidence_level, alternative)?;
        let totals = self.0.now()?;
        let found = call(py, None, 0, |_| Ok(totals.quantile(q, confidence)))?;
        let found = found.ok_or_else(|| value_error("x: expected at least one value; got none"))?;
        let Found { value, within, standard_error, interval } = found;
        let constant = totals.constant();
        record!(py, {
            value, least: within.low, most: within.high, standard_error, low: interval.low, high: interval.high, constant
        })
    }
});

fn refused(refused: Refused) -> PyErr {
    value_error(match refused {
        Refused::TooMany => "state: expected fewer than 2**64 values",
        _ => "other: expected another state of quantiles",
    })
}
