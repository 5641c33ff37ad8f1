//! Compares the digests of all kernels with the committed ones. Comparing the instruction-set levels of one run with
//! each other would not show that the bits of all of them changed.

#[path = "../examples/digests/golden/mod.rs"]
mod golden;

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use steelyard_kernels::registries::REGISTRIES;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden.json");

/// The digests of the table, computed once for all tests.
static DIGESTS: LazyLock<Result<golden::Digests, String>> = LazyLock::new(|| golden::run_table(1));

#[test]
fn every_kernel_gives_the_committed_bits() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    let outcome = DIGESTS.clone().and_then(|digests| golden::compare(&digests, &committed));
    assert_eq!(outcome, Ok(()));
}

/// A variant without a digest could change its bits without notice. For each table there must be one kernel with
/// digests for all of its names: some names occur in several tables ("mean", "ratio", "share"), and the digest of one
/// of them is no digest of the other. Asked are the digests that the table computes: where the committed file alone
/// lacks the lines of a name, the test of the committed bits says so.
#[test]
fn every_name_of_every_table_has_a_digest_of_its_own() {
    let digests = DIGESTS.as_ref().unwrap();
    let mut names_of: BTreeMap<(String, usize), HashSet<&str>> = BTreeMap::new();
    for key in digests.keys().filter_map(|key| key.split(' ').next()) {
        let parts: Vec<&str> = key.split('.').collect();
        for (place, &name) in parts.iter().enumerate().skip(2) {
            names_of.entry((parts[..2].join("."), place)).or_default().insert(name);
        }
    }
    for table in REGISTRIES {
        let names: HashSet<&str> = table.about.iter().map(|about| about.name).collect();
        assert!(
            names_of.values().any(|followed| followed.is_superset(&names)),
            "{}: no kernel computes a digest for each of {names:?}; see examples/digests/golden/mod.rs",
            table.key
        );
    }
}

#[test]
fn a_changed_missing_or_surplus_digest_is_seen() {
    let digests = |rows: &[(&str, &str)]| -> golden::Digests {
        rows.iter().map(|&(key, digest)| (key.to_owned(), digest.to_owned())).collect()
    };
    let committed = golden::to_json(&digests(&[("a float32 1", "01"), ("b float32 1", "02")]));
    let compare = |rows: &[(&str, &str)]| golden::compare(&digests(rows), &committed);
    assert!(compare(&[("a float32 1", "01"), ("b float32 1", "02")]).is_ok());
    assert!(compare(&[("a float32 1", "01"), ("b float32 1", "03")]).is_err());
    assert!(compare(&[("a float32 1", "01")]).is_err());
    assert!(compare(&[("a float32 1", "01"), ("b float32 1", "02"), ("c float32 1", "04")]).is_err());
}
