//! The one chokepoint between Python and a kernel: release the interpreter, watch for signals, report
//! progress, and turn a panic into an ordinary exception.

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::id;
use steelyard_kernels::grid::{Cancelled, Watch};

/// Runs `work` detached from the interpreter. `work` is given the `watch` of the grid: about every 25 ms it
/// checks for signals (on the main thread) and calls `progress(done, total)`; an exception raised by either
/// stops the work and is what the caller sees.
pub fn call<R: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    total: usize,
    work: impl FnOnce(Watch<'_>) -> Result<R, Cancelled> + Send,
) -> PyResult<R> {
    let progress: Option<Py<PyAny>> = progress.map(|p| p.clone().unbind());
    let thread = CallingThread::known(py)?;
    let mut raised: Option<PyErr> = None;
    let mut watch = |done: usize| {
        if progress.is_none() && !thread.is_main() {
            return true;
        }
        Python::attach(|py| {
            let asked = py.check_signals().and_then(|()| match &progress {
                Some(progress) => progress.call1(py, (done, total)).map(|_| ()),
                None => Ok(()),
            });
            asked.map_err(|error| raised = Some(error)).is_ok()
        })
    };
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(|| work(&mut watch))));
    match outcome {
        Ok(Ok(result)) => {
            if let Some(progress) = progress {
                progress.call1(py, (total, total))?;
            }
            Ok(result)
        }
        Ok(Err(Cancelled)) => Err(raised.unwrap_or_else(|| PyKeyboardInterrupt::new_err("cancelled"))),
        Err(panic) => Err(internal_error(panic.as_ref())),
    }
}

/// What a thread has learnt about itself in its first call, so that later ones need not ask.
///
/// Signals are the main thread's. A call of another thread without progress has nothing to ask the interpreter and
/// stays away from it: a daemon thread that attaches while the interpreter ends is killed where it stands, and the
/// workers would go on with a stack that is gone.
#[derive(Clone, Copy)]
struct CallingThread {
    main: bool,
    process: u32,
}

thread_local! {
    static KNOWN: Cell<Option<CallingThread>> = const { Cell::new(None) };
}

impl CallingThread {
    fn known(py: Python<'_>) -> PyResult<Self> {
        if let Some(known) = KNOWN.get() {
            return Ok(known);
        }
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        let thread = Self { main: main.eq(threading.call_method0("get_ident")?)?, process: id() };
        KNOWN.set(Some(thread));
        Ok(thread)
    }

    /// A thread that learnt in another process has come here by forking, which makes it the main one.
    fn is_main(self) -> bool {
        self.main || self.process != id()
    }
}

/// [`call`] for work that is short or must not be interrupted: what writes in place.
pub fn call_quick<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> PyResult<R> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| internal_error(panic.as_ref()))
}

fn internal_error(panic: &(dyn std::any::Any + Send)) -> PyErr {
    let what = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    PyRuntimeError::new_err(format!(
        "steelyard: internal error ({what}); the result is lost, your data is not. Please report it with the \
         output of steelyard.show_config()"
    ))
}
