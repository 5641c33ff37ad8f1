//! The identity of a process: a forked child inherits the memory of its parent and must notice that it is another
//! process.
#![allow(unsafe_code)] // pthread_atfork

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A process, identified by its id and by how many times its memory has been forked. The id alone does not distinguish
/// a child in a process-id namespace of its own from a parent with the same id; the count alone misses a child that was
/// made without the C library's `fork`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u64);

/// Forks between the first process and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

impl Process {
    /// The calling process.
    pub fn current() -> Process {
        count_forks();
        Process(u64::from(FORKS.load(Relaxed)) << 32 | u64::from(std::process::id()))
    }

    /// A hash of 32 bits, for where there is no room for more.
    pub fn tag(self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
    }
}

/// An optional [`Process`] that is read and written without a lock.
pub(super) struct Slot(AtomicU64);

impl Slot {
    pub(super) const fn empty() -> Self {
        Slot(AtomicU64::new(0)) // no process has id 0
    }

    pub(super) fn get(&self) -> Option<Process> {
        let process = self.0.load(Relaxed);
        (process != 0).then_some(Process(process))
    }

    pub(super) fn set(&self, process: Option<Process>) {
        self.0.store(process.map_or(0, |process| process.0), Relaxed);
    }
}

/// Makes every child forked from now on add one to [`FORKS`]. Two threads that call this first at the same time may
/// both register the handler, so that a child counts two; it still differs from its parent.
fn count_forks() {
    static COUNTED: AtomicBool = AtomicBool::new(false);
    if !COUNTED.load(Relaxed) {
        register();
        COUNTED.store(true, Relaxed);
    }
}

#[cfg(unix)]
fn register() {
    type Handler = Option<extern "C" fn()>;
    unsafe extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> std::ffi::c_int;
    }
    extern "C" fn count() {
        FORKS.fetch_add(1, Relaxed);
    }
    // SAFETY: the signature is POSIX's; the handler does nothing but an atomic addition, which a forked child may do.
    // If there is no memory to register it, the process id alone decides.
    let _ = unsafe { pthread_atfork(None, None, Some(count)) };
}

#[cfg(not(unix))]
fn register() {}
