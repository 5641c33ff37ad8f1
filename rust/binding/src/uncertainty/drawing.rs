//! The designs of resampling that a call asks for, and the bootstrap under them.

use crate::arrays::slice;
use crate::give::value_error;
use crate::intervals::same_length;
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::memory;
use steelyard_kernels::uncertainty::designs::{
    Blocks, Crossed, Drawing, Kind, Nested, Sampling, Simple, Strata,
};
use steelyard_kernels::uncertainty::ordered::ordered_bootstrap;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::smooth::{self, Formula, Plan};
use steelyard_kernels::uncertainty::{Bootstrap, Design, NoEstimate, Options};

/// The arrays of a list of arrays of whole numbers.
pub(super) struct Lists<'py>(Vec<Bound<'py, PyAny>>);

impl<'py> Lists<'py> {
    pub(super) fn of(list: Option<&Bound<'py, PyAny>>) -> PyResult<Lists<'py>> {
        list.map_or(Ok(Lists(Vec::new())), |list| Ok(Lists(listed(list)?)))
    }

    pub(super) fn slices(&self, name: &str) -> PyResult<Vec<&[i64]>> {
        self.0.iter().map(|codes| slice::<i64>(codes, name)).collect()
    }
}

/// The cluster of each unit of two kinds, and how many clusters either has.
type TwoKinds<'a> = ([&'a [i64]; 2], [usize; 2]);

/// What is asked under a design of resampling.
pub(super) struct Asked<'a> {
    pub statistic: Formula,
    pub parameters: &'a [f64],
    pub weights: Option<&'a [f64]>,
    pub stratum_codes: Option<&'a [i64]>,
    pub strata: usize,
    pub average: Average,
    pub blocks: Option<Blocks>,
    /// The outermost clusters, of which there are so many, and for each level inside the cluster around each.
    pub outermost: usize,
    pub parents: Vec<&'a [i64]>,
    /// The clusters of the units of two kinds that cross, and how many there are of either.
    pub crossed: Option<TwoKinds<'a>>,
    /// How units are drawn that are no series, with its numbers.
    pub sampling: Option<(Sampling, &'a [f64])>,
}

/// Two arrays of codes, and how many clusters each has.
pub(super) fn two_kinds<'a>(codes: &[&'a [i64]], counts: &[usize]) -> PyResult<Option<TwoKinds<'a>>> {
    match (codes, counts) {
        ([], []) => Ok(None),
        (&[a, b], &[of_a, of_b]) => {
            same_length(a.len(), b.len(), "the codes of two kinds")?;
            Ok(Some(([a, b], [of_a, of_b])))
        }
        _ => Err(value_error(format!(
            "crossed, kinds: expected two each; got {} and {}",
            codes.len(),
            counts.len()
        ))),
    }
}

/// The blocks of a kind and length.
pub(super) fn blocks(kind: Option<&str>, length: f64) -> PyResult<Option<Blocks>> {
    kind.map(|kind| Ok(Blocks { kind: named::<Kind>(kind)?, length })).transpose()
}

impl Asked<'_> {
    /// Whether it is anything that the plain bootstrap is not.
    pub(super) fn any(&self) -> bool {
        self.weights.is_some() || self.stratum_codes.is_some() || self.ways() > 0
    }

    /// How many ways of drawing other than the usual one are asked for.
    fn ways(&self) -> usize {
        let asked = [
            self.blocks.is_some(),
            !self.parents.is_empty(),
            self.crossed.is_some(),
            self.sampling.is_some(),
        ];
        asked.iter().filter(|&&asked| asked).count()
    }

    pub(super) fn check(&self, columns: &[&dyn Wide], design: Design<'_>) -> PyResult<()> {
        let rows = columns[0].len();
        same_length(rows, self.weights.map_or(rows, <[f64]>::len), "columns, weights")?;
        let units = if let Design::Clusters { count, .. } = design { count } else { rows };
        let drawn = match self.parents.last() {
            None => units,
            Some(parents) => {
                same_length(units, parents.len(), "clusters, the last of parents")?;
                self.outermost
            }
        };
        same_length(drawn, self.stratum_codes.map_or(drawn, <[i64]>::len), "units, stratum_codes")?;
        if let Some(([codes, _], _)) = self.crossed {
            same_length(units, codes.len(), "units, crossed")?;
        }
        if self.ways() > 1 || (self.crossed.is_some() && self.strata > 0) {
            return Err(value_error("blocks, parents, crossed, sampling: expected one of them; got several"));
        }
        Ok(())
    }

    pub(super) fn bootstrap(
        &self,
        columns: &[&dyn Wide],
        design: Design<'_>,
        options: Options,
        progress: Progress<'_>,
    ) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
        let codes = self.stratum_codes;
        let drawing: Box<dyn Drawing> = match (self.crossed, self.blocks, self.sampling) {
            (Some((of, counts)), ..) => match Crossed::new(of, counts)? {
                Ok(crossed) => Box::new(crossed),
                Err(refused) => return Ok(Err(refused)),
            },
            (_, Some(blocks), _) => Box::new(blocks),
            (_, _, Some((sampling, parameters))) => sampling.drawing(options.count, parameters),
            _ => Box::new(Simple),
        };
        let drawing = match codes {
            Some(codes) => match Strata::new(codes, self.strata, 0, drawing)? {
                Ok(strata) => Box::new(strata),
                Err(refused) => return Ok(Err(refused)),
            },
            None => drawing,
        };
        if self.parents.is_empty() {
            return self.drawn(columns, design, &*drawing, codes, options, progress);
        }
        let nested = match Nested::new(drawing, self.outermost, &self.parents)? {
            Ok(nested) => nested,
            Err(refused) => return Ok(Err(refused)),
        };
        let of_units = match codes {
            None => None,
            Some(codes) => {
                let outermost = nested.outermost().iter();
                Some(memory::collected(outermost.map(|&cluster| codes[cluster as usize]))?)
            }
        };
        self.drawn(columns, design, &nested, of_units.as_deref(), options, progress)
    }

    /// The bootstrap of units that are in the strata `codes` and drawn by `drawing`.
    fn drawn(
        &self,
        columns: &[&dyn Wide],
        design: Design<'_>,
        drawing: &dyn Drawing,
        codes: Option<&[i64]>,
        options: Options,
        progress: Progress<'_>,
    ) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
        if let Some((statistic, second)) = self.statistic.ordered(self.parameters) {
            return ordered_bootstrap(&*statistic, columns, second, design, drawing, options, progress);
        }
        let statistic = match smooth::statistic(self.statistic, columns, &mut |_| progress(0))? {
            Ok(statistic) => statistic,
            Err(refused) => return Ok(Err(refused)),
        };
        let once = codes.filter(|_| self.average == Average::Macro).map(|codes| (codes, self.strata));
        let plan = Plan { weights: self.weights, design, drawing, once };
        smooth::designed(&*statistic, columns, plan, options, progress)
    }
}
