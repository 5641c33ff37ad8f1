//! The states of statistics of sums: of their closed form, and of their bootstrap.

use super::columns::{all_columns, formula, refusal};
use super::smooth::fields;
use crate::arrays::{copied, given, slice};
use crate::call::call;
use crate::give::{Give, Given, Record, record, type_error, value_error};
use crate::intervals::{confidence, record_of_moments, same_length};
use crate::names::{names, texts, texts_of};
use crate::state_class;
use crate::take::{listed, named};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::clusters::{Id, Names};
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::state::State;
use steelyard_kernels::state::bytes::Kind;
use steelyard_kernels::uncertainty::smooth::Formula;
use steelyard_kernels::uncertainty::totals::Refused;
use steelyard_kernels::uncertainty::totals::boot_state::{Asked, BootTotals, Found, MOST};
use steelyard_kernels::uncertainty::totals::design::{RowDesign, RowStrata};
use steelyard_kernels::uncertainty::totals::sums_state::SumsTotals;
use steelyard_kernels::uncertainty::totals::units::{OutOfRange, UnitIds};

state_class!(
    /// Exact sums of a statistic of sums: of all rows, and of each cluster.
    StatisticTotals of SumsTotals, made of (statistic: &str) by sums, refused by refused, {
    /// The byte that tells the states of this class.
    #[classattr]
    const KIND: u8 = Kind::Statistic as u8;

    /// Adds rows of the statistic's columns. `codes`, one per row, are positions in `names` (an int64 array or a list of
    /// str), the names of the clusters. `weights` (float64, one per row) are above 0. `strata` are of three parts: the
    /// stratum of each cluster as a position in their names, these names, and for each the number of rows that were not
    /// excluded, whether they count or not. `excluded`, `nan`, `weightless` and `unstratified` are the numbers of rows that
    /// the caller left out. Either all of it is added or nothing. Returns a record, of the reason and its fields where
    /// the statistic does not take the rows.
    #[pyo3(signature = (
        columns, *, codes=None, names=None, weights=None, strata=None, excluded=0, nan=0, weightless=0, unstratified=0,
        progress=None
    ))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update<'py>(
        &self,
        py: Python<'py>,
        columns: &Bound<'py, PyAny>,
        codes: Option<&Bound<'py, PyAny>>,
        names: Option<&Bound<'py, PyAny>>,
        weights: Option<&Bound<'py, PyAny>>,
        strata: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)>,
        excluded: u64,
        nan: u64,
        weightless: u64,
        unstratified: u64,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Record<'py> {
        let texts = texts(names)?;
        let names = self::names(names, texts.as_ref())?;
        let codes = codes.map(|codes| slice::<i64>(codes, "clusters")).transpose()?;
        let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
        let of_strata = strata.as_ref().map(|strata| texts_of("strata", Some(&strata.1))).transpose()?.flatten();
        let strata = strata.as_ref().map(|strata| row_strata(strata, of_strata.as_ref())).transpose()?;
        let design = RowDesign { weights, strata, weightless, unstratified };
        let columns = listed::<Bound<'_, PyAny>>(columns)?;
        let formula = self.0.look(SumsTotals::formula);
        expect_columns(formula, columns.len())?;
        let made = all_columns(&columns, |columns| {
            let rows = columns[0].len();
            same_length(rows, codes.map_or(rows, <[i64]>::len), "columns, clusters")?;
            let clusters = codes.map(|codes| (codes, names));
            call(py, progress, rows, |progress| {
                SumsTotals::of_design(formula, columns, clusters, &design, [excluded, nan], progress)
            })
        })?;
        added(py, &self.0, made)
    }

    /// The number of rows that count, the number of their clusters, and how many rows were excluded, had a NaN, a weight of
    /// 0 or no stratum.
    fn size<'py>(&self, py: Python<'py>) -> Record<'py> {
        let ((values, clusters), (weightless, unstratified), excluded, nan) =
            self.0.look(|of| (of.size(), of.undesigned(), of.excluded, of.nan));
        record!(py, { values, clusters, excluded, nan, weightless, unstratified })
    }

    /// The statistic.
    #[getter]
    fn statistic(&self) -> String {
        self.0.look(SumsTotals::formula).text()
    }

    /// Whether rows come in clusters.
    fn clustered(&self) -> Give<bool> {
        Give(self.0.look(SumsTotals::clustered))
    }

    /// Whether rows have weights.
    fn weighted(&self) -> Give<bool> {
        Give(self.0.look(|of| of.design().0))
    }

    /// Whether clusters lie in strata.
    fn stratified(&self) -> Give<bool> {
        Give(self.0.look(|of| of.design().1))
    }

    /// The stratum of each cluster, in the order of the clusters' names; the strata's names as texts; and the number of
    /// rows of each that were not excluded. All are empty without strata.
    fn strata<'py>(&self, py: Python<'py>) -> Record<'py> {
        let totals = self.0.now()?;
        let (codes, (names, rows)) =
            call(py, None, 0, |_| Ok((totals.strata_of_clusters()?, totals.strata()?)))?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (codes, rows) = (copied(py, &codes)?, copied(py, &rows)?);
        record!(py, { codes, names, rows })
    }

    /// The effective number of rows by their weights; NaN without weights.
    fn effective(&self) -> PyResult<Give<f64>> {
        let totals = self.0.now()?;
        Ok(Give(totals.effective()))
    }

    /// The reason, with its fields, why the sums of weighted rows are not known well; `None` where they are.
    fn faint<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.now()?.faint().map(|refused| refusal(py, refused)).transpose()
    }

    /// The moments of the first column of all rows, as `column_moments` returns them, but with 0 for the squares.
    fn moments<'py>(&self, py: Python<'py>) -> Record<'py> {
        record_of_moments(py, self.0.look(|of| of.moments(0)))
    }

    /// For a mean, the sum of `w (x - shift)` and the sum of the weights w of each cluster, in the order of the clusters'
    /// names, all multiplied by one number.
    fn cluster_sums<'py>(&self, py: Python<'py>, shift: f64) -> Given<(Array<'py>, Array<'py>)> {
        let totals = self.0.now()?;
        let of = call(py, None, 0, |progress| totals.mean_sums(shift, progress))?;
        let of = of.ok_or_else(|| value_error("statistic: expected the mean"))?;
        Ok(Give((given(py, of.sums)?, given(py, of.sizes)?)))
    }

    /// The statistic with its interval, as `statistic_interval` gives it; `average` says how strata become one.
    #[pyo3(signature = (confidence_level, alternative, average="micro"))]
    fn interval<'py>(
        &self,
        py: Python<'py>,
        confidence_level: f64,
        alternative: &str,
        average: &str,
    ) -> Record<'py> {
        let confidence = confidence(confidence_level, alternative)?;
        let average = named::<Average>(average)?;
        let totals = self.0.now()?;
        match call(py, None, 0, |progress| totals.closed(average, confidence, progress))? {
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

type Array<'py> = Bound<'py, PyArray1<f64>>;

/// The strata of rows as the kernels take them; `texts` are those of their names.
fn row_strata<'a>(
    (of_clusters, names, rows): &'a (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>),
    texts: Option<&'a Vec<String>>,
) -> PyResult<RowStrata<'a>> {
    Ok(RowStrata {
        of_clusters: slice(of_clusters, "strata")?,
        names: self::names(Some(names), texts)?,
        rows: slice(rows, "strata")?,
    })
}

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

