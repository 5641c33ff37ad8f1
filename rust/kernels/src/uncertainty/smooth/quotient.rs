//! The quotient of two statistics of sums, such as the mean divided by the standard deviation.

use super::super::no_estimate::NoEstimate;
use super::super::statistic::Name;
use super::statistics::of_name;
use super::{Domain, Frame, Scale, Shape, Sums};
use crate::intervals::moments::Moments;
use crate::named::Named;

/// `f/g` for two statistics of the same columns, from the sums of f and then those of g.
pub(super) struct Quotient {
    above: Box<dyn Sums>,
    below: Box<dyn Sums>,
    domains: Vec<Domain>,
}

impl Quotient {
    /// Refused where one of the two is a statistic of sorted rows, where they take different columns, and for a sum,
    /// which grows with the number of rows.
    pub fn of(above: Name, below: Name, moments: &[Moments]) -> Result<Quotient, NoEstimate> {
        let part = |name| of_name(name, moments).ok_or(NoEstimate::SortedRows);
        if above.about().columns != below.about().columns {
            return Err(NoEstimate::NoQuotient);
        }
        let (above, below) = (part(above)?, part(below)?);
        if above.degree() != 0 || below.degree() != 0 {
            return Err(NoEstimate::NoQuotient);
        }
        // Where both restrict a column they do so alike.
        let domains = above.domains().iter().zip(below.domains());
        let domains = domains.map(|(&f, &g)| if f == Domain::Any { g } else { f }).collect();
        Ok(Quotient { above, below, domains })
    }

    fn split<'a>(&self, sums: &'a [f64]) -> (&'a [f64], &'a [f64]) {
        let (above, rest) = sums.split_at(self.above.width());
        (above, &rest[..self.below.width()])
    }
}

impl Sums for Quotient {
    fn domains(&self) -> &[Domain] {
        &self.domains
    }
    fn width(&self) -> usize {
        self.above.width() + self.below.width()
    }
    fn scale(&self) -> Scale {
        Scale::Identity
    }
    fn degree(&self) -> i32 {
        0
    }
    fn answers(&self) -> bool {
        false
    }
    fn terms(&self, columns: &[&[f64]], stride: usize, out: &mut [f64]) {
        self.above.terms(columns, stride, out);
        self.below.terms(columns, stride, &mut out[self.above.width()..]);
    }
    fn sized(&self) -> bool {
        self.above.sized()
    }
    fn shape(&self) -> Shape {
        self.above.shape().beside(self.below.shape())
    }
    fn parts(&self, columns: &[&[f64]], out: &mut [f64]) {
        let (to_above, to_below) = out.split_at_mut(self.above.shape().parts * columns[0].len());
        self.above.parts(columns, to_above);
        self.below.parts(columns, to_below);
    }
    fn frames(&self) -> Vec<Frame> {
        let mut frames = self.above.frames();
        frames.extend(self.below.frames());
        frames
    }
    fn value(&self, sums: &[f64]) -> f64 {
        let (above, below) = self.split(sums);
        let divisor = self.below.value(below);
        if divisor == 0.0 || divisor.is_infinite() { f64::NAN } else { self.above.value(above) / divisor }
    }
    fn gradient(&self, sums: &[f64], out: &mut [f64]) {
        let (above, below) = self.split(sums);
        let (divisor, value) = (self.below.value(below), self.value(sums));
        let (to_above, to_below) = out.split_at_mut(self.above.width());
        self.above.gradient(above, to_above);
        self.below.gradient(below, to_below);
        for derivative in to_above {
            *derivative /= divisor;
        }
        for derivative in &mut to_below[..self.below.width()] {
            *derivative *= -value / divisor;
        }
    }
    fn size(&self, unit: &[f64]) -> f64 {
        self.above.size(self.split(unit).0)
    }
    fn hits(&self, _unit: &[f64]) -> f64 {
        f64::NAN
    }
    fn effective(&self, sums: &[f64]) -> f64 {
        let (above, below) = self.split(sums);
        let (above, below) = (self.above.effective(above), self.below.effective(below));
        if above < below { above } else { below }
    }
    fn unseen(&self, sums: &[f64], ratio: f64, z: f64) -> f64 {
        let (above, below) = self.split(sums);
        let (divisor, value) = (self.below.value(below), self.value(sums));
        let of_below = value * value * self.below.unseen(below, ratio, z);
        (self.above.unseen(above, ratio, z) + of_below) / (divisor * divisor)
    }
    fn too_large(&self) -> NoEstimate {
        self.above.too_large()
    }
    fn resolution(&self) -> f64 {
        let (above, below) = (self.above.resolution(), self.below.resolution());
        if above > below { above } else { below }
    }
}
