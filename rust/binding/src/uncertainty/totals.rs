//! The states of statistics of sums: of their closed form, and of their bootstrap.

use super::columns::{all_columns, formula, refusal};
use super::smooth::fields;
use crate::arrays::{given, slice};
use crate::call::call;
use crate::give::{Record, record, type_error, value_error};
use crate::intervals::{confidence, same_length};
use crate::names::{names, texts};
use crate::state_class;
use crate::take::listed;
use pyo3::prelude::*;
use steelyard_kernels::clusters::Names;
use steelyard_kernels::state::State;
use steelyard_kernels::state::bytes::Kind;
use steelyard_kernels::uncertainty::smooth::Formula;
use steelyard_kernels::uncertainty::totals::Refused;
use steelyard_kernels::uncertainty::totals::boot_state::{Asked, BootTotals, Found, MOST};
use steelyard_kernels::uncertainty::totals::sums_state::SumsTotals;
use steelyard_kernels::uncertainty::totals::units::{OutOfRange, UnitIds};

state_class!(
    /// Exact sums of a statistic of sums: of all rows, and of each cluster.
    StatisticTotals of SumsTotals, made of (statistic: &str) by sums, refused by refused, {
    /// The byte that tells the states of this class.
    #[classattr]
    const KIND: u8 = Kind::Statistic as u8;

    /// Adds rows of the statistic's columns. `codes`, one per row, are positions in `names` (an int64 array or a list of
    /// str), the names of the clusters. `excluded` and `nan` are the numbers of rows that the caller left out. Either all
    /// of it is added or nothing. Returns a record, of the reason and its fields where the statistic does not take the rows.
    #[pyo3(signature = (columns, *, codes=None, names=None, excluded=0, nan=0, progress=None))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update<'py>(
        &self,
        py: Python<'py>,
        columns: &Bound<'py, PyAny>,
        codes: Option<&Bound<'py, PyAny>>,
        names: Option<&Bound<'py, PyAny>>,
        excluded: u64,
        nan: u64,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Record<'py> {
        let texts = texts(names)?;
        let names = self::names(names, texts.as_ref())?;
        let codes = codes.map(|codes| slice::<i64>(codes, "clusters")).transpose()?;
        let columns = listed::<Bound<'_, PyAny>>(columns)?;
        let formula = self.0.look(SumsTotals::formula);
        expect_columns(formula, columns.len())?;
        let made = all_columns(&columns, |columns| {
            let rows = columns[0].len();
            same_length(rows, codes.map_or(rows, <[i64]>::len), "columns, clusters")?;
            let clusters = codes.map(|codes| (codes, names));
            call(py, progress, rows, |progress| {
                SumsTotals::of_rows(formula, columns, clusters, [excluded, nan], progress)
            })
        })?;
        added(py, &self.0, made)
    }

    /// The number of rows that count, the number of their clusters, and how many rows were excluded or had a NaN.
    fn size<'py>(&self, py: Python<'py>) -> Record<'py> {
        let ((values, clusters), excluded, nan) = self.0.look(|of| (of.size(), of.excluded, of.nan));
        record!(py, { values, clusters, excluded, nan })
    }

    /// The statistic.
    #[getter]
    fn statistic(&self) -> String {
        self.0.look(SumsTotals::formula).text()
    }

    /// Whether rows come in clusters.
    fn clustered(&self) -> crate::give::Give<bool> {
        crate::give::Give(self.0.look(SumsTotals::clustered))
    }

    /// The statistic with its interval, as `statistic_interval` gives it.
    fn interval<'py>(&self, py: Python<'py>, confidence_level: f64, alternative: &str) -> Record<'py> {
        let confidence = confidence(confidence_level, alternative)?;
        let totals = self.0.now()?;
        match call(py, None, 0, |progress| totals.closed(confidence, progress))? {
            Ok((found, kind)) => fields(py, found, kind),
            Err(refused) => refusal(py, refused),
        }
    }
});

