//! Faults for the program to meet: cameras that lie or stay silent, and a relay that cuts or stalls real connections.
//!
//! Plain sockets on loopback and plain threads: what a fault does must not depend on a library's good manners.

mod camera;
mod relay;

pub use camera::{Fault, FaultyCamera};
pub use relay::{Flow, Relay};
