//! The difference of a statistic between two groups of columns of the same rows: of two models, or two systems.

use super::super::no_estimate::NoEstimate;
use super::{Domain, Frame, Scale, Shape, Sums};

/// `f(first half of the columns) - f(second half)`. Its sums are those of both beside each other, so that both see the
/// same resamples and the influences of a row on them are subtracted before they are squared.
pub(super) struct Difference {
    new: Box<dyn Sums>,
    base: Box<dyn Sums>,
    domains: Vec<Domain>,
}

impl Difference {
    /// Of two statistics of the same name.
    pub fn of(new: Box<dyn Sums>, base: Box<dyn Sums>) -> Difference {
        let domains = new.domains().iter().chain(base.domains()).copied().collect();
        Difference { new, base, domains }
    }

    /// The sums of the two sides.
    fn sides<'a>(&self, sums: &'a [f64]) -> (&'a [f64], &'a [f64]) {
        sums.split_at(self.new.width())
    }
}

impl Sums for Difference {
    fn domains(&self) -> &[Domain] {
        &self.domains
    }
    fn width(&self) -> usize {
        self.new.width() + self.base.width()
    }
    fn scale(&self) -> Scale {
        Scale::Identity
    }
    fn degree(&self) -> i32 {
        self.new.degree()
    }
    fn answers(&self) -> bool {
        false
    }
    fn terms(&self, columns: &[&[f64]], stride: usize, out: &mut [f64]) {
        let (new, base) = columns.split_at(self.new.domains().len());
        self.new.terms(new, stride, out);
        self.base.terms(base, stride, &mut out[self.new.width()..]);
    }
    fn sized(&self) -> bool {
        self.new.sized()
    }
    fn shape(&self) -> Shape {
        self.new.shape().beside(self.base.shape())
    }
    fn parts(&self, columns: &[&[f64]], out: &mut [f64]) {
        let (new, base) = columns.split_at(self.new.domains().len());
        let (to_new, to_base) = out.split_at_mut(self.new.shape().parts * columns[0].len());
        self.new.parts(new, to_new);
        self.base.parts(base, to_base);
    }
    fn frames(&self) -> Vec<Frame> {
        let mut frames = self.new.frames();
        frames.extend(self.base.frames());
        frames
    }
    fn value(&self, sums: &[f64]) -> f64 {
        let (new, base) = self.sides(sums);
        self.new.value(new) - self.base.value(base)
    }
    fn gradient(&self, sums: &[f64], out: &mut [f64]) {
        let (new, base) = self.sides(sums);
        let (by_new, by_base) = out.split_at_mut(self.new.width());
        self.new.gradient(new, by_new);
        self.base.gradient(base, by_base);
        for derivative in &mut by_base[..self.base.width()] {
            *derivative = -*derivative;
        }
    }
    /// Both sizes together: the row has pulled both statistics towards itself.
    fn size(&self, unit: &[f64]) -> f64 {
        let (new, base) = self.sides(unit);
        self.new.size(new) + self.base.size(base)
    }
    fn hits(&self, _unit: &[f64]) -> f64 {
        f64::NAN
    }
    fn effective(&self, sums: &[f64]) -> f64 {
        let (new, base) = self.sides(sums);
        let (new, base) = (self.new.effective(new), self.base.effective(base));
        if new < base { new } else { base }
    }
    fn unseen(&self, sums: &[f64], ratio: f64, z: f64) -> f64 {
        let (new, base) = self.sides(sums);
        self.new.unseen(new, ratio, z) + self.base.unseen(base, ratio, z)
    }
    fn too_large(&self) -> NoEstimate {
        self.new.too_large()
    }
    fn resolution(&self) -> f64 {
        let (new, base) = (self.new.resolution(), self.base.resolution());
        if new > base { new } else { base }
    }
}
