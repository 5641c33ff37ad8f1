//! Long copy-on-write lists: copies share the parts that neither has changed since, so that copying costs little, and
//! changing a copy leaves the original as it is.

use crate::grid::{Pace, Progress, Stopped, map_chunks};
use crate::memory::{self, NoMemory};
use std::sync::Arc;

/// The largest number of items in a shard, and so the most that a change of a shared shard copies.
const SHARD: usize = 256;
/// About how many items of each list a part of a merge has; the threads take parts.
pub(super) const PART: usize = 16 * SHARD;

/// A list divided into shards, none of which is empty.
#[derive(Debug)]
pub(crate) struct Shards<T> {
    shards: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Shards<T> {
    fn default() -> Self {
        Shards { shards: Vec::new(), len: 0 }
    }
}

/// The items of a shard for writing; a shard that other lists share is copied first.
fn own<T: Clone>(shard: &mut Arc<Vec<T>>) -> Result<&mut Vec<T>, NoMemory> {
    if Arc::get_mut(shard).is_none() {
        *shard = Arc::new(memory::collected(shard.iter().cloned())?);
    }
    Ok(Arc::make_mut(shard))
}

impl<T: Clone> Shards<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: T) -> Result<(), NoMemory> {
        if let Some(last) = self.shards.last_mut().filter(|last| last.len() < SHARD) {
            memory::push(own(last)?, item)?;
        } else {
            let mut shard = memory::with_capacity(1)?;
            shard.push(item);
            memory::push(&mut self.shards, Arc::new(shard))?;
        }
        self.len += 1;
        Ok(())
    }

    /// A copy, which shares each shard until either list changes it.
    pub(crate) fn copied(&self) -> Result<Self, NoMemory> {
        Ok(Shards { shards: memory::collected(self.shards.iter().cloned())?, len: self.len })
    }

    /// This list followed by `other`. Large shards of `other` are shared, small ones are copied item by item, so that
    /// many small lists do not leave many small shards.
    pub(crate) fn joined(&self, other: &Self, pace: &mut Pace<'_>) -> Result<Self, Stopped> {
        let mut all = self.copied()?;
        for shard in &other.shards {
            if shard.len() > SHARD / 2 {
                memory::push(&mut all.shards, shard.clone())?;
                all.len += shard.len();
            } else {
                shard.iter().try_for_each(|item| all.push(item.clone()))?;
            }
            pace.step()?;
        }
        Ok(all)
    }
}

/// A list that is filled from its beginning to its end.
struct Filled<T> {
    shards: Vec<Arc<Vec<T>>>,
    last: Vec<T>,
}

impl<T> Default for Filled<T> {
    fn default() -> Self {
        Filled { shards: Vec::new(), last: Vec::new() }
    }
}

impl<T> Filled<T> {
    /// Adds an item at the end.
    #[inline]
    fn push(&mut self, item: T) -> Result<(), NoMemory> {
        if self.last.capacity() == 0 {
            self.last = memory::with_capacity(SHARD)?;
        }
        self.last.push(item);
        if self.last.len() == SHARD {
            memory::push(&mut self.shards, Arc::new(std::mem::take(&mut self.last)))?;
        }
        Ok(())
    }

    fn shards(mut self) -> Result<Vec<Arc<Vec<T>>>, NoMemory> {
        if !self.last.is_empty() {
            self.last.shrink_to_fit();
            memory::push(&mut self.shards, Arc::new(self.last))?;
        }
        Ok(self.shards)
    }
}

/// A place in a row of slices, none of which is empty.
struct Cursor<'a, T> {
    slices: std::slice::Iter<'a, &'a [T]>,
    items: &'a [T],
}

