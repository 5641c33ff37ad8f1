//! The global allocator: the system's, with a reserve of memory for small allocations once the system has none left.
//!
//! Whatever grows with the data is allocated through `steelyard_kernels::memory`, where a failed allocation becomes an
//! error. The remaining allocations are small and are made where no error can be returned: the job that worker threads
//! take, a node of a map, the text and the box of the `MemoryError` itself. Rust ends the process where such an
//! allocation fails. Here it is served from memory that was set aside when the library was loaded, and [`note_served`]
//! records it, so that the work that is growing stops with a `MemoryError`.
//!
//! The reserve is divided into slabs. A slab hands out its bytes from the front, and starts again at the front once
//! every allocation from it has been freed. One atomic word holds the number of these allocations and the next free
//! position, so there is no lock to wait for, and none that a fork could leave locked. See
//! `docs/decisions/0008-memory.md`.
#![allow(unsafe_code)] // a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{copy_nonoverlapping, null_mut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use steelyard_kernels::memory::note_served;

/// The largest allocation, in bytes, that is served. Larger ones grow with the data, and their failure becomes an
/// error.
const SMALL: usize = 64 << 10;
/// The size of a slab, in bytes.
const SLAB: usize = 128 << 10;
/// The number of slabs. There are several because an allocation that is kept for long keeps its slab from starting
/// again; the other slabs can still be used.
const SLABS: usize = 16;
/// The alignment of the slabs, and so the strictest alignment that can be served.
const ALIGNMENT: usize = 4096;

struct Reserve;

#[global_allocator]
static ALLOCATOR: Reserve = Reserve;

/// The bytes of the reserve. Until they are used they take up address space, but no memory.
#[repr(align(4096))]
struct Slabs(UnsafeCell<[u8; SLAB * SLABS]>);

// SAFETY: `Slab::take` hands out each byte to one owner at a time.
unsafe impl Sync for Slabs {}

static MEMORY: Slabs = Slabs(UnsafeCell::new([0; SLAB * SLABS]));
static STATES: [Slab; SLABS] = [const { Slab(AtomicU64::new(0)) }; SLABS];

/// The state of a slab: the upper half is the number of allocations that have not been freed, the lower half the
/// position where the next one may begin.
struct Slab(AtomicU64);

impl Slab {
    /// Reserves room for `layout`, and returns its position in the slab; `None` where there is not enough.
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

/// The slab that an allocation came from; `None` where it came from the system.
#[inline]
fn slab_of(data: *mut u8) -> Option<&'static Slab> {
    let offset = data.addr().wrapping_sub(MEMORY.0.get().addr());
    STATES.get(offset / SLAB)
}

/// Memory of the reserve for a small allocation, or null.
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

// SAFETY: memory from `System` is returned to `System`. Memory from a slab is inside that slab, is aligned, and does
// not overlap any other allocation that has not been freed, since a slab starts again only once there are none; it is
// returned to that slab.
unsafe impl GlobalAlloc for Reserve {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_to_fail(layout.size()) {
            // SAFETY: the caller of this method promises what `System` asks for.
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
            // SAFETY: the caller of this method promises what `System` asks for.
            let data = unsafe { System.alloc_zeroed(layout) };
            if !data.is_null() {
                return data;
            }
        }
        let data = serve(layout);
        if !data.is_null() {
            // SAFETY: `serve` returned memory for `layout`.
            unsafe { data.write_bytes(0, layout.size()) };
        }
        data
    }

    #[inline]
    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        match slab_of(data) {
            Some(slab) => slab.give_back(),
            // SAFETY: the memory came from `System`, and the caller promises the rest.
            None => unsafe { System.dealloc(data, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, data: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if slab_of(data).is_none() && !is_to_fail(size) {
            // SAFETY: the memory came from `System`, and the caller promises the rest.
            let moved = unsafe { System.realloc(data, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller promises that `size` makes a valid layout with the alignment of the old one. What is
        // copied is no longer than either allocation.
        unsafe { self.moved(data, layout, Layout::from_size_align_unchecked(size, layout.align())) }
    }
}

impl Reserve {
    /// Moves an allocation to one of another size: out of a slab, or into one where the system has no memory.
    #[cold]
    unsafe fn moved(&self, data: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller promises what `GlobalAlloc::realloc` asks for; the two allocations do not overlap.
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

/// The number of allocations that are still to fail. Only tests set it; otherwise it is always 0.
static FAILURES: AtomicUsize = AtomicUsize::new(0);
/// The number of allocations that still succeed before these.
static SUCCESSES: AtomicUsize = AtomicUsize::new(0);
/// The size in bytes from which an allocation is counted by the two above.
static LEAST: AtomicUsize = AtomicUsize::new(0);

/// Makes `failures` allocations of at least `least` bytes fail, in any thread, after `successes` of them have
/// succeeded. Returns how many failures of the previous request have not happened.
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
