//! The helpers of a call: pool threads that compute chunks for the thread that made the call.
//!
//! Where they do not all come at once, the calling thread computes chunks itself, and helpers join as they become free.
//! So a call proceeds at least at the pace of its own thread, however long the calls of other threads keep the helpers;
//! and a helper that finds other calls waiting moves on to the next one after each chunk.
//!
//! The work lies on the calling thread's stack. A helper counts itself in and out with an atomic counter while it uses
//! the work ("inside"); before the call returns, the calling thread closes the work, after which no helper can enter,
//! and waits until the last one has left.
#![allow(unsafe_code)] // work shared through a pointer to a stack; helpers that live as long as the process

use super::process::Process;
use crate::simd::standard;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicPtr, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Thread, current, park_timeout, yield_now};
use std::time::{Duration, Instant};

/// Computes one chunk of a call's work; false where none is left.
type Step<'a> = dyn Fn() -> bool + Sync + 'a;

/// How often a helper looks for work before it goes to sleep: the next call often follows at once.
const LOOKS: usize = 32;
/// The bit of [`Job::state`] that says that no helper may enter.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// A call's work, as helpers see it.
struct Job {
    /// The number of helpers inside, and the bit [`CLOSED`].
    state: AtomicUsize,
    /// Points to the caller's stack: may be followed only while inside.
    step: *const Step<'static>,
    caller: Thread,
}

// SAFETY: the pointer is followed only by helpers inside; the step is Sync, and exists as long as they are
// (`Job::turn`).
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Computes one chunk; false where the job is closed or no chunk is left.
    fn turn(&self) -> bool {
        let open = |state| (state & CLOSED == 0).then_some(state + 1);
        if self.state.fetch_update(Acquire, Relaxed, open).is_err() {
            return false;
        }
        let _inside = Inside(self);
        // SAFETY: this thread is counted as inside and entered before the job was closed: the `Team` that owns the job
        // waits for it before it lets go of the step.
        let more = unsafe { (*self.step)() };
        if !more {
            self.caller.unpark();
        }
        more
    }

    fn close(&self) {
        self.state.fetch_or(CLOSED, AcqRel);
    }

    fn open(&self) {
        self.state.fetch_and(!CLOSED, Release);
    }

    fn empty(&self) -> bool {
        self.state.load(Acquire) & !CLOSED == 0
    }
}

/// Counts a helper out when dropped, also where its chunk panics; otherwise the caller would wait for ever.
struct Inside<'a>(&'a Job);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, AcqRel) == CLOSED + 1 {
            self.0.caller.unpark();
        }
    }
}

/// The helpers of one process. A forked child leaves those of its parent alone: their threads exist only in the parent,
/// and their lock may have been held when the memory was forked.
struct Helpers {
    process: Process,
    queue: Mutex<Queue>,
    ready: Condvar,
    /// The length of the queue, which may be read without its lock.
    waiting: AtomicUsize,
}

/// The calls that want helpers: one entry per helper wanted.
struct Queue {
    jobs: VecDeque<Arc<Job>>,
    threads: usize,
    asleep: usize,
}

static HELPERS: AtomicPtr<Helpers> = AtomicPtr::new(null_mut());

