//! What a state of sums says of the weights of its rows and of the strata of its clusters.

use super::super::no_estimate::NoEstimate;
use super::super::smooth::{Formula, Frame};
use super::super::statistic::Name;
use super::Refused;
use super::boot_state::unframed;
use super::sums_state::{Named, SumsTotals};
use crate::clusters::{Id, Shards};
use crate::grid::{Progress, Stopped};
use crate::intervals::cluster::ClusterSums;
use crate::intervals::moments::Moments;
use crate::memory::{self, NoMemory};

impl SumsTotals {
    /// Whether rows have weights, and whether clusters lie in strata.
    pub fn design(&self) -> (bool, bool) {
        (self.kept.has_weights(), self.kept.stratified == Some(true))
    }

    /// The number of rows that were left out for a weight of 0, and because they have no stratum.
    pub fn undesigned(&self) -> (u64, u64) {
        (self.kept.weightless, self.kept.unstratified)
    }

    /// Kish's effective number of rows; NaN without weights.
    pub fn effective(&self) -> f64 {
        self.sums.get(1).filter(|_| self.kept.has_weights()).map_or(f64::NAN, |sum| self.kept.effective(sum))
    }

    /// The name of each stratum and the number of its rows that the callers did not exclude.
    pub fn strata(&self) -> Result<(Vec<String>, Vec<i64>), NoMemory> {
        let name = |id: &Id| match id {
            Id::Number(number) => number.to_string(),
            Id::Text(text) => text.to_string(),
        };
        Ok((
            memory::gathered(self.kept.strata.iter().map(|stratum| name(&stratum.0)))?,
            memory::gathered(self.kept.strata.iter().map(|stratum| stratum.1.cast_signed()))?,
        ))
    }

    /// The stratum of each cluster, in the order of the clusters' names, as a position among the strata; empty without
    /// strata.
    pub fn strata_of_clusters(&self) -> Result<Vec<i64>, NoMemory> {
        if !self.design().1 {
            return Ok(Vec::new());
        }
        let names = self.kept.names()?;
        let place = |named: &Named| {
            let stratum = named.2.as_deref()?;
            names.binary_search(&stratum).ok().map(|place| place as i64)
        };
        memory::gathered(self.named.iter().map(|named| place(named).unwrap_or(-1)))
    }

    /// The moments of a column of all rows, without its sum of squares.
    pub fn moments(&self, column: usize) -> Moments {
        self.columns[column].moments(self.n)
    }

    /// For a mean, the sums of `w (x - shift)` and of w of each cluster, in the order of their names. All are multiplied by
    /// one power of two, which cancels; without weights w is 1. `None` for another statistic.
    pub fn mean_sums(&self, shift: f64, progress: Progress<'_>) -> Result<Option<ClusterSums>, Stopped> {
        let Ok(statistic) = unframed(self.formula) else { return Ok(None) };
        if self.formula != Formula::One(Name::Mean) {
            return Ok(None);
        }
        let recipe = self.recipe(&*statistic);
        let mut frames = self.frames(&*statistic)?;
        frames[0] = Frame { centre: shift, scale: 1.0 };
        let moved = self.moved(&recipe, &frames, false, progress)?;
        Ok(Some(ClusterSums {
            sums: memory::collected(moved.iter().map(|terms| terms[1]))?,
            sizes: memory::collected(moved.iter().map(|terms| terms[0]))?,
        }))
    }

    /// Why the sums of weighted rows are not known well, if they are not.
    pub fn faint(&self) -> Option<NoEstimate> {
        let statistic = unframed(self.formula).ok().filter(|_| self.kept.has_weights())?;
        let moments: Vec<Moments> = self.columns.iter().map(|facts| facts.moments(self.n)).collect();
        self.kept.faint(&self.recipe(&*statistic), &moments).err()
    }
}

/// Why two lists of clusters are not merged: one of them has rows in two strata.
pub(super) fn in_two_strata(these: &Shards<Named>, those: &Shards<Named>) -> Refused {
    let mut others = those.iter().peekable();
    for one in these.iter() {
        while others.next_if(|other| other.0 < one.0).is_some() {}
        if let Some(other) = others.next_if(|other| other.0 == one.0)
            && let (Some(here), Some(there)) = (one.2.as_deref(), other.2.as_deref())
            && here != there
        {
            let (first, second) = if here < there { (here, there) } else { (there, here) };
            return Refused::TwoStrata(Box::new([one.0.clone(), first.clone(), second.clone()]));
        }
    }
    Refused::TooMany
}
