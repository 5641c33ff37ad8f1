//! Digests of the results of every kernel, computed in every way that this machine can, and compared with the committed
//! ones.
//!
//! To add a kernel, write in the file of its room a function that makes inputs from whole numbers and returns a closure
//! that runs the kernel and feeds the results to the digest, and add one line to the room's `TABLE`. What callers
//! choose by name needs a digest for each name (`digest.of(name)`), over all variants of its table where there is one.

mod calibration;
mod foundation;
mod inputs;
mod intervals;
mod math;
mod optim;
mod policy;
mod preference;
mod random;
mod ratings;
mod tokens;
mod totals;
mod uncertainty;

use inputs::Digest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use steelyard_kernels::simd::{self, Rounding};
use steelyard_kernels::{NUMERICS, grid};

/// A kernel at one element type.
pub struct Entry {
    name: &'static str,
    dtype: &'static str,
    lengths: [usize; 7],
    prepare: fn(usize) -> Run,
}

/// A kernel with its inputs, which were made once, in the standard floating-point mode. Each call runs the kernel again
/// and feeds the results to the digest.
type Run = Box<dyn Fn(&mut Digest)>;

/// A kernel at lengths of no elements, of one, below, at and above a block of lanes, and of more than one chunk with
/// enough bytes that the work is given to several threads.
const fn entry(name: &'static str, dtype: &'static str, prepare: fn(usize) -> Run) -> Entry {
    let long = match dtype.as_bytes() {
        b"float64" => 70_001,
        b"float32" => 140_003,
        _ => 280_003,
    };
    Entry { name, dtype, lengths: [0, 1, 7, 16, 33, 1000, long], prepare }
}

/// The same for a kernel of many operations per element, which the software multiply-add makes slow at the baseline
/// level.
const fn heavy(name: &'static str, dtype: &'static str, prepare: fn(usize) -> Run) -> Entry {
    Entry { name, dtype, lengths: [0, 1, 7, 16, 33, 1000, 66_001], prepare }
}

const ROOMS: &[&[Entry]] = &[
    foundation::TABLE,
    math::TABLE,
    random::TABLE,
    intervals::TABLE,
    calibration::TABLE,
    tokens::TABLE,
    uncertainty::TABLE,
    totals::TABLE,
    ratings::TABLE,
    optim::TABLE,
    policy::TABLE,
    preference::TABLE,
];

/// Digests by their keys, "kernel dtype length".
pub type Digests = BTreeMap<String, String>;

/// The digests of all entries. Each is computed at every level of this machine, by every thread count and floating-point
/// mode of [`WAYS`], or by each `every`th of them; an error names the first one that depends on these.
pub fn run_table(every: usize) -> Result<Digests, String> {
    let mut digests = Digests::new();
    for entry in ROOMS.iter().copied().flatten() {
        for length in entry.lengths {
            let key = format!("{} {} {length}", entry.name, entry.dtype);
            let hashes =
                every_way(&(entry.prepare)(length), every).map_err(|ways| format!("{key}: {ways}"))?;
            for (name, hash) in hashes {
                let key = format!("{}{name} {} {length}", entry.name, entry.dtype);
                if digests.insert(key.clone(), format!("{hash:016x}")).is_some() {
                    return Err(format!("{key} stands in the table twice"));
                }
            }
        }
    }
    Ok(digests)
}

/// Thread counts with a floating-point mode of the caller (whether subnormal numbers are flushed to zero, and how
/// inexact results are rounded). With one thread the mode could affect the kernel directly, with several through
/// threads that were started under it.
const WAYS: [(usize, bool, Rounding); 4] = [
    (1, false, Rounding::Nearest),
    (1, true, Rounding::Down),
    (1, false, Rounding::Up),
    (3, true, Rounding::TowardZero),
];

/// The hash of each variant, with the suffix that the variant adds to the name of the entry.
type Hashes = Vec<(String, u64)>;

fn every_way(run: &Run, every: usize) -> Result<Hashes, String> {
    let mut first: Option<(Hashes, String)> = None;
    for level in simd::Level::ALL.into_iter().filter(|&level| simd::available(level)) {
        for (threads, flush, rounding) in WAYS.into_iter().skip(every - 1).step_by(every) {
            let way = format!("{}, {threads} threads, flush to zero {flush}, {rounding:?}", level.name());
            let hashes = one_way(run, level, threads, flush, rounding);
            match &first {
                None => first = Some((hashes, way)),
                Some((want, other)) if *want != hashes => {
                    return Err(format!(
                        "{way} gives {}, {other} gives {}",
                        differing(&hashes, want),
                        differing(want, &hashes)
                    ));
                }
                Some(_) => {}
            }
        }
    }
    first.map(|(hashes, _)| hashes).ok_or_else(|| "this machine has no level".to_owned())
}

/// The hashes that are not among the others, as text.
fn differing(hashes: &Hashes, others: &Hashes) -> String {
    let here = hashes.iter().filter(|hash| !others.contains(hash));
    here.map(|(name, hash)| format!("{name} {hash:016x}").trim_start().to_owned())
        .collect::<Vec<_>>()
        .join(", ")
}

fn one_way(run: &Run, level: simd::Level, threads: usize, flush: bool, rounding: Rounding) -> Hashes {
    simd::force(Some(level));
    grid::set_threads(Some(threads));
    simd::set_mode_for_tests(flush, rounding, false);
    let mut digest = Digest::new();
    run(&mut digest);
    simd::set_mode_for_tests(false, Rounding::Nearest, false);
    grid::set_threads(None);
    simd::force(None);
    digest.hashes("")
}

/// The contents of `tests/golden.json` for these digests.
pub fn to_json(digests: &Digests) -> String {
    let mut text = format!("{{\n\"numerics\": {NUMERICS},\n\"kernels\": {{\n");
    let rows: Vec<_> = digests.iter().map(|(key, digest)| format!("\"{key}\": \"{digest}\"")).collect();
    let _ = write!(text, "{}\n}}\n}}\n", rows.join(",\n"));
    text
}

/// Compares digests with those of the committed file (one entry per line, as [`to_json`] writes it).
pub fn compare(digests: &Digests, committed: &str) -> Result<(), String> {
    if !committed.contains(&format!("\"numerics\": {NUMERICS},")) {
        return Err(format!("golden.json is of other numerics than {NUMERICS}, the code's"));
    }
    let golden: Digests = committed
        .lines()
        .filter_map(|line| line.trim_end_matches(',').split_once("\": \""))
        .map(|(key, digest)| (key.trim_matches('"').to_owned(), digest.trim_matches('"').to_owned()))
        .collect();
    let mut wrong: Vec<String> = Vec::new();
    for (key, digest) in digests {
        match golden.get(key) {
            None => wrong.push(format!("{key}: not in golden.json, here {digest}")),
            Some(want) if want != digest => wrong.push(format!("{key}: golden {want}, here {digest}")),
            Some(_) => {}
        }
    }
    let gone = golden.keys().filter(|key| !digests.contains_key(*key));
    wrong.extend(gone.map(|key| format!("{key}: in golden.json, no longer in the table")));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} digests differ from tests/golden.json:\n  {}\nIf a kernel or a name is new, write its lines with `cargo run \
         --profile quick --package steelyard-kernels --example digests -- --write tests/golden.json`. If a published bit \
         was meant to change, raise NUMERICS, write the file anew and say what changed in CHANGELOG.md.",
        wrong.len(),
        wrong.join("\n  ")
    ))
}
