//! The harness of the end-to-end tests: real parts, started and stopped, and the faults put between them.
//!
//! Simulated cameras play real footage over real RTSP; Kafka is Apache Kafka; the program under test is the built
//! binary. Nothing here replaces a part of the program. Every process dies with the test that started it.

pub use xueliang_bench::{args::Kind, simcam};

pub mod faults;

pub mod parts;
pub mod process;
pub mod receiver;
pub mod wait;

pub mod client;
pub mod deployment;
pub mod kafka;
pub mod mosquitto;
pub mod postgres;
