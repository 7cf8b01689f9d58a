//! What a consumer says of an event it refused, on `xueliang.dead-letter.v1`.
//!
//! The refused bytes themselves are left out: they may hold what must never reach Kafka (RULES P11).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::Digest;

/// One refused message, findable by its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRefused {
    /// The topic it came from.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The offending field's path.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// SHA-256 of the refused bytes.
    pub sha256: Digest,
    /// Their number.
    pub bytes: u64,
}
