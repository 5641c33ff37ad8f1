//! Memory that may not be there: allocations whose size grows with the data.
//!
//! `Vec`, `collect` and `vec!` end the process where there is no memory. What grows with the data is allocated here
//! instead, and the caller is told: all of it before anything of the caller's is written.
//!
//! What is small and cannot fail (a node of a map, a message, a job for a helper) may be served by an allocator that has
//! kept something back for it; [`note_served`] tells of that, and an [`Alarm`] makes it an error before a map has grown
//! by much. What is allocated here never stays in such memory.

use std::collections::TryReserveError;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// There was no memory for this many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory {
    /// What was asked for.
    pub bytes: usize,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for {} bytes", self.bytes)
    }
}

impl std::error::Error for NoMemory {}

/// How often memory that was kept back has been given out.
static SERVED: AtomicUsize = AtomicUsize::new(0);
/// How much the last time.
static SERVED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Called by an allocator that serves `bytes` from what it has kept back, because there is no other memory.
pub fn note_served(bytes: usize) {
    SERVED_BYTES.store(bytes, Relaxed);
    SERVED.fetch_add(1, Relaxed);
}

/// Knows whether memory has run out since it was set, in any thread, though nothing failed.
pub struct Alarm(usize);

impl Alarm {
    /// Quiet so far.
    pub fn set() -> Self {
        Alarm(SERVED.load(Relaxed))
    }

    /// An error once memory has run out.
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

/// What an iterator of known length gives.
pub fn collected<T>(items: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>, NoMemory> {
    let mut vec = with_capacity(items.len())?;
    vec.extend(items);
    Ok(vec)
}

/// What an iterator gives, of which it is not known how much.
pub fn gathered<T>(items: impl Iterator<Item = T>) -> Result<Vec<T>, NoMemory> {
    let mut vec = Vec::new();
    for item in items {
        push(&mut vec, item)?;
    }
    Ok(vec)
}

/// The parts one after another, or the first one's reason.
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

/// From this size on, in bytes, a vector grows where it stands if the allocator can.
const LARGE: usize = 1 << 20;

/// Makes room for `more` elements, and for about as many again as there are: filling piece by piece stays linear.
pub fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    if vec.capacity() - vec.len() >= more {
        return Ok(());
    }
    let n = vec.len().saturating_add(more);
    let bytes = n.saturating_mul(size_of::<T>());
    if bytes >= LARGE {
        return make_room(bytes, || vec.try_reserve(more));
    }
    // Grown where it stands it might now stand in memory that was kept back, and stay there.
    let mut grown = with_capacity(n.max(2 * vec.capacity()).max(4))?;
    grown.append(vec);
    *vec = grown;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_said() {
        let bytes = usize::MAX / 8 * 8;
        assert_eq!(with_capacity::<u64>(usize::MAX / 8).map(|_: Vec<u64>| ()), Err(NoMemory { bytes }));
        assert_eq!(filled(usize::MAX, 0u64), Err(NoMemory { bytes: usize::MAX }));
        let mut some = vec![1u64];
        assert_eq!(reserve(&mut some, usize::MAX), Err(NoMemory { bytes: usize::MAX }));
        assert_eq!(some, [1]);
    }

    #[test]
    fn the_same_as_without() {
        assert_eq!(filled(3, 7), Ok(vec![7; 3]));
        assert_eq!(copied(&[1, 2, 3]), Ok(vec![1, 2, 3]));
        assert_eq!(collected((0..3).rev()), Ok(vec![2, 1, 0]));
        assert_eq!(gathered((0..9).filter(|i| i % 4 == 0)), Ok(vec![0, 4, 8]));
        assert_eq!(joined(vec![Ok(vec![1, 2]), Ok(vec![]), Ok(vec![3])]), Ok(vec![1, 2, 3]));
        assert_eq!(joined(vec![Ok(vec![1]), Err(NoMemory { bytes: 8 })]), Err(NoMemory { bytes: 8 }));
    }
}
