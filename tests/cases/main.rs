//! The end-to-end tests: real footage over real RTSP into the built program, on one box and through Apache Kafka.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bench;
mod camera_faults;
mod city;
mod leaks;
mod one_box;
mod reference;
mod samples;
mod store;
mod two_instances;
