//! Limits for the norm of gradients: a number, or a policy whose limit follows from the norms so far.

use super::gate::locked;
use crate::call::no_memory;
use crate::give::{Give, Given, runtime_error, value_error};
use crate::take::listed;
use pyo3::prelude::*;
use std::sync::Mutex;
use steelyard_kernels::memory::NoMemory;
use steelyard_kernels::optim::{Policy, PolicyRule};

/// A policy. A step takes it for the time of the step, and gives it back with one norm more if the step was made.
#[pyclass(frozen, module = "steelyard._core")]
pub struct ClipPolicy {
    rule: PolicyRule,
    /// None while a step has it. Locked only for a moment, by a thread that is attached to the interpreter.
    policy: Mutex<Option<Policy>>,
}

impl ClipPolicy {
    fn of(rule: PolicyRule) -> Self {
        ClipPolicy { rule, policy: Mutex::new(Some(Policy::new(rule))) }
    }

    fn borrowed(&self) -> PyResult<Borrowed<'_>> {
        let policy = locked(&self.policy).take().ok_or_else(|| {
            runtime_error(
                "max_norm: another step is using this policy (or was, when this process was forked); give \
                           each optimizer one of its own",
            )
        })?;
        Ok(Borrowed { place: &self.policy, policy: Some(policy), observed: false })
    }
}

#[pymethods]
impl ClipPolicy {
    #[staticmethod]
    #[pyo3(signature = (*, z_thresh, alpha, warmup_steps, max_norm, eps))]
    fn zclip(z_thresh: f64, alpha: f64, warmup_steps: usize, max_norm: f64, eps: f64) -> Self {
        ClipPolicy::of(PolicyRule::ZClip { z_thresh, alpha, warmup_steps, max_norm, eps })
    }

    #[staticmethod]
    #[pyo3(signature = (*, percentile, window))]
    fn autoclip(percentile: f64, window: usize) -> Self {
        ClipPolicy::of(PolicyRule::AutoClip { percentile, window })
    }

    /// Takes one more norm; the limit for it.
    fn limit(&self, norm: f64) -> Given<f64> {
        let mut policy = self.borrowed()?;
        let limit = policy.limit(norm).map_err(no_memory)?;
        policy.keep();
        Ok(Give(limit))
    }

    /// What the policy has seen, as numbers.
    fn state(&self) -> Given<Vec<f64>> {
        let policy = self.borrowed()?;
        let state = policy.policy.as_ref().map_or(Ok(Vec::new()), Policy::state);
        Ok(Give(state.map_err(no_memory)?))
    }

    /// Replaces what it has seen by what `state` has returned.
    fn load(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let state: Vec<f64> = listed(state)?;
        let loaded = Policy::with_state(self.rule, &state).map_err(no_memory)?;
        let Some(loaded) = loaded else {
            return Err(value_error(
                "state: expected what the policy's state_dict() returned; got other numbers",
            ));
        };
        self.borrowed()?.policy = Some(loaded);
        Ok(())
    }
}

/// The policy, until it is dropped. An observation that was not kept is then taken back.
pub struct Borrowed<'a> {
    place: &'a Mutex<Option<Policy>>,
    policy: Option<Policy>,
    observed: bool,
}

impl Borrowed<'_> {
    fn limit(&mut self, norm: f64) -> Result<f64, NoMemory> {
        let Some(policy) = self.policy.as_mut().filter(|_| norm.is_finite()) else {
            return Ok(f64::INFINITY);
        };
        let limit = policy.observe(norm)?;
        self.observed = true;
        Ok(limit)
    }

    fn keep(mut self) {
        self.observed = false;
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(policy) = self.policy.as_mut().filter(|_| self.observed) {
            policy.undo();
        }
        *locked(self.place) = self.policy.take();
    }
}

/// The argument `max_norm` of a step.
#[derive(FromPyObject)]
pub enum MaxNorm {
    Policy(Py<ClipPolicy>),
    Number(f64),
}

/// What limits the norm in one step.
pub enum Limiter<'a> {
    Number(Option<f64>),
    Policy(Borrowed<'a>),
}

impl<'a> Limiter<'a> {
    pub fn of(max_norm: Option<&'a MaxNorm>) -> PyResult<Self> {
        Ok(match max_norm {
            None => Limiter::Number(None),
            Some(MaxNorm::Number(limit)) => Limiter::Number(Some(*limit)),
            Some(MaxNorm::Policy(policy)) => Limiter::Policy(policy.get().borrowed()?),
        })
    }

    /// The limit for this norm. A policy does not see a norm that is not finite, which it leaves as it is.
    pub fn limit(&mut self, norm: f64) -> Result<Option<f64>, NoMemory> {
        match self {
            Limiter::Number(limit) => Ok(*limit),
            Limiter::Policy(policy) => policy.limit(norm).map(Some),
        }
    }

    /// The step was made: a policy has seen its norm. Otherwise it has not.
    pub fn keep(self) {
        if let Limiter::Policy(policy) = self {
            policy.keep();
        }
    }
}
