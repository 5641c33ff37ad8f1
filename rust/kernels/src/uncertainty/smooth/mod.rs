//! Statistics that are smooth functions of a few sums over rows: a variance, a correlation, an F1 score.
//!
//! A [`Smooth`] says what a row adds to its K sums, what the statistic of the sums is, and how it changes with them.
//! The interval in closed form ([`closed`]) and the bootstrap (`boot`) are written once, for any statistic and
//! design; they see it as a [`Sums`], which no longer knows C and K.

mod abc;
mod boot;
mod closed;
mod curved;
mod designed;
mod difference;
mod formula;
mod frame;
mod powers;
mod quotient;
mod scale;
mod statistics;
mod units;
mod width;

pub use abc::{Abc, abc};
pub use boot::{bootstrap, bootstrap_each};
pub use closed::{Closed, Strata, closed};
pub(super) use closed::{Gathered, GatheredRows, Known, closed_of, value_of};
pub use designed::{Plan, designed, influences};
pub(super) use formula::in_domains;
pub use formula::{Formula, statistic};
pub use frame::Frame;
pub(super) use frame::within_one;
pub use powers::{Centre, Factor, Powers, Shape};
pub use scale::Scale;

use super::no_estimate::NoEstimate;
use crate::intervals::moments::Moments;
use frame::resolution;
use powers::AS_IT_IS;

/// The values that a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Any finite values.
    Any,
    /// Values of at least 0.
    NonNegative,
    /// Values above 0.
    Positive,
    /// Values in [0, 1].
    Share,
    /// 0 and 1.
    Binary,
}

impl Domain {
    /// Whether a column with these moments holds such values only.
    fn holds(self, of: &Moments) -> bool {
        match self {
            Domain::Any => true,
            Domain::NonNegative => of.min >= 0.0,
            Domain::Positive => of.min > 0.0,
            Domain::Share => of.min >= 0.0 && of.max <= 1.0,
            Domain::Binary => of.binary,
        }
    }

    /// The values in words, for a message.
    pub fn words(self) -> &'static str {
        match self {
            Domain::Any => "finite values",
            Domain::NonNegative => "values of at least 0",
            Domain::Positive => "values above 0",
            Domain::Share => "values in [0, 1]",
            Domain::Binary => "0/1 values",
        }
    }
}

/// A smooth function of K sums over rows of C columns.
///
/// Except for a sum itself it is homogeneous of degree 0: multiplying all K sums by one number changes nothing, since a
/// count (or a sum of weights) is one of them wherever it is needed. The influences `gradient . sums_g` of all units g
/// then add up to 0.
pub trait Smooth<const C: usize, const K: usize>: Copy + Send + Sync {
    /// What the columns may hold.
    const DOMAINS: [Domain; C] = [Domain::Any; C];
    /// The scale on which the interval is symmetric, with the range of the statistic.
    const SCALE: Scale;
    /// The degree of homogeneity: 1 for a sum, else 0.
    const DEGREE: i32 = 0;
    /// Whether the statistic is the share of ones among rows that are 0 or 1, which [`Smooth::hits`] counts.
    const ANSWERS: bool = false;

    /// Whether rows differ in [`Smooth::size`]; else it is 1.
    const SIZED: bool = false;
    /// The terms as products of powers of two parts about centres; `None` where no term is about a centre.
    const POWERS: Option<Powers> = None;

    /// Whether the parts are the columns.
    const BARE: bool = false;

    /// The two parts of a row, of which [`Smooth::POWERS`] are taken; they do not depend on the centres.
    fn parts(self, _row: [f64; C]) -> [f64; 2] {
        [f64::NAN; 2]
    }

    /// The centres and scales of the parts.
    fn frames(self) -> [Frame; 2] {
        [AS_IT_IS; 2]
    }

    /// What a row adds to the sums, before its weight multiplies it.
    fn terms(self, row: [f64; C]) -> [f64; K];

    /// The statistic of these sums; NaN where they have none.
    fn value(self, sums: [f64; K]) -> f64;

