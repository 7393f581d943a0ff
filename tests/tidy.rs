//! Words and where they may stand, sizes, and what every file begins with.

use std::path::{Path, PathBuf};

use crate::layering::{code_of, rust_files};

/// A word, the places (prefixes below `src/`) where it may stand, and the reason.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("std::fs", &["env/"], "one seam to the disk"),
    ("memmap2", &["env/"], "one seam to the disk"),
    ("SystemTime::now", &["env/clock.rs"], "virtual time"),
    ("Instant::now", &["env/clock.rs"], "virtual time"),
    ("thread::spawn", &["db/threads.rs"], "one list of threads"),
    ("thread::Builder", &["db/threads.rs"], "one list of threads"),
    ("tokio", &["server/", "scrape/", "cli/"], "a synchronous core"),
    ("axum", &["server/", "cli/"], "a synchronous core"),
    ("async fn", &["server/", "scrape/", "cli/"], "a synchronous core"),
    (".await", &["server/", "scrape/", "cli/"], "a synchronous core"),
    ("serde", &["config/", "report/", "testkit/", "server/", "scrape/", "cli/"], "wire forms stay at the edge"),
    ("anyhow", &["cli/"], "typed errors below the program"),
    ("unsafe {", &["codec/bits/wide.rs", "env/disk/mmap.rs"], "unsafe code is listed here"),
    ("cfg(feature", &["lib.rs", "main.rs"], "one switch, in one place"),
    ("Arc<Mutex", &["env/disk/memory.rs"], "name the shared type"),
    ("Arc<RwLock", &[], "name the shared type"),
    ("HashMap<String, String>", &[], "labels are `Labels`"),
    ("print!", &[], "a library does not print, and a command may have lost its reader: write out!"),
    ("println!", &[], "a library does not print, and a command may have lost its reader: write outln!"),
    ("eprint!", &[], "a library does not print, and a command may have lost its reader: write! to standard error"),
    ("eprintln!", &[], "a library does not print, and a command may have lost its reader: writeln! to standard error"),
    ("todo!", &[], "unfinished work is not committed"),
    ("unimplemented!", &[], "unfinished work is not committed"),
    ("dbg!", &[], "left over from debugging"),
    ("macro_export", &[], "the layering test cannot see macros"),
    ("#[allow(", &[], "write #[expect(…, reason = …)]"),
    ("#![allow(", &[], "write #[expect(…, reason = …)]"),
];

/// File names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "types"];

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The lines of a file before its inline tests.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
}

#[test]
fn words_stand_where_they_may() {
    let src = root().join("src");
    let mut errors = Vec::new();
    for file in rust_files(&src) {
        let place = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for (i, line) in product_lines(&text) {
            for (word, places, reason) in WORDS {
                let code = code_of(line);
                let whole_word = code.match_indices(word).any(|(at, _)| {
                    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                        || !word.starts_with(char::is_alphabetic)
                });
                if whole_word && !places.iter().any(|allowed| place.starts_with(allowed)) {
                    errors.push(format!("src/{place}:{}: `{word}` may not stand here: {reason}", i + 1));
                }
            }
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

#[test]
fn every_file_has_a_header_a_name_and_a_size() {
    let mut errors = Vec::new();
    for folder in ["src", "tests", "benches", "tools"] {
        for file in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            if !text.starts_with("//!") {
                errors.push(format!("{}: does not begin with a `//!` header", file.display()));
            }
            let stem = file.file_stem().unwrap().to_str().unwrap();
            if EMPTY_NAMES.contains(&stem) {
                errors.push(format!("{}: the name says nothing", file.display()));
            }
            let lines = product_lines(&text).count();
            if folder == "src" && lines > FILE_LINES_MAX {
                errors.push(format!("{}: {lines} lines before its tests; does it hold one noun?", file.display()));
            }
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

#[test]
fn every_test_file_is_part_of_the_test_binary() {
    let tests = root().join("tests");
    for file in rust_files(&tests) {
        let parent = match file.file_name().unwrap().to_str().unwrap() {
            "main.rs" => continue,
            "mod.rs" => file.parent().unwrap(),
            _ => file.as_path(),
        };
        let name = parent.file_stem().unwrap().to_str().unwrap();
        let folder = parent.parent().unwrap();
        let owner = if folder == tests { tests.join("main.rs") } else { folder.join("mod.rs") };
        let text = std::fs::read_to_string(&owner).unwrap();
        assert!(text.lines().any(|line| line == format!("mod {name};")), "{} has no `mod {name};`", owner.display());
    }
}

#[test]
fn the_readme_names_every_module() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            assert!(readme.contains(&format!("{name}/")), "the README's map does not name src/{name}/");
        }
    }
}
