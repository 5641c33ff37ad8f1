//! The binding of losses of a policy and of advantages, from the log-probabilities, rewards and values of tokens.

use crate::arrays::{Fresh, Item, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Listed, Typed};
use steelyard_kernels::preference::advantages::{self, Comparison, Trajectories};
use steelyard_kernels::preference::policy::{self, Advantages, Answers, Constants, POSITIVE, Sums};
use steelyard_kernels::simd::Element;

/// The columns in the order in which messages name them.
const COLUMNS: [&str; 4] = ["logprob", "old_logprob", "reference_logprob", "advantage"];

/// What is the same for every token.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Options {
    loss: String,
    low: f64,
    high: f64,
    kl_weight: f64,
    kl_estimator: String,
    divisor: Option<f64>,
}

/// Which tokens count, and how many tokens each answer has.
type Counted<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// The loss of a policy: for each answer its share of the loss, the number of its tokens that count and their sums
/// (ratios less 1, clips, divergences); and the gradient with respect to the log-probabilities, in their type, as the
/// bytes of an int64 array (None unless `gradients`).
///
/// The columns are log-probabilities of the policy, the old one and, if there is one, the reference: `[n, width]`, all
/// float32 or all float64. `advantage` is float64, one an answer or one a token.
#[pyfunction]
#[pyo3(signature = (columns, advantage, *, width, options, counted, gradients, progress=None))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn policy_loss<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyAny>>,
    advantage: &Bound<'py, PyAny>,
    width: usize,
    options: Options,
    counted: Counted<'py>,
    gradients: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let constants = Constants {
        loss: named(&options.loss)?,
        low: options.low,
        high: options.high,
        kl_weight: options.kl_weight,
        estimator: named(&options.kl_estimator)?,
        divisor: options.divisor,
    };
    let given = Given { columns: &columns, advantage, width, counted: &counted };
    let first = columns.first().ok_or_else(|| value_error("columns: expected 2 or 3; got 0"))?;
    match crate::arrays::floats(first, COLUMNS[0])? {
        Typed::F32(logprob) => given.score(py, logprob, constants, gradients, progress),
        Typed::F64(logprob) => given.score(py, logprob, constants, gradients, progress),
        _ => Err(value_error("logprob: expected float32 or float64; got 16 bits")),
    }
}

/// The arrays of a call.
struct Given<'a, 'py> {
    columns: &'a [Bound<'py, PyAny>],
    advantage: &'a Bound<'py, PyAny>,
    width: usize,
    counted: &'a Counted<'py>,
}

impl<'a, 'py> Given<'a, 'py> {
    fn answers<T: Item + Element>(&self, logprob: &'a [T]) -> PyResult<Answers<'a, T>> {
        let n = logprob.len().checked_div(self.width).unwrap_or(0);
        let column = |index: usize| match self.columns.get(index) {
            Some(column) => as_long(slice::<T>(column, COLUMNS[index])?, n * self.width, COLUMNS[index]),
            None => Ok(&[][..]),
        };
        let advantage = slice::<f64>(self.advantage, "advantage")?;
        let (counted, lengths) = marks(self.counted, n, self.width)?;
        Ok(Answers {
            width: self.width,
            logprob: as_long(logprob, n * self.width, COLUMNS[0])?,
            old: column(1)?,
            reference: column(2)?,
            advantage: if advantage.len() == n {
                Advantages::PerAnswer(advantage)
            } else {
                Advantages::PerToken(as_long(advantage, n * self.width, "advantage")?)
            },
            counted,
            lengths,
        })
    }

    fn score<T: Item + Listed>(
        &self,
        py: Python<'py>,
        logprob: &'a [T],
        constants: Constants,
        gradients: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Record<'py> {
        let answers = self.answers(logprob)?;
        let rows = logprob.len().checked_div(self.width).unwrap_or(0);
        let n = if gradients { logprob.len() } else { 0 };
        let mut fresh = Fresh::<i64>::new(py, (n * size_of::<T>()).div_ceil(size_of::<i64>()))?;
        let to = fresh.floats::<T>(n);
        let scored =
            call(py, progress, rows, move |progress| policy::policy_loss(answers, constants, to, progress))?;
        if scored.seen.nonfinite > 0
            && let Some(found) = answers.first(|x| !x.is_finite(), true)
        {
            return Err(refused(found, "finite values", "leave such tokens out with where="));
        }
        if scored.seen.positive > 0
            && let Some(found) = answers.first(|x| x > POSITIVE, false)
        {
            let fix = "negate it, if it is a negative log-likelihood";
            return Err(refused(found, "log-probabilities, at most 0", fix));
        }
        if scored.seen.overflows > 0 || scored.losses.iter().any(|loss| !loss.is_finite()) {
            return Err(value_error(format!(
                "advantage: expected losses and gradients that {} holds; got larger ones of these advantages, \
                 kl_weight and log-probabilities",
                <T as Item>::NAME
            )));
        }
        let column = |of: fn(&Sums) -> f64| {
            let mut column = Fresh::new(py, scored.sums.len())?;
            for (to, sums) in column.elements().iter_mut().zip(&scored.sums) {
                *to = of(sums);
            }
            PyResult::Ok(column.array())
        };
        record!(py, {
            gradient: gradients.then(|| fresh.array()),
            losses: crate::arrays::given(py, scored.losses)?,
            counts: crate::arrays::given(py, scored.counts)?,
            loss: column(|sums| sums.loss)?,
            low: column(|sums| sums.low)?,
            high: column(|sums| sums.high)?,
            ratio: column(|sums| sums.ratio)?,
            kl: column(|sums| sums.kl)?,
            reference: column(|sums| sums.reference)?,
            saturated: scored.seen.saturated,
        })
    }
}

/// The exception for a token with a number that is not what is expected.
fn refused((row, place, which, value): (usize, usize, usize, f64), expected: &str, fix: &str) -> PyErr {
    value_error(format!(
        "{}: expected {expected}; got {value:?} at index [{row}, {place}]; {fix}",
        COLUMNS[which]
    ))
}

/// The mask as bytes and the lengths; each empty where there is none.
fn marks<'a>(counted: &'a Counted<'_>, n: usize, width: usize) -> PyResult<(&'a [u8], &'a [i64])> {
    let mask = match &counted.0 {
        Some(mask) => as_long(slice::<u8>(mask, "where")?, n * width, "where")?,
        None => &[],
    };
    let lengths = match &counted.1 {
        Some(lengths) => as_long(slice::<i64>(lengths, "lengths")?, n, "lengths")?,
        None => &[],
    };
    Ok((mask, lengths))
}

