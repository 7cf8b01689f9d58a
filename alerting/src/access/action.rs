//! What can be asked for: a closed list, with the kinds of things that each is asked of.
//!
//! Invariant: keys are unique, and the policies' schema knows exactly these (checked at load).

use super::request::Kind;
use crate::workflow::Command;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident => $key:literal,)*) => {
        /// What can be asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $variant,)*
            /// Move an incident; the key is the command's.
            Command(Command),
        }

        impl Action {
            const PLAIN: &'static [Action] = &[$(Action::$variant),*];

            /// The key in policies and in the audit.
            pub fn as_str(self) -> &'static str {
                match self { $(Action::$variant => $key,)* Action::Command(command) => command.as_str() }
            }
        }
    };
}

actions! {
    /// See incidents, without their stills.
    ReadIncident => "read_incident",
    /// See an incident's redacted stills.
    ViewStill => "view_still",
    /// See what was not redacted; only with a grant.
    ViewOriginal => "view_original",
    /// See what people attached.
    ReadAttachment => "read_attachment",
    /// Hand out redacted pictures; only with a grant.
    Export => "export",
    /// Publish redacted pictures; only with a grant.
    Release => "release",
    /// Keep pictures beyond their end; only with a grant.
    Hold => "hold",
    /// Open one's own short grant in an emergency.
    BreakGlass => "break_glass",
    /// Ask for a grant.
    RequestGrant => "request_grant",
    /// Approve somebody's request.
    ApproveGrant => "approve_grant",
    /// Say whether breaking the glass was right.
    ReviewBreakGlass => "review_break_glass",
    /// Enter an incident that a person saw (edge 4).
    ReportIncident => "report_incident",
    /// Write beside an incident.
    Comment => "comment",
    /// Add a picture or a paper to an incident.
    Attach => "attach",
    /// 督办: press for it.
    Supervise => "supervise",
    /// Say that an escalation was seen.
    Acknowledge => "acknowledge",
    /// See devices and how they are.
    ReadDevices => "read_devices",
    /// Enter or change a camera.
    RegisterCamera => "register_camera",
    /// Adjust a camera by blanked frames.
    Calibrate => "calibrate",
    /// Draw privacy masks.
    SetMasks => "set_masks",
    /// Bring events in.
    PushEvents => "push_events",
    /// See the rules.
    ReadRules => "read_rules",
    /// Change the rules.
    ChangeRules => "change_rules",
    /// Read the audit.
    ReadAudit => "read_audit",
    /// Verify the audit's chain.
    VerifyAudit => "verify_audit",
    /// See counts.
    ReadStatistics => "read_statistics",
    /// Write a report of counts.
    MakeReport => "make_report",
    /// Make accounts and give roles.
    ManageAccounts => "manage_accounts",
    /// Say how long things are kept.
    SetRetention => "set_retention",
    /// Send notifications.
    Notify => "notify",
    /// Delete what has expired.
    DeleteExpired => "delete_expired",
    /// Change the policy; only with a grant.
    ManagePolicy => "manage_policy",
}

impl Action {
    /// All of them, commands last.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.iter().copied().chain(Command::ALL.iter().copied().map(Self::Command))
    }

    /// Reads the key.
    pub fn parse(key: &str) -> Option<Self> {
        Self::all().find(|action| action.as_str() == key)
    }

    /// What it is asked of.
    pub fn kinds(self) -> &'static [Kind] {
        use Action as A;
        match self {
            A::ReadAttachment => &[Kind::Attachment],
            A::RequestGrant => &[Kind::Incident, Kind::Deployment],
            A::ApproveGrant | A::ReviewBreakGlass => &[Kind::Grant],
            A::ReadDevices | A::RegisterCamera | A::Calibrate | A::SetMasks | A::PushEvents => &[Kind::Device],
            A::ReadRules | A::ChangeRules => &[Kind::Rule],
            A::ReadAudit | A::VerifyAudit => &[Kind::Audit],
            A::ReadStatistics | A::MakeReport => &[Kind::Statistics],
            A::ManageAccounts => &[Kind::Account],
            A::SetRetention | A::Notify | A::DeleteExpired | A::ManagePolicy => &[Kind::Deployment],
            _ => &[Kind::Incident],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_one_action_each() {
        for action in Action::all() {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
        assert_eq!(Action::parse("follow_person"), None);
    }
}
