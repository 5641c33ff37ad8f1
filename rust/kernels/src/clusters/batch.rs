//! The clusters of a batch as items of a sorted list.

use super::ids::{Id, Names};
use super::shards::{Ascending, Keyed, PART, Shards};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};

/// The clusters of a batch. `item` gives the item of a code; `None` where it has no rows. They are [`Ascending`] items where
/// the names ascend.
pub(crate) struct ByCode<'a, F> {
    pub names: Names<'a>,
    pub item: F,
}

impl<T: Keyed<Key = Id>, F: Fn(usize) -> Option<T> + Sync> Ascending<T> for ByCode<'_, F> {
    fn size(&self) -> usize {
        self.names.count()
    }

    fn dividing(&self) -> Result<Vec<Id>, NoMemory> {
        let codes = (0..self.names.count()).step_by(PART).skip(1);
        memory::gathered(codes.filter_map(|code| self.names.id(code)))
    }

    fn within(&self, from: Option<&Id>, to: Option<&Id>) -> Result<impl Iterator<Item = T>, NoMemory> {
        let start = from.map_or(0, |id| self.names.below(id));
        let end = to.map_or(self.names.count(), |id| self.names.below(id));
        Ok((start..end).filter_map(&self.item))
    }
}

impl<F> ByCode<'_, F> {
    /// The items as a list, in whatever order the names are. An error holds the code of an item that has the name of
    /// another one, to which it cannot be added.
    pub fn list<T>(&self, progress: Progress<'_>) -> Result<Result<Shards<T>, usize>, Stopped>
    where
        T: Keyed<Key = Id>,
        F: Fn(usize) -> Option<T> + Sync,
    {
        let mut list = Shards::default();
        if self.names.ascend() {
            return Ok(list.with(self, progress)?.ok_or(0));
        }
        let mut pace = Pace::new(progress);
        for code in 0..self.names.count() {
            if let Some(item) = (self.item)(code)
                && !list.add(item)?
            {
                return Ok(Err(code));
            }
            pace.step()?;
        }
        Ok(Ok(list))
    }
}

impl Names<'_> {
    /// How many of the names, which ascend, are below this one.
    fn below(&self, id: &Id) -> usize {
        match (self, id) {
            (Names::None, _) | (Names::Texts(_), Id::Number(_)) => 0,
            (Names::Numbers(ids), Id::Number(id)) => ids.partition_point(|own| own < id),
            (Names::Numbers(ids), Id::Text(_)) => ids.len(),
            (Names::Texts(ids), Id::Text(id)) => ids.partition_point(|own| **own < **id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Clone)]
    struct Count(Id, u64);

    impl Keyed for Count {
        type Key = Id;
        fn key(&self) -> &Id {
            &self.0
        }
        fn join(&mut self, other: &Self) -> bool {
            self.1.checked_add(other.1).map(|sum| self.1 = sum).is_some()
        }
    }

    /// Batches of many parts, of numbers and of texts, of which every third code has no rows.
    #[test]
    fn batches_are_added_as_to_a_map() {
        let numbers: Vec<Vec<i64>> = [(0, 1), (-9_000, 3), (70_000, 2)]
            .map(|(start, step)| (0..30_000).map(|i| start + step * i).collect())
            .into();
        let texts: Vec<String> = (0..9_000).map(|i| format!("{i:05}")).collect();
        let batches = [&numbers[..], &numbers[..1]].concat();
        let batches = batches.iter().map(|ids| Names::Numbers(ids)).chain([Names::Texts(&texts); 2]);
        let (mut list, mut map) = (Shards::default(), BTreeMap::new());
        for names in batches {
            assert!(names.ascend());
            let item = |code| (code % 3 > 0).then(|| Count(names.id(code).unwrap(), code as u64));
            list = list.with(&ByCode { names, item }, &mut |_| true).unwrap().unwrap();
            for Count(id, count) in (0..names.count()).filter_map(item) {
                *map.entry(id).or_insert(0) += count;
            }
            assert!(list.iter().map(|Count(id, count)| (id, count)).eq(&map));
            assert_eq!(list.len(), map.len());
        }
        // In another order, and with a name twice.
        let backwards: Vec<i64> = (0..9_000).rev().chain([5]).collect();
        let names = Names::Numbers(&backwards);
        let item = |code| Some(Count(names.id(code).unwrap(), 1));
        let list_of = ByCode { names, item }.list(&mut |_| true).unwrap().unwrap();
        let twice = |number: i64| if number == 5 { 2 } else { 1 };
        let expected = (0..9_000).map(|number| (Id::Number(number), twice(number)));
        assert!(list_of.iter().map(|count| (count.0.clone(), count.1)).eq(expected));
        let item = |code| Some(Count(names.id(code).unwrap(), u64::MAX));
        assert!(matches!(ByCode { names, item }.list(&mut |_| true).unwrap(), Err(9_000)));
        let full = |code| Some(Count(Names::Texts(&texts).id(code).unwrap(), u64::MAX));
        let beyond = ByCode { names: Names::Texts(&texts), item: full };
        assert!(list.with(&beyond, &mut |_| true).unwrap().is_none());
    }
}
