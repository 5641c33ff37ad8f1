//! A fixed grid of chunks, run serially or on the pool, with the same result.
//!
//! The grid is a function of the data's size alone. Results come back in index order, so that whatever
//! folds them does the same arithmetic for any number of threads.

use crate::pool;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Elements in a chunk of the usual grid: large enough to hide a hand-over, small enough for the cache and
/// for an answer to Ctrl-C within a tick. A multiple of every lane count in use.
pub const CHUNK: usize = 1 << 16;

/// How often `watch` is asked, about.
pub const TICK: Duration = Duration::from_millis(25);

/// Waking the pool costs about 18 us; below this many bytes of traffic a thread is not worth it.
const BYTES_PER_THREAD: usize = 512 * 1024;

/// The work was stopped by `watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// `watch(done)`, called on the calling thread about every [`TICK`]; `false` stops the work between chunks.
pub type Watch<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Called once when the library is loaded; see [`threads`].
pub fn set_default_threads(threads: Option<usize>) {
    pool::set_default_threads(threads);
}

/// Asks for a thread count in this process; `None` returns to the default.
pub fn set_threads(threads: Option<usize>) {
    pool::set_threads(threads);
}

/// The count this process asked for, if it did.
pub fn asked_threads() -> Option<usize> {
    pool::asked_threads()
}

/// How many threads work is given to. It never changes a result.
pub fn threads() -> usize {
    pool::threads()
}

/// The chunks of `0..n`: how many of `size`, the last one shorter.
pub fn chunks(n: usize, size: usize) -> usize {
    n.div_ceil(size)
}

/// The range of chunk `index` of `0..n`.
pub fn chunk(index: usize, n: usize, size: usize) -> Range<usize> {
    index * size..n.min((index + 1) * size)
}

/// Runs `f(0), ..., f(n - 1)` for work that only reads: results in index order, stopped by `watch`.
///
/// `bytes` is the traffic of the whole call and decides how many threads are worth waking.
pub fn map_chunks<R: Send>(
    n: usize,
    bytes: usize,
    watch: Watch<'_>,
    f: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    run(n, bytes, Some(watch), f)
}

/// Runs `f(index, item)` for work that writes through its items (disjoint `&mut` chunks, say). It cannot be
/// stopped half-way: what writes in place validates first and then finishes.
pub fn write_chunks<T: Send, R: Send>(
    items: Vec<T>,
    bytes: usize,
    f: impl Fn(usize, T) -> R + Sync,
) -> Vec<R> {
    run_items(items, bytes, None, f).unwrap_or_default()
}

/// Runs `f(index, item)` for work that reads its data and fills fresh output through its items; stopped by
/// `watch`, after which the output means nothing.
pub fn fill_chunks<T: Send, R: Send>(
    items: Vec<T>,
    bytes: usize,
    watch: Watch<'_>,
    f: impl Fn(usize, T) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    run_items(items, bytes, Some(watch), f)
}

fn run_items<T: Send, R: Send>(
    items: Vec<T>,
    bytes: usize,
    watch: Option<Watch<'_>>,
    f: impl Fn(usize, T) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let each = |index: usize| {
        let item = items[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        item.map(|item| f(index, item))
    };
    Ok(run(items.len(), bytes, watch, each)?.into_iter().flatten().collect())
}

fn run<R: Send>(
    n: usize,
    bytes: usize,
    watch: Option<Watch<'_>>,
    f: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    let threads = pool::threads().min(n).min(bytes / BYTES_PER_THREAD + 1);
    match pool::pool(threads) {
        Some(workers) => pooled(workers, threads, n, watch, f),
        None => serial(n, watch, f),
    }
}

/// Runs `f(0), ..., f(n - 1)` one after another on the calling thread, for work whose order is its meaning
/// (adding rows into shared totals, say); stopped by `watch`.
pub fn each_chunk(n: usize, watch: Watch<'_>, f: impl FnMut(usize)) -> Result<(), Cancelled> {
    serial(n, Some(watch), f).map(|_| ())
}

fn serial<R>(
    n: usize,
    mut watch: Option<Watch<'_>>,
    mut f: impl FnMut(usize) -> R,
) -> Result<Vec<R>, Cancelled> {
    let mut results = Vec::with_capacity(n);
    let mut last = Instant::now();
    for index in 0..n {
        results.push(f(index));
        if let Some(watch) = watch.as_deref_mut()
            && last.elapsed() >= TICK
        {
            if !watch(index + 1) {
                return Err(Cancelled);
            }
            last = Instant::now();
        }
    }
    Ok(results)
}

/// Counts a worker out and wakes the caller, also when the worker's chunk panics: without the `Drop` a
/// panic would leave the caller waiting for ever.
struct Leave<'a>(&'a AtomicUsize, &'a Thread);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.0.fetch_sub(1, AcqRel) == 1 {
            self.1.unpark();
        }
    }
}

