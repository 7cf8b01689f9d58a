//! Faults for the program to meet: cameras that lie or stay silent, cameras with one quirk each that play real footage, and
//! a relay that cuts or stalls real connections.
//!
//! Plain sockets on loopback and plain threads: what a fault does must not depend on a library's good manners.

mod camera;
mod challenge;
mod crowd;
mod datagrams;
mod packets;
mod quirk;
mod reel;
mod relay;
mod scripted;

pub use camera::{Fault, FaultyCamera};
pub use crowd::Crowd;
pub use quirk::Quirk;
pub use reel::Reel;
pub use relay::{Flow, Relay};
pub use scripted::{PASSWORD, ScriptedCamera, USER};
