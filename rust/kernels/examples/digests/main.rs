//! Prints a digest of every kernel's results; levels, threads and floating-point modes must agree.
//!
//! `digests` prints; `digests tests/golden.json` compares with the committed file; `digests --write FILE` writes it.

mod golden;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match act(&arguments) {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &[String]) -> Result<String, String> {
    let found = golden::run_table()?;
    match arguments {
        [] => Ok(found.iter().map(|(key, digest)| format!("{key} {digest}")).collect::<Vec<_>>().join("\n")),
        [write, path] if write == "--write" => {
            std::fs::write(path, golden::to_json(&found)).map_err(|error| format!("{path}: {error}"))?;
            Ok(format!("{path}: {} digests", found.len()))
        }
        [path] => {
            let committed = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            golden::compare(&found, &committed)?;
            Ok(format!("{} digests equal {path}", found.len()))
        }
        _ => Err("usage: digests [GOLDEN | --write GOLDEN]".to_owned()),
    }
}
