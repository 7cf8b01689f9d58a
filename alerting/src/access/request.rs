//! What is asked of the policies: of which thing, and under which circumstances.
//!
//! Plain values; what a field that is left out means is the policies' affair, and they deny.

use jiff::Timestamp;

use super::Action;
use crate::workflow::vocabulary;

vocabulary! {
    /// Kinds of things.
    Kind {
        /// An incident.
        Incident => "Incident",
        /// What a person added to an incident.
        Attachment => "Attachment",
        /// A request for a grant, or a break-glass to be reviewed.
        Grant => "Grant",
        /// A camera or sensor.
        Device => "Device",
        /// The rules.
        Rule => "Rule",
        /// The audit.
        Audit => "Audit",
        /// Counts.
        Statistics => "Statistics",
        /// An account.
        Account => "Account",
        /// The deployment's own settings.
        Deployment => "Deployment",
    }
}

vocabulary! {
    /// Why personal information is looked at; closed (RULES P07).
    Purpose {
        /// 公共安全值守
        PublicSafetyWatch => "public_safety_watch",
        /// 事件处置
        IncidentHandling => "incident_handling",
        /// 应急响应
        EmergencyResponse => "emergency_response",
        /// 依法调取
        StatutoryRequest => "statutory_request",
        /// 个人信息查阅
        DataSubjectAccess => "data_subject_access",
        /// 设备维护
        DeviceMaintenance => "device_maintenance",
        /// 合规审计
        ComplianceAudit => "compliance_audit",
        /// 统计
        AggregateStatistics => "aggregate_statistics",
    }
}

/// What an action is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    /// What kind of thing.
    pub kind: Kind,
    /// Its id: an account's name, an incident's id. Only grants and accounts are compared by it.
    pub id: &'a str,
    /// The region it lies in.
    pub region: &'a str,
    /// The department an incident was given to.
    pub department: Option<&'a str>,
    /// The grid worker who was sent to look.
    pub checker: Option<&'a str>,
    /// Who verifies that it was done.
    pub verifier: Option<&'a str>,
    /// Who reported an incident.
    pub reporter: Option<&'a str>,
    /// Who handles it.
    pub handler: Option<&'a str>,
    /// Who asked for a grant, or broke the glass.
    pub requester: Option<&'a str>,
    /// Who approved it so far.
    pub approvers: &'a [String],
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
}

impl<'a> Resource<'a> {
    /// A thing in a region of which nothing else is known.
    pub fn new(kind: Kind, region: &'a str) -> Self {
        Self {
            kind,
            id: "",
            region,
            department: None,
            checker: None,
            verifier: None,
            reporter: None,
            handler: None,
            requester: None,
            approvers: &[],
            requested_at: None,
        }
    }
}

/// Under which circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// The time.
    pub now: Timestamp,
    /// What for.
    pub purpose: Option<Purpose>,
    /// True when a reason in words was given.
    pub has_reason: bool,
    /// The end of the person's training and confidentiality record (P20); without one a person does nothing.
    pub training_valid_until: Option<Timestamp>,
    /// From when to when the pictures are that are asked for.
    pub range: Option<(Timestamp, Timestamp)>,
    /// The grant that the person relies on.
    pub grant: Option<&'a Grant>,
    /// True while a break-glass of this person was not reviewed.
    pub unreviewed_break_glass: bool,
}

impl Context<'_> {
    /// Nothing but the time and the end of the person's training record, [`Person::training_valid_until`](super::Person).
    pub fn new(now: Timestamp, training_valid_until: Option<Timestamp>) -> Self {
        Self {
            now,
            purpose: None,
            has_reason: false,
            training_valid_until,
            range: None,
            grant: None,
            unreviewed_break_glass: false,
        }
    }

    /// The same for this purpose.
    pub fn for_purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }
}

/// A right that was given for once: to one person, for one thing, range and purpose, until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub account: String,
    /// To do what.
    pub action: Action,
    /// With which thing.
    pub object: String,
    /// What for.
    pub purpose: Purpose,
    /// From when to when the pictures may be.
    pub range: (Timestamp, Timestamp),
    /// From when it holds.
    pub granted_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// Who gave it.
    pub approval: Approval,
}

/// Who gave a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// Two people, who are checked to be two.
    FourEyes {
        /// The supervisor.
        supervisor: String,
        /// The privacy officer.
        privacy_officer: String,
    },
    /// Nobody: it was taken in an emergency.
    BreakGlass,
}
