//! Confidence intervals for every room: proportions, means, clustered ratios, and the adjustment of many p-values.
//!
//! The documentation of each function defines the numbers that it returns. Nothing here simulates. Public functions
//! compute under the floating-point guard ([`crate::simd::scalar`]), so that a caller whose thread is in flush-to-zero
//! mode gets the same bits.

pub mod cluster;
pub mod crossed;
pub mod few_clusters;
pub mod mean;
pub mod moments;
pub mod multinomial;
pub mod proportion;
pub mod spread;
pub mod strata;
pub(crate) mod sums;

mod adjust;
pub use adjust::{Adjust, adjust};

use crate::math::{normal, student_t};
use crate::named;

/// The two limits of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

named! {
    /// The alternative hypothesis about a value, by SciPy's names.
    pub enum Alternative: "interval.alternative" {
        /// The value differs from that of the hypothesis: the interval has both limits.
        TwoSided = "two-sided",
        /// The value is less: the interval has only an upper limit.
        Less = "less",
        /// The value is greater: the interval has only a lower limit.
        Greater = "greater",
    }
}

/// The confidence level of an interval, and on which sides it has a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// The share of intervals that contain the true value, inside (0, 1).
    pub level: f64,
    /// The sides on which the interval has a limit.
    pub alternative: Alternative,
}

impl Confidence {
    /// The same level on both sides.
    #[must_use]
    pub fn two_sided(self) -> Confidence {
        Confidence { alternative: Alternative::TwoSided, ..self }
    }

    /// The probability beyond each limit.
    pub fn tail(self) -> f64 {
        let alpha = 1.0 - self.level;
        match self.alternative {
            Alternative::TwoSided => alpha / 2.0,
            Alternative::Less | Alternative::Greater => alpha,
        }
    }

    /// The normal quantile with this tail beyond it; for one-sided intervals positive only for levels above one half.
    pub fn z(self) -> f64 {
        -normal::quantile(self.tail())
    }

    /// Student's t quantile with this tail beyond it.
    pub fn t(self, df: f64) -> f64 {
        -student_t::quantile(self.tail(), df)
    }

    /// `interval` with the limit on the side that the alternative leaves open replaced by the end of the range.
    pub fn open(self, interval: Interval, lowest: f64, highest: f64) -> Interval {
        match self.alternative {
            Alternative::TwoSided => interval,
            Alternative::Less => Interval { low: lowest, ..interval },
            Alternative::Greater => Interval { high: highest, ..interval },
        }
    }

    /// The interval from `centre - half` to `centre + half`; an open side is infinite.
    pub fn around(self, centre: f64, half: f64) -> Interval {
        self.open(Interval { low: centre - half, high: centre + half }, f64::NEG_INFINITY, f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn one_sided_limits_use_the_whole_tail_and_leave_the_other_side_open() {
        let level = 0.95;
        let two = Confidence { level, alternative: Alternative::TwoSided };
        let less = Confidence { level, alternative: Alternative::Less };
        let greater = Confidence { level, alternative: Alternative::Greater };
        assert!((two.z() - 1.959963984540054).abs() < 1e-14);
        assert!((less.z() - 1.6448536269514722).abs() < 1e-14);
        assert!((two.t(9.0) - 2.2621571627982055).abs() < 1e-13);
        assert_eq!(less.around(1.0, 0.5), Interval { low: f64::NEG_INFINITY, high: 1.5 });
        assert_eq!(greater.around(1.0, 0.5), Interval { low: 0.5, high: f64::INFINITY });
        assert_eq!(greater.two_sided(), two);
    }

    #[test]
    fn alternatives_have_scipys_names() {
        assert_eq!(Alternative::from_name("two-sided"), Ok(Alternative::TwoSided));
        assert_eq!(Alternative::from_name("less"), Ok(Alternative::Less));
        assert_eq!(Alternative::from_name("greater"), Ok(Alternative::Greater));
        assert!(Alternative::from_name("both").is_err());
    }
}
