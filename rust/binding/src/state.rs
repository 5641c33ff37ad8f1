//! States that Python holds: one class for each kind, all with the same discipline.

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
/// The lock is held only while the thread has the interpreter, and never while it computes: no fork and no interrupt
/// finds it held. A change computes a new state from a copy and puts it in place whole.
pub struct Shared<S>(Mutex<Current<S>>);

/// The state of now, and how many changes it has seen.
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

    /// The state of now: a copy that shares its memory.
    pub fn now(&self) -> PyResult<S> {
        self.lock().state.copied().map_err(no_memory)
    }

    /// What a short look at the state finds. It must make no Python object: that may run a destructor, which may ask this
    /// state for something and wait for the lock for ever.
    pub fn look<T>(&self, at: impl FnOnce(&S) -> T) -> T {
        at(&self.lock().state)
    }

    /// Puts a new state in the place of the one that had seen so many changes, and returns that; none: there is another
    /// one now.
    fn replace(&self, changes: u64, state: S) -> Option<S> {
        let mut current = self.lock();
        let same = current.changes == changes;
        same.then(|| std::mem::replace(&mut *current, Current { state, changes: changes + 1 }).state)
    }

    /// Replaces the state by what `next` makes of it: whole, or not at all. Where another thread has changed it
    /// meanwhile, it is made again of the new one.
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
                // A large state takes a while to give its memory back.
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

    /// The state of these bytes, and its configuration.
    pub fn from_bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<(Self, Bound<'py, PyBytes>)> {
        let read = call(py, None, 0, |progress| match S::from_bytes(data, progress) {
            Err(BytesError::Stopped(stopped)) => Err(stopped),
            read => Ok(read),
        })?;
        let (state, config) = read.map_err(unreadable)?;
        Ok((Shared::of(state), give::bytes(py, &config)?))
    }
}

/// A state without options, before anything is added.
#[allow(clippy::unnecessary_wraps)] // one signature with the states whose options may be refused
pub fn empty<S: State + Default>() -> PyResult<S> {
    Ok(S::default())
}

/// The class of a state: what every one has, and the methods in braces, which are its own. `made of` are the arguments of
/// its constructor, of which a function makes the empty state; `refused` makes the sentence for another state that is not
/// taken.
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

            /// A copy that goes its own way.
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

            /// The state of these bytes, and its configuration.
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
