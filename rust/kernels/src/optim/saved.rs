//! Checks the moments of a saved optimizer for elements that no step can have produced: the state is damaged, or
//! belongs to something else.

use crate::dtype::TypedSlice;
use crate::simd::Element;
use crate::with_dtype;

/// The version of the arithmetic of a saved optimizer: the [`crate::NUMERICS`] at which its updates last changed.
pub const NUMERICS: u16 = 1;

/// The moments of the update formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The moving average of gradients.
    First,
    /// The moving average of their squares.
    Second,
    /// amsgrad: the largest second moment so far.
    Largest,
}

/// Why steps cannot have produced an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is NaN or infinite, although steps refuse gradients that would make it so.
    NotFinite,
    /// It is an average of squares and below 0.
    Negative,
    /// It is the largest second moment so far and below the second moment.
    BelowSecond,
    /// It is not 0, although no step has been made.
    BeforeFirstStep,
}

/// The index of the first element of a moment that no step can have produced, and why.
///
/// `second` is the second moment, given where `moment` is the largest second moment. `fresh`: no step has been made
/// yet. `any_value`: the optimizer's steps accept gradients that are NaN or infinite.
pub fn damage(
    moment: Moment,
    values: TypedSlice<'_>,
    second: Option<TypedSlice<'_>>,
    fresh: bool,
    any_value: bool,
) -> Option<(usize, Damage)> {
    let value = |array: TypedSlice<'_>, index: usize| with_dtype!(array, x => x[index].to_f64());
    (0..values.len()).find_map(|index| {
        let x = value(values, index);
        let below = second.is_some_and(|second| x < value(second, index));
        let damage = if fresh && x != 0.0 {
            Damage::BeforeFirstStep
        } else if !any_value && !x.is_finite() {
            Damage::NotFinite
        } else if moment != Moment::First && x < 0.0 {
            Damage::Negative
        } else if below {
            Damage::BelowSecond
        } else {
            return None;
        };
        Some((index, damage))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damage_in(moment: Moment, x: &[f32]) -> Option<(usize, Damage)> {
        damage(moment, TypedSlice::F32(x), None, false, false)
    }

    #[test]
    fn elements_that_no_step_can_have_produced_are_found() {
        assert_eq!(damage_in(Moment::First, &[0.0, -1.0, 2.0]), None);
        assert_eq!(damage_in(Moment::First, &[0.0, f32::NAN]), Some((1, Damage::NotFinite)));
        assert_eq!(damage_in(Moment::Second, &[0.0, 1.0, -1e-45]), Some((2, Damage::Negative)));
        assert_eq!(damage_in(Moment::Second, &[f32::INFINITY]), Some((0, Damage::NotFinite)));
        let (second, largest) = ([1.0, 2.0f64], [1.0, 1.5f64]);
        let found =
            damage(Moment::Largest, TypedSlice::F64(&largest), Some(TypedSlice::F64(&second)), false, false);
        assert_eq!(found, Some((1, Damage::BelowSecond)));
    }

    #[test]
    fn steps_that_let_nan_through_may_have_left_one() {
        let x = [f32::NAN, f32::INFINITY, 0.0];
        assert_eq!(damage(Moment::Second, TypedSlice::F32(&x), None, false, true), None);
        let negative = [f32::NEG_INFINITY];
        let found = damage(Moment::Second, TypedSlice::F32(&negative), None, false, true);
        assert_eq!(found, Some((0, Damage::Negative)));
    }

    #[test]
    fn before_the_first_step_all_is_zero() {
        assert_eq!(damage(Moment::First, TypedSlice::F32(&[0.0, -0.0]), None, true, false), None);
        let found = damage(Moment::First, TypedSlice::F32(&[0.0, 1.0]), None, true, false);
        assert_eq!(found, Some((1, Damage::BeforeFirstStep)));
    }
}
