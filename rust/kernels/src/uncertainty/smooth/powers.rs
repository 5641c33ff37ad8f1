//! The terms of a statistic as products of powers, so that they can be added up before their centres are known.
//!
//! A row's terms are products of a few numbers about centres: `(x - c)^2`, or `(x - c)(y - d)`. The centres come from all
//! rows. What cannot read its rows twice adds up the products without centres, `x^2`, `x y`, `x`, and moves the sums to
//! the centres afterwards ([`super::super::totals`]).

use super::frame::Frame;

/// What is subtracted from a part, times its centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centre {
    /// Nothing.
    Nowhere,
    /// The centre itself.
    One,
    /// The centre times the other of the two parts.
    Other,
}

/// The terms of a statistic in its two parts.
#[derive(Clone, Copy, Debug)]
pub struct Powers {
    /// For each term the powers of both parts.
    pub terms: &'static [[u8; 2]],
    /// What is subtracted from each part.
    pub centres: [Centre; 2],
}

impl Powers {
    /// Terms of one part about a centre.
    pub const fn of_one(terms: &'static [[u8; 2]]) -> Powers {
        Powers { terms, centres: [Centre::One, Centre::Nowhere] }
    }

    /// Terms of two parts, both about centres.
    pub const fn of_two(terms: &'static [[u8; 2]]) -> Powers {
        Powers { terms, centres: [Centre::One; 2] }
    }
}

/// A power of a part, as one factor of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Which part.
    pub part: usize,
    /// Its power.
    pub power: u8,
    /// What is subtracted from the part.
    pub centre: Centre,
    /// The part that [`Centre::Other`] means.
    pub other: usize,
}

/// The terms of a statistic of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The number of parts of a row.
    pub parts: usize,
    /// The factors of each term.
    pub terms: Vec<Vec<Factor>>,
}

impl Shape {
    /// Terms that are the parts themselves.
    pub(super) fn plain(width: usize) -> Shape {
        let own = |part| vec![Factor { part, power: 1, centre: Centre::Nowhere, other: part }];
        Shape { parts: width, terms: (0..width).map(own).collect() }
    }

    /// Terms of two parts.
    pub(super) fn of(powers: &Powers) -> Shape {
        let factors = |term: &[u8; 2]| {
            let used = (0..2).filter(|&part| term[part] > 0);
            used.map(|part| Factor { part, power: term[part], centre: powers.centres[part], other: 1 - part })
                .collect()
        };
        Shape { parts: 2, terms: powers.terms.iter().map(factors).collect() }
    }

    /// The terms of two statistics, each of its own parts.
    pub(super) fn beside(mut self, second: Shape) -> Shape {
        let moved = second.terms.into_iter().map(|term| {
            let later = |factor: Factor| Factor {
                part: factor.part + self.parts,
                other: factor.other + self.parts,
                ..factor
            };
            term.into_iter().map(later).collect()
        });
        self.terms.extend(moved);
        self.parts += second.parts;
        self
    }
}

/// The frame of a part that stays as it is.
pub(super) const AS_IT_IS: Frame = Frame { centre: 0.0, scale: 1.0 };