impl<'a, T> Cursor<'a, T> {
    fn of(slices: &'a [&'a [T]]) -> Self {
        let mut slices = slices.iter();
        let items = slices.next().copied().unwrap_or_default();
        Cursor { slices, items }
    }

    /// The item at this place, if this is not the end.
    #[inline]
    fn item(&self) -> Option<&'a T> {
        self.items.first()
    }

    /// Leaves the item at this place behind.
    #[inline]
    fn pass(&mut self) {
        self.items = self.items.get(1..).unwrap_or_default();
        if self.items.is_empty() {
            self.items = self.slices.next().copied().unwrap_or_default();
        }
    }
}

/// An item of a sorted list.
pub(crate) trait Keyed: Clone + Send + Sync {
    /// The type of the key by which the list is sorted.
    type Key: Ord + Clone + Send + Sync;
    fn key(&self) -> &Self::Key;
    /// Adds another item of the same key to this one; false, with nothing changed, where a sum would leave its range.
    fn join(&mut self, other: &Self) -> bool;
}

/// Items in ascending order of their keys, each of which occurs once, that can be read from any key on.
pub(crate) trait Ascending<T: Keyed>: Sync {
    /// About how many items there are.
    fn size(&self) -> usize;
    /// Keys that divide the items into parts of about [`PART`].
    fn dividing(&self) -> Result<Vec<T::Key>, NoMemory>;
    /// The items whose keys are not below `from` and are below `to`. `None`: from the first, or to the last.
    fn within(&self, from: Option<&T::Key>, to: Option<&T::Key>)
    -> Result<impl Iterator<Item = T>, NoMemory>;
}

impl<T: Keyed> Ascending<T> for Shards<T> {
    fn size(&self) -> usize {
        self.len
    }

    fn dividing(&self) -> Result<Vec<T::Key>, NoMemory> {
        let firsts = self.shards.iter().step_by(PART / SHARD).skip(1);
        memory::gathered(firsts.filter_map(|shard| shard.first()).map(|first| first.key().clone()))
    }

    fn within(
        &self,
        from: Option<&T::Key>,
        to: Option<&T::Key>,
    ) -> Result<impl Iterator<Item = T>, NoMemory> {
        Ok(self.between(from, to)?.into_iter().flatten().cloned())
    }
}

/// Lists that are sorted by their keys, each of which occurs once.
impl<T: Keyed> Shards<T> {
    /// Where the item with this key is: its shard, and its index in it (`Err`: the index at which to insert it).
    fn place(&self, key: &T::Key) -> (usize, Result<usize, usize>) {
        // Keys often arrive in ascending order.
        if let Some((last, items)) = self.shards.iter().enumerate().next_back()
            && items.last().is_some_and(|item| item.key() < key)
        {
            return (last, Err(items.len()));
        }
        let shard =
            self.shards.partition_point(|shard| shard.first().is_some_and(|first| first.key() <= key));
        let shard = shard.saturating_sub(1);
        (
            shard,
            self.shards.get(shard).map_or(Err(0), |items| items.binary_search_by(|item| item.key().cmp(key))),
        )
    }

    #[cfg(test)]
    pub(crate) fn get(&self, key: &T::Key) -> Option<&T> {
        let (shard, place) = self.place(key);
        self.shards.get(shard)?.get(place.ok()?)
    }

    /// Adds an item to the one with the same key, or inserts it where there is none; false where a sum would leave its
    /// range.
    pub(crate) fn add(&mut self, item: T) -> Result<bool, NoMemory> {
        let (shard, place) = self.place(item.key());
        let Some(items) = self.shards.get_mut(shard) else { return self.push(item).map(|()| true) };
        match place {
            Ok(place) => Ok(own(items)?[place].join(&item)),
            Err(SHARD) => {
                // After the end of a full shard: a new one is begun, so that ascending keys fill their shards.
                let mut next = memory::with_capacity(SHARD)?;
                next.push(item);
                self.insert(shard + 1, next)?;
                self.len += 1;
                Ok(true)
            }
            Err(_) if items.len() == SHARD => {
                let mut half = memory::with_capacity(SHARD)?;
                half.extend(own(items)?.drain(SHARD / 2..));
                self.insert(shard + 1, half)?;
                self.add(item)
            }
            Err(place) => {
                let items = own(items)?;
                memory::reserve(items, 1)?;
                items.insert(place, item);
                self.len += 1;
                Ok(true)
            }
        }
    }

