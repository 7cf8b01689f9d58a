//! The end-to-end tests: real footage over real RTSP into the built program, on one box and through Apache Kafka.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod authorization;
mod bench;
mod broker_away;
mod camera_faults;
mod city;
mod city_registry;
mod comeback;
mod killed_instances;
mod leaks;
mod model;
mod one_box;
mod outage;
mod own_clock;
mod read_only;
mod reference;
mod registry_changes;
mod reload;
mod samples;
mod sealed_originals;
mod sensors;
mod session_quirks;
mod session_scale;
mod stale_owner;
mod store;
mod streams;
mod two_instances;
mod udp;
mod worker_quirks;
