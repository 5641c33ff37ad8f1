//! Divides work into a fixed grid of chunks and runs them serially or on the thread pool, with the same result.
//!
//! The grid is a function of the data's size alone. Results come back in index order, so that whatever
//! folds them does the same arithmetic for any number of threads.

use crate::memory::{self, Alarm, NoMemory};
use crate::pool::{self, Team};
use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

pub use crate::pool::Process;

/// Elements per chunk of the usual grid: large enough that handing a chunk to a thread costs little beside it, small
/// enough for the cache and for an answer to Ctrl-C within a [`TICK`]. A multiple of every lane count in use.
pub const CHUNK: usize = 1 << 16;

/// The approximate interval between two calls of `progress`.
pub const TICK: Duration = Duration::from_millis(25);

/// How long a call waits for all of its helpers before the calling thread works as well. There are as many helpers as
/// threads were asked for, and each usually still has a processor to itself from the call before; a calling thread that
/// worked beside them would take the processor of one.
const GRACE: Duration = Duration::from_micros(100);

/// Waking the pool costs about 18 us; another thread pays only for at least this many bytes of memory traffic.
const BYTES_PER_THREAD: usize = 512 * 1024;

/// Why a piece of work ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// `progress` stopped it.
    Cancelled,
    /// There was no memory for it.
    NoMemory(NoMemory),
}

impl From<NoMemory> for Stopped {
    fn from(error: NoMemory) -> Self {
        Stopped::NoMemory(error)
    }
}

/// `progress(done)`, called on the calling thread about every [`TICK`]; `false` stops the work between chunks.
pub type Progress<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Sets the number of threads that [`threads`] gives by default; called once when the library is loaded.
pub fn set_default_threads(threads: Option<usize>) {
    pool::set_default_threads(threads);
}

/// Sets the thread count of this process; `None` returns to the default.
pub fn set_threads(threads: Option<usize>) {
    pool::set_threads(threads);
}

/// The thread count that this process has set, if any.
pub fn asked_threads() -> Option<usize> {
    pool::asked_threads()
}

/// How many threads share the work of a call. It never changes a result.
pub fn threads() -> usize {
    pool::threads()
}

/// How many chunks of `size` the range `0..n` has; the last one may be shorter.
pub fn chunks(n: usize, size: usize) -> usize {
    n.div_ceil(size)
}

/// The range of chunk `index` of `0..n`.
pub fn chunk(index: usize, n: usize, size: usize) -> Range<usize> {
    index * size..n.min((index + 1) * size)
}

/// Runs `f(0), ..., f(n - 1)` for work that only reads: results in index order, stopped by `progress`.
///
/// `bytes` is the traffic of the whole call and decides how many threads are worth waking.
pub fn map_chunks<R: Send>(
    n: usize,
    bytes: usize,
    progress: Progress<'_>,
    f: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    run(n, bytes, Some(progress), f)
}

/// Runs `f(index, item)` for work that writes through its items (disjoint `&mut` chunks, say). It cannot be stopped
/// half-way: whoever writes in place validates first and then finishes. An error means that nothing was written.
pub fn write_chunks<T: Send, R: Send>(
    items: Vec<T>,
    bytes: usize,
    f: impl Fn(usize, T) -> R + Sync,
) -> Result<Vec<R>, NoMemory> {
    unwatched(run_items(items, bytes, None, f))
}

/// The result of work that ran without `progress`: nobody can have stopped it, so that only memory can be missing.
pub fn unwatched<T: Default>(outcome: Result<T, Stopped>) -> Result<T, NoMemory> {
    match outcome {
        Ok(results) => Ok(results),
        Err(Stopped::NoMemory(error)) => Err(error),
        Err(Stopped::Cancelled) => Ok(T::default()),
    }
}

/// Runs `f(index, item)` for work that reads its data and fills newly allocated output through its items; stopped by
/// `progress`, after which the output is incomplete and must be discarded.
pub fn fill_chunks<T: Send, R: Send>(
    items: Vec<T>,
    bytes: usize,
    progress: Progress<'_>,
    f: impl Fn(usize, T) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    run_items(items, bytes, Some(progress), f)
}

/// Elements per chunk of [`fill_rows`], where each element is a computation of its own that takes up to 2 us.
const ELEMENTS: usize = 1 << 12;
/// The least cost of such a computation, expressed as bytes of memory traffic.
const ELEMENT_BYTES: usize = 64;

