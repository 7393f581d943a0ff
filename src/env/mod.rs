//! The outside world behind traits: disk, clock, transport, host facts, randomness.
//!
//! Layer 0. Imports: nothing.
//! Does not know: samples, alerts.
//! When you change this, also touch: the implementations in `server` and `testkit`.

mod clock;
pub mod disk;
mod host;
mod priority;
mod rng;
mod transport;

pub use clock::{Clock, ManualClock, ScaledClock, SystemClock};
pub use host::{FileSystemSpace, Host, RealHost};
pub use priority::lower_thread_priority;
pub use rng::Rng;
pub use transport::{Discard, Request, Response, Transport, TransportError};
