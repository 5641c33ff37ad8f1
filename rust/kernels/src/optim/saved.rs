//! What no step can have made: moments of a saved state that are damaged, or of something else.

use crate::simd::Real;

/// The version of the arithmetic of a saved optimizer: the [`crate::NUMERICS`] with which its updates last changed.
pub const NUMERICS: u16 = 1;

/// A moment by its place in the formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The mean of gradients.
    First,
    /// The mean of their squares.
    Second,
    /// amsgrad: the largest second moment so far.
    Largest,
}

/// Why an element is none that steps can have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// NaN or infinite, where steps refuse what would make it so.
    NotFinite,
    /// A mean of squares below 0.
    Negative,
    /// The largest second moment so far is below the second moment.
    BelowSecond,
    /// Not 0, though no step has been made.
    BeforeFirstStep,
}

/// The first element of a moment that no step can have made, and why.
///
/// `second` stands beside the largest second moment. `fresh`: no step has been made yet; `any_value`: steps let NaN
/// and infinities through.
pub fn damage<T: Real>(
    moment: Moment,
    values: &[T],
    second: Option<&[T]>,
    fresh: bool,
    any_value: bool,
) -> Option<(usize, Damage)> {
    let zero = T::default();
    values.iter().enumerate().find_map(|(index, &x)| {
        let below = second.is_some_and(|second| x < second[index]);
        let damage = if fresh && x != zero {
            Damage::BeforeFirstStep
        } else if !any_value && !x.is_finite() {
            Damage::NotFinite
        } else if moment != Moment::First && x < zero {
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

    fn of(moment: Moment, x: &[f32]) -> Option<(usize, Damage)> {
        damage(moment, x, None, false, false)
    }

    #[test]
    fn what_no_step_can_have_made_is_found() {
        assert_eq!(of(Moment::First, &[0.0, -1.0, 2.0]), None);
        assert_eq!(of(Moment::First, &[0.0, f32::NAN]), Some((1, Damage::NotFinite)));
        assert_eq!(of(Moment::Second, &[0.0, 1.0, -1e-45]), Some((2, Damage::Negative)));
        assert_eq!(of(Moment::Second, &[f32::INFINITY]), Some((0, Damage::NotFinite)));
        let (second, largest) = ([1.0, 2.0f64], [1.0, 1.5f64]);
        let found = damage(Moment::Largest, &largest, Some(&second), false, false);
        assert_eq!(found, Some((1, Damage::BelowSecond)));
    }

    #[test]
    fn steps_that_let_nan_through_may_have_left_one() {
        let x = [f32::NAN, f32::INFINITY, 0.0];
        assert_eq!(damage(Moment::Second, &x, None, false, true), None);
        let negative = [f32::NEG_INFINITY];
        let found = damage(Moment::Second, &negative, None, false, true);
        assert_eq!(found, Some((0, Damage::Negative)));
    }

    #[test]
    fn before_the_first_step_all_is_zero() {
        assert_eq!(damage(Moment::First, &[0.0, -0.0], None, true, false), None);
        let found = damage(Moment::First, &[0.0, 1.0], None, true, false);
        assert_eq!(found, Some((1, Damage::BeforeFirstStep)));
    }
}