    /// The derivatives of the statistic with respect to the sums.
    fn gradient(self, sums: [f64; K]) -> [f64; K];

    /// The size of a unit with these sums: its part in the denominator of the statistic. The residual of a unit counts
    /// more the larger its share of all sizes is, since it has pulled the statistic towards itself.
    fn size(self, unit: [f64; K]) -> f64 {
        unit[0]
    }

    /// Where [`Smooth::ANSWERS`]: the ones among the rows that [`Smooth::size`] counts.
    fn hits(self, _unit: [f64; K]) -> f64 {
        f64::NAN
    }

    /// By what the number of units is to be multiplied where they show no spread, because some say less than others.
    fn effective(self, _sums: [f64; K]) -> f64 {
        1.0
    }

    /// What is added to the variance for parts of the rows that show no spread of their own, with `ratio` units for
    /// each 1 in the sums and the normal quantile z.
    fn unseen(self, _sums: [f64; K], _ratio: f64, _z: f64) -> f64 {
        0.0
    }
}

/// A [`Smooth`] of any C and K. Sums and derivatives are slices of length [`Sums::width`], or longer.
pub trait Sums: Send + Sync {
    /// What the columns may hold; as many as there are columns.
    fn domains(&self) -> &[Domain];
    /// The number K of sums.
    fn width(&self) -> usize;
    /// See [`Smooth::SCALE`].
    fn scale(&self) -> Scale;
    /// See [`Smooth::DEGREE`].
    fn degree(&self) -> i32;
    /// See [`Smooth::ANSWERS`].
    fn answers(&self) -> bool;
    /// See [`Smooth::terms`], of as many rows as each column has here: those of row i stand from `out[i * stride]` on.
    fn terms(&self, columns: &[&[f64]], stride: usize, out: &mut [f64]);
    /// See [`Smooth::SIZED`].
    fn sized(&self) -> bool;
    /// The terms as products of powers of parts.
    fn shape(&self) -> Shape;
    /// See [`Smooth::BARE`].
    fn bare(&self) -> bool {
        false
    }
    /// The parts of as many rows as each column has here: part p of row i at `out[p * rows + i]`.
    fn parts(&self, columns: &[&[f64]], out: &mut [f64]);
    /// The centre and scale of each part.
    fn frames(&self) -> Vec<Frame>;
    /// See [`Smooth::value`].
    fn value(&self, sums: &[f64]) -> f64;
    /// See [`Smooth::gradient`].
    fn gradient(&self, sums: &[f64], out: &mut [f64]);
    /// See [`Smooth::size`].
    fn size(&self, unit: &[f64]) -> f64;
    /// See [`Smooth::hits`].
    fn hits(&self, unit: &[f64]) -> f64;
    /// See [`Smooth::effective`].
    fn effective(&self, sums: &[f64]) -> f64;
    /// See [`Smooth::unseen`].
    fn unseen(&self, sums: &[f64], ratio: f64, z: f64) -> f64;
    /// The refusal of values whose sums exceed the range of f64.
    fn too_large(&self) -> NoEstimate;
    /// How far the rounding of the input can move a term whose size is 1.
    fn resolution(&self) -> f64;
}

/// A [`Smooth`] as [`Sums`].
struct Erased<S, const C: usize, const K: usize> {
    smooth: S,
    domains: [Domain; C],
    resolution: f64,
    /// The smallest and the largest value of the first column.
    range: (f64, f64),
}

/// Hides the numbers of columns and sums of a statistic of columns with these moments.
fn erased<S: Smooth<C, K> + 'static, const C: usize, const K: usize>(
    smooth: S,
    moments: &[Moments],
) -> Box<dyn Sums> {
    let range = (moments[0].min, moments[0].max);
    Box::new(Erased { smooth, domains: S::DOMAINS, resolution: resolution(moments), range })
}

/// The first K of the sums.
fn first<const K: usize>(sums: &[f64]) -> [f64; K] {
    let mut all = [0.0; K];
    all.copy_from_slice(&sums[..K]);
    all
}

