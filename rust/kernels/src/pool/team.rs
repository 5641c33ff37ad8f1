//! The helpers of a call: threads that take chunks for the thread that made it.
//!
//! Where they do not all come at once, the calling thread does the work itself, and whoever becomes free joins. So a
//! call goes on at the pace of its own thread at least, however long the calls of other threads keep the helpers, and a
//! helper that finds other calls waiting goes to the next after each chunk. The work lies on the calling thread's stack: helpers enter it by an
//! atomic count, and the caller closes the door and sees the last one leave before it goes.
#![allow(unsafe_code)] // shared work on a stack, and helpers that live as long as the process

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

/// One chunk of a call's work; false: none is left.
type Step<'a> = dyn Fn() -> bool + Sync + 'a;

/// How often a helper looks for work before it sleeps: calls often come one after another.
const LOOKS: usize = 32;
/// The bit of [`Job::state`] that says nobody may enter.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// A call's work, as helpers see it.
struct Job {
    /// How many are inside, and [`CLOSED`].
    state: AtomicUsize,
    /// On the caller's stack: to be followed inside only.
    step: *const Step<'static>,
    caller: Thread,
}

// SAFETY: the pointer is followed by whoever is inside; the step it leads to is Sync, and there (see `Job::turn`).
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Does one chunk; false: the door is closed, or no chunk is left.
    fn turn(&self) -> bool {
        let open = |state| (state & CLOSED == 0).then_some(state + 1);
        if self.state.fetch_update(Acquire, Relaxed, open).is_err() {
            return false;
        }
        let _inside = Inside(self);
        // SAFETY: we are counted as inside, and entered before the door was closed: the `Team` that points here
        // waits for us before it lets go of the step.
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

/// Counts a helper out, also when its chunk panics: else the caller would wait for ever.
struct Inside<'a>(&'a Job);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, AcqRel) == CLOSED + 1 {
            self.0.caller.unpark();
        }
    }
}

/// The helpers of one process. Those of a parent process are left as they are: their threads live there, and their
/// lock may have been held when the memory was forked.
struct Helpers {
    process: Process,
    queue: Mutex<Queue>,
    ready: Condvar,
    /// The length of the queue, to be looked at without its lock.
    waiting: AtomicUsize,
}

/// Calls that want a helper, one entry for each that they want.
struct Queue {
    jobs: VecDeque<Arc<Job>>,
    threads: usize,
    asleep: usize,
}

static HELPERS: AtomicPtr<Helpers> = AtomicPtr::new(null_mut());

impl Helpers {
    /// Those of this process, without a lock on the way: a fork could inherit it locked.
    fn here(process: Process) -> &'static Helpers {
        let old = HELPERS.load(Acquire);
        // SAFETY: every non-null value was leaked from a Box below, and is never freed once it was visible here.
        if let Some(helpers) = unsafe { old.as_ref() }
            && helpers.process == process
        {
            return helpers;
        }
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), threads: 0, asleep: 0 });
        let (ready, waiting) = (Condvar::new(), AtomicUsize::new(0));
        let new = Box::into_raw(Box::new(Helpers { process, queue, ready, waiting }));
        match HELPERS.compare_exchange(old, new, AcqRel, Acquire) {
            // SAFETY: ours until it was published, and never freed after.
            Ok(_) => unsafe { &*new },
            Err(first) => {
                // SAFETY: never published, and no thread belongs to it yet.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as for `old`; another thread of this process published it meanwhile.
                unsafe { &*first }
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `count` helpers. There are as many as the largest call has asked for: more are added, none replaced.
    /// Where the system gives no more threads, a call has fewer.
    fn ask(&'static self, job: &Arc<Job>, count: usize) {
        let mut queue = self.queue();
        while queue.threads < count {
            let name = format!("steelyard-{}", queue.threads);
            // A thread inherits the floating-point mode of the one that starts it.
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

    /// Takes back what nobody has answered.
    fn withdraw(&self, job: &Arc<Job>) {
        let mut queue = self.queue();
        queue.jobs.retain(|other| !Arc::ptr_eq(other, job));
        self.waiting.store(queue.jobs.len(), Relaxed);
    }

    /// The life of a helper.
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

/// A call and the helpers that may be inside its work.
pub(crate) struct Team<'a> {
    helpers: &'static Helpers,
    job: Arc<Job>,
    wanted: usize,
    step: PhantomData<&'a Step<'a>>,
}

/// Runs `lead` on the calling thread, which works through `step` as well, while up to `helpers` other threads take steps.
/// Nobody is inside `step` when this returns or unwinds.
pub(crate) fn together<R>(helpers: usize, step: &Step<'_>, lead: impl FnOnce(&Team<'_>) -> R) -> R {
    // SAFETY: a lifetime is forgotten. `Job::turn` follows the pointer inside the door only, and the team closes the
    // door and waits until everybody has left when it is dropped at the end of this function, which borrows `step`.
    let step: *const Step<'static> = unsafe { transmute::<&Step<'_>, &'static Step<'static>>(step) };
    let job = Arc::new(Job { state: AtomicUsize::new(0), step, caller: current() });
    let team = Team { helpers: Helpers::here(Process::current()), job, wanted: helpers, step: PhantomData };
    team.helpers.ask(&team.job, team.wanted);
    lead(&team)
}

impl Team<'_> {
    /// Whether this is a forked child in the middle of its parent's call: the helpers are not here, and what they
    /// held is lost.
    pub(crate) fn abandoned(&self) -> bool {
        self.helpers.process != Process::current()
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.job.close();
        self.helpers.withdraw(&self.job);
    }

    /// Lets helpers in again, and asks for them.
    pub(crate) fn open(&self) {
        self.job.open();
        self.helpers.ask(&self.job, self.wanted);
    }

    /// Gives the helpers `time` to come: whether all that were asked for are inside, before `over()`.
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

    /// Waits until nobody is inside, but not much longer than `time`: whether that is so. To be asked after
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