impl Helpers {
    /// The helpers of this process, found without a lock, which a forked child could inherit locked.
    fn here(process: Process) -> &'static Helpers {
        let old = HELPERS.load(Acquire);
        // SAFETY: every non-null value was leaked from a Box below and is never freed once it has been published.
        if let Some(helpers) = unsafe { old.as_ref() }
            && helpers.process == process
        {
            return helpers;
        }
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), threads: 0, asleep: 0 });
        let (ready, waiting) = (Condvar::new(), AtomicUsize::new(0));
        let new = Box::into_raw(Box::new(Helpers { process, queue, ready, waiting }));
        match HELPERS.compare_exchange(old, new, AcqRel, Acquire) {
            // SAFETY: it was just leaked from a Box, and is never freed now that it is published.
            Ok(_) => unsafe { &*new },
            Err(first) => {
                // SAFETY: it was never published, and no thread uses it yet.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as for `old`; another thread of this process published it meanwhile.
                unsafe { &*first }
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `count` helpers. There are as many threads as the largest call has asked for; missing ones are started
    /// here and live on. Where the system gives no more threads, the call has fewer helpers.
    fn ask(&'static self, job: &Arc<Job>, count: usize) {
        let mut queue = self.queue();
        while queue.threads < count {
            let name = format!("steelyard-{}", queue.threads);
            // A thread inherits the floating-point mode of the thread that starts it, hence `standard`.
            if Builder::new().name(name).spawn(|| standard(|| self.help())).is_err() {
                break;
            }
            queue.threads += 1;
        }
        queue.jobs.extend((0..count).map(|_| job.clone()));
        self.waiting.store(queue.jobs.len(), Relaxed);
        let wake = count.min(queue.asleep);
        drop(queue);
        (0..wake).for_each(|_| self.ready.notify_one());
    }

    /// Takes back the requests for helpers that none has answered yet.
    fn withdraw(&self, job: &Arc<Job>) {
        let mut queue = self.queue();
        queue.jobs.retain(|other| !Arc::ptr_eq(other, job));
        self.waiting.store(queue.jobs.len(), Relaxed);
    }

    /// What a helper thread does, for ever: it takes a job and computes chunks of it.
    fn help(&self) {
        loop {
            let job = self.next();
            while job.turn() {
                if self.waiting.load(Relaxed) > 0 {
                    self.queue().jobs.push_back(job);
                    break;
                }
            }
        }
    }

    fn next(&self) -> Arc<Job> {
        for _ in 0..LOOKS {
            if self.waiting.load(Relaxed) > 0 {
                break;
            }
            yield_now();
        }
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                self.waiting.store(queue.jobs.len(), Relaxed);
                return job;
            }
            queue.asleep += 1;
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.asleep -= 1;
        }
    }
}

/// A call, and its claim on the helpers that may be inside its work.
pub(crate) struct Team<'a> {
    helpers: &'static Helpers,
    job: Arc<Job>,
    wanted: usize,
    step: PhantomData<&'a Step<'a>>,
}

/// Runs `lead` on the calling thread, which may call `step` as well, while up to `helpers` other threads call `step`.
/// No helper is inside `step` when this returns or unwinds.
pub(crate) fn together<R>(helpers: usize, step: &Step<'_>, lead: impl FnOnce(&Team<'_>) -> R) -> R {
    // SAFETY: only the lifetime is extended. `Job::turn` follows the pointer only while it is counted as inside, and
    // the team, dropped at the end of this function, which borrows `step`, closes the job and waits until all have
    // left.
    let step: *const Step<'static> = unsafe { transmute::<&Step<'_>, &'static Step<'static>>(step) };
    let job = Arc::new(Job { state: AtomicUsize::new(0), step, caller: current() });
    let team = Team { helpers: Helpers::here(Process::current()), job, wanted: helpers, step: PhantomData };
    team.helpers.ask(&team.job, team.wanted);
    lead(&team)
}

impl Team<'_> {
    /// Whether this is a forked child in the middle of its parent's call: the helpers do not exist here, and the chunks
    /// that they held are lost.
    pub(crate) fn abandoned(&self) -> bool {
        self.helpers.process != Process::current()
    }

    /// Lets no more helpers in.
    pub(crate) fn close(&self) {
        self.job.close();
        self.helpers.withdraw(&self.job);
    }

    /// Lets helpers in again, and asks for them.
    pub(crate) fn open(&self) {
        self.job.open();
        self.helpers.ask(&self.job, self.wanted);
    }

    /// Waits up to `time`, or until `over()`: whether all helpers that were asked for are then inside.
    pub(crate) fn all_come_within(&self, time: Duration, over: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while self.inside() < self.wanted {
            if over() || start.elapsed() > time {
                return false;
            }
            yield_now();
        }
        true
    }

    /// How many helpers are inside.
    pub(crate) fn inside(&self) -> usize {
        self.job.state.load(Acquire) & !CLOSED
    }

    /// Waits until no helper is inside, but not much longer than `time`: whether that is so. To be called after
    /// [`Team::close`].
    pub(crate) fn left_within(&self, time: Duration) -> bool {
        if !self.job.empty() {
            park_timeout(time);
        }
        self.job.empty()
    }
}

impl Drop for Team<'_> {
    fn drop(&mut self) {
        if self.abandoned() {
            return;
        }
        self.close();
        while !self.left_within(Duration::from_secs(1)) {}
    }
}
