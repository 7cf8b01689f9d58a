//! Grants, broken glass and holds over the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Purpose;
use crate::api::taken::{whole, whole_or_none};

/// A request for a grant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// The incident whose pictures it is about.
    pub incident: Uuid,
    /// What needs the grant: `view_original`, `export`, `release` or `hold`.
    pub action: String,
    /// What for.
    pub purpose: Purpose,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
    /// From when the pictures are.
    pub from: Timestamp,
    /// Until when they are.
    pub until: Timestamp,
    /// For how many minutes it is to hold, at most 240.
    #[serde(default = "an_hour", deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 240)]
    pub minutes: u32,
    /// What an organ of state shows; with the purpose `statutory_request`, and only then.
    #[serde(default)]
    pub document: Option<GrantDocument>,
    /// Where the consent of the responsible unit stands in its files; with `data_subject_access`, and only then.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub consent: Option<String>,
    /// The case that pictures are held for; with a hold, and only then.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub case: Option<String>,
    /// For how many days they are held, at most 30.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 30)]
    pub days: Option<u32>,
}

fn an_hour() -> u32 {
    60
}

/// A document by which an organ of state asks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantDocument {
    /// The law and article that it rests on.
    #[schema(max_length = 200)]
    pub basis: String,
    /// Its number.
    #[schema(max_length = 200)]
    pub number: String,
    /// From when it asks for pictures.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The two officers who show it.
    #[schema(min_items = 2, max_items = 2)]
    pub officers: Vec<GrantOfficer>,
}

/// An officer of an organ of state.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantOfficer {
    /// The unit.
    #[schema(max_length = 200)]
    pub unit: String,
    /// The number of the officer's own document.
    #[schema(max_length = 200)]
    pub document: String,
}

/// Glass to be broken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRequest {
    /// The incident.
    pub incident: Uuid,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
    /// For how many minutes, at most 15.
    #[serde(default = "a_quarter", deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 15)]
    pub minutes: u32,
}

fn a_quarter() -> u32 {
    15
}

/// A step of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepRequest {
    /// The version that the person saw.
    #[serde(deserialize_with = "whole")]
    #[schema(maximum = 9007199254740991_i64)]
    pub version: u64,
    /// In words.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: Option<String>,
}

/// What somebody says of broken glass.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// The version that the person saw.
    #[serde(deserialize_with = "whole")]
    #[schema(maximum = 9007199254740991_i64)]
    pub version: u64,
    /// Whether it was right.
    pub justified: bool,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 200)]
    pub note: String,
}

/// A grant, or a request for one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// The incident.
    pub incident: String,
    /// What it is for: `view_original`, `export`, `release` or `hold`.
    pub action: String,
    /// What for.
    pub purpose: String,
    /// Why, in words.
    pub reason: String,
    /// From when the pictures are.
    pub from: Timestamp,
    /// Until when they are.
    pub until: Timestamp,
    /// For how many minutes it holds once given.
    pub minutes: u32,
    /// What an organ of state showed.
    #[schema(required)]
    pub document: Option<GrantDocument>,
    /// The responsible unit's consent.
    #[schema(required)]
    pub consent: Option<String>,
    /// The case of a hold.
    #[schema(required)]
    pub case: Option<String>,
    /// The days of a hold.
    #[schema(required)]
    pub days: Option<u32>,
    /// Who asked.
    pub requester: String,
    /// When.
    pub requested_at: Timestamp,
    /// Counts its steps from 1; steps name the one they saw.
    pub version: u64,
    /// `requested`, `approved` (once), `granted`, `refused`, `withdrawn`, `lapsed` or `expired`.
    pub state: String,
    /// The supervisor who approved.
    #[schema(required)]
    pub supervisor: Option<String>,
    /// The privacy officer who approved.
    #[schema(required)]
    pub privacy_officer: Option<String>,
    /// Since when it is granted.
    #[schema(required)]
    pub granted_at: Option<Timestamp>,
    /// Until when it holds.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// Who refused it or took it back.
    #[schema(required)]
    pub ended_by: Option<String>,
    /// Why, in words.
    #[schema(required)]
    pub ended_note: Option<String>,
    /// True for broken glass, which nobody approved.
    pub break_glass: bool,
    /// Until when broken glass is to be reviewed.
    #[schema(required)]
    pub review_due_at: Option<Timestamp>,
    /// What was said of it.
    #[schema(required)]
    pub review: Option<GrantReview>,
    /// What this session may do with it: `approve`, `refuse`, `withdraw`, `review`.
    pub may: Vec<String>,
}

/// What somebody said of broken glass.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantReview {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Whether it was right.
    pub justified: bool,
    /// Why, in words.
    pub note: String,
}

/// Broken glass to be reviewed, and grants of the last 30 days.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantList {
    /// One's own, those one signed, and those one may decide on; broken glass to be reviewed first, then the newest.
    pub items: Vec<Grant>,
}

/// By which grant, and which part of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrantQuery {
    /// The grant.
    pub grant: Uuid,
    /// From when; left out, from the grant's beginning on.
    pub from: Option<Timestamp>,
    /// Until when; left out, until the grant's end.
    pub until: Option<Timestamp>,
}

/// By which grant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OriginalQuery {
    /// The grant.
    pub grant: Uuid,
}

/// A still whose sealed original can be opened here.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptOriginal {
    /// The redacted still.
    pub sha256: String,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// What a grant to see what was not redacted opens: what the workers sealed, where they do; the recorders have the rest.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sealed {
    /// True when some can be opened here.
    pub kept_here: bool,
    /// Which, oldest first.
    pub originals: Vec<KeptOriginal>,
    /// The devices whose recorder has the pictures.
    pub devices: Vec<String>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// To whom it is open.
    pub account: String,
    /// Until when it is open.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// What to do with this.
    pub text: super::Bilingual,
}

/// A hold to be placed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// The grant to hold; it names incident, case and days.
    pub grant: Uuid,
}

/// Pictures that are kept beyond their end.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hold {
    /// The grant that it rests on.
    pub grant: String,
    /// The incident.
    pub incident: String,
    /// The case.
    pub case: String,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    pub placed_at: Timestamp,
    /// When it ends; a new grant renews it.
    pub ends_at: Timestamp,
    /// True until then.
    pub active: bool,
}

/// Holds of the last 90 days.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldList {
    /// Newest first.
    pub items: Vec<Hold>,
}

/// A ZIP file; only its description is used.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Package(Vec<u8>);