/// The column, if it has as many values.
fn as_long<'a, T>(values: &'a [T], n: usize, name: &str) -> PyResult<&'a [T]> {
    if values.len() == n {
        return Ok(values);
    }
    Err(value_error(format!("{name}: expected {n} values; got {}", values.len())))
}

/// Rewards compared within groups, given as codes from 0 to `count`: `advantages`, and the numbers of groups that are
/// too small (`alone`) and of those whose rewards are all `equal`.
#[pyfunction]
#[pyo3(signature = (rewards, groups, *, count, leave_one_out, scaled, ddof, epsilon))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn group_advantages<'py>(
    py: Python<'py>,
    rewards: &Bound<'py, PyAny>,
    groups: &Bound<'py, PyAny>,
    count: usize,
    leave_one_out: bool,
    scaled: bool,
    ddof: usize,
    epsilon: f64,
) -> Record<'py> {
    let rewards = slice::<f64>(rewards, "rewards")?;
    let groups = as_long(slice::<i64>(groups, "groups")?, rewards.len(), "groups")?;
    let inside = |&group: &i64| usize::try_from(group).is_ok_and(|group| group < count);
    if let Some(bad) = groups.iter().position(|group| !inside(group)) {
        return Err(value_error(format!("groups: expected codes below {count}; got another at index {bad}")));
    }
    let comparison = Comparison { leave_one_out, scaled, ddof, epsilon };
    let compared = call(py, None, rewards.len(), |progress| {
        advantages::within_groups(rewards, groups, count, comparison, progress)
    })?;
    let (alone, equal) = (compared.alone, compared.equal);
    record!(py, { advantages: crate::arrays::given(py, compared.advantages)?, alone, equal })
}

/// Generalized advantages and returns of `[n, width]` rewards and values; `last` are the values after the answers.
#[pyfunction]
#[pyo3(signature = (rewards, values, *, width, last, counted, gamma, lam))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn token_advantages<'py>(
    py: Python<'py>,
    rewards: &Bound<'py, PyAny>,
    values: &Bound<'py, PyAny>,
    width: usize,
    last: Option<Bound<'py, PyAny>>,
    counted: Counted<'py>,
    gamma: f64,
    lam: f64,
) -> Record<'py> {
    let rewards = slice::<f64>(rewards, "rewards")?;
    let n = rewards.len().checked_div(width).unwrap_or(0);
    let values = as_long(slice::<f64>(values, "values")?, rewards.len(), "values")?;
    let last = match &last {
        Some(last) => as_long(slice::<f64>(last, "bootstrap")?, n, "bootstrap")?,
        None => &[],
    };
    let (counted, lengths) = marks(&counted, n, width)?;
    let of = Trajectories { width, rewards, values, last, counted, lengths, gamma, lambda: lam };
    let (mut found, mut returns) = (Fresh::new(py, rewards.len())?, Fresh::new(py, rewards.len())?);
    let (to, sums) = (found.elements(), returns.elements());
    call(py, None, n, move |progress| advantages::along_tokens(of, to, sums, progress))?;
    record!(py, { advantages: found.array(), returns: returns.array() })
}
