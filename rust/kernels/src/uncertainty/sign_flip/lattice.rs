//! Whether numbers are whole multiples of one step: scores in tenths, counts, shares of so many epochs.

use super::nearest;

/// How close to a multiple of the step counts as that multiple, as a share of the largest number, and how many steps
/// the largest may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The share.
    pub share: f64,
    /// The steps.
    pub steps: f64,
    /// Where numbers are off by more than the share: the most that their new share times the steps may be. Chance puts a
    /// number that close to a multiple twice as often.
    pub chance: f64,
}

impl Tolerance {
    /// The tolerance for numbers that may be off by `share` of the largest; None where nothing could be told from chance.
    pub fn widened(self, share: f64) -> Option<Tolerance> {
        if share <= self.share {
            return Some(self);
        }
        let most = self.chance / share;
        let steps = if most < self.steps { most } else { self.steps };
        (steps >= 1.0).then_some(Tolerance { share, steps, ..self })
    }
}

/// f64 scores: 2^-40, as close as sums that count as equal.
pub const EXACT: Tolerance = Tolerance {
    share: 1.0 / (1u64 << 40) as f64,
    steps: (1u64 << 19) as f64,
    chance: 1.0 / (1u64 << 21) as f64,
};
/// Scores that were rounded to f32: 2^-21. Chance would put a number there once in 2,000 times.
pub const ROUNDED: Tolerance =
    Tolerance { share: 1.0 / (1u64 << 21) as f64, steps: 512.0, chance: 1.0 / (1u64 << 8) as f64 };

/// The step that `values` are multiples of, the largest of them, `top`, included; None where there is none.
///
/// Euclid's algorithm on rounded numbers; what it finds is made a whole part of `top` again, so that errors do not grow
/// with the number of values.
pub fn step(values: &[f64], top: f64, tolerance: Tolerance) -> Option<f64> {
    values.iter().try_fold(top, |step, &value| refined(step, value, top, tolerance))
}

/// The step that all of `values` but `few` are multiples of: of four of them at a time, the largest that the others confirm.
pub fn majority(values: &[f64], top: f64, tolerance: Tolerance, few: usize) -> Option<f64> {
    let n = values.len();
    let fours = (0..8).filter(|_| n >= 32).map(|j| [0, 1, 2, 3].map(|i| values[(4 * j + i) * 7919 % n]));
    let steps = fours.filter_map(|four| {
        let largest = four.into_iter().fold(0.0, |top, v| if v > top { v } else { top });
        step(&four, largest, Tolerance { share: tolerance.share * (top / largest), ..tolerance })
    });
    let near = tolerance.share * top;
    let confirmed = |step: &f64| values.iter().filter(|&&value| off(value, *step) > near).count() <= few;
    steps.filter(confirmed).reduce(|a, b| if b > a { b } else { a })
}

/// The largest part of `step` that `value` is a multiple of as well.
pub fn refined(step: f64, value: f64, top: f64, tolerance: Tolerance) -> Option<f64> {
    let near = tolerance.share * top;
    if off(value, step) <= near {
        return Some(step);
    }
    let (mut part, mut rest) = (step, off(value, step));
    while rest > near {
        (part, rest) = (rest, off(part, rest));
    }
    let steps = nearest(top / part);
    let part = top / steps;
    (steps <= tolerance.steps && off(value, part) <= near).then_some(part)
}

/// How far `value` is from a multiple of `step`.
fn off(value: f64, step: f64) -> f64 {
    (value - nearest(value / step) * step).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[f64], tolerance: Tolerance) -> Option<f64> {
        let top = values.iter().fold(0.0, |top, &v| if v > top { v } else { top });
        step(values, top, tolerance)
    }

    #[test]
    fn tenths_thirds_and_counts() {
        let tenths: Vec<f64> = (1..11).map(|i| 0.9 - f64::from(i) / 10.0).map(f64::abs).collect();
        assert!((found(&tenths, EXACT).unwrap() - 0.1).abs() < 1e-16);
        let shares = [1.0 / 3.0, 3.0 / 4.0, 4.0 / 5.0];
        assert!((found(&shares, EXACT).unwrap() - 1.0 / 60.0).abs() < 1e-16);
        assert_eq!(found(&[12.0, 8.0, 600.0], EXACT), Some(4.0));
        assert_eq!(found(&[7.0], EXACT), Some(7.0));
    }

    #[test]
    fn rounding_to_f32_is_seen_through() {
        let tenths: Vec<f64> = (1..11).map(|i| f64::from(0.9f32 - i as f32 / 10.0)).map(f64::abs).collect();
        assert_eq!(found(&tenths, EXACT), None);
        assert!((found(&tenths, ROUNDED).unwrap() - 0.1).abs() < 1e-7);
    }

    #[test]
    fn small_differences_of_rounded_scores_are_few_steps() {
        let share = 2e-5;
        let hundredths = [0.03 + 4e-8, 0.01 - 6e-8, 0.02, 0.03, 0.01 + 5e-8];
        assert_eq!(found(&hundredths, ROUNDED), None);
        let wide = ROUNDED.widened(share).unwrap();
        assert!((found(&hundredths, wide).unwrap() - 0.01).abs() < 1e-7 && wide.steps < 200.0);
        assert_eq!(ROUNDED.widened(1e-9), Some(ROUNDED));
        assert_eq!((EXACT.widened(share), ROUNDED.widened(0.1)), (None, None));
    }

    #[test]
    fn a_few_need_not_fit() {
        let mut tenths: Vec<f64> = (0..100).map(|i| f64::from(i * 7 % 10 + 1) / 10.0).collect();
        assert!((majority(&tenths, 1.0, EXACT, 0).unwrap() - 0.1).abs() < 1e-16);
        (tenths[3], tenths[50]) = (0.123_456_7, 0.5f64.sqrt());
        assert!((majority(&tenths, 1.0, EXACT, 2).unwrap() - 0.1).abs() < 1e-16);
        assert_eq!(majority(&tenths, 1.0, EXACT, 1), None);
    }

    #[test]
    fn numbers_without_a_common_step() {
        let roots: Vec<f64> = (2..30).map(|i| f64::from(i).sqrt()).collect();
        assert_eq!(found(&roots, EXACT), None);
        assert_eq!(found(&roots, ROUNDED), None);
    }
}
