//! The columns of a statistic of sorted rows: what is refused, and how they are sorted.

use super::{Entry, Sorted};
use crate::grid::{Progress, Stopped};
use crate::intervals::moments::Moments;
use crate::intervals::spread::{Range, ValueFacts};
use crate::memory;
use crate::uncertainty::no_estimate::{Ended, finite};
use crate::uncertainty::paired::Wide;
use crate::uncertainty::smooth::Domain;
use crate::uncertainty::{Design, NoEstimate};

/// The largest probability: rounding moves a softmax of float32 so far above 1.
const MOST: f64 = 1.000_001;

/// What the second column of a statistic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// There is none.
    Absent,
    /// Labels of 0 or 1, which mark the rows.
    Labels,
    /// Labels of which one kind may be missing, beside probabilities, which may all be equal.
    Outcomes,
    /// Numbers that are ranked like the first column.
    Ranked,
}

/// Columns that a statistic of sorted rows can be taken of.
pub(super) struct Checked {
    labels: Option<Vec<bool>>,
    second: Second,
    /// The smallest and the largest value of the first column.
    pub range: (f64, f64),
}

/// The sorted columns.
pub(in crate::uncertainty) struct Data {
    pub(in crate::uncertainty) x: Sorted,
    pub(in crate::uncertainty) y: Option<Sorted>,
}

impl Data {
    pub(in crate::uncertainty) fn of_columns(
        columns: &[&dyn Wide],
        second: Second,
        design: Design<'_>,
        progress: Progress<'_>,
    ) -> Result<Data, Ended> {
        Ok(Checked::of_columns(columns, second, design, &mut *progress)?.sorted(columns, progress)?)
    }
}

impl Checked {
    pub fn of_columns(
        columns: &[&dyn Wide],
        second: Second,
        design: Design<'_>,
        progress: Progress<'_>,
    ) -> Result<Checked, Ended> {
        let rows = columns[0].len();
        if rows > Entry::ROWS {
            return Err(NoEstimate::TooManyRows { most: Entry::ROWS }.into());
        }
        let facts = (0..columns.len())
            .map(|place| Ok(finite(columns[place].moments(&mut *progress)?, place)?))
            .collect::<Result<Vec<Moments>, Ended>>()?;
        let ranked = if second == Second::Ranked { &facts[..] } else { &facts[..1] };
        let probabilities = second == Second::Outcomes;
        if probabilities && (facts[0].min < 0.0 || facts[0].max > MOST) {
            let (low, high) = (facts[0].min, facts[0].max);
            return Err(NoEstimate::Domain { column: 0, domain: Domain::Share, low, high }.into());
        }
        if rows < 2 || !probabilities && ranked.iter().any(|facts| equal(facts, rows)) {
            return Err(NoEstimate::EqualValues { n: rows }.into());
        }
        if let Design::Clusters { codes, count } = design {
            if count < 2 {
                return Err(NoEstimate::OneCluster.into());
            }
            if codes.iter().any(|&code| code < 0 || code as usize >= count) {
                return Err(NoEstimate::Outside.into());
            }
        }
        let labels = match second {
            Second::Labels | Second::Outcomes => Some(labels(columns[1], second, &facts[1])?),
            Second::Absent | Second::Ranked => None,
        };
        Ok(Checked { labels, second, range: (facts[0].min, facts[0].max) })
    }

    /// The columns that were checked, sorted.
    pub fn sorted(&self, columns: &[&dyn Wide], progress: Progress<'_>) -> Result<Data, Stopped> {
        let x = Sorted::new(columns[0], self.labels.as_deref(), &mut *progress)?;
        let y = match self.second {
            Second::Ranked => Some(Sorted::new(columns[1], None, progress)?),
            Second::Absent | Second::Labels | Second::Outcomes => None,
        };
        Ok(Data { x, y })
    }
}

/// The largest magnitude of numbers in a range.
pub(in crate::uncertainty) fn reach((low, high): (f64, f64)) -> f64 {
    if -low > high { -low } else { high }
}

fn equal(facts: &Moments, rows: usize) -> bool {
    let &Moments { min: low, max: high, step, .. } = facts;
    ValueFacts { low, high, step, rows: rows as f64, range: Range::Unknown }.equal()
}

/// A column of labels, each 0 or 1, of which both occur, except among outcomes.
fn labels(column: &dyn Wide, second: Second, facts: &Moments) -> Result<Vec<bool>, Ended> {
    let mut labels = memory::with_capacity(column.len())?;
    let mut values = [0.0; 1 << 10];
    for start in (0..column.len()).step_by(values.len()) {
        let here = &mut values[..(1 << 10).min(column.len() - start)];
        column.widen(start, here);
        for (i, &value) in here.iter().enumerate() {
            if value != 0.0 && value != 1.0 {
                return Err(NoEstimate::NotLabel { column: 1, index: start + i }.into());
            }
            labels.push(value == 1.0);
        }
    }
    if second == Second::Labels && facts.min == facts.max {
        return Err(NoEstimate::OneLabel { label: facts.max == 1.0 }.into());
    }
    Ok(labels)
}