/// Runs `f(range, columns)`, which evaluates a formula for each row of `range` and fills those rows of the newly
/// allocated `columns`. All columns have the same length; an empty one was not asked for. Stopped by `progress`, after
/// which the columns are incomplete and must be discarded. The results come in row order.
pub fn fill_rows<T: Send, R: Send, const K: usize>(
    columns: [&mut [T]; K],
    progress: Progress<'_>,
    f: impl Fn(Range<usize>, [&mut [T]; K]) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    fill_parts(columns, ELEMENTS, ELEMENT_BYTES, progress, f)
}

/// [`fill_rows`] for computations that take much longer (up to 10 ms), so that a chunk is a few of them.
pub fn fill_slow_rows<T: Send, R: Send, const K: usize>(
    columns: [&mut [T]; K],
    progress: Progress<'_>,
    f: impl Fn(Range<usize>, [&mut [T]; K]) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    fill_parts(columns, SLOW_ELEMENTS, ELEMENT_BYTES * (ELEMENTS / SLOW_ELEMENTS), progress, f)
}

/// Elements per chunk of [`fill_slow_rows`].
const SLOW_ELEMENTS: usize = 8;

fn fill_parts<T: Send, R: Send, const K: usize>(
    columns: [&mut [T]; K],
    size: usize,
    bytes: usize,
    progress: Progress<'_>,
    f: impl Fn(Range<usize>, [&mut [T]; K]) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    let n = columns.iter().map(|column| column.len()).max().unwrap_or(0);
    let mut parts = columns.map(|column| column.chunks_mut(size));
    let count = chunks(n, size);
    let items =
        memory::collected((0..count).map(|_| parts.each_mut().map(|part| part.next().unwrap_or_default())))?;
    let mut rows_done = |done: usize| progress((done * size).min(n));
    let f = |index, columns| f(chunk(index, n, size), columns);
    fill_chunks(items, n.saturating_mul(bytes), &mut rows_done, f)
}

fn run_items<T: Send, R: Send>(
    items: Vec<T>,
    bytes: usize,
    progress: Option<Progress<'_>>,
    f: impl Fn(usize, T) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    let n = items.len();
    if threads_for(n, bytes) == 1 {
        return serial(items.into_iter().enumerate(), progress, |(index, item)| f(index, item));
    }
    let items = memory::collected(items.into_iter().map(|item| Mutex::new(Some(item))))?;
    let mut results = memory::with_capacity(n)?;
    let each = |index: usize| {
        let item = items[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        item.map(|item| f(index, item))
    };
    results.extend(run(n, bytes, progress, each)?.into_iter().flatten());
    Ok(results)
}

/// How many threads are worth waking for work of `n` chunks and `bytes` bytes of memory traffic.
fn threads_for(n: usize, bytes: usize) -> usize {
    pool::threads().min(n).min(bytes / BYTES_PER_THREAD + 1).max(1)
}

fn run<R: Send>(
    n: usize,
    bytes: usize,
    progress: Option<Progress<'_>>,
    f: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    let threads = threads_for(n, bytes);
    if threads > 1 { pooled(threads, n, progress, f) } else { serial(0..n, progress, f) }
}

/// Runs `f(0), ..., f(n - 1)` one after another on the calling thread, for work that must be done in this order
/// (adding rows to shared totals, say); stopped by `progress`.
pub fn each_chunk(n: usize, progress: Progress<'_>, f: impl FnMut(usize)) -> Result<(), Stopped> {
    serial(0..n, Some(progress), f).map(|_| ())
}

/// Runs `work`, during which `progress` is called only while no other thread is inside its chunks.
///
/// This is for a `progress` from which the calling thread may never return (Python may end the thread inside it): no
/// helper may then still be using that thread's stack.
pub fn asked_alone<R>(work: impl FnOnce() -> R) -> R {
    let before = ASKED_ALONE.replace(true);
    let result = work();
    ASKED_ALONE.set(before);
    result
}

thread_local! {
    static ASKED_ALONE: Cell<bool> = const { Cell::new(false) };

    /// The clock of the last work of this thread that has a `progress`, and when that work ended.
    static UNASKED: Cell<Option<[Instant; 2]>> = const { Cell::new(None) };
}

/// When work that has a `progress` last called it, or began.
///
/// Work that begins within a tick after other work of this thread goes on with its clock: each of many runs in a loop
/// may be too short to call `progress`, and together they must not be. (This is a type of its own since dropping it
/// touches no `progress`, so that code may use that again while a `Pace` is still in scope.)
struct Clock {
    last: Instant,
    watched: bool,
}

impl Clock {
    fn new(watched: bool) -> Self {
        let now = Instant::now();
        let last = match UNASKED.get() {
            Some([since, until]) if now.duration_since(until) < TICK => since,
            _ => now,
        };
        Clock { last, watched }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if self.watched {
            UNASKED.set(Some([self.last, Instant::now()]));
        }
    }
}

/// Calls `progress` whenever a [`TICK`] has passed; once it has stopped the work, the work stays stopped.
struct Ticks<'a> {
    progress: Option<Progress<'a>>,
    clock: Clock,
    stopped: bool,
}

