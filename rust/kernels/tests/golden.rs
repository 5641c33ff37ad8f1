//! The committed digests: comparing levels inside one run cannot see that all of them changed.

#[path = "../examples/digests/golden/mod.rs"]
mod golden;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden.json");

#[test]
fn every_kernel_gives_the_committed_bits() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    let outcome = golden::run_table().and_then(|found| golden::compare(&found, &committed));
    assert_eq!(outcome, Ok(()));
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
