//! The server on a real loopback socket: limits, the envelope, every endpoint.

mod accuracy;
mod bad_input;
mod client;
mod full_disk;
mod grafana;
mod hostile;
mod pages;
mod probes;
mod queries;
mod reload;
mod remote_read;
mod running;
mod shop;
mod stored;
mod tsdb_admin;
mod verdict;
mod why;
