//! Collects samples: scraped targets and this host.
//!
//! Layer 7. Imports: nothing.
//! Does not know: the HTTP server.
