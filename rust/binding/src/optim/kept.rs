//! What an optimizer keeps of its parameters: moments, in 8 bits with scales, and what parameters in 16 bits lack.

use super::stored::{self, Beside};
use crate::arrays::blocks::{MomentSlice, SliceMut};
use crate::arrays::loads::Copies;
use crate::arrays::written::{Role, Row, Written};
use crate::call::no_memory;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtype, RealDtype, Typed, TypedSlice};
use steelyard_kernels::memory;
use steelyard_kernels::optim::{self, Damage, MOMENTS, Moment};

/// What the arrays of one name are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Moments: which of them.
    Moment(usize),
    /// The scales of a moment in 8 bits.
    Scales(usize),
    /// The lower halves of parameters whose upper halves are the caller's.
    Low,
    /// What rounding parameters has lost.
    Rest,
    /// The values of which the caller's parameters are copies.
    Master,
}

impl Kept {
    /// What arrays of these names are.
    pub fn all(names: &[String]) -> PyResult<Vec<Kept>> {
        let of = |name: &String| match name.as_str() {
            "low" => Kept::Low,
            "rest" => Kept::Rest,
            "master" => Kept::Master,
            name => {
                match name.strip_suffix("_scale").and_then(|moment| names.iter().position(|x| x == moment)) {
                    Some(moment) => Kept::Scales(moment),
                    None => Kept::Moment(names.iter().position(|x| x == name).unwrap_or(0)),
                }
            }
        };
        memory::collected(names.iter().map(of)).map_err(no_memory)
    }

    pub fn role(self) -> Role {
        if let Kept::Scales(_) = self { Role::Scales } else { Role::Own }
    }
}

/// Whether the arrays of a row go together; otherwise the role of the one that does not.
pub fn fits(written: &Written, kinds: &[Kept], row: usize) -> Result<(), usize> {
    let param = written.dtype(0, row);
    let narrow = matches!(param, Some(Dtype::Bf16 | Dtype::F16));
    let copied = written.has(1 + kinds.len(), row);
    for (index, kind) in kinds.iter().enumerate() {
        let (role, found) = (1 + index, written.dtype(1 + index, row));
        let good = match kind {
            Kept::Moment(moment) => {
                let scaled = kinds.iter().position(|kind| *kind == Kept::Scales(*moment));
                let scaled = scaled.is_some_and(|scales| written.has(1 + scales, row));
                // Codes have no type of floats.
                *moment < MOMENTS
                    && written.has(role, row)
                    && found.is_none() == scaled
                    && !(scaled && param == Some(Dtype::F64))
            }
            Kept::Scales(_) => true,
            _ if !written.has(role, row) => true,
            Kept::Low => found == Some(Dtype::Bf16) && param == found && !copied,
            Kept::Rest => narrow && found == param && !copied,
            Kept::Master => narrow && found == Some(Dtype::F32) && !copied,
        };
        if !good {
            return Err(role);
        }
    }
    Ok(())
}

/// The slices of a row, in the form that the kernel takes.
pub fn row<'a>(slices: Row<'a>, kinds: &[Kept], hyper: usize, seed: Option<u64>) -> optim::Row<'a> {
    let Row { number, read: grad, first, others } = slices;
    let (mut kept, mut scales) = ([const { None }; MOMENTS], [const { None }; MOMENTS]);
    let mut beside = None;
    for (role, slice) in others.into_iter().enumerate() {
        match (kinds.get(role), slice) {
            (_, None) => {}
            (Some(Kept::Moment(moment)), slice) => kept[*moment] = slice,
            (Some(Kept::Scales(moment)), Some(SliceMut::Floats(Typed::F32(found)))) => {
                scales[*moment] = Some(found);
            }
            (Some(Kept::Low), Some(SliceMut::Floats(low))) => beside = Some(Beside::Low(low)),
            (Some(Kept::Rest), Some(SliceMut::Floats(rest))) => beside = Some(Beside::Rest(rest)),
            (Some(Kept::Master), Some(SliceMut::Floats(master))) => beside = Some(Beside::Master(master)),
            (None, Some(SliceMut::Floats(copy))) => beside = Some(Beside::Copy(copy)),
            (_, Some(_)) => {} // not of the types that `fits` has found
        }
    }
    let mut kept = kept.into_iter().zip(scales).enumerate();
    let mut moment = || {
        let (index, (slice, scales)) = kept.next()?;
        let slice = match slice? {
            SliceMut::Floats(array) => MomentSlice::Floats(array),
            SliceMut::Codes(codes) => MomentSlice::Blocks8(codes, scales?),
        };
        Some(stored::moment(index, slice, seed))
    };
    let moments = [moment(), moment(), moment()];
    optim::Row { param: stored::param(first, beside, seed), grad, moments, hyper, key: number as u64 }
}

/// The first saved element that no step can have produced: the index of its array, its index there, and what is wrong.
pub fn damaged(
    saved: &Copies<'_>,
    (names, kinds): (&[String], &[Kept]),
    rows: usize,
    fresh: impl Fn(usize) -> bool,
    any_value: bool,
) -> Option<(usize, usize, Damage)> {
    (0..saved.len()).find_map(|index| {
        let (role, row) = (index / rows, index % rows);
        let values = saved.from(index)?;
        let (moment, fresh) = match (kinds[role], names[role].as_str()) {
            (Kept::Low, _) => return None,
            (Kept::Rest | Kept::Master, _) => (Moment::First, false),
            (Kept::Scales(_), _) | (_, "exp_avg_sq") => (Moment::Second, fresh(row)),
            (_, "max_exp_avg_sq") => (Moment::Largest, fresh(row)),
            _ => (Moment::First, fresh(row)),
        };
        let second = if moment == Moment::Largest { saved.from(rows + row) } else { None };
        let second = second.and_then(|second| ordered(second, values));
        let (element, damage) = optim::damage(moment, values, second, fresh, any_value)?;
        Some((index, element, damage))
    })
}

/// The second moments with which the largest ones can be compared: rounding to 16 bits, at random, or to 8 bits may have
/// changed their order.
fn ordered<'a>(second: TypedSlice<'a>, largest: TypedSlice<'_>) -> Option<TypedSlice<'a>> {
    let real = |dtype| RealDtype::try_from(dtype).is_ok();
    (real(second.dtype()) && real(largest.dtype())).then_some(second)
}

/// What is wrong with a saved array.
pub fn damage_sentence(name: &str, kind: Kept, element: usize, damage: Damage) -> String {
    let (expected, got) = match damage {
        Damage::Negative if matches!(kind, Kept::Scales(_)) => ("scales of at least 0", "a negative one"),
        Damage::NotFinite => ("finite moments", "a NaN or infinity"),
        Damage::Negative => ("second moments of at least 0", "a negative one"),
        Damage::BelowSecond => ("the largest second moments so far", "one below the second moment"),
        Damage::BeforeFirstStep => ("moments of 0, as the state says that no step was made", "another"),
    };
    format!("{name}: expected {expected}; got {got} at element {element}; nothing was loaded")
}
