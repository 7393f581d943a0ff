//! Where the data lie, and who is running: both are gone at the end, also after an error, Ctrl-C or SIGTERM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{SignalKind, signal};

use crate::Outcome;

/// Children that were not waited for yet, and the directory to remove.
static OPEN: Mutex<Open> = Mutex::new(Open { children: Vec::new(), root: None });

struct Open {
    children: Vec<u32>,
    root: Option<PathBuf>,
}

fn open() -> MutexGuard<'static, Open> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory of this run.
pub(crate) struct Premises {
    root: PathBuf,
}

impl Premises {
    /// Makes the directory, and sees to it that an interrupt leaves nothing behind.
    pub(crate) fn new(dir: Option<&Path>) -> Outcome<Premises> {
        let parent = match dir {
            Some(dir) => dir.to_owned(),
            None => std::env::current_exe()?.parent().and_then(Path::parent).ok_or("no target directory")?.to_owned(),
        };
        let root = parent.join(format!("compare_storage-{}", std::process::id()));
        fs::create_dir_all(&root)?;
        open().root = Some(root.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        std::thread::spawn(move || {
            if runtime.block_on(interrupted()).is_ok() {
                clear_up();
                std::process::exit(130);
            }
        });
        Ok(Premises { root })
    }

    /// A directory's name that nothing is at.
    pub(crate) fn fresh(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.root.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        Ok(path)
    }

    /// The file system that holds the data.
    pub(crate) fn describe(&self) -> String {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let root = fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        let mount = mounts
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                Some((words.next()?, words.next()?, words.next()?))
            })
            .filter(|(_, at, _)| root.starts_with(at))
            .max_by_key(|(_, at, _)| at.len());
        match mount {
            Some((_, _, "tmpfs")) => "data on tmpfs: NOT a disk, durability costs nothing here".into(),
            Some((device, _, system)) => format!("data on {system} ({device})"),
            None => "data on an unknown file system".into(),
        }
    }
}

impl Drop for Premises {
    fn drop(&mut self) {
        clear_up();
    }
}

/// Removes everything of a directory that is no longer needed.
pub(crate) fn discard(data: &Path) -> Outcome<()> {
    if data.exists() {
        fs::remove_dir_all(data)?;
    }
    Ok(())
}

/// Notes a child, so that an interrupt ends it.
pub(crate) fn started(child: &Child) {
    open().children.push(child.id());
}

/// Waits for a child that has ended or was told to.
pub(crate) fn wait_for(child: &mut Child) {
    // Its number may belong to someone else as soon as it was waited for.
    open().children.retain(|&pid| pid != child.id());
    // Already waited for is fine.
    let _ = child.wait();
}

/// Returns when this process is told to end.
async fn interrupted() -> std::io::Result<()> {
    let (mut terminal, mut other) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = terminal.recv() => Ok(()),
        _ = other.recv() => Ok(()),
    }
}

fn clear_up() {
    let mut open = open();
    for pid in open.children.drain(..) {
        // The child may be gone already.
        let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
    }
    if let Some(root) = open.root.take() {
        // A child's last write can come between; try twice, then leave it to a person.
        if fs::remove_dir_all(&root).is_err() && root.exists() && fs::remove_dir_all(&root).is_err() {
            eprintln!("{} could not be removed", root.display());
        }
    }
}
