//! The audit over the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which rows of the audit to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only of this account or service.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub actor: Option<String>,
    /// Only of this action.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub action: Option<String>,
    /// Only of this thing, such as `incident/ID`.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub resource: Option<String>,
    /// The `next` of the page before.
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    pub before: Option<u64>,
    /// How many, at most 200.
    pub limit: Option<usize>,
}

/// One row of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The account or service that asked.
    pub actor: String,
    /// Its unit.
    #[schema(required)]
    pub unit: Option<String>,
    /// role@region, when one was used.
    #[schema(required)]
    pub assignment: Option<String>,
    /// What for.
    #[schema(required)]
    pub purpose: Option<String>,
    /// Why, in words, while they are kept.
    #[schema(required)]
    pub reason: Option<String>,
    /// What was asked for.
    pub action: String,
    /// Of what.
    pub resource: String,
    /// Whether it was permitted.
    pub permitted: bool,
    /// The policies that decided.
    pub rule_ids: Vec<String>,
    /// The row's hash in the chain.
    pub hash: String,
}

/// Rows of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub items: Vec<AuditRow>,
    /// Where the next page begins; null at the end.
    #[schema(required)]
    pub next: Option<u64>,
}
