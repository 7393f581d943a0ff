//! Checks that the module graph is the one that the module headers declare.
//!
//! Each `src/*/mod.rs` says `//! Layer N. Imports: …` and a module may import only what it names,
//! from lower layers only. In a single crate nothing but a test keeps modules from growing into
//! one knot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every Rust file below a folder.
pub(crate) fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if !dir.exists() {
        return files;
    }
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a line: what stands before a comment.
pub(crate) fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

struct Header {
    layer: u32,
    imports: BTreeSet<String>,
}

#[test]
fn modules_import_only_what_their_header_declares() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut errors = Vec::new();
    let headers = read_headers(&src, &mut errors);
    assert!(headers.len() >= 17, "only {} modules found", headers.len());
    for (name, header) in &headers {
        let mut used = BTreeSet::new();
        for file in rust_files(&src.join(name)) {
            check_file(&file, name, header, &headers, &mut used, &mut errors);
        }
        if used != header.imports {
            errors.push(format!("{name}: the header declares {:?}, the code imports {used:?}", header.imports));
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

fn read_headers(src: &Path, errors: &mut Vec<String>) -> BTreeMap<String, Header> {
    let mut headers = BTreeMap::new();
    for entry in std::fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !path.is_dir() || name == "docs" {
            continue;
        }
        let text = std::fs::read_to_string(path.join("mod.rs")).unwrap();
        let Some((layer, imports)) = text
            .lines()
            .find_map(|line| line.strip_prefix("//! Layer "))
            .and_then(|line| line.split_once(". Imports: "))
        else {
            errors.push(format!("{name}: no `//! Layer N. Imports: …` line"));
            continue;
        };
        if !text.lines().any(|line| line.starts_with("//! Does not know: ")) {
            errors.push(format!("{name}: no `//! Does not know: …` line"));
        }
        let imports = imports.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        headers.insert(name, Header { layer: layer.parse().unwrap(), imports });
    }
    headers
}

fn check_file(
    file: &Path,
    module: &str,
    header: &Header,
    headers: &BTreeMap<String, Header>,
    used: &mut BTreeSet<String>,
    errors: &mut Vec<String>,
) {
    let text = std::fs::read_to_string(file).unwrap();
    for (i, line) in text.lines().enumerate() {
        let code = code_of(line);
        let place = format!("{}:{}", file.display(), i + 1);
        if code.contains("crate::{") || code.contains("super::super::") {
            errors.push(format!("{place}: write one `use crate::module::…` a line"));
        }
        for (at, _) in code.match_indices("crate::") {
            let target: String = code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            match headers.get(&target) {
                _ if target == module || target.is_empty() => {}
                None => errors.push(format!("{place}: `crate::{target}` is not a module")),
                Some(below) if below.layer >= header.layer => {
                    errors.push(format!("{place}: layer {} imports `{target}` of layer {}", header.layer, below.layer));
                }
                Some(_) => {
                    used.insert(target);
                }
            }
        }
    }
}
