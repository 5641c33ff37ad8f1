//! The levels of the expanded percentile interval.

use crate::math::{normal, student_t};

/// The level at which the expanded percentile interval of `units` units takes a quantile for a nominal level `a`:
/// `Phi(sqrt(n/(n - 1)) t_a)` with the quantile `t_a` of Student's t with n - 1 degrees of freedom.
///
/// Replicates spread by `sqrt((n - 1)/n)` too little, and their quantiles are those of a normal distribution; for a
/// symmetric one the limits become those of the t interval (Hesterberg, "What teachers should know about the bootstrap",
/// The American Statistician 69, 2015, section 4.2). There must be at least 2 units.
pub(super) fn expanded(nominal: f64, units: usize) -> f64 {
    let n = units as f64;
    normal::cdf((n / (n - 1.0)).sqrt() * student_t::quantile(nominal, n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_wider_for_few_units_and_nominal_for_many() {
        // t at .025 with 9 degrees of freedom is -2.262157; Phi(-2.384524) = .008551.
        assert!((expanded(0.025, 10) - 0.008_551).abs() < 1e-6);
        assert!((expanded(0.025, 10) + expanded(0.975, 10) - 1.0).abs() < 1e-15);
        assert!((expanded(0.025, 1 << 30) - 0.025).abs() < 1e-9);
        assert!(expanded(0.025, 2) < 1e-60);
    }
}