impl<S: Smooth<C, K>, const C: usize, const K: usize> Sums for Erased<S, C, K> {
    fn domains(&self) -> &[Domain] {
        &self.domains
    }
    fn width(&self) -> usize {
        K
    }
    fn scale(&self) -> Scale {
        S::SCALE
    }
    fn degree(&self) -> i32 {
        S::DEGREE
    }
    fn answers(&self) -> bool {
        S::ANSWERS
    }
    fn terms(&self, columns: &[&[f64]], stride: usize, out: &mut [f64]) {
        for (i, out) in out.chunks_mut(stride).enumerate() {
            out[..K].copy_from_slice(&self.smooth.terms(std::array::from_fn(|c| columns[c][i])));
        }
    }
    fn sized(&self) -> bool {
        S::SIZED
    }
    fn bare(&self) -> bool {
        S::BARE
    }
    fn shape(&self) -> Shape {
        S::POWERS.as_ref().map_or_else(|| Shape::plain(K), Shape::of)
    }
    fn parts(&self, columns: &[&[f64]], out: &mut [f64]) {
        let rows = columns[0].len();
        for i in 0..rows {
            let row = std::array::from_fn(|c| columns[c][i]);
            if S::POWERS.is_some() {
                for (p, part) in self.smooth.parts(row).into_iter().enumerate() {
                    out[p * rows + i] = part;
                }
            } else {
                for (p, part) in self.smooth.terms(row).into_iter().enumerate() {
                    out[p * rows + i] = part;
                }
            }
        }
    }
    fn frames(&self) -> Vec<Frame> {
        if S::POWERS.is_some() { self.smooth.frames().into() } else { vec![AS_IT_IS; K] }
    }
    fn value(&self, sums: &[f64]) -> f64 {
        self.smooth.value(first(sums))
    }
    fn gradient(&self, sums: &[f64], out: &mut [f64]) {
        out[..K].copy_from_slice(&self.smooth.gradient(first(sums)));
    }
    fn size(&self, unit: &[f64]) -> f64 {
        self.smooth.size(first(unit))
    }
    fn hits(&self, unit: &[f64]) -> f64 {
        self.smooth.hits(first(unit))
    }
    fn effective(&self, sums: &[f64]) -> f64 {
        self.smooth.effective(first(sums))
    }
    fn unseen(&self, sums: &[f64], ratio: f64, z: f64) -> f64 {
        self.smooth.unseen(first(sums), ratio, z)
    }
    fn too_large(&self) -> NoEstimate {
        let (low, high) = self.range;
        NoEstimate::TooLarge { column: 0, low, high }
    }
    fn resolution(&self) -> f64 {
        self.resolution
    }
}

#[cfg(test)]
mod tests {
    use super::super::paired::Wide;
    use super::super::statistic::Name;
    use super::*;
    use crate::named::Named;

    /// Columns that the statistic takes.
    fn columns(name: Name) -> Vec<Vec<f64>> {
        let answers = |step: usize| (0..40usize).map(move |i| f64::from(u8::from(i * step % 7 < 3)));
        let graded = |step: usize| (0..40usize).map(move |i| 5.0 + (i * step % 17) as f64 * 0.3);
        (name.about().columns.iter().enumerate())
            .map(|(place, column)| match (name, *column) {
                (Name::Rmse | Name::R2, _) | (_, "x" | "y" | "nll" | "weights" | "tokens") => {
                    graded(3 + 2 * place).collect()
                }
                (Name::Bleu | Name::Chrf | Name::ChrfPlusPlus, column) => {
                    let (from, step) = if column.starts_with("matches") { (1, 5) } else { (9, 7) };
                    (0..40usize).map(|i| (from + (i * step + place) % (7 + place % 2)) as f64).collect()
                }
                (_, "probabilities") => answers(2).map(|answer| 0.3 + 0.5 * answer).collect(),
                (_, "predictions") => answers(2).collect(),
                _ => answers(3).collect(),
            })
            .collect()
    }

