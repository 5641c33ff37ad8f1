//! The different options that the rows of one step have: those of their groups, each at the number of the row's own
//! step.

use crate::call::no_memory;
use crate::give::value_error;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtypes, RealDtype};
use steelyard_kernels::memory;
use steelyard_kernels::optim::Hyper;

/// The options that occur in a step, and in which types of the computation rows have them.
pub struct Hypers {
    pub all: Vec<Hyper>,
    computed_in: Vec<[bool; RealDtype::ALL.len()]>,
    /// For each row the index of its options; None where all rows have the first.
    pub index: Option<Vec<usize>>,
}

/// A row that takes part in a step.
#[derive(Clone, Copy)]
pub struct Member {
    /// The index of its group.
    pub group: u32,
    /// The number that this step has for it.
    pub step: u64,
    pub computed_in: RealDtype,
}

impl Hypers {
    /// The options of all rows, where they have the same ones. `computed_in` are the types that occur.
    pub fn one(hyper: Hyper, computed_in: impl Iterator<Item = RealDtype>) -> PyResult<Self> {
        let mut occurs = [false; RealDtype::ALL.len()];
        for dtype in computed_in {
            occurs[dtype as usize] = true;
        }
        let (all, computed_in) =
            (memory::collected([hyper].into_iter()), memory::collected([occurs].into_iter()));
        Ok(Hypers { all: all.map_err(no_memory)?, computed_in: computed_in.map_err(no_memory)?, index: None })
    }

    /// The options of each row.
    pub fn of(groups: &[Hyper], rows: &[Member]) -> PyResult<Self> {
        let key = |row: &Member| (row.group, row.step);
        let mut keys = Vec::new();
        for row in rows {
            if keys.last() != Some(&key(row)) {
                memory::push(&mut keys, key(row)).map_err(no_memory)?;
            }
        }
        keys.sort_unstable();
        keys.dedup();
        let mut all = memory::with_capacity(keys.len()).map_err(no_memory)?;
        for &(group, step) in &keys {
            let Some(group) = groups.get(group as usize) else {
                return Err(value_error("of_row: expected indices of groups; got one that is too large"));
            };
            all.push(Hyper { step, ..*group });
        }
        let mut computed_in = memory::filled(keys.len(), [false; RealDtype::ALL.len()]).map_err(no_memory)?;
        let mut last = 0;
        let index = rows.iter().map(|row| {
            if keys[last] != key(row) {
                last = keys.partition_point(|known| *known < key(row));
            }
            computed_in[last][row.computed_in as usize] = true;
            last
        });
        let index = memory::collected(index).map_err(no_memory)?;
        Ok(Hypers { all, computed_in, index: Some(index) })
    }

    /// Each of the options with each type of the computation in which a row has them.
    pub fn used(&self) -> impl Iterator<Item = (&Hyper, RealDtype)> {
        self.all.iter().zip(&self.computed_in).flat_map(|(hyper, occurs)| {
            let dtypes = RealDtype::ALL.iter().filter(move |dtype| occurs[**dtype as usize]);
            dtypes.map(move |dtype| (hyper, *dtype))
        })
    }
}
