//! Memory that may not be there: allocations whose size grows with the data.
//!
//! `Vec`, `collect` and `vec!` end the process where there is no memory. What grows with the data is allocated here
//! instead, and the caller is told: all of it before anything of the caller's is written.

use std::fmt;

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

/// An empty vector with room for exactly `n` elements.
pub fn with_capacity<T>(n: usize) -> Result<Vec<T>, NoMemory> {
    let mut vec = Vec::new();
    match vec.try_reserve_exact(n) {
        Ok(()) => Ok(vec),
        Err(_) => Err(NoMemory { bytes: n.saturating_mul(size_of::<T>()) }),
    }
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

/// Appends an item, growing as `Vec::push` does.
pub fn push<T>(vec: &mut Vec<T>, item: T) -> Result<(), NoMemory> {
    reserve(vec, 1)?;
    vec.push(item);
    Ok(())
}

/// Makes room for `more` elements, and for about as many again as there are: filling piece by piece stays linear.
pub fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    let bytes = vec.len().saturating_add(more).saturating_mul(size_of::<T>());
    vec.try_reserve(more).map_err(|_| NoMemory { bytes })
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
    }
}
