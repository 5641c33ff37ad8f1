//! Fallible allocation, for everything whose size grows with the data.
//!
//! `Vec`, `collect` and `vec!` end the process where there is no memory. What grows with the data is therefore
//! allocated with the functions of this module, which return an error instead. A call allocates all that it needs
//! before it writes to any of the caller's arrays.
//!
//! Small allocations that cannot return an error (a node of a map, a message, a job for a helper thread) may be served
//! from a reserve that the allocator has kept for them. The allocator reports that by [`note_served`], and an [`Alarm`]
//! turns it into an error before much of the reserve is used. What this module allocates never stays in the reserve.

use std::collections::TryReserveError;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// There was no memory for this many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory {
    /// The number of bytes that was asked for.
    pub bytes: usize,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for {} bytes", self.bytes)
    }
}

impl std::error::Error for NoMemory {}

/// How often the allocator has served memory from its reserve.
static SERVED: AtomicUsize = AtomicUsize::new(0);
/// How many bytes it served the last time.
static SERVED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Called by an allocator that serves `bytes` from its reserve because there is no other memory.
pub fn note_served(bytes: usize) {
    SERVED_BYTES.store(bytes, Relaxed);
    SERVED.fetch_add(1, Relaxed);
}

/// Detects that memory has run out in any thread since the alarm was set, although no allocation failed because the
/// allocator's reserve served it.
pub struct Alarm(usize);

impl Alarm {
    /// An alarm for what happens from now on.
    pub fn set() -> Self {
        Alarm(SERVED.load(Relaxed))
    }

    /// An error once the reserve has been used since the alarm was set.
    pub fn check(&self) -> Result<(), NoMemory> {
        if SERVED.load(Relaxed) == self.0 {
            Ok(())
        } else {
            Err(NoMemory { bytes: SERVED_BYTES.load(Relaxed) })
        }
    }
}

/// An empty vector with room for exactly `n` elements.
pub fn with_capacity<T>(n: usize) -> Result<Vec<T>, NoMemory> {
    let mut vec = Vec::new();
    make_room(n.saturating_mul(size_of::<T>()), || vec.try_reserve_exact(n))?;
    Ok(vec)
}

/// A copy of a text.
pub fn text(text: &str) -> Result<String, NoMemory> {
    let mut copy = String::new();
    make_room(text.len(), || copy.try_reserve_exact(text.len()))?;
    copy.push_str(text);
    Ok(copy)
}

fn make_room(bytes: usize, reserve: impl FnOnce() -> Result<(), TryReserveError>) -> Result<(), NoMemory> {
    let alarm = Alarm::set();
    reserve().map_err(|_| NoMemory { bytes })?;
    alarm.check()
}

/// `n` times `value`.
pub fn filled<T: Clone>(n: usize, value: T) -> Result<Vec<T>, NoMemory> {
    let mut vec = with_capacity(n)?;
    vec.resize(n, value);
    Ok(vec)
}

/// A copy of a slice.
pub fn copied<T: Copy>(slice: &[T]) -> Result<Vec<T>, NoMemory> {
    let mut vec = with_capacity(slice.len())?;
    vec.extend_from_slice(slice);
    Ok(vec)
}

/// Collects the items of an iterator whose length is known.
pub fn collected<T>(items: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>, NoMemory> {
    let mut vec = with_capacity(items.len())?;
    vec.extend(items);
    Ok(vec)
}

/// Collects the items of an iterator whose length is not known.
pub fn gathered<T>(items: impl Iterator<Item = T>) -> Result<Vec<T>, NoMemory> {
    let mut vec = Vec::new();
    for item in items {
        push(&mut vec, item)?;
    }
    Ok(vec)
}

/// The parts one after another, or the first error among them.
pub fn joined<T>(parts: Vec<Result<Vec<T>, NoMemory>>) -> Result<Vec<T>, NoMemory> {
    let total = parts.iter().flatten().map(Vec::len).sum();
    let mut all = with_capacity(total)?;
    for part in parts {
        all.append(&mut part?);
    }
    Ok(all)
}

/// Appends an item, growing as `Vec::push` does.
pub fn push<T>(vec: &mut Vec<T>, item: T) -> Result<(), NoMemory> {
    reserve(vec, 1)?;
    vec.push(item);
    Ok(())
}

/// A vector of at least this many bytes is grown in place if the allocator can do that. (An allocation this large is
/// never served from the reserve.)
const LARGE: usize = 1 << 20;

/// Makes room for `more` elements; a growing vector at least doubles its capacity, so that filling it piece by piece
/// takes linear time.
pub fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    if vec.capacity() - vec.len() >= more {
        return Ok(());
    }
    let n = vec.len().saturating_add(more);
    let bytes = n.saturating_mul(size_of::<T>());
    if bytes >= LARGE {
        return make_room(bytes, || vec.try_reserve(more));
    }
    // `try_reserve` could move the vector into the allocator's reserve, and it would stay there after the error.
    let mut grown = with_capacity(n.max(2 * vec.capacity()).max(4))?;
    grown.append(vec);
    *vec = grown;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_memory_is_an_error() {
        let bytes = usize::MAX / 8 * 8;
        assert_eq!(with_capacity::<u64>(usize::MAX / 8).map(|_: Vec<u64>| ()), Err(NoMemory { bytes }));
        assert_eq!(filled(usize::MAX, 0u64), Err(NoMemory { bytes: usize::MAX }));
        let mut some = vec![1u64];
        assert_eq!(reserve(&mut some, usize::MAX), Err(NoMemory { bytes: usize::MAX }));
        assert_eq!(some, [1]);
    }

    #[test]
    fn results_equal_those_of_the_standard_library() {
        assert_eq!(filled(3, 7), Ok(vec![7; 3]));
        assert_eq!(copied(&[1, 2, 3]), Ok(vec![1, 2, 3]));
        assert_eq!(collected((0..3).rev()), Ok(vec![2, 1, 0]));
        assert_eq!(gathered((0..9).filter(|i| i % 4 == 0)), Ok(vec![0, 4, 8]));
        assert_eq!(joined(vec![Ok(vec![1, 2]), Ok(vec![]), Ok(vec![3])]), Ok(vec![1, 2, 3]));
        assert_eq!(joined(vec![Ok(vec![1]), Err(NoMemory { bytes: 8 })]), Err(NoMemory { bytes: 8 }));
    }
}
