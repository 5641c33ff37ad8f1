//! Prints a digest of the results of every kernel, which must not depend on levels, threads and floating-point modes.
//!
//! `digests` prints them, `digests tests/golden.json` compares them with the committed file, and `digests --write FILE`
//! writes such a file. `--brief` before all of these leaves out every other way of computing them, for processors that are
//! emulated.

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
    let (every, arguments) = match arguments {
        [brief, rest @ ..] if brief == "--brief" => (2, rest),
        all => (1, all),
    };
    let digests = golden::run_table(every)?;
    match arguments {
        [] => {
            Ok(digests.iter().map(|(key, digest)| format!("{key} {digest}")).collect::<Vec<_>>().join("\n"))
        }
        [write, path] if write == "--write" => {
            std::fs::write(path, golden::to_json(&digests)).map_err(|error| format!("{path}: {error}"))?;
            Ok(format!("{path}: {} digests", digests.len()))
        }
        [path] => {
            let committed = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            golden::compare(&digests, &committed)?;
            Ok(format!("{} digests equal {path}", digests.len()))
        }
        _ => Err("usage: digests [--brief] [GOLDEN | --write GOLDEN]".to_owned()),
    }
}
