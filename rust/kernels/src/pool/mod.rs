//! The thread count, and the pool of helper threads.
//!
//! No library's thread pool is used: a forked child would inherit its handle without its threads and wait for ever.
//! Here a forked child finds that the helpers belong to another process, and runs serially until it asks for threads
//! itself. The helpers are found without a lock, so that a child cannot inherit one that is locked; the parent's data
//! about its helpers is leaked in the child.

mod process;
mod team;

pub use process::Process;
use process::Slot;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
pub(crate) use team::{Team, together};

/// The count that `set_threads` asked for; 0 for none.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// The process that asked for it: a forked child must ask for itself.
static ASKED_BY: Slot = Slot::empty();
/// The count that the environment gave; 0 for none.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);
/// The process that loaded the library; empty in a Rust program that never called `set_default_threads`.
static HOME: Slot = Slot::empty();

/// Called once when the library is loaded: makes this the process that has threads by default, and sets how many
/// (`None`: the cores that affinity and quota allow).
pub(crate) fn set_default_threads(threads: Option<usize>) {
    HOME.set(Some(Process::current()));
    DEFAULT.store(threads.unwrap_or(0), Relaxed);
}

/// Sets the thread count of this process; `None` returns to the default.
pub(crate) fn set_threads(threads: Option<usize>) {
    ASKED.store(threads.unwrap_or(0), Relaxed);
    ASKED_BY.set(threads.map(|_| Process::current()));
}

/// The thread count that was set in this process, if any: what a context manager restores.
pub(crate) fn asked_threads() -> Option<usize> {
    let asked = ASKED.load(Relaxed);
    (asked > 0 && ASKED_BY.get() == Some(Process::current())).then_some(asked)
}

/// How many threads share the work of a call: the count that this process has set, else 1 in a forked child, else the
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

/// The cores that affinity and quota allow. They are counted once, since counting reads files of the system and takes
/// longer (34 us) than a small call.
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
