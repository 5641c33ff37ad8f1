//! The list of all tables of named variants, over which the Python face, the tests and the digests iterate.

use crate::intervals::{Adjust, Alternative, few_clusters, multinomial, proportion, spread, strata};
use crate::named::Registry;
use crate::optim::{Cooldown, Decay, Interpolate, Rise, Rule, WeightDecay};
use crate::preference::ranked::Ranked;
use crate::preference::unpaired::Unpaired;
use crate::preference::{Divergence, Loss, policy};
use crate::tokens::{Column, Folds, PairColumn, Unit};
use crate::uncertainty;

/// The tables. A test compares this list with every use of [`named!`](crate::named!) in the source.
pub const REGISTRIES: &[Registry] = &[
    Registry::of::<Alternative>(),
    Registry::of::<Adjust>(),
    Registry::of::<proportion::Method>(),
    Registry::of::<proportion::Test>(),
    Registry::of::<few_clusters::Method>(),
    Registry::of::<multinomial::Method>(),
    Registry::of::<spread::Range>(),
    Registry::of::<strata::Average>(),
    Registry::of::<Decay>(),
    Registry::of::<Rise>(),
    Registry::of::<Cooldown>(),
    Registry::of::<Interpolate>(),
    Registry::of::<Rule>(),
    Registry::of::<WeightDecay>(),
    Registry::of::<Divergence>(),
    Registry::of::<Loss>(),
    Registry::of::<Unpaired>(),
    Registry::of::<Ranked>(),
    Registry::of::<policy::Loss>(),
    Registry::of::<policy::Estimator>(),
    Registry::of::<Column>(),
    Registry::of::<Folds>(),
    Registry::of::<PairColumn>(),
    Registry::of::<Unit>(),
    Registry::of::<uncertainty::Name>(),
    Registry::of::<uncertainty::Method>(),
    Registry::of::<uncertainty::designs::Kind>(),
    Registry::of::<uncertainty::designs::Sampling>(),
    Registry::of::<uncertainty::answers::Test>(),
    Registry::of::<uncertainty::paired::Method>(),
    Registry::of::<uncertainty::unpaired::Method>(),
    Registry::of::<uncertainty::unpaired::ScoresTest>(),
    Registry::of::<uncertainty::shuffles::Of>(),
    Registry::of::<uncertainty::sequence::Method>(),
];
