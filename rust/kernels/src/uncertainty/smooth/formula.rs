//! Which statistic of sums is asked for, and whether the columns are fit for it.

use super::super::no_estimate::{Ended, NoEstimate, answer, finite};
use super::super::ordered::{OrderStatistic, Second};
use super::super::paired::Wide;
use super::super::statistic::Name;
use super::Sums;
use super::difference::Difference;
use super::quotient::Quotient;
use super::statistics::of_name;
use crate::grid::{Progress, Stopped};
use crate::intervals::moments::Moments;
use crate::memory;
use crate::named::{Named, Unknown};

/// A statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// One by its name.
    One(Name),
    /// The first divided by the second, which takes the same columns.
    Quotient(Name, Name),
    /// That of the first half of the columns minus that of the second half.
    Difference(Name),
}

/// How a difference begins in text.
const DIFFERENCE: &str = "difference of ";

impl Formula {
    /// The formula with this text: `f1`, `mean/std` or `difference of f1`.
    pub fn parse(text: &str) -> Result<Formula, Unknown> {
        if let Some(name) = text.strip_prefix(DIFFERENCE) {
            return Ok(Formula::Difference(Name::from_name(name)?));
        }
        Ok(match text.split_once('/') {
            None => Formula::One(Name::from_name(text)?),
            Some((above, below)) => Formula::Quotient(Name::from_name(above)?, Name::from_name(below)?),
        })
    }

    /// The text that [`Formula::parse`] reads.
    pub fn text(self) -> String {
        match self {
            Formula::One(name) => name.name().to_owned(),
            Formula::Quotient(above, below) => format!("{}/{}", above.name(), below.name()),
            Formula::Difference(name) => format!("{DIFFERENCE}{}", name.name()),
        }
    }

    /// The names of the columns that it reads.
    pub fn columns(self) -> Vec<&'static str> {
        match self {
            Formula::One(name) | Formula::Quotient(name, _) => name.about().columns.to_vec(),
            Formula::Difference(name) => name.about().columns.repeat(2),
        }
    }

    /// The statistic of sorted rows that it is, with its parameters; see [`Name::ordered`].
    pub fn ordered(self, parameters: &[f64]) -> Option<(Box<dyn OrderStatistic>, Second)> {
        match self {
            Formula::One(name) => name.ordered(parameters),
            Formula::Quotient(..) | Formula::Difference(_) => None,
        }
    }

    /// The statistic for columns with these moments.
    pub(in crate::uncertainty) fn sums(self, moments: &[Moments]) -> Result<Box<dyn Sums>, NoEstimate> {
        let of = |name, moments| of_name(name, moments).ok_or(NoEstimate::SortedRows);
        match self {
            Formula::One(name) => of(name, moments),
            Formula::Quotient(above, below) => Ok(Box::new(Quotient::of(above, below, moments)?)),
            Formula::Difference(name) => {
                let (new, base) = moments.split_at(moments.len() / 2);
                Ok(Box::new(Difference::of(of(name, new)?, of(name, base)?)))
            }
        }
    }
}

/// The statistic for these columns, as many as [`Formula::columns`] and all of one length of at least 1; refused where
/// they are not finite or hold what the statistic does not take.
pub fn statistic(
    formula: Formula,
    columns: &[&dyn Wide],
    progress: Progress<'_>,
) -> Result<Result<Box<dyn Sums>, NoEstimate>, Stopped> {
    answer(checked(formula, columns, progress))
}

pub(super) fn checked(
    formula: Formula,
    columns: &[&dyn Wide],
    progress: Progress<'_>,
) -> Result<Box<dyn Sums>, Ended> {
    let mut moments = memory::with_capacity(columns.len())?;
    for (place, column) in columns.iter().enumerate() {
        moments.push(finite(column.moments(&mut *progress)?, place)?);
    }
    let statistic = formula.sums(&moments)?;
    in_domains(&*statistic, &moments)?;
    Ok(statistic)
}

/// Refuses columns that hold what the statistic does not take.
pub(in crate::uncertainty) fn in_domains(
    statistic: &dyn Sums,
    moments: &[Moments],
) -> Result<(), NoEstimate> {
    for (column, (&domain, of)) in statistic.domains().iter().zip(moments).enumerate() {
        if !domain.holds(of) {
            return Err(NoEstimate::Domain { column, domain, low: of.min, high: of.max });
        }
    }
    Ok(())
}
