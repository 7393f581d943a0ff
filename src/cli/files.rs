//! Files that commands write for people and build servers.

use std::io;
use std::path::Path;

use crate::env::disk::{Disk, RealDisk};

/// Writes a whole file, in place of one that is there.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = RealDisk.create(path)?;
    file.write_all(bytes)?;
    file.sync()
}
