//! One private pool: lazy, keyed by process id, never locked on the way to it, leaked rather than dropped.
//!
//! rayon's global pool is never used: a forked child would inherit its handle without its threads and wait
//! for ever. Here a child sees a foreign process id and runs serially until it asks for threads itself; no
//! lock is held on the way to the pool, so that a fork cannot inherit a locked one; the parent's handle is
//! leaked in the child, because dropping it would join threads that do not exist there.
#![allow(unsafe_code)] // a leaked Box behind an AtomicPtr

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::process::id;
use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};

struct Pool {
    pid: u32,
    threads: usize,
    workers: ThreadPool,
}

static POOL: AtomicPtr<Pool> = AtomicPtr::new(null_mut());
/// The count asked for by `set_threads`; 0: none.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// The process that asked: a forked child must ask for itself.
static ASKED_BY: AtomicU32 = AtomicU32::new(0);
/// The count the environment gave; 0: none.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);
/// The process that loaded the library; 0: not told (a Rust program that never called `set_default_threads`).
static HOME: AtomicU32 = AtomicU32::new(0);

/// Called once when the library is loaded: the process that owns threads by default, and how many
/// (`None`: the cores that affinity and quota allow).
pub(crate) fn set_default_threads(threads: Option<usize>) {
    HOME.store(id(), Relaxed);
    DEFAULT.store(threads.unwrap_or(0), Relaxed);
}

/// Asks for a thread count in this process; `None` returns to the default.
pub(crate) fn set_threads(threads: Option<usize>) {
    ASKED.store(threads.unwrap_or(0), Relaxed);
    ASKED_BY.store(if threads.is_some() { id() } else { 0 }, Relaxed);
}

/// The count asked for in this process, if any: what a context manager restores.
pub(crate) fn asked_threads() -> Option<usize> {
    let asked = ASKED.load(Relaxed);
    (asked > 0 && ASKED_BY.load(Relaxed) == id()).then_some(asked)
}

/// How many threads work is given to: what this process asked for, else 1 in a forked child, else the
/// default, else the cores that affinity and quota allow.
pub(crate) fn threads() -> usize {
    if let Some(asked) = asked_threads() {
        return asked;
    }
    let home = HOME.load(Relaxed);
    if home != 0 && home != id() {
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

/// The pool of *this* process with at least `threads` workers, or `None`: run serially.
pub(crate) fn pool(threads: usize) -> Option<&'static ThreadPool> {
    if threads <= 1 {
        return None;
    }
    let pid = id();
    let old = POOL.load(Acquire);
    // SAFETY: every non-null value was leaked from a Box below and is never freed once it was visible here.
    if let Some(pool) = unsafe { old.as_ref() }
        && pool.pid == pid
        && pool.threads >= threads
    {
        return Some(&pool.workers);
    }
    let workers = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("steelyard-{i}"))
        .build()
        .ok()?;
    let new = Box::into_raw(Box::new(Pool { pid, threads, workers }));
    if POOL.compare_exchange(old, new, AcqRel, Acquire).is_ok() {
        // SAFETY: `new` is ours until published and never freed after; the pool it replaces stays leaked,
        // because another thread may be inside it or its threads may live in another process.
        return Some(unsafe { &(*new).workers });
    }
    // Another thread built one meanwhile. SAFETY: `new` was never published.
    drop(unsafe { Box::from_raw(new) });
    // SAFETY: as for `old` above.
    unsafe { POOL.load(Acquire).as_ref() }.map(|pool| &pool.workers)
}
