//! How many threads work is given to, and the helpers that do it.
//!
//! A thread pool of somebody else's is never used: a forked child would inherit its handle without its threads and wait
//! for ever. Here a child sees a foreign process and runs serially until it asks for threads itself; no lock is held on
//! the way to the helpers, so that a fork cannot inherit a locked one; the parent's are leaked in the child.

mod process;
mod team;

pub use process::Process;
use process::Slot;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
pub(crate) use team::{Team, together};

/// The count asked for by `set_threads`; 0: none.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// The process that asked: a forked child must ask for itself.
static ASKED_BY: Slot = Slot::empty();
/// The count the environment gave; 0: none.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);
/// The process that loaded the library; none: not told (a Rust program that never called `set_default_threads`).
static HOME: Slot = Slot::empty();

/// Called once when the library is loaded: the process that owns threads by default, and how many
/// (`None`: the cores that affinity and quota allow).
pub(crate) fn set_default_threads(threads: Option<usize>) {
    HOME.set(Some(Process::current()));
    DEFAULT.store(threads.unwrap_or(0), Relaxed);
}

/// Asks for a thread count in this process; `None` returns to the default.
pub(crate) fn set_threads(threads: Option<usize>) {
    ASKED.store(threads.unwrap_or(0), Relaxed);
    ASKED_BY.set(threads.map(|_| Process::current()));
}

/// The count asked for in this process, if any: what a context manager restores.
pub(crate) fn asked_threads() -> Option<usize> {
    let asked = ASKED.load(Relaxed);
    (asked > 0 && ASKED_BY.get() == Some(Process::current())).then_some(asked)
}

/// How many threads work is given to: what this process asked for, else 1 in a forked child, else the
/// default, else the cores that affinity and quota allow.
pub(crate) fn threads() -> usize {
    if let Some(asked) = asked_threads() {
        return asked;
    }
    if HOME.get().is_some_and(|home| home != Process::current()) {
        return 1;
    }
    match DEFAULT.load(Relaxed) {
        0 => cores(),
        n => n,
    }
}

/// The cores that affinity and quota allow, counted once: counting reads the system's files and takes longer
/// (34 us) than a small call.
fn cores() -> usize {
    static CORES: AtomicUsize = AtomicUsize::new(0);
    let known = CORES.load(Relaxed);
    if known > 0 {
        return known;
    }
    let counted = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    CORES.store(counted, Relaxed);
    counted
}
