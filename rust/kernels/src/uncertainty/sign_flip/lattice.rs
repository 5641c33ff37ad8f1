//! Finds out whether numbers are whole multiples of one step: scores in tenths, counts, means over some epochs.

use super::nearest;

/// How close to a multiple of the step a number must be to count as that multiple, and how many steps a lattice may
/// have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The largest distance from a multiple, as a share of the largest number.
    pub share: f64,
    /// The most steps that the largest number may have.
    pub steps: f64,
    /// The most that `share` times `steps` may be where numbers are off by more than `share`. By chance, a number lies
    /// so close to a multiple with twice that probability.
    pub chance: f64,
}

impl Tolerance {
    /// The tolerance for numbers that may be off by `share` of the largest; `None` where a lattice could not be
    /// distinguished from chance.
    pub fn widened(self, share: f64) -> Option<Tolerance> {
        if share <= self.share {
            return Some(self);
        }
        let most = self.chance / share;
        let steps = if most < self.steps { most } else { self.steps };
        (steps >= 1.0).then_some(Tolerance { share, steps, ..self })
    }
}

/// For f64 scores: 2^-40, the same share within which sums count as equal.
pub const EXACT: Tolerance = Tolerance {
    share: 1.0 / (1u64 << 40) as f64,
    steps: (1u64 << 19) as f64,
    chance: 1.0 / (1u64 << 21) as f64,
};
/// For scores that were rounded to f32: 2^-21. By chance a number lies so close to one of 512 multiples once in 2,000
/// times.
pub const ROUNDED: Tolerance =
    Tolerance { share: 1.0 / (1u64 << 21) as f64, steps: 512.0, chance: 1.0 / (1u64 << 8) as f64 };

/// The step of which `values` and `top`, the largest of them, are multiples; `None` where there is none.
///
/// This is Euclid's algorithm on rounded numbers. After each value, the step is rounded to `top` divided by a whole
/// number, so that errors do not grow with the number of values.
pub fn step(values: &[f64], top: f64, tolerance: Tolerance) -> Option<f64> {
    values.iter().try_fold(top, |step, &value| refined(step, value, top, tolerance))
}

/// The step of which all of `values` except at most `few` are multiples. It is sought among the steps of four values at
/// a time, eight times; the largest that the other values confirm is taken.
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

/// The largest step of which both `step` and `value` are multiples.
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

    fn step_of(values: &[f64], tolerance: Tolerance) -> Option<f64> {
        let top = values.iter().fold(0.0, |top, &v| if v > top { v } else { top });
        step(values, top, tolerance)
    }

    #[test]
    fn tenths_thirds_and_counts() {
        let tenths: Vec<f64> = (1..11).map(|i| 0.9 - f64::from(i) / 10.0).map(f64::abs).collect();
        assert!((step_of(&tenths, EXACT).unwrap() - 0.1).abs() < 1e-16);
        let shares = [1.0 / 3.0, 3.0 / 4.0, 4.0 / 5.0];
        assert!((step_of(&shares, EXACT).unwrap() - 1.0 / 60.0).abs() < 1e-16);
        assert_eq!(step_of(&[12.0, 8.0, 600.0], EXACT), Some(4.0));
        assert_eq!(step_of(&[7.0], EXACT), Some(7.0));
    }

    #[test]
    fn rounding_to_f32_is_seen_through() {
        let tenths: Vec<f64> = (1..11).map(|i| f64::from(0.9f32 - i as f32 / 10.0)).map(f64::abs).collect();
        assert_eq!(step_of(&tenths, EXACT), None);
        assert!((step_of(&tenths, ROUNDED).unwrap() - 0.1).abs() < 1e-7);
    }

    #[test]
    fn small_differences_of_rounded_scores_are_few_steps() {
        let share = 2e-5;
        let hundredths = [0.03 + 4e-8, 0.01 - 6e-8, 0.02, 0.03, 0.01 + 5e-8];
        assert_eq!(step_of(&hundredths, ROUNDED), None);
        let wide = ROUNDED.widened(share).unwrap();
        assert!((step_of(&hundredths, wide).unwrap() - 0.01).abs() < 1e-7 && wide.steps < 200.0);
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
        assert_eq!(step_of(&roots, EXACT), None);
        assert_eq!(step_of(&roots, ROUNDED), None);
    }
}
