//! What a rule tells of the changes that it makes, to those who ask for them.

/// A place for what a rule adds to `N` elements: decay and update together, not yet rounded into the parameter.
///
/// A rule that is not asked has places of no size, and does not compute the changes.
pub(in super::super) trait Slot<T, const N: usize> {
    /// Keeps the change of element `index`.
    fn put(&mut self, index: usize, change: impl FnOnce() -> T);
}

impl<T, const N: usize> Slot<T, N> for () {
    #[inline(always)]
    fn put(&mut self, _: usize, _: impl FnOnce() -> T) {}
}

impl<T, const N: usize> Slot<T, N> for [T; N] {
    #[inline(always)]
    fn put(&mut self, index: usize, change: impl FnOnce() -> T) {
        self[index] = change();
    }
}

/// Places for the changes of any number of elements, of which nothing is kept. They take no memory.
#[inline(always)]
pub(in super::super) fn unasked() -> [(); usize::MAX] {
    [(); usize::MAX]
}
