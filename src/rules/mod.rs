//! Watches samples as they arrive: alerting and recording rules.
//!
//! Layer 2. Imports: nothing.
//! Does not know: storage, disk, the clock, notification.
