//! What goes over the wire, and the only place in the API with serde.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::words;

mod audit;
mod devices;
pub mod grants;
mod notes;
mod reports;

pub use audit::{AuditPage, AuditQuery, AuditRow};
pub use devices::{Device, DeviceList, Rule, RuleList, RuleVersion, RuleVersionList, StaticList, StaticObject};
pub use notes::{AllowedNote, Attachment, NoteRequest, Position, ReportRequest};
pub use reports::{NuisancePage, NuisanceQuery, NuisanceRow, Report, ReportQuery};

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Always `about:blank`.
    pub r#type: String,
    /// The kind of error.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A text in both languages.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Bilingual {
    /// 中文
    pub zh: String,
    /// English
    pub en: String,
}

impl From<words::Bilingual> for Bilingual {
    fn from(words: words::Bilingual) -> Self {
        let words::Bilingual { zh, en } = words;
        Self { zh, en }
    }
}

/// What is needed to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The account.
    #[schema(max_length = 64, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub account: String,
    /// The password.
    #[schema(max_length = 256, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub password: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// The account.
    pub account: String,
    /// The name that others see.
    pub display_name: String,
    /// What it is there for.
    pub roles: Vec<RoleGrant>,
    /// To be sent as `x-csrf-token` with everything but GET.
    pub csrf_token: String,
    /// The preferred language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// A role in a region until a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleGrant {
    /// The role.
    pub role: String,
    /// The region.
    pub region: String,
    /// When it ends.
    #[schema(required)]
    pub valid_until: Option<Timestamp>,
}

/// How urgent an incident is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum Urgency {
    /// At once.
    A,
    /// Soon.
    B,
    /// In its turn.
    C,
}

/// A redacted still, named by its digest.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Snapshot {
    /// SHA-256 of the JPEG.
    pub sha256: String,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}

/// A device by name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceRef {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Bilingual,
}

/// A rule by name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RuleRef {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
}

/// An incident in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IncidentSummary {
    /// Its id.
    pub id: String,
    /// Its category.
    pub category: String,
    /// Where it stands.
    pub state: String,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Counts its changes of state from 1; commands name the one they saw.
    pub version: u64,
    /// When its condition had held long enough.
    pub opened_at: Timestamp,
    /// When anything last happened to it.
    pub updated_at: Timestamp,
    /// Where it comes from: `rule`, `grid_worker` or `hotline`.
    pub entry: String,
    /// Its code, once it is a case.
    #[schema(required)]
    pub code: Option<String>,
    /// The device; null when a person reported it.
    #[schema(required)]
    pub device: Option<DeviceRef>,
    /// The zone or line.
    #[schema(required)]
    pub place: Option<String>,
    /// The grid.
    #[schema(required)]
    pub grid: Option<String>,
    /// The rule that opened it; null when a person reported it.
    #[schema(required)]
    pub rule: Option<RuleRef>,
    /// How many events are linked.
    pub n_events: u64,
    /// How many firings it holds.
    pub n_firings: u64,
    /// How many devices it is about: several of one place or one cause.
    pub n_devices: u64,
    /// 督办: somebody above wants it done.
    pub supervised: bool,
    /// How many region levels up it was passed, because it is overdue.
    pub n_escalated: u32,
    /// When the clock that runs is used up.
    #[schema(required)]
    pub due_at: Option<Timestamp>,
    /// What happened.
    pub summary: Bilingual,
    /// True when there is a still.
    pub has_snapshot: bool,
    /// The still.
    #[schema(required)]
    pub snapshot: Option<Snapshot>,
    /// A detection is a lead, not evidence: always false.
    pub evidentiary: bool,
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentPage {
    /// Newest first.
    pub items: Vec<IncidentSummary>,
    /// Asks for the next page with `before`.
    #[schema(required)]
    pub next: Option<String>,
    /// How many stand in each open state; of finished ones those that were opened in the last 24 hours.
    pub counts: BTreeMap<String, u64>,
}

/// An incident with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Incident {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: IncidentSummary,
    /// What made it fire.
    pub values: Vec<MeasuredValue>,
    /// The newest linked events.
    pub events: Vec<EventRow>,
    /// What happened to it, oldest first; the newest thousand.
    pub timeline: Vec<TimelineRow>,
    /// What this session may do now.
    pub commands: Vec<AllowedCommand>,
    /// What this session may write beside it now.
    pub notes: Vec<AllowedNote>,
    /// What people attached, oldest first.
    pub attachments: Vec<Attachment>,
    /// Its deadlines.
    pub deadlines: Vec<Deadline>,
    /// Which attempt this is, from 1.
    pub attempts: u32,
}

