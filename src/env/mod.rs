//! The outside world behind traits: disk, clock, transport, host facts, randomness.
//!
//! Layer 0. Imports: nothing.
//! Does not know: samples, alerts.
//! When you change this, also touch: the implementations in `server` and `testkit`.

mod clock;
pub mod disk;
mod host;
mod rng;
mod threads;
mod transport;

pub use clock::{Clock, ManualClock, ScaledClock, SystemClock};
pub use host::{FileSystemSpace, Host, RealHost};
pub use rng::Rng;
pub use threads::{Helper, lower_thread_priority};
pub use transport::{Discard, Request, Response, Transport, TransportError};