    /// Every statistic of sums and, but for the sum, its differences, and some quotients.
    fn formulas() -> Vec<Formula> {
        let sums = || Name::ALL.iter().copied().filter(|name| name.ordered(&[0.5]).is_none());
        let quotients = [
            (Name::Mean, Name::Std),
            (Name::GeometricMean, Name::Kurtosis),
            (Name::Slope, Name::Correlation),
            (Name::F1, Name::BalancedAccuracy),
            (Name::LogLoss, Name::Brier),
        ];
        let differences = sums().filter(|&name| name != Name::Sum).map(Formula::Difference);
        let quotients = quotients.map(|(f, g)| Formula::Quotient(f, g));
        sums().map(Formula::One).chain(differences).chain(quotients).collect()
    }

    fn with(formula: Formula, check: impl Fn(&dyn Sums, &[f64])) {
        let (Formula::One(name) | Formula::Quotient(name, _) | Formula::Difference(name)) = formula;
        let mut columns = columns(name);
        if let Formula::Difference(_) = formula {
            let backwards = columns.iter().map(|column| column.iter().rev().copied().collect());
            columns = columns.iter().cloned().chain(backwards).collect();
        }
        let slices: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
        let wide: Vec<&dyn Wide> = slices.iter().map(|slice| slice as &dyn Wide).collect();
        let sums = statistic(formula, &wide, &mut |_| true).unwrap().unwrap();
        let width = sums.width();
        let mut terms = vec![0.0; 40 * width];
        sums.terms(&slices, width, &mut terms);
        let totals: Vec<f64> = (0..width).map(|k| terms.chunks(width).map(|row| row[k]).sum()).collect();
        check(&*sums, &totals);
    }

    #[test]
    fn gradients_are_the_derivatives_of_the_value() {
        for formula in formulas() {
            with(formula, |sums, totals| {
                let mut gradient = vec![0.0; sums.width()];
                sums.gradient(totals, &mut gradient);
                for k in 0..sums.width() {
                    let step = 1e-5 * (1.0 + totals[k].abs());
                    let moved = |by: f64| {
                        let mut moved = totals.to_vec();
                        moved[k] += by;
                        sums.value(&moved)
                    };
                    let slope = (moved(step) - moved(-step)) / (2.0 * step);
                    let error = (slope - gradient[k]).abs();
                    let largest = gradient.iter().fold(0.0f64, |a, b| if b.abs() > a { b.abs() } else { a });
                    assert!(error <= 1e-6 * largest, "{formula:?} {k}: {slope} {}", gradient[k]);
                }
            });
        }
    }

    #[test]
    fn all_but_a_sum_are_homogeneous_of_degree_0() {
        for formula in formulas() {
            with(formula, |sums, totals| {
                let mut gradient = vec![0.0; sums.width()];
                sums.gradient(totals, &mut gradient);
                let along: f64 = gradient.iter().zip(totals).map(|(a, b)| a * b).sum();
                let size: f64 = gradient.iter().zip(totals).map(|(a, b)| (a * b).abs()).sum();
                let want = if sums.degree() == 1 { sums.value(totals) } else { 0.0 };
                assert_eq!(sums.degree() == 1, formula == Formula::One(Name::Sum));
                assert!((along - want).abs() <= 1e-13 * size, "{formula:?}: {along}");
            });
        }
    }

    #[test]
    fn quotients_that_mean_nothing_are_refused() {
        let column: &[f64] = &[1.0, 2.0, 4.0];
        for (above, below, refused) in [
            (Name::Mean, Name::Slope, NoEstimate::NoQuotient),
            (Name::Mean, Name::Sum, NoEstimate::NoQuotient),
            (Name::Mean, Name::Median, NoEstimate::SortedRows),
        ] {
            let found = statistic(Formula::Quotient(above, below), &[&column], &mut |_| true).unwrap();
            assert_eq!(found.err(), Some(refused));
        }
    }
}