    fn insert(&mut self, at: usize, shard: Vec<T>) -> Result<(), NoMemory> {
        memory::reserve(&mut self.shards, 1)?;
        self.shards.insert(at, Arc::new(shard));
        Ok(())
    }

    /// Whether a list of so many items leaves most shards as they are when it is merged into this one.
    pub(crate) fn is_long_beside(&self, few: usize) -> bool {
        few < self.len() / SHARD
    }

    /// The items whose keys are not below `from` and are below `to`, in slices of which none is empty.
    fn between(&self, from: Option<&T::Key>, to: Option<&T::Key>) -> Result<Vec<&[T]>, NoMemory> {
        let at = |key: &T::Key| {
            let (shard, place) = self.place(key);
            (shard, place.unwrap_or_else(|place| place))
        };
        let (first, start) = from.map_or((0, 0), at);
        let (last, end) = to.map_or((self.shards.len(), 0), at);
        let shards = self.shards.iter().enumerate().take(last + 1).skip(first);
        let slices = shards.map(|(index, shard)| {
            let start = if index == first { start } else { 0 };
            let end = if index == last { end } else { shard.len() };
            shard.get(start..end).unwrap_or_default()
        });
        memory::gathered(slices.filter(|slice| !slice.is_empty()))
    }

    /// Both lists merged, with items of the same key added up; `None` where a sum would leave its range.
    pub(crate) fn merged(&self, other: &Self, progress: Progress<'_>) -> Result<Option<Self>, Stopped> {
        if self.is_empty() {
            return Ok(Some(other.copied()?));
        }
        if self.is_long_beside(other.len()) {
            return self.with_few(other, &mut Pace::new(progress));
        }
        self.with(other, progress)
    }

    /// This list with items added; `None` where a sum would leave its range. Both are divided at the same keys, so that
    /// all threads merge parts.
    pub(crate) fn with(
        &self,
        other: &impl Ascending<T>,
        progress: Progress<'_>,
    ) -> Result<Option<Self>, Stopped> {
        let mut keys = self.dividing()?;
        for key in other.dividing()? {
            memory::push(&mut keys, key)?;
        }
        keys.sort_unstable();
        let bytes = 4 * size_of::<T>() * (self.len + other.size());
        let parts = map_chunks(keys.len() + 1, bytes, progress, |part| {
            let (from, to) = (part.checked_sub(1).and_then(|before| keys.get(before)), keys.get(part));
            merged(&self.between(from, to)?, other.within(from, to)?)
        })?;
        let mut all = Shards::default();
        for part in parts {
            let Some(shards) = part? else { return Ok(None) };
            memory::reserve(&mut all.shards, shards.len())?;
            all.len += shards.iter().map(|shard| shard.len()).sum::<usize>();
            all.shards.extend(shards);
        }
        Ok(Some(all))
    }

    /// As [`Shards::merged`] for an `other` that is so short that most shards stay shared.
    fn with_few(&self, few: &Self, pace: &mut Pace<'_>) -> Result<Option<Self>, Stopped> {
        let mut all = self.copied()?;
        for item in few.iter() {
            if !all.add(item.clone())? {
                return Ok(None);
            }
            pace.stride(1)?;
        }
        Ok(Some(all))
    }
}

