//! The end of the interpreter: once it has begun, no thread of the core attaches to the interpreter any more, except
//! the one that ends it.
//!
//! Attaching is safe before the interpreter ends but not afterwards, because it reads data that is being freed. It is
//! not enough to check first, since the end may begin between the check and the attaching. So Python's `atexit`, which
//! runs before the end begins, calls [`stop_attaching`]. It sets a flag, and waits for the threads that had checked it
//! before.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::yield_now;
use steelyard_kernels::grid::Process;

static LEAVING: AtomicBool = AtomicBool::new(false);
/// The low half is the number of threads that are about to attach, the high half the tag of their process. A forked
/// child has none of its parent's threads, and recognises their number by the tag.
static ATTACHING: AtomicU64 = AtomicU64::new(0);
const COUNT: u64 = 0xffff_ffff;

fn tag() -> u64 {
    Process::current().tag() << 32
}

/// Attaches to the interpreter and calls `f`, on a thread that may outlive the interpreter. `None` where the
/// interpreter is about to end or has ended.
pub fn attach_unless_leaving<R>(f: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let process = tag();
    let one_more = |now: u64| Some(if now & !COUNT == process { now + 1 } else { process | 1 });
    let _ = ATTACHING.fetch_update(SeqCst, SeqCst, one_more);
    let done = Attached;
    if LEAVING.load(SeqCst) {
        return None;
    }
    Python::try_attach(|py| {
        drop(done);
        f(py)
    })
}

/// When dropped, subtracts a thread that has attached, or will not attach, from the count.
struct Attached;

impl Drop for Attached {
    fn drop(&mut self) {
        ATTACHING.fetch_sub(1, SeqCst);
    }
}

/// Python calls this before it ends. Once it returns, no other thread attaches to report progress.
#[pyfunction]
pub fn stop_attaching(py: Python<'_>) {
    LEAVING.store(true, SeqCst);
    let process = tag();
    // The threads need the interpreter to attach, so this one detaches while it waits for them.
    py.detach(|| {
        while ATTACHING.load(SeqCst) & COUNT > 0 && ATTACHING.load(SeqCst) & !COUNT == process {
            yield_now();
        }
    });
}
