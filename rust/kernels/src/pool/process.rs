//! Which process this is: a child made by forking inherits memory, and must know that it is another.
#![allow(unsafe_code)] // pthread_atfork

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A process: its id, and how many times its memory has been forked. The id alone does not tell a child in a process-id
/// namespace of its own from a parent of the same id; the count alone misses a child that was made without the C
/// library's `fork`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u64);

/// Forks between the first process and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

impl Process {
    /// The process that asks.
    pub fn current() -> Process {
        count_forks();
        Process(u64::from(FORKS.load(Relaxed)) << 32 | u64::from(std::process::id()))
    }

    /// 32 bits of it, where there is no room for more.
    pub fn tag(self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
    }
}

/// A place for a [`Process`] that is read and written without a lock.
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

/// Has every fork from now on counted, in the child. Two threads that come first may both register, and the child
/// counts two: it is another process all the same.
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
    // SAFETY: POSIX's signature; the handler is all that a child with one thread may call, an atomic addition.
    // Without memory it is not registered, and the process id alone decides.
    let _ = unsafe { pthread_atfork(None, None, Some(count)) };
}

#[cfg(not(unix))]
fn register() {}
