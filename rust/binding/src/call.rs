//! The call of a kernel from Python. Kernels are called through this file, which releases the interpreter, enters the
//! standard floating-point environment, checks for signals, reports progress, and turns a panic into an exception.

use crate::callback::call_back;
use crate::give::{ToPython, memory_error, runtime_error, value_error};
use crate::leaving::attach_unless_leaving;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use steelyard_kernels::grid::{Process, Progress, Stopped, asked_alone};
use steelyard_kernels::memory::NoMemory;
use steelyard_kernels::simd::{FpEnv, standard};
use steelyard_kernels::state::bytes::BytesError;

/// Runs `work` detached from the interpreter. About every 25 ms, `work` calls the function that it is given, which
/// checks for signals (on the main thread) and calls `progress(done, total)`. An exception that either of them raises
/// stops the work and is returned to the caller. Both run in the caller's floating-point mode, while `work` runs in the
/// standard one.
pub fn call<R: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    total: usize,
    work: impl FnOnce(Progress<'_>) -> Result<R, Stopped> + Send,
) -> PyResult<R> {
    let progress: Option<Py<PyAny>> = progress.map(|p| p.clone().unbind());
    let process = Process::current();
    let main = CallingThread::known(py, process)?.is_main(process);
    let alone = !main && progress.is_some();
    let mut raised: Option<PyErr> = None;
    let callers = FpEnv::current();
    let mut ask = |done: usize| {
        let asked = |py: Python<'_>| {
            let asked = py.check_signals().and_then(|()| match &progress {
                Some(progress) => report(progress.bind(py), done, total),
                None => Ok(()),
            });
            asked.map_err(|error| raised = Some(error)).is_ok()
        };
        if main {
            Python::attach(asked)
        } else if alone {
            attach_unless_leaving(asked).unwrap_or(true)
        } else {
            true
        }
    };
    let mut checked = |done: usize| callers.run(|| ask(done));
    let outcome = py.detach(|| {
        standard(|| {
            catch_unwind(AssertUnwindSafe(|| {
                if alone { asked_alone(|| work(&mut checked)) } else { work(&mut checked) }
            }))
        })
    });
    match outcome {
        Ok(Ok(result)) => {
            if let Some(progress) = progress {
                report(progress.bind(py), total, total)?;
            }
            Ok(result)
        }
        Ok(Err(Stopped::NoMemory(error))) => Err(no_memory(error)),
        Ok(Err(Stopped::Cancelled)) => Err(raised.unwrap_or_else(|| unfinished(process))),
        Err(panic) => Err(internal_error(panic.as_ref())),
    }
}

fn report(progress: &Bound<'_, PyAny>, done: usize, total: usize) -> PyResult<()> {
    let arguments = (done, total).to_python(progress.py())?.cast_into()?;
    call_back(progress, &arguments, None).map(|_| ())
}

/// The exception for a call that was stopped although neither a signal handler nor `progress` raised one.
fn unfinished(process: Process) -> PyErr {
    if process == Process::current() {
        return PyKeyboardInterrupt::new_err("cancelled");
    }
    runtime_error(
        "the process was forked inside this call (by progress or a signal handler), and the threads that worked on it \
         are not here; make the call again in the child, or fork outside it",
    )
}

/// Whether a thread is the main one. It is found out in the thread's first call and kept for later ones.
///
/// Only the main thread handles signals. Other threads may be daemons, which never return from the interpreter once it
/// ends (see [`crate::callback`]). So they attach only to call `progress`, only while no other thread takes part in
/// their work (`asked_alone`), and not once the interpreter is about to end.
#[derive(Clone, Copy)]
struct CallingThread {
    main: bool,
    process: Process,
}

thread_local! {
    static KNOWN: Cell<Option<CallingThread>> = const { Cell::new(None) };
}

impl CallingThread {
    fn known(py: Python<'_>, process: Process) -> PyResult<Self> {
        if let Some(known) = KNOWN.get() {
            return Ok(known);
        }
        let threading = py.import(intern!(py, "threading"))?;
        // Both of these calls run Python code, so they go through `call_back`.
        let main = call_back(&threading.getattr(intern!(py, "main_thread"))?, &PyTuple::empty(py), None)?;
        let ident = threading.getattr(intern!(py, "Thread"))?.getattr(intern!(py, "ident"))?;
        let arguments = [main].to_python(py)?.cast_into()?;
        let main = call_back(&ident.getattr(intern!(py, "fget"))?, &arguments, None)?;
        let here = threading.call_method0(intern!(py, "get_ident"))?;
        let thread = Self { main: main.eq(here)?, process };
        KNOWN.set(Some(thread));
        Ok(thread)
    }

    /// If this was found out in another process, the thread has come here by forking, which makes it the main thread.
    fn is_main(self, process: Process) -> bool {
        self.main || self.process != process
    }
}

/// Looks up at import what a thread's first call needs, since there may be no memory for it later.
pub fn look_up(py: Python<'_>) -> PyResult<()> {
    CallingThread::known(py, Process::current()).map(|_| ())
}

/// [`call`] for work that is short, or that must not be interrupted because it writes in place.
pub fn call_quick<R: Send>(py: Python<'_>, work: impl FnOnce() -> Result<R, NoMemory> + Send) -> PyResult<R> {
    match py.detach(|| standard(|| catch_unwind(AssertUnwindSafe(work)))) {
        Ok(outcome) => outcome.map_err(no_memory),
        Err(panic) => Err(internal_error(panic.as_ref())),
    }
}

/// The exception for bytes from which the requested state cannot be read.
pub fn unreadable(error: BytesError) -> PyErr {
    match error {
        BytesError::Stopped(Stopped::NoMemory(error)) => no_memory(error),
        refused => value_error(format!("data: {refused}")),
    }
}

/// The exception for an allocation that failed.
pub fn no_memory(error: NoMemory) -> PyErr {
    memory_error(&error.to_string())
}

fn internal_error(panic: &(dyn std::any::Any + Send)) -> PyErr {
    let what = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    runtime_error(format!(
        "steelyard: internal error ({what}); the result is lost, your data is not. Please report it with the \
         output of steelyard.show_config()"
    ))
}
