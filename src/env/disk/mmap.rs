//! Mapping a sealed file into memory: the one `unsafe` line of the disk.
#![expect(unsafe_code, reason = "memmap2's constructor is unsafe; the proof is at the call")]

use std::fs::File;
use std::io;

use super::Mapped;

/// Maps a file that is never changed again.
pub(super) fn map_sealed(file: &File) -> io::Result<Mapped> {
    if file.metadata()?.len() == 0 {
        return Ok(Mapped::new(Vec::new()));
    }
    // SAFETY: a mapping is undefined if the file changes under it. Only sealed files are mapped:
    // they are complete when they get their name, are never written in place, and lie in a
    // directory whose lock this process holds. Removing the name keeps the mapped inode alive.
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(Mapped::new(map))
}
