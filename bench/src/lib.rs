//! What a box carries, measured: footage, simulated cameras that play it, and the report.
//!
//! The same simulated cameras serve the end-to-end tests and the demo.

pub mod accuracy;
pub mod simcam;
