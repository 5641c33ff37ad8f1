//! The designs of resampling that a call asks for, and the bootstrap under them.

use super::resample::check_length;
use crate::arrays::slice;
use crate::give::value_error;
use crate::intervals::same_length;
use crate::take::{listed, named};
use pyo3::prelude::*;
use std::borrow::Cow;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::memory::{self, NoMemory};
use steelyard_kernels::named::Named;
use steelyard_kernels::uncertainty::designs::{
    Blocks, Crossed, Drawing, Kind, Nested, Sampling, Simple, Strata,
};
use steelyard_kernels::uncertainty::ordered::ordered_bootstrap;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::smooth::{self, Formula, Plan};
use steelyard_kernels::uncertainty::{Bootstrap, Design, NoEstimate, Options, smoothed};

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

/// How the units of a bootstrap are drawn.
pub(super) struct Draws<'a> {
    stratum_codes: Option<&'a [i64]>,
    strata: usize,
    blocks: Option<Blocks>,
    /// The outermost clusters, of which there are so many, and for each level inside the cluster around each.
    outermost: usize,
    parents: Vec<&'a [i64]>,
    crossed: Option<TwoKinds<'a>>,
    /// How units are drawn that are no series, with its numbers.
    sampling: Option<(Sampling, &'a [f64])>,
}

/// A drawing of units, and the stratum of each where they are in strata.
type Units<'a> = (Box<dyn Drawing>, Option<Cow<'a, [i64]>>);

impl<'a> Draws<'a> {
    #[allow(clippy::too_many_arguments)] // the keywords of Python's calls
    pub(super) fn new(
        stratum_codes: Option<&'a Bound<'_, PyAny>>,
        strata: usize,
        (kind, length): (Option<&str>, f64),
        (outermost, parents): (usize, &'a Lists<'_>),
        (crossed, kinds): (&'a Lists<'_>, &[usize]),
        (sampling, parameters): (Option<&str>, &'a [f64]),
    ) -> PyResult<Draws<'a>> {
        let sampling = sampling.map(named::<Sampling>).transpose()?;
        let mut taken = sampling.map_or(0, |sampling| sampling.about().parameters.len());
        if sampling == Some(Sampling::Subsample) && stratum_codes.is_some() {
            taken = strata;
        }
        check_length("sampling_parameters", taken, parameters.len())?;
        let draws = Draws {
            stratum_codes: stratum_codes.map(|codes| slice::<i64>(codes, "stratum_codes")).transpose()?,
            strata,
            blocks: blocks_of(kind, length)?,
            outermost,
            parents: parents.slices("parents")?,
            crossed: two_kinds(&crossed.slices("crossed")?, kinds)?,
            sampling: sampling.map(|sampling| (sampling, parameters)),
        };
        if draws.ways() > 1 || (draws.crossed.is_some() && strata > 0) {
            return Err(value_error("blocks, parents, crossed, sampling: expected one of them; got several"));
        }
        Ok(draws)
    }

