//! A file system of our own in a file, for taking it away under a server: ext4 on a loop device, mounted
//! where only this process sees it.
#![expect(unsafe_code, reason = "the call that shuts a file system down; the proof is at the call")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::ioctl::{Setter, ioctl};

/// `EXT4_IOC_SHUTDOWN` of the kernel's `fs/ext4/ext4.h`: `_IOR('X', 125, __u32)`.
const EXT4_IOC_SHUTDOWN: u32 = 0x8004_587d;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: neither data nor journal are written any more.
const NO_LOG_FLUSH: u32 = 2;
/// Says to the program that its mounts are its own already.
const PRIVATE: &str = "EVENKEEL_PRIVATE_MOUNTS";

/// A mounted file system.
pub(crate) struct Volume {
    image: PathBuf,
    mounted: PathBuf,
    is_mounted: bool,
}

/// Runs this program again with mounts of its own, unless it has them: they end with it, whatever happens.
pub(crate) fn in_private_mounts() -> io::Result<Option<ExitStatus>> {
    if std::env::var_os(PRIVATE).is_some() {
        return Ok(None);
    }
    let again: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new("unshare");
    command.arg("-m").arg(std::env::current_exe()?).args(again).env(PRIVATE, "1");
    match command.status() {
        Ok(status) => Ok(Some(status)),
        // Without the command the mounts are seen by all, and taken away all the same.
        Err(_) => Ok(None),
    }
}

/// Whether a file system can be made and mounted.
pub(crate) fn try_out() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    Volume::create(dir.path(), 16 << 20).map(drop).map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}

impl Volume {
    /// Makes one of so many bytes in `place` and mounts it.
    pub(crate) fn create(place: &Path, bytes: u64) -> io::Result<Volume> {
        let (image, mounted) = (place.join("volume.img"), place.join("volume"));
        fs::create_dir_all(&mounted)?;
        File::create(&image)?.set_len(bytes)?;
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
        let mut volume = Volume { image, mounted, is_mounted: false };
        volume.mount()?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mounted
    }

    /// Mounts it again; the kernel reads the journal back.
    pub(crate) fn mount(&mut self) -> io::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mounted))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Takes it away.
    pub(crate) fn unmount(&mut self) -> io::Result<()> {
        run(Command::new("umount").arg(&self.mounted))?;
        self.is_mounted = false;
        Ok(())
    }

    /// From now on nothing reaches the device: what a power cut does, as far as a program can tell.
    pub(crate) fn cut_power(&self) -> io::Result<()> {
        let root = File::open(&self.mounted)?;
        // SAFETY: the request takes a pointer to a u32 and writes nothing; `Setter` passes one to the
        // value that it owns for the time of the call. The descriptor is open until then.
        unsafe {
            let shutdown = Setter::<EXT4_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH);
            ioctl(&root, shutdown)?;
        }
        Ok(())
    }

    /// Bytes that can be written.
    pub(crate) fn available(&self) -> io::Result<u64> {
        let s = statvfs(&self.mounted)?;
        Ok(s.f_bavail * s.f_frsize)
    }

    /// Takes room away until only so many bytes are left.
    pub(crate) fn leave(&self, bytes: u64) -> io::Result<()> {
        let path = self.mounted.join(format!("ballast-{}", crate::harness::now_ms()));
        let file = File::create(path)?;
        let take = self.available()?.saturating_sub(bytes);
        // Less and less, because the file system needs some for itself.
        let mut share = take;
        while share > 4096 {
            if fallocate(&file, FallocateFlags::empty(), 0, share).is_ok() {
                return Ok(());
            }
            share -= share / 16;
        }
        Ok(())
    }

    /// Gives the room back.
    pub(crate) fn free(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.mounted)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("ballast-") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.is_mounted {
            // A lazy one does not mind who still looks at it.
            let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
        }
    }
}
