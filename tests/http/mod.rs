//! The server on a real loopback socket: limits, the envelope, every endpoint.

mod bad_input;
mod client;
mod full_disk;
mod hostile;
mod pages;
mod probes;
mod reload;
mod running;
mod shop;
mod stored;
mod tsdb_admin;