/// A measured value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Value)]
pub struct MeasuredValue {
    /// What it is.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A box, normalised to the frame.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bbox {
    /// Left.
    pub x: f32,
    /// Top.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

/// An event of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventRow {
    /// Its id.
    pub id: String,
    /// Its type on the wire.
    pub r#type: String,
    /// When it was captured.
    pub time: Timestamp,
    /// When ingest had it.
    pub received_at: Timestamp,
    /// The zone.
    #[schema(required)]
    pub zone: Option<String>,
    /// The line.
    #[schema(required)]
    pub line: Option<String>,
    /// The class seen.
    #[schema(required)]
    pub class: Option<String>,
    /// Where in the frame.
    #[schema(required)]
    pub bbox: Option<Bbox>,
    /// What it says.
    pub text: Bilingual,
    /// Its still, when it can be shown.
    #[schema(required)]
    pub snapshot: Option<Snapshot>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actor {
    /// `person`, `rule` or `job`.
    pub kind: String,
    /// The account, rule or job.
    pub name: String,
}

/// One thing that happened to an incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineRow {
    /// Its place in the order of all changes.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: a command, `open` or `fired`.
    pub action: String,
    /// Where it stood.
    #[schema(required)]
    pub from: Option<String>,
    /// Where it stands.
    pub to: String,
    /// The reason's code.
    #[schema(required)]
    pub reason: Option<String>,
    /// In words.
    #[schema(required)]
    pub comment: Option<String>,
    /// What the rule said that is the actor.
    #[schema(required)]
    pub fired: Option<FiredRow>,
}

/// What a rule said.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiredRow {
    /// The rule's version.
    pub version: u32,
    /// The device.
    pub device: String,
    /// The zone or line on it.
    #[schema(required)]
    pub place: Option<String>,
    /// When the condition had held for its T.
    pub at: Timestamp,
    /// What was measured.
    pub values: Vec<MeasuredValue>,
}

/// How one of an incident's clocks stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deadline {
    /// `accept`, `check` or `handling`.
    pub clock: String,
    /// `running`, `paused` or `stopped`.
    pub state: String,
    /// The limit, as the settings write it.
    pub limit: String,
    /// How much of it is used, seconds of the clock's own time.
    pub used_s: f64,
    /// When it is used up; null while the clock doesn't run.
    #[schema(required)]
    pub due_at: Option<Timestamp>,
    /// The furthest that was told: `remind`, `overdue`, `escalate_1` to `escalate_4`.
    #[schema(required)]
    pub told: Option<String>,
    /// True when somebody has acknowledged it.
    pub acknowledged: bool,
}

/// A reason to choose.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonOption {
    /// Its code.
    pub code: String,
    /// In words.
    pub label: Bilingual,
}

/// Something that a command must carry.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommandField {
    /// Its key in `fields`.
    pub name: String,
    /// False when it may be left out.
    pub required: bool,
}

/// A command that this session may give now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllowedCommand {
    /// Its key.
    pub command: String,
    /// Where it leads.
    pub to: String,
    /// True when a reason must be chosen.
    pub needs_reason: bool,
    /// The reasons to choose from.
    pub reasons: Vec<ReasonOption>,
    /// The button's text.
    pub label: Bilingual,
    /// What it must carry.
    pub fields: Vec<CommandField>,
}

/// A command.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// Its key.
    pub command: String,
    /// The version that the person saw.
    #[serde(deserialize_with = "super::taken::whole")]
    pub version: u64,
    /// The reason's code.
    #[serde(default)]
    pub reason: Option<String>,
    /// In words.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
    /// What else it carries.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// What a still is looked at for (RULES P07); closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// 公共安全值守
    PublicSafetyWatch,
    /// 事件处置
    IncidentHandling,
    /// 应急响应
    EmergencyResponse,
    /// 依法调取
    StatutoryRequest,
    /// 个人信息查阅
    DataSubjectAccess,
    /// 设备维护
    DeviceMaintenance,
    /// 合规审计
    ComplianceAudit,
    /// 统计
    AggregateStatistics,
}

/// Why a still is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ViewQuery {
    /// The purpose.
    #[param(inline)]
    pub purpose: Purpose,
    /// The reason, in words.
    #[param(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// Which incidents to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// States, with commas.
    pub state: Option<String>,
    /// Categories, with commas.
    pub category: Option<String>,
    /// Urgencies A, B and C, with commas.
    pub urgency: Option<String>,
    /// Only what lies in this region: the beginning of its code.
    #[param(max_length = 64)]
    pub region: Option<String>,
    /// Only what is named for this device.
    #[param(max_length = 64)]
    pub device: Option<String>,
    /// Only the case with this code.
    #[param(max_length = 64)]
    pub code: Option<String>,
    /// How many, at most 200.
    pub limit: Option<usize>,
    /// The `next` of the page before.
    #[param(pattern = "^[0-9]{1,16}_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
    pub before: Option<String>,
}

/// A JPEG; only its description is used.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Still(Vec<u8>);
