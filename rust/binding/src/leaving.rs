//! The end of the interpreter: threads that do not end it attach no more once it has begun.
//!
//! Attaching is safe before the interpreter ends, and not afterwards: it reads what is being taken down. To look first
//! is not enough, since the end may begin between the look and the deed. So Python's `atexit`, which runs before the end
//! begins, calls [`stop_attaching`]: it raises a flag and waits for those who had looked before.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::yield_now;
use steelyard_kernels::grid::Process;

static LEAVING: AtomicBool = AtomicBool::new(false);
/// How many threads are about to attach (the low half), and the tag of their process (the high half): a forked child
/// has none of its parent's threads.
static ATTACHING: AtomicU64 = AtomicU64::new(0);
const COUNT: u64 = 0xffff_ffff;

fn tag() -> u64 {
    Process::current().tag() << 32
}

/// Attaches for `f`, on a thread that may outlive the interpreter; None: it is about to end, or has ended.
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

/// Counts a thread out that has attached, or will not.
struct Attached;

impl Drop for Attached {
    fn drop(&mut self) {
        ATTACHING.fetch_sub(1, SeqCst);
    }
}

/// Called by Python before it ends: when this returns, no thread but the calling one attaches for a call any more.
#[pyfunction]
pub fn stop_attaching(py: Python<'_>) {
    LEAVING.store(true, SeqCst);
    let process = tag();
    // They wait for the interpreter, which is theirs meanwhile.
    py.detach(|| {
        while ATTACHING.load(SeqCst) & COUNT > 0 && ATTACHING.load(SeqCst) & !COUNT == process {
            yield_now();
        }
    });
}
