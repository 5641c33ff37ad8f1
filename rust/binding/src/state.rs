//! The states that Python holds. There is one class per kind of state, and all of them are locked, changed, merged and
//! saved by the code of this file.

use crate::call::{call, no_memory, unreadable};
use crate::give::{self, value_error};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::state::State;
use steelyard_kernels::state::bytes::BytesError;

/// A state that several threads may change.
///
/// The lock is held only for moments in which the thread is attached to the interpreter, and never during a
/// computation. So no fork and no interrupt happens while it is locked. A change computes a new state from a copy, and
/// then replaces the old state by it.
pub struct Shared<S>(Mutex<Current<S>>);

/// The current state, and the number of changes that have led to it.
struct Current<S> {
    state: S,
    changes: u64,
}

impl<S: State> Shared<S> {
    pub fn of(state: S) -> Self {
        Shared(Mutex::new(Current { state, changes: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Current<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the current state, which shares its memory.
    pub fn now(&self) -> PyResult<S> {
        self.lock().state.copied().map_err(no_memory)
    }

    /// Reads something of the state while it is locked. `at` must be short and must not create a Python object: that
    /// can run a destructor, and if the destructor uses this state it waits for the lock for ever.
    pub fn look<T>(&self, at: impl FnOnce(&S) -> T) -> T {
        at(&self.lock().state)
    }

    /// Replaces the state by a new one and returns the old one. `changes` is the number of changes that the new state
    /// was computed from; where another thread has changed the state since, nothing is replaced and `None` is returned.
    fn replace(&self, changes: u64, state: S) -> Option<S> {
        let mut current = self.lock();
        let same = current.changes == changes;
        same.then(|| std::mem::replace(&mut *current, Current { state, changes: changes + 1 }).state)
    }

    /// Replaces the state by what `next` computes from it; where that fails, the state stays as it was. Where another
    /// thread has changed the state meanwhile, `next` is called again with the changed state.
    pub fn change(
        &self,
        py: Python<'_>,
        next: impl Fn(&S, Progress<'_>) -> Result<Result<S, S::Refused>, Stopped> + Sync,
    ) -> PyResult<Result<(), S::Refused>> {
        loop {
            let (old, changes) = {
                let current = self.lock();
                (current.state.copied().map_err(no_memory)?, current.changes)
            };
            let new = match call(py, None, 0, |progress| next(&old, progress))? {
                Ok(new) => new,
                Err(refused) => return Ok(Err(refused)),
            };
            if let Some(before) = self.replace(changes, new) {
                // Freeing a large state takes a while, during which other threads may have the interpreter.
                py.detach(move || drop((old, before)));
                return Ok(Ok(()));
            }
        }
    }

    /// Adds another state's totals.
    pub fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<Result<(), S::Refused>> {
        let other = other.now()?;
        self.change(py, |state, progress| state.merged(&other, progress))
    }

    /// The bytes of the state, with the caller's configuration.
    pub fn to_bytes<'py>(&self, py: Python<'py>, config: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.now()?;
        let bytes = call(py, None, 0, |progress| state.to_bytes(config, progress))?;
        let bytes = bytes.ok_or_else(|| value_error("to_bytes: expected fewer than 2**32 clusters"))?;
        give::bytes(py, &bytes)
    }

    /// The state that these bytes hold, and the caller's configuration.
    pub fn from_bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<(Self, Bound<'py, PyBytes>)> {
        let read = call(py, None, 0, |progress| match S::from_bytes(data, progress) {
            Err(BytesError::Stopped(stopped)) => Err(stopped),
            read => Ok(read),
        })?;
        let (state, config) = read.map_err(unreadable)?;
        Ok((Shared::of(state), give::bytes(py, &config)?))
    }
}

/// An empty state of a kind that has no options.
#[allow(clippy::unnecessary_wraps)] // one signature with the states whose options may be refused
pub fn empty<S: State + Default>() -> PyResult<S> {
    Ok(S::default())
}

/// Declares the Python class of a state. It has the methods that all states have, and those in braces, which are its
/// own. `made of` are the arguments of its constructor, and `by` names the function that makes the empty state from
/// them. `refused by` names the function that makes the exception for another state that cannot be merged.
#[macro_export]
macro_rules! state_class {
    ($(#[$attribute:meta])* $Class:ident of $State:ty, refused by $refused:path, $methods:tt) => {
        $crate::state_class!(
            $(#[$attribute])*
            $Class of $State, made of () by $crate::state::empty, refused by $refused, $methods
        );
    };
    (
        $(#[$attribute:meta])*
        $Class:ident of $State:ty, made of ($($option:ident: $Kind:ty),*) by $made:path, refused by $refused:path,
        { $($methods:tt)* }
    ) => {
        $(#[$attribute])*
        #[pyo3::pyclass(frozen, module = "steelyard._core")]
        pub struct $Class($crate::state::Shared<$State>);

        #[pyo3::pymethods]
        impl $Class {
            #[new]
            fn new($($option: $Kind),*) -> pyo3::PyResult<Self> {
                let state: $State = $made($($option),*)?;
                Ok($Class($crate::state::Shared::of(state)))
            }

            /// Adds another state's totals.
            fn merge(&self, py: pyo3::Python<'_>, other: &$Class) -> pyo3::PyResult<()> {
                self.0.merge(py, &other.0)?.map_err($refused)
            }

            /// A copy; later changes of one of the two do not change the other.
            fn copy(&self) -> pyo3::PyResult<Self> {
                Ok($Class($crate::state::Shared::of(self.0.now()?)))
            }

            /// The bytes of the state, with the caller's configuration.
            fn to_bytes<'py>(
                &self,
                py: pyo3::Python<'py>,
                config: &[u8],
            ) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::types::PyBytes>> {
                self.0.to_bytes(py, config)
            }

            /// The state that these bytes hold, and the caller's configuration.
            #[staticmethod]
            fn from_bytes<'py>(
                py: pyo3::Python<'py>,
                data: &[u8],
            ) -> $crate::give::Given<(pyo3::Bound<'py, Self>, pyo3::Bound<'py, pyo3::types::PyBytes>)> {
                let (state, config) = $crate::state::Shared::from_bytes(py, data)?;
                Ok($crate::give::Give((pyo3::Bound::new(py, $Class(state))?, config)))
            }

            $($methods)*
        }
    };
}