/// Slices and other items merged, both in ascending order; `None` where a sum would leave its range.
fn merged<T: Keyed>(
    slices: &[&[T]],
    items: impl Iterator<Item = T>,
) -> Result<Option<Vec<Arc<Vec<T>>>>, NoMemory> {
    let (mut all, mut mine) = (Filled::default(), Cursor::of(slices));
    for mut item in items {
        while let Some(less) = mine.item().filter(|mine| mine.key() < item.key()) {
            all.push(less.clone())?;
            mine.pass();
        }
        if let Some(same) = mine.item().filter(|mine| mine.key() == item.key()) {
            if !item.join(same) {
                return Ok(None);
            }
            mine.pass();
        }
        all.push(item)?;
    }
    while let Some(next) = mine.item() {
        all.push(next.clone())?;
        mine.pass();
    }
    Ok(Some(all.shards()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq)]
    struct Count(u64, u64);

    impl Keyed for Count {
        type Key = u64;
        fn key(&self) -> &u64 {
            &self.0
        }
        fn join(&mut self, other: &Self) -> bool {
            self.1.checked_add(other.1).map(|sum| self.1 = sum).is_some()
        }
    }

    fn list(keys: impl Iterator<Item = u64>) -> Shards<Count> {
        let mut list = Shards::default();
        keys.for_each(|key| assert!(list.add(Count(key, 1)).unwrap()));
        list
    }

    fn merged(a: &Shards<Count>, b: &Shards<Count>) -> Option<Shards<Count>> {
        a.merged(b, &mut |_| true).unwrap()
    }

    fn scattered(n: u64, seed: u64) -> impl Iterator<Item = u64> {
        (0..n).map(move |i| (i + seed).wrapping_mul(2_654_435_761) % 5003)
    }

    #[test]
    fn it_equals_a_map() {
        for n in [0, 1, 255, 256, 257, 3000, 20_000] {
            let got = list(scattered(n, 0));
            let mut map = BTreeMap::new();
            scattered(n, 0).for_each(|key| *map.entry(key).or_insert(0) += 1);
            assert!(got.iter().map(|c| (c.0, c.1)).eq(map.into_iter()));
            assert_eq!(got.len(), got.iter().count());
            assert!(got.shards.iter().all(|shard| !shard.is_empty() && shard.len() <= SHARD));
        }
    }

    #[test]
    fn merging_is_commutative_and_leaves_its_arguments_unchanged() {
        let large = list(0..50_000);
        for small in [list(0..0), list(scattered(20, 3)), list(scattered(4000, 9)), list(49_990..50_010)] {
            let before: Vec<Count> = large.iter().cloned().collect();
            let (forth, back) = (merged(&large, &small).unwrap(), merged(&small, &large).unwrap());
            assert!(forth.iter().eq(back.iter()));
            assert!(
                forth.iter().map(|c| c.1).sum::<u64>() == small.iter().map(|c| c.1).sum::<u64>() + 50_000
            );
            assert!(small.iter().all(|c| forth.get(&c.0).is_some_and(|sum| sum.1 >= c.1)));
            assert!(large.iter().eq(before.iter()));
            assert_eq!(forth.len(), forth.iter().count());
        }
    }

    #[test]
    fn a_sum_out_of_range_refuses_the_whole() {
        let mut full = list(0..1000);
        assert!(full.add(Count(500, u64::MAX - 1)).unwrap());
        for few in [list(500..501), list(400..900)] {
            assert!(merged(&full, &few).is_none() && merged(&few, &full).is_none());
        }
    }

    #[test]
    fn joined_lists_keep_their_order_and_share_large_shards() {
        let mut all: Shards<u64> = Shards::default();
        let (long, short) = (list(0..1000), list(5..9));
        let mut numbers: Shards<u64> = Shards::default();
        long.iter().for_each(|c| numbers.push(c.0).unwrap());
        let mut few: Shards<u64> = Shards::default();
        short.iter().for_each(|c| few.push(c.0).unwrap());
        for part in [&numbers, &few, &numbers, &few] {
            all = all.joined(part, &mut Pace::new(&mut |_| true)).unwrap();
        }
        let expected = (0..1000).chain(5..9).chain(0..1000).chain(5..9);
        assert!(all.iter().copied().eq(expected) && all.len() == 2008);
        assert!(Arc::ptr_eq(&all.shards[0], &numbers.shards[0]));
    }
}