impl<'a> Ticks<'a> {
    fn new(progress: Option<Progress<'a>>) -> Self {
        Ticks { clock: Clock::new(progress.is_some()), progress, stopped: false }
    }

    /// Calls `progress` before the work begins where it is time to: an error where it says that it should not begin.
    fn begun(progress: Option<Progress<'a>>) -> Result<Self, Stopped> {
        let mut ticks = Ticks::new(progress);
        if ticks.due() && !ticks.ask(0) { Err(Stopped::Cancelled) } else { Ok(ticks) }
    }

    /// Whether it is time to call `progress`.
    fn due(&self) -> bool {
        self.clock.watched && !self.stopped && self.clock.last.elapsed() >= TICK
    }

    /// Calls `progress`: whether the work goes on.
    fn ask(&mut self, done: usize) -> bool {
        if let Some(progress) = self.progress.as_deref_mut() {
            self.stopped |= !progress(done);
        }
        self.clock.last = Instant::now();
        !self.stopped
    }
}

/// Calls `progress` from within work that is not divided into chunks: building a state, say, or sorting.
///
/// It also reports within as short a time when memory has run out although no allocation failed ([`Alarm`]).
pub struct Pace<'a> {
    ticks: Ticks<'a>,
    alarm: Alarm,
    done: usize,
}

impl<'a> Pace<'a> {
    /// Steps between two looks at the clock; a step takes up to a microsecond.
    const STEPS: usize = 1 << 12;

    /// Starts work that `progress` may stop.
    pub fn new(progress: Progress<'a>) -> Self {
        Pace { ticks: Ticks::new(Some(progress)), alarm: Alarm::set(), done: 0 }
    }

    /// Counts one small step; an error means that the work must stop here.
    #[inline]
    pub fn step(&mut self) -> Result<(), Stopped> {
        self.done += 1;
        if self.done.is_multiple_of(Self::STEPS) { self.look() } else { Ok(()) }
    }

    /// Counts `steps` steps that took about a millisecond together.
    pub fn stride(&mut self, steps: usize) -> Result<(), Stopped> {
        self.done += steps;
        self.look()
    }

    fn look(&mut self) -> Result<(), Stopped> {
        self.alarm.check()?;
        if self.ticks.due() && !self.ticks.ask(self.done) { Err(Stopped::Cancelled) } else { Ok(()) }
    }
}

fn serial<T, R>(
    items: impl ExactSizeIterator<Item = T>,
    progress: Option<Progress<'_>>,
    mut f: impl FnMut(T) -> R,
) -> Result<Vec<R>, Stopped> {
    let mut results = memory::with_capacity(items.len())?;
    let mut ticks = Ticks::begun(progress)?;
    for (index, item) in items.enumerate() {
        results.push(f(item));
        if ticks.due() && !ticks.ask(index + 1) {
            return Err(Stopped::Cancelled);
        }
    }
    Ok(results)
}

