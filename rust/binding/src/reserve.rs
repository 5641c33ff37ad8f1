//! An allocator that keeps something back for when memory runs out.
//!
//! Whatever grows with the data is allocated where failing is an answer (`steelyard_kernels::memory`). What is left is
//! small, and is asked for where there is no way to say no: the job that helpers take, a node of a map, the text and the
//! box of the `MemoryError` itself. Rust ends the process where such an allocation fails. Here it is served from memory
//! that was set aside when the library was loaded, and [`note_served`] makes whatever is growing stop.
//!
//! Each slab hands out its bytes from the front and starts again once all that it gave has come back. One atomic word
//! holds both, so there is no lock to wait for, nor one that a fork could leave locked. See `docs/decisions/0008-memory.md`.
#![allow(unsafe_code)] // a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{copy_nonoverlapping, null_mut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use steelyard_kernels::memory::note_served;

/// More than this is never served: it grows with the data, and failing is an answer.
const SMALL: usize = 64 << 10;
const SLAB: usize = 128 << 10;
/// What stays for long pins its own slab, not the others.
const SLABS: usize = 16;
/// Of the slabs, and so the strictest that is served.
const ALIGNMENT: usize = 4096;

struct Reserve;

#[global_allocator]
static ALLOCATOR: Reserve = Reserve;

/// Untouched until it is needed: address space, not memory.
#[repr(align(4096))]
struct Slabs(UnsafeCell<[u8; SLAB * SLABS]>);

// SAFETY: bytes are handed out by `Slab::take`, each to one owner at a time.
unsafe impl Sync for Slabs {}

static MEMORY: Slabs = Slabs(UnsafeCell::new([0; SLAB * SLABS]));
static STATES: [Slab; SLABS] = [const { Slab(AtomicU64::new(0)) }; SLABS];

/// How many allocations of the slab are out, and where the next one begins (the lower half).
struct Slab(AtomicU64);

impl Slab {
    /// Where in the slab there is room for `layout`.
    fn take(&self, layout: Layout) -> Option<usize> {
        let mut place = 0;
        let taken = |state: u64| {
            place = (state as u32 as usize).next_multiple_of(layout.align());
            let end = place + layout.size();
            (end <= SLAB).then(|| ((state >> 32) + 1) << 32 | end as u64)
        };
        self.0.fetch_update(AcqRel, Acquire, taken).ok().map(|_| place)
    }

    fn give_back(&self) {
        let given = |state: u64| {
            let out = (state >> 32) - 1;
            Some(if out == 0 { 0 } else { out << 32 | u64::from(state as u32) })
        };
        let _ = self.0.fetch_update(AcqRel, Acquire, given);
    }
}

/// The slab that an allocation came from, if it came from one.
#[inline]
fn slab_of(data: *mut u8) -> Option<&'static Slab> {
    let offset = data.addr().wrapping_sub(MEMORY.0.get().addr());
    STATES.get(offset / SLAB)
}

/// Memory for what is small, or null.
#[cold]
fn serve(layout: Layout) -> *mut u8 {
    if layout.size() > SMALL || layout.align() > ALIGNMENT {
        return null_mut();
    }
    for (index, slab) in STATES.iter().enumerate() {
        if let Some(place) = slab.take(layout) {
            note_served(layout.size());
            return MEMORY.0.get().cast::<u8>().wrapping_add(index * SLAB + place);
        }
    }
    null_mut()
}

// SAFETY: what `System` gives goes back to `System`. What a slab gives lies inside it, aligned, apart from everything
// else that is out, since a slab starts again only once nothing is; it goes back to that slab.
unsafe impl GlobalAlloc for Reserve {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_to_fail(layout.size()) {
            // SAFETY: the caller's.
            let data = unsafe { System.alloc(layout) };
            if !data.is_null() {
                return data;
            }
        }
        serve(layout)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_to_fail(layout.size()) {
            // SAFETY: the caller's.
            let data = unsafe { System.alloc_zeroed(layout) };
            if !data.is_null() {
                return data;
            }
        }
        let data = serve(layout);
        if !data.is_null() {
            // SAFETY: it was given for `layout`.
            unsafe { data.write_bytes(0, layout.size()) };
        }
        data
    }

    #[inline]
    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        match slab_of(data) {
            Some(slab) => slab.give_back(),
            // SAFETY: the caller's; it came from `System`.
            None => unsafe { System.dealloc(data, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, data: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if slab_of(data).is_none() && !is_to_fail(size) {
            // SAFETY: the caller's; it came from `System`.
            let moved = unsafe { System.realloc(data, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: as for the old allocation, whose alignment it has; both are at least as long as what is copied.
        unsafe { self.moved(data, layout, Layout::from_size_align_unchecked(size, layout.align())) }
    }
}

impl Reserve {
    /// A larger or smaller allocation with the same contents, of a slab or instead of one.
    #[cold]
    unsafe fn moved(&self, data: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe {
            let moved = if slab_of(data).is_some() { self.alloc(new) } else { serve(new) };
            if !moved.is_null() {
                copy_nonoverlapping(data, moved, old.size().min(new.size()));
                self.dealloc(data, old);
            }
            moved
        }
    }
}

/// Allocations that are still to fail, for tests; 0, always, outside of them.
static FAILURES: AtomicUsize = AtomicUsize::new(0);
/// Allocations that succeed before.
static SUCCESSES: AtomicUsize = AtomicUsize::new(0);
/// How large those are that count.
static LEAST: AtomicUsize = AtomicUsize::new(0);

/// Has `failures` allocations of at least `least` bytes fail, in any thread, after `successes` of them: how many of
/// those that were asked for before have not failed yet.
pub fn fail_for_tests(successes: usize, failures: usize, least: usize) -> usize {
    let left = FAILURES.swap(0, AcqRel);
    SUCCESSES.store(successes, Relaxed);
    LEAST.store(least, Relaxed);
    FAILURES.store(failures, Relaxed);
    left
}

#[inline]
fn is_to_fail(size: usize) -> bool {
    FAILURES.load(Relaxed) != 0 && counts_as_failure(size)
}

#[cold]
fn counts_as_failure(size: usize) -> bool {
    let down = |count: &AtomicUsize| count.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1)).is_ok();
    size >= LEAST.load(Relaxed) && !down(&SUCCESSES) && down(&FAILURES)
}
