//! Which threads the machine prefers, and where they run. Best effort: on systems that know no such thing of a
//! single thread, or forbid it, nothing changes.

#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The nice value of threads that may be kept waiting: at 10 the kernel gives a thread about a tenth
/// of what one of usual priority gets beside it.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets other threads go before the calling one.
pub fn lower_thread_priority() {
    #[cfg(target_os = "linux")]
    {
        // On Linux no process means the calling thread alone.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// A thread that shares the work of others, and can be kept off their processor.
#[derive(Debug)]
pub struct Helper {
    #[cfg(target_os = "linux")]
    thread: rustix::thread::Pid,
    /// The processors on which it may run; absent if the system does not say.
    #[cfg(target_os = "linux")]
    allowed: Option<rustix::thread::CpuSet>,
    /// The processor that it is kept off.
    #[cfg(target_os = "linux")]
    kept_off: AtomicUsize,
}

impl Helper {
    /// The calling thread.
    pub fn current() -> Helper {
        Helper {
            #[cfg(target_os = "linux")]
            thread: rustix::thread::gettid(),
            #[cfg(target_os = "linux")]
            allowed: rustix::thread::sched_getaffinity(None).ok(),
            #[cfg(target_os = "linux")]
            kept_off: AtomicUsize::new(usize::MAX),
        }
    }

    /// Lets it run on any processor that it may use but the caller's. Who is woken may be put on the processor of who
    /// woke it though another one rests, and would wait there until the work that it was to share is done.
    pub fn keep_off_mine(&self) {
        #[cfg(target_os = "linux")]
        {
            let mine = rustix::thread::sched_getcpu();
            let Some(mut others) = self.allowed else { return };
            if mine >= rustix::thread::CpuSet::MAX_CPU || self.kept_off.swap(mine, Ordering::Relaxed) == mine {
                return;
            }
            others.unset(mine);
            // Nowhere else to go.
            if others.count() > 0 {
                let _ = rustix::thread::sched_setaffinity(Some(self.thread), &others);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_helper_leaves_the_processor_of_who_needs_it() {
        use std::sync::atomic::Ordering;
        use std::sync::mpsc;

        use super::Helper;

        let ((give, take), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
        let thread = std::thread::spawn(move || {
            give.send(Helper::current()).unwrap();
            ended.recv().unwrap();
        });
        let helper = take.recv().unwrap();
        let all = helper.allowed.unwrap();
        helper.keep_off_mine();
        let left = rustix::thread::sched_getaffinity(Some(helper.thread)).unwrap();
        assert_eq!(left.count(), if all.count() > 1 { all.count() - 1 } else { 1 });
        assert!((0..rustix::thread::CpuSet::MAX_CPU).all(|n| all.is_set(n) || !left.is_set(n)));
        assert_eq!(left.is_set(helper.kept_off.load(Ordering::Relaxed)), all.count() == 1);
        end.send(()).unwrap();
        thread.join().unwrap();
    }
}