state_class!(
    /// Exact sums of a statistic of sums over all rows, and over the rows of each replicate of its bootstrap.
    BootstrapTotals of BootTotals, made of (statistic: &str, replicates: usize, seed: u64) by boot, refused by refused, {
    /// Adds rows of the statistic's columns, which count in each replicate as their ids say: those of their clusters,
    /// `codes` and `names` as in `StatisticTotals.update`, or `rows`, one int64 per row. `excluded` and `nan` are the
    /// numbers of rows that the caller left out. Either all of it is added or nothing. Returns the reason and its fields
    /// where the statistic does not take the rows.
    #[pyo3(signature = (columns, *, codes=None, names=None, rows=None, excluded=0, nan=0, progress=None))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update<'py>(
        &self,
        py: Python<'py>,
        columns: &Bound<'py, PyAny>,
        codes: Option<&Bound<'py, PyAny>>,
        names: Option<&Bound<'py, PyAny>>,
        rows: Option<&Bound<'py, PyAny>>,
        excluded: u64,
        nan: u64,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Record<'py> {
        let texts = texts(names)?;
        let names = self::names(names, texts.as_ref())?;
        let ids = match (codes, rows) {
            (Some(codes), None) => slice::<i64>(codes, "clusters")?,
            (None, Some(rows)) => slice::<i64>(rows, "rows")?,
            _ => return Err(value_error("codes, rows: expected one of the two")),
        };
        let clustered = codes.is_some();
        let columns = listed::<Bound<'_, PyAny>>(columns)?;
        let asked = self.0.look(BootTotals::asked);
        expect_columns(asked.formula, columns.len())?;
        let made = all_columns(&columns, |columns| {
            let rows = columns[0].len();
            same_length(rows, ids.len(), "columns, clusters")?;
            call(py, progress, rows, |progress| {
                let units = if clustered { unit_ids(ids, names)? } else { Ok(UnitIds::numbered(ids)?) };
                let units = match units {
                    Ok(units) => units,
                    Err(refused) => return Ok(Err(refused)),
                };
                let made = BootTotals::of_rows(asked, columns, &units, clustered, [excluded, nan], progress)?;
                Ok(made.map_err(Refused::Rows))
            })
        })?;
        added(py, &self.0, made)
    }

    /// The number of rows that count, and how many were excluded or had a NaN.
    fn size<'py>(&self, py: Python<'py>) -> Record<'py> {
        let (values, excluded, nan) = self.0.look(|of| (of.rows(), of.excluded, of.nan));
        record!(py, { values, excluded, nan })
    }

    /// What the state was made with.
    fn asked<'py>(&self, py: Python<'py>) -> Record<'py> {
        let Asked { formula, replicates, seed } = self.0.look(BootTotals::asked);
        let statistic = formula.text();
        record!(py, { statistic: &statistic[..], replicates, seed })
    }

    /// Whether rows count by their clusters.
    fn clustered(&self) -> crate::give::Give<bool> {
        crate::give::Give(self.0.look(BootTotals::clustered))
    }

    /// The statistic of all rows and of each replicate, NaN where it has none; or the reason and its fields where there
    /// is no statistic of all rows.
    #[pyo3(signature = (*, progress=None))]
    fn found<'py>(&self, py: Python<'py>, progress: Option<&Bound<'py, PyAny>>) -> Record<'py> {
        let totals = self.0.now()?;
        match call(py, progress, totals.asked().replicates, |progress| totals.found(progress))? {
            Ok(Found { value, replicates }) => {
                let replicates = given(py, replicates)?;
                record!(py, { value, replicates })
            }
            Err(refused) => refusal(py, refused),
        }
    }
});

fn sums(statistic: &str) -> PyResult<SumsTotals> {
    Ok(SumsTotals::new(of_sums(statistic)?))
}

fn boot(statistic: &str, replicates: usize, seed: u64) -> PyResult<BootTotals> {
    if replicates == 0 || replicates > MOST {
        return Err(value_error(format!("n_resamples: expected from 1 to {MOST}; got {replicates}")));
    }
    let asked = Asked { formula: of_sums(statistic)?, replicates, seed };
    BootTotals::new(asked).map_err(|refused| value_error(refused.to_string()))
}

/// A statistic of sums.
fn of_sums(statistic: &str) -> PyResult<Formula> {
    let formula = formula(statistic)?;
    match steelyard_kernels::uncertainty::totals::boot_state::unframed(formula) {
        Ok(_) => Ok(formula),
        Err(refused) => Err(value_error(refused.to_string())),
    }
}

fn expect_columns(formula: Formula, got: usize) -> PyResult<()> {
    let expected = formula.columns().len();
    if got == expected {
        Ok(())
    } else {
        Err(value_error(format!("columns: expected {expected}; got {got}")))
    }
}

fn unit_ids(
    codes: &[i64],
    names: Names<'_>,
) -> Result<Result<UnitIds, Refused>, steelyard_kernels::memory::NoMemory> {
    Ok(UnitIds::clusters(codes, names)?.map_err(|OutOfRange(at)| Refused::Code(at)))
}

/// Adds the rows that a state of their own was made of.
fn added<'py, S: State<Refused = Refused>>(
    py: Python<'py>,
    state: &crate::state::Shared<S>,
    made: Result<S, Refused>,
) -> Record<'py> {
    let made = match made {
        Ok(made) => made,
        Err(Refused::Rows(reason)) => return refusal(py, reason),
        Err(other) => return Err(refused(other)),
    };
    state.change(py, |state, progress| state.merged(&made, progress))?.map_err(refused)?;
    record!(py, { added: true })
}

fn refused(refused: Refused) -> PyErr {
    match refused {
        Refused::Rows(reason) => value_error(reason.to_string()),
        Refused::Code(at) => value_error(format!("clusters: code out of range at {at}")),
        Refused::MixedClusters => type_error(
            "clusters: expected ids in every update of a state or in none; this state has the other kind; give each row an \
             id of its own where rows are independent",
        ),
        Refused::NeedsClusters => value_error(
            "clusters: expected ids, since rows of this statistic differ in size and the interval needs each of them; give \
             each row an id of its own where rows are independent",
        ),
        Refused::TooMany => value_error("state: expected fewer than 2**64 rows"),
        Refused::Other => value_error("other: expected a state of the same statistic, n_resamples and seed"),
    }
}