    /// Whether it is any other way than the usual one.
    pub(super) fn any(&self) -> bool {
        self.stratum_codes.is_some() || self.ways() > 0
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

    /// Whether these arrays are those of so many units.
    pub(super) fn check(&self, units: usize) -> PyResult<()> {
        let drawn = match self.parents.last() {
            None => units,
            Some(parents) => {
                same_length(units, parents.len(), "clusters, the last of parents")?;
                self.outermost
            }
        };
        same_length(drawn, self.stratum_codes.map_or(drawn, <[i64]>::len), "units, stratum_codes")?;
        let crossed = self.crossed.map_or(units, |([codes, _], _)| codes.len());
        same_length(units, crossed, "units, crossed")
    }

    /// How the units of strata are drawn: as `drawing` says, or with a number of each stratum.
    fn within(&self, drawing: Box<dyn Drawing>, count: u32) -> Result<Vec<Box<dyn Drawing>>, NoMemory> {
        match self.sampling {
            Some((sampling, numbers)) if !numbers.is_empty() => {
                memory::collected(numbers.iter().map(|&number| sampling.drawing(count, &[number])))
            }
            _ => memory::collected([drawing].into_iter()),
        }
    }

    /// The drawing of `count` replicates.
    pub(super) fn units(&self, count: u32) -> Result<Result<Units<'a>, NoEstimate>, NoMemory> {
        let drawing: Box<dyn Drawing> = match (self.crossed, self.blocks, self.sampling) {
            (Some((of, counts)), ..) => match Crossed::new(of, counts)? {
                Ok(crossed) => Box::new(crossed),
                Err(refused) => return Ok(Err(refused)),
            },
            (_, Some(blocks), _) => Box::new(blocks),
            (_, _, Some((sampling, parameters))) => sampling.drawing(count, parameters),
            _ => Box::new(Simple),
        };
        let drawing = match self.stratum_codes {
            Some(codes) => match Strata::new(codes, self.strata, 0, self.within(drawing, count)?)? {
                Ok(strata) => Box::new(strata),
                Err(refused) => return Ok(Err(refused)),
            },
            None => drawing,
        };
        if self.parents.is_empty() {
            return Ok(Ok((drawing, self.stratum_codes.map(Cow::Borrowed))));
        }
        let nested = match Nested::new(drawing, self.outermost, &self.parents)? {
            Ok(nested) => nested,
            Err(refused) => return Ok(Err(refused)),
        };
        let of_units = |codes: &[i64]| {
            let outermost = nested.outermost().iter();
            memory::collected(outermost.map(|&cluster| codes[cluster as usize]))
        };
        let strata = self.stratum_codes.map(of_units).transpose()?.map(Cow::Owned);
        Ok(Ok((Box::new(nested), strata)))
    }
}

/// Two arrays of codes, and how many clusters each has.
fn two_kinds<'a>(codes: &[&'a [i64]], counts: &[usize]) -> PyResult<Option<TwoKinds<'a>>> {
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
pub(super) fn blocks_of(kind: Option<&str>, length: f64) -> PyResult<Option<Blocks>> {
    kind.map(|kind| Ok(Blocks { kind: named::<Kind>(kind)?, length })).transpose()
}

/// What is asked under a design of resampling.
pub(super) struct Asked<'a> {
    pub statistic: Formula,
    pub parameters: &'a [f64],
    pub weights: Option<&'a [f64]>,
    pub average: Average,
    pub draws: Draws<'a>,
}

impl Asked<'_> {
    pub(super) fn check(&self, columns: &[&dyn Wide], design: Design<'_>) -> PyResult<()> {
        let rows = columns[0].len();
        same_length(rows, self.weights.map_or(rows, <[f64]>::len), "columns, weights")?;
        if self.draws.sampling.is_some_and(|(of, _)| of == Sampling::Smoothed) {
            let alone = columns.len() == 1 && self.weights.is_none() && self.draws.stratum_codes.is_none();
            if !alone || !matches!(design, Design::Rows) {
                return Err(value_error(
                    "sampling: expected one column of rows with 'smoothed'; got another design",
                ));
            }
        }
        self.draws.check(if let Design::Clusters { count, .. } = design { count } else { rows })
    }

    pub(super) fn bootstrap(
        &self,
        columns: &[&dyn Wide],
        design: Design<'_>,
        options: Options,
        progress: Progress<'_>,
    ) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
        if let Some((Sampling::Smoothed, &[bandwidth])) = self.draws.sampling {
            return smoothed(self.statistic, self.parameters, columns[0], bandwidth, options, progress);
        }
        let (drawing, codes) = match self.draws.units(options.count)? {
            Ok(units) => units,
            Err(refused) => return Ok(Err(refused)),
        };
        let drawing = &*drawing;
        if let Some((statistic, second)) = self.statistic.ordered(self.parameters) {
            return ordered_bootstrap(&*statistic, columns, second, design, drawing, options, progress);
        }
        let statistic = match smooth::statistic(self.statistic, columns, &mut |_| progress(0))? {
            Ok(statistic) => statistic,
            Err(refused) => return Ok(Err(refused)),
        };
        let codes = codes.as_deref().filter(|_| self.average == Average::Macro);
        let once = codes.map(|codes| (codes, self.draws.strata));
        let plan = Plan { weights: self.weights, design, drawing, once };
        smooth::designed(&*statistic, columns, plan, options, progress)
    }
}