/// The name of a cluster or stratum in a message.
fn quoted(id: &Id) -> String {
    match id {
        Id::Number(number) => format!("'{number}'"),
        Id::Text(text) => format!("'{}'", text.escape_debug()),
    }
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
        Refused::MixedWeights => type_error(
            "weights: expected weights in every update of a state or in none; this state has the other kind; a weight of 1 \
             is one of rows that count once",
        ),
        Refused::MixedStrata => type_error(
            "strata: expected strata in every update of a state or in none; this state has the other kind",
        ),
        Refused::NoClusters(with) => value_error(format!(
            "clusters: expected ids with {with}, since the interval needs the size of each unit; give each row an id of \
             its own where rows are independent"
        )),
        Refused::Weights => value_error("weights: expected finite numbers above 0, one per row"),
        Refused::Stratum(code) => value_error(format!("strata: code, name or rows out of range at {code}")),
        Refused::TwoStrata(of) => {
            let [cluster, one, other] = of.each_ref().map(quoted);
            value_error(format!(
                "clusters: expected clusters that lie inside one stratum each; got {cluster} with rows in {one} and in \
                 {other}; if ids are numbered anew in each stratum, put the stratum into the id; where clusters cross \
                 strata (one question in several languages), leave strata out"
            ))
        }
        Refused::TooMany => value_error("state: expected fewer than 2**64 rows"),
        Refused::Other => value_error("other: expected a state of the same statistic, n_resamples and seed"),
    }
}
