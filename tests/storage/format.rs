//! `storage-format.md` and the files named `format.rs` change together.

use std::fs;
use std::path::{Path, PathBuf};

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

#[test]
fn the_document_knows_the_layouts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    let texts: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let parts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let hash = format!("format hash: {:08x}", evenkeel::codec::checksum(&parts));
    let document = fs::read_to_string(root.join("storage-format.md")).unwrap();
    assert!(
        document.lines().any(|line| line == hash),
        "a format.rs has changed: bring storage-format.md up to date, then write \"{hash}\" into it"
    );
}