/// What the threads of one call share.
struct Shared<R> {
    /// One slot per chunk; only the thread that computes the chunk locks it, so that no thread waits for another.
    slots: Vec<Mutex<Option<R>>>,
    next: AtomicUsize,
    done: AtomicUsize,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl<R: Send> Shared<R> {
    fn new(n: usize) -> Result<Self, NoMemory> {
        Ok(Shared {
            slots: memory::collected((0..n).map(|_| Mutex::new(None)))?,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        })
    }

    /// Whether no chunk is left to be taken.
    fn taken(&self) -> bool {
        self.stop.load(Relaxed) || self.next.load(Relaxed) >= self.slots.len()
    }

    /// Takes the next chunk and computes it; false where none is left or the work was stopped.
    fn step(&self, f: &(impl Fn(usize) -> R + Sync)) -> bool {
        if self.stop.load(Relaxed) {
            return false;
        }
        let index = self.next.fetch_add(1, Relaxed);
        let Some(slot) = self.slots.get(index) else { return false };
        // A panic is caught here, so that it ends no helper, and not the call before every helper has left it.
        match catch_unwind(AssertUnwindSafe(|| f(index))) {
            Ok(result) => *locked(slot) = Some(result),
            Err(panic) => {
                *locked(&self.panic) = Some(panic);
                self.stop.store(true, Relaxed);
            }
        }
        self.done.fetch_add(1, AcqRel);
        true
    }

    /// The results in index order, in memory that was allocated before the work began. A caught panic continues here.
    fn results(self, mut results: Vec<R>) -> Result<Vec<R>, Stopped> {
        if let Some(panic) = inner(self.panic) {
            resume_unwind(panic);
        }
        for slot in self.slots {
            results.push(inner(slot).ok_or(Stopped::Cancelled)?);
        }
        Ok(results)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn pooled<R: Send>(
    helpers: usize,
    n: usize,
    progress: Option<Progress<'_>>,
    f: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    let (shared, results) = (Shared::new(n)?, memory::with_capacity(n)?);
    let ticks = Ticks::begun(progress)?;
    let step = || shared.step(&f);
    let whole = pool::together(helpers, &step, |team| lead(team, &shared, ticks, &step));
    if !whole {
        // A helper may have been writing into its slot when the memory was forked.
        std::mem::forget(shared);
        return Err(Stopped::Cancelled);
    }
    shared.results(results)
}

/// The calling thread's part: it calls `progress`, computes chunks as a helper does where the helpers are busy with
/// other calls, and waits for the helpers that are still computing.
///
/// False: `progress` returned in a forked child, which has no helpers; the call must be given up.
fn lead<R: Send>(team: &Team<'_>, shared: &Shared<R>, mut ticks: Ticks<'_>, step: &dyn Fn() -> bool) -> bool {
    let alone = ASKED_ALONE.get();
    if !alone && team.all_come_within(GRACE, || shared.taken()) {
        while !shared.taken() && team.inside() > 0 {
            park_timeout(TICK);
            if ticks.due() && !ask(team, shared, &mut ticks, false) {
                return false;
            }
        }
    }
    while step() {
        if ticks.due() && !ask(team, shared, &mut ticks, alone) {
            return false;
        }
    }
    team.close();
    while !team.left_within(TICK) {
        if !alone && ticks.due() && !ask(team, shared, &mut ticks, false) {
            return false;
        }
    }
    true
}

/// Calls `progress`, which may stop the work. False: it returned in a forked child.
fn ask<R: Send>(team: &Team<'_>, shared: &Shared<R>, ticks: &mut Ticks<'_>, alone: bool) -> bool {
    if alone {
        team.close();
        while !team.left_within(TICK) {}
    }
    let go = ticks.ask(shared.done.load(Acquire));
    if team.abandoned() {
        return false;
    }
    if !go {
        shared.stop.store(true, Relaxed);
    } else if alone {
        team.open();
    }
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The thread count belongs to the whole process, so the tests that change it take turns.
    pub(crate) fn turn() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        locked(&TURN)
    }

    const BIG: usize = 1 << 30;

    fn go(_: usize) -> bool {
        true
    }

    #[test]
    fn a_loop_of_short_runs_is_asked_and_a_run_after_a_pause_is_not() {
        let short = |asked: &mut usize| {
            let mut progress = |_| {
                *asked += 1;
                false
            };
            map_chunks(2, 0, &mut progress, |_| std::thread::sleep(Duration::from_millis(1)))
        };
        let (begun, mut asked) = (Instant::now(), 0);
        while short(&mut asked).is_ok() {
            assert!(begun.elapsed() < 100 * TICK);
        }
        assert_eq!(asked, 1);
        std::thread::sleep(2 * TICK);
        assert!(short(&mut asked).is_ok() && asked == 1);
    }

    #[test]
    fn results_come_in_index_order_for_any_thread_count() {
        let _turn = turn();
        for threads in [1, 2, 3, 7] {
            set_threads(Some(threads));
            let squares = map_chunks(1000, BIG, &mut go, |i| i * i).unwrap();
            assert!(squares.iter().enumerate().all(|(i, &s)| s == i * i));
        }
        set_threads(None);
    }

    #[test]
    fn writers_reach_every_chunk() {
        let _turn = turn();
        for threads in [1, 2, 5] {
            set_threads(Some(threads));
            let mut data = vec![0usize; 1003];
            let lengths = write_chunks(data.chunks_mut(10).collect(), BIG, |index, chunk| {
                chunk.fill(index + 1);
                chunk.len()
            })
            .unwrap();
            assert_eq!(lengths.iter().sum::<usize>(), 1003);
            assert!(data.iter().enumerate().all(|(i, &v)| v == i / 10 + 1));
        }
        set_threads(None);
    }

    #[test]
    fn progress_stops_the_work() {
        let _turn = turn();
        for threads in [1, 2] {
            set_threads(Some(threads));
            let slow = |_| std::thread::sleep(Duration::from_millis(2));
            assert_eq!(map_chunks(100_000, BIG, &mut |_| false, slow), Err(Stopped::Cancelled));
        }
        set_threads(None);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let _turn = turn();
        set_threads(Some(2));
        let outcome = std::panic::catch_unwind(|| {
            let _ = map_chunks(100, BIG, &mut go, |i| assert!(i != 57, "boom"));
        });
        assert!(outcome.is_err());
        assert_eq!(map_chunks(3, BIG, &mut go, |i| i), Ok(vec![0, 1, 2]));
        set_threads(None);
    }

    #[test]
    fn a_call_goes_on_beside_one_that_keeps_the_helpers() {
        let _turn = turn();
        set_threads(Some(2));
        let (stop, started) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let until_stopped = |_| {
                    started.store(true, Relaxed);
                    while !stop.load(Relaxed) {
                        std::thread::yield_now();
                    }
                };
                map_chunks(2, BIG, &mut go, until_stopped)
            });
            while !started.load(Relaxed) {
                std::thread::yield_now();
            }
            let squares = map_chunks(1000, BIG, &mut go, |i| i * i).unwrap();
            stop.store(true, Relaxed);
            assert!(squares.iter().enumerate().all(|(i, &s)| s == i * i));
        });
        set_threads(None);
    }

    #[test]
    fn no_thread_computes_a_chunk_while_progress_is_called_alone() {
        let _turn = turn();
        set_threads(Some(3));
        let (inside, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let chunk = |_| {
            inside.fetch_add(1, AcqRel);
            std::thread::sleep(Duration::from_millis(1));
            inside.fetch_sub(1, AcqRel);
        };
        let mut progress = |_: usize| {
            asked.fetch_add(1, Relaxed);
            (0..20).all(|_| {
                std::thread::sleep(Duration::from_micros(100));
                inside.load(Acquire) == 0
            })
        };
        let done = asked_alone(|| map_chunks(300, BIG, &mut progress, chunk));
        assert!(done.is_ok() && asked.load(Relaxed) > 1);
        set_threads(None);
    }

    #[test]
    fn no_more_threads_are_inside_at_once_than_were_asked_for() {
        let _turn = turn();
        for threads in [2, 3, 5, 4, 2] {
            set_threads(Some(threads));
            let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let done = map_chunks(200, BIG, &mut go, |_| {
                most.fetch_max(inside.fetch_add(1, AcqRel) + 1, AcqRel);
                std::thread::sleep(Duration::from_micros(50));
                inside.fetch_sub(1, AcqRel);
            });
            // The calling thread takes chunks too where its helpers do not all come at once. Over time more helpers may
            // take part: one that finds another call waiting goes there, and any free helper continues this one.
            let most = most.into_inner();
            assert!(done.is_ok() && (1..=threads + 1).contains(&most), "{most} threads of {threads}");
        }
        set_threads(None);
    }

    #[test]
    fn the_grid_covers_everything_once() {
        for n in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17] {
            let covered: usize = (0..chunks(n, CHUNK)).map(|i| chunk(i, n, CHUNK).len()).sum();
            assert_eq!(covered, n);
        }
    }
}
