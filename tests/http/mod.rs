//! The server on a real loopback socket: limits, the envelope, every endpoint.

mod client;
mod hostile;
mod pages;
mod probes;
mod running;
mod shop;
mod stored;