fn pooled<R: Send>(
    workers: &rayon_core::ThreadPool,
    threads: usize,
    n: usize,
    mut watch: Option<Watch<'_>>,
    f: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    // One slot a chunk, locked once: uncontended.
    let slots: Vec<Mutex<Option<R>>> = (0..n).map(|_| Mutex::new(None)).collect();
    let (next, done, left) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(threads));
    let stop = AtomicBool::new(false);
    let caller = std::thread::current();
    workers.in_place_scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| {
                let _leave = Leave(&left, &caller);
                while !stop.load(Relaxed) {
                    let index = next.fetch_add(1, Relaxed);
                    if index >= n {
                        break;
                    }
                    let result = f(index);
                    *slots[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    done.fetch_add(1, AcqRel);
                }
            });
        }
        while left.load(Acquire) > 0 {
            std::thread::park_timeout(TICK);
            if let Some(watch) = watch.as_deref_mut()
                && left.load(Acquire) > 0
                && !stop.load(Relaxed)
                && !watch(done.load(Acquire))
            {
                stop.store(true, Relaxed);
            }
        }
    });
    let take = |slot: Mutex<Option<R>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    slots.into_iter().map(|slot| take(slot).ok_or(Cancelled)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thread counts are process-wide, so the tests that change them take turns.
    static TURN: Mutex<()> = Mutex::new(());
    const BIG: usize = 1 << 30;

    fn go(_: usize) -> bool {
        true
    }

    #[test]
    fn results_come_in_index_order_for_any_thread_count() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for threads in [1, 2, 3, 7] {
            set_threads(Some(threads));
            let squares = map_chunks(1000, BIG, &mut go, |i| i * i).unwrap();
            assert!(squares.iter().enumerate().all(|(i, &s)| s == i * i));
        }
        set_threads(None);
    }

    #[test]
    fn writers_reach_every_chunk() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for threads in [1, 2, 5] {
            set_threads(Some(threads));
            let mut data = vec![0usize; 1003];
            let lengths = write_chunks(data.chunks_mut(10).collect(), BIG, |index, chunk| {
                chunk.fill(index + 1);
                chunk.len()
            });
            assert_eq!(lengths.iter().sum::<usize>(), 1003);
            assert!(data.iter().enumerate().all(|(i, &v)| v == i / 10 + 1));
        }
        set_threads(None);
    }

    #[test]
    fn watch_stops_the_work() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for threads in [1, 2] {
            set_threads(Some(threads));
            let slow = |_| std::thread::sleep(Duration::from_millis(2));
            assert_eq!(map_chunks(100_000, BIG, &mut |_| false, slow), Err(Cancelled));
        }
        set_threads(None);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        set_threads(Some(2));
        let outcome = std::panic::catch_unwind(|| {
            let _ = map_chunks(100, BIG, &mut go, |i| assert!(i != 57, "boom"));
        });
        assert!(outcome.is_err());
        assert_eq!(map_chunks(3, BIG, &mut go, |i| i), Ok(vec![0, 1, 2]));
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
