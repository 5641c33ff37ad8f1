//! Exclusive access to what a step changes, for one thread of one process.

use crate::give::runtime_error;
use pyo3::prelude::*;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use steelyard_kernels::grid::Process;

/// A value that one thread at a time may enter. A thread that finds another one inside gets an exception; so does the
/// child of a process that was forked meanwhile, where the thread that is inside does not exist.
pub struct Gate<T> {
    value: Mutex<T>,
    // Locked only for a moment, by a thread that is attached to the interpreter. So no fork happens while it is locked.
    /// The process whose thread is inside, if one is.
    inside: Mutex<Option<Process>>,
}

/// Exclusive access, until it is dropped.
pub struct Entered<'a, T> {
    value: MutexGuard<'a, T>,
    inside: &'a Mutex<Option<Process>>,
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        *locked(self.inside) = None; // before the lock of the value is released
    }
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Entered<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Gate<T> {
    pub fn new(value: T) -> Self {
        Gate { value: Mutex::new(value), inside: Mutex::new(None) }
    }

    /// Whether this process was forked while another thread was inside. That thread does not exist here, so it will
    /// never leave.
    pub fn forked(&self) -> bool {
        locked(&self.inside).is_some_and(|inside| inside != Process::current())
    }

    /// Enters; an exception where another thread is inside.
    pub fn enter(&self, py: Python<'_>) -> PyResult<Entered<'_, T>> {
        self.try_enter(py)?.ok_or_else(another_thread)
    }

    /// Waits until no other thread is inside, then enters.
    pub fn wait(&self, py: Python<'_>) -> PyResult<Entered<'_, T>> {
        loop {
            if let Some(entered) = self.try_enter(py)? {
                return Ok(entered);
            }
            py.detach(|| std::thread::sleep(Duration::from_micros(200)));
            py.check_signals()?;
        }
    }

    fn try_enter(&self, _: Python<'_>) -> PyResult<Option<Entered<'_, T>>> {
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) if self.forked() => {
                return Err(runtime_error(
                    "this process was forked while another thread was inside a step of this optimizer, which left its \
                     parameters and moments half-updated here; put back the parameters and load a saved state, or \
                     make a new optimizer",
                ));
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        *locked(&self.inside) = Some(Process::current());
        Ok(Some(Entered { value, inside: &self.inside }))
    }
}

/// The value of a mutex that is locked only for a moment.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The exception for a thread that finds another one inside.
pub fn another_thread() -> PyErr {
    runtime_error("another thread is inside this optimizer's step; call it from one thread at a time")
}
