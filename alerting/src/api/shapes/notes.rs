//! What people enter: incidents that they saw, notes beside one, pictures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Bilingual;

/// An incident that a person saw, or was told of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// `grid_worker`: seen on site; `hotline`: told by somebody who called. Nothing is kept of who called.
    pub entry: String,
    /// Its category.
    pub category: String,
    /// How urgent it is, `A`, `B` or `C`; `B` when left out.
    #[serde(default)]
    pub urgency: Option<String>,
    /// Its grid: 4 to 20 digits.
    #[schema(pattern = "^[0-9]{4,20}$")]
    pub grid: String,
    /// Where exactly: longitude and latitude, WGS-84 degrees.
    #[serde(default)]
    #[schema(min_items = 2, max_items = 2)]
    pub position: Option<Vec<f64>>,
    /// What it is, in words.
    #[schema(min_length = 1, max_length = 2000)]
    pub text: String,
}

/// A note beside an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRequest {
    /// `supervise`, `acknowledge` or `comment`.
    pub note: String,
    /// In words; needed to supervise and to comment.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub text: Option<String>,
    /// What else it carries: `clock` for an acknowledgement.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// A note that this session may make now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllowedNote {
    /// Its key.
    pub note: String,
    /// The button's text.
    pub label: Bilingual,
    /// True when it must say something.
    pub needs_text: bool,
}

/// A picture that somebody attached; nothing in it is covered, so it is shown like a still: for a purpose and a reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attachment {
    /// SHA-256 of the JPEG.
    pub sha256: String,
    /// The account.
    pub account: String,
    /// When.
    pub at: Timestamp,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}
