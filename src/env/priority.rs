//! Which threads the machine prefers.

/// The nice value of threads that may be kept waiting: at 10 the kernel gives a thread about a tenth
/// of what one of usual priority gets beside it.
const NICE: i32 = 10;

/// Lets other threads go before the calling one. Best effort: on systems that know no priority of a
/// single thread, or forbid it, nothing changes.
pub fn lower_thread_priority() {
    #[cfg(target_os = "linux")]
    {
        // On Linux no process means the calling thread alone.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}
