//! `storage-format.md` and the files named `format.rs` change together.

use std::fs;
use std::path::{Path, PathBuf};

/// Each `format.rs` below `src/` and the headings of the document that describe it.
const DESCRIBED: &[(&str, &[&str])] = &[
    ("src/codec/bits/format.rs", &["Packed numbers"]),
    ("src/codec/coded/format.rs", &["Coded columns"]),
    ("src/codec/format.rs", &["Numbers and texts"]),
    ("src/codec/histograms/format.rs", &["Native histograms"]),
    ("src/codec/integers/format.rs", &["Columns of whole numbers"]),
    ("src/codec/postings/format.rs", &["Postings"]),
    ("src/codec/timestamps/format.rs", &["Columns of timestamps"]),
    ("src/codec/values/format.rs", &["Columns of values"]),
    ("src/db/episodes/format.rs", &["Alerts and episodes"]),
    ("src/db/format.rs", &["Deploys"]),
    ("src/db/verdicts/format.rs", &["Verdicts"]),
    ("src/notify/outbox/format.rs", &["Outbox"]),
    ("src/rules/format.rs", &["State of the rules"]),
    ("src/slo/format.rs", &["State of the objectives"]),
    ("src/storage/block/chunk/format.rs", &["Chunks of a block"]),
    ("src/storage/block/format.rs", &["Block"]),
    ("src/storage/block/index/format.rs", &["Index of a block"]),
    ("src/storage/block/intervals/format.rs", &["Intervals of a block"]),
    ("src/storage/entries/format.rs", &["Exemplars, metadata, deletes"]),
    ("src/storage/manifest/format.rs", &["Manifest", "Attachments"]),
    ("src/storage/series_files/format.rs", &["Series file"]),
    ("src/storage/wal/format.rs", &["Log segment"]),
    ("src/storage/wal/histograms/format.rs", &["Log segment"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("storage-format.md")).unwrap()
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.file_name().is_some_and(|name| name == "format.rs") {
            found.push(path);
        }
    }
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.sort();
    files
}

#[test]
fn each_layout_has_its_headings() {
    let files = files();
    let found: Vec<&str> = files.iter().map(|file| file.strip_prefix(root()).unwrap().to_str().unwrap()).collect();
    let described: Vec<&str> = DESCRIBED.iter().map(|(file, _)| *file).collect();
    assert_eq!(found, described, "say which headings of storage-format.md describe each format.rs");
    let document = document();
    for (file, headings) in DESCRIBED {
        for heading in *headings {
            let section = document.split_once(&format!("\n## {heading}\n"));
            let (_, section) = section.unwrap_or_else(|| panic!("there is no heading \"{heading}\" for {file}"));
            let named = section.split("\n## ").next().unwrap().contains(&format!("(`{file}`)"));
            assert!(named, "\"{heading}\" does not name {file}");
        }
    }
}

#[test]
fn each_kind_of_bytes_is_described() {
    let document = document();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for (_, rest) in text.match_indices("*b\"evk").map(|(at, _)| text.split_at(at + 3)) {
            let magic = rest.split('"').next().unwrap();
            assert!(document.contains(&format!("`{magic}`")), "{}: {magic} is not described", file.display());
        }
    }
}

#[test]
fn the_document_knows_the_layouts() {
    let texts: Vec<Vec<u8>> = files().iter().map(|file| fs::read(file).unwrap()).collect();
    let parts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let hash = format!("format hash: {:08x}", evenkeel::codec::checksum(&parts));
    assert!(
        document().lines().any(|line| line == hash),
        "a format.rs has changed: bring storage-format.md up to date, then write \"{hash}\" into it"
    );
}
