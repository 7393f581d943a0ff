//! The files that a pattern finds, wherever in it the wildcards stand.

use std::path::{Component, Path, PathBuf};

use crate::env::disk::Disk;

use super::loader::fits;

/// The files that a path or pattern names, sorted; none if there is no such file.
pub(super) fn matching_anywhere(disk: &dyn Disk, pattern: &Path) -> Vec<PathBuf> {
    let parts: Vec<Component<'_>> = pattern.components().collect();
    let mut found = vec![PathBuf::new()];
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        let Component::Normal(name) = part else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let name = name.to_string_lossy();
        if !is_last && !name.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(&*name));
            continue;
        }
        found = found.iter().flat_map(|dir| listed(disk, dir, &name, is_last)).collect();
    }
    found.sort();
    found
}

/// The entries of a directory that fit a name or pattern: files at the end of a pattern, directories before it.
fn listed(disk: &dyn Disk, dir: &Path, pattern: &str, files: bool) -> Vec<PathBuf> {
    let dir_listed = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = disk.list(dir_listed).unwrap_or_default();
    let fitting = entries.into_iter().filter(|entry| entry.is_dir != files && fits(pattern, &entry.name));
    fitting.map(|entry| dir.join(entry.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::disk::MemoryDisk;

    #[test]
    fn wildcards_may_stand_in_directories() {
        let disk = MemoryDisk::new();
        for file in ["r/a/x.yml", "r/b/x.yml", "r/b/y.yaml", "r/z.yml"] {
            disk.create_dir(Path::new(file).parent().unwrap()).unwrap();
            disk.create(Path::new(file)).unwrap();
        }
        let check = |pattern: &str, expected: &[&str]| {
            let found = matching_anywhere(&disk, Path::new(pattern));
            let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check("r/*/x.yml", &["r/a/x.yml", "r/b/x.yml"]);
        check("r/[b-c]/*.y*ml", &["r/b/x.yml", "r/b/y.yaml"]);
        check("r/*.yml", &["r/z.yml"]);
        check("r/z.yml", &["r/z.yml"]);
        check("r/none.yml", &[]);
        check("r/*", &["r/z.yml"]);
    }
}
