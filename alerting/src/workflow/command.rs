//! The vocabulary of the workflow: states, commands, roles, and what a command must carry.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of the procedure.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The key in the API and the store.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $key),* }
            }

            /// Reads the key.
            pub fn parse(key: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == key)
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// Where an incident stands.
    State {
        /// A rule fired; nobody has looked.
        Suspected => "suspected",
        /// Looked at, and it was nothing.
        Discarded => "discarded",
        /// A person says it is so.
        Reported => "reported",
        /// 核查: a grid worker looks on site.
        Checking => "checking",
        /// Not on the admission list.
        Void => "void",
        /// 立案: a case.
        Filed => "filed",
        /// 派遣: given to a department.
        Dispatched => "dispatched",
        /// 退回: given back by the department.
        Returned => "returned",
        /// Given back twice: the supervisor decides.
        Arbitration => "arbitration",
        /// 处置: being worked on.
        Handling => "handling",
        /// The handler says it is done.
        Feedback => "feedback",
        /// 核实: being verified.
        Verifying => "verifying",
        /// 结案: done.
        Closed => "closed",
        /// 挂账: waits for an outside cause.
        Suspended => "suspended",
        /// Open again with new evidence.
        Reopened => "reopened",
        /// 评价: counted.
        Evaluated => "evaluated",
    }
}

impl State {
    /// True while firings of the same place join it.
    pub fn is_open(self) -> bool {
        !matches!(self, State::Discarded | State::Void | State::Closed | State::Evaluated)
    }
}

vocabulary! {
    /// What can be done with an incident.
    Command {
        /// It was nothing.
        Discard => "discard",
        /// It is so.
        Report => "report",
        /// Send a grid worker to look.
        Check => "check",
        /// The grid worker has looked.
        Checked => "checked",
        /// Not ours.
        Void => "void",
        /// Make it a case.
        File => "file",
        /// Give it to a department.
        Dispatch => "dispatch",
        /// Give it back.
        Return => "return",
        /// Give it to a department again.
        Redispatch => "redispatch",
        /// Let the supervisor decide.
        Arbitrate => "arbitrate",
        /// Start to work on it.
        Handle => "handle",
        /// Say that it is done.
        Feedback => "feedback",
        /// Send it back to work.
        Rework => "rework",
        /// Have it verified.
        Verify => "verify",
        /// Not up to standard.
        Reject => "reject",
        /// Done.
        Close => "close",
        /// Wait for an outside cause.
        Suspend => "suspend",
        /// Go on.
        Resume => "resume",
        /// Open it again.
        Reopen => "reopen",
        /// Count it.
        Evaluate => "evaluate",
    }
}

vocabulary! {
    /// What a person, or a part of the software, is there for (RULES B).
    Role {
        /// 网格员
        GridWorker => "grid_worker",
        /// 值守
        Operator => "operator",
        /// 派遣员
        Dispatcher => "dispatcher",
        /// 值班长
        Supervisor => "supervisor",
        /// 部门联络员
        DeptLiaison => "dept_liaison",
        /// Registers and calibrates cameras.
        CameraIntegrator => "camera_integrator",
        /// Approves raw, export and release.
        PrivacyOfficer => "privacy_officer",
        /// Reads and verifies the audit.
        Auditor => "auditor",
        /// 系统管理员: accounts and rules.
        SystemAdmin => "system_admin",
        /// 安全管理员: policy.
        SecurityAdmin => "security_admin",
        /// 审计管理员: the audit's keeping.
        AuditAdmin => "audit_admin",
        /// A job of the software itself, which counts closed incidents; never a person.
        Job => "job",
        /// Ingest, as it pushes events.
        IngestWorker => "ingest_worker",
        /// Sends what stands in the outbox.
        Notifier => "notifier",
        /// Writes reports of counts.
        ReportExport => "report_export",
        /// Deletes what has expired.
        Sweeper => "sweeper",
        /// Another system that follows incidents, by a token.
        IncidentReader => "incident_reader",
        /// Another system that follows how devices are, by a token.
        DeviceReader => "device_reader",
    }
}

impl Role {
    /// True for a part of the software; such a role never signs in.
    pub fn is_service(self) -> bool {
        use Role as R;
        matches!(self, R::Job | R::IngestWorker | R::Notifier | R::ReportExport | R::Sweeper)
            || matches!(self, R::IncidentReader | R::DeviceReader)
    }

    /// True for the centre's own people, who may hold each other's roles.
    pub fn is_centre(self) -> bool {
        matches!(self, Role::Operator | Role::Dispatcher | Role::Supervisor)
    }

    /// True for the three administrators (P29).
    pub fn is_administrator(self) -> bool {
        matches!(self, Role::SystemAdmin | Role::SecurityAdmin | Role::AuditAdmin)
    }
}

/// Something a command must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its key.
    pub name: &'static str,
    /// False when it may be left out.
    pub required: bool,
}

impl Command {
    /// What it must carry beside a reason.
    pub fn fields(self) -> &'static [FieldSpec] {
        const fn required(name: &'static str) -> FieldSpec {
            FieldSpec { name, required: true }
        }
        const CHECKER: &[FieldSpec] = &[required("checker")];
        const DEPARTMENT: &[FieldSpec] = &[required("department")];
        const HANDLER: &[FieldSpec] = &[required("handler")];
        const RESULT: &[FieldSpec] = &[required("result")];
        const VERIFIER: &[FieldSpec] = &[required("verifier")];
        const UNTIL: &[FieldSpec] = &[required("until")];
        match self {
            Command::Check => CHECKER,
            Command::Dispatch | Command::Redispatch => DEPARTMENT,
            Command::Handle => HANDLER,
            Command::Checked | Command::Feedback => RESULT,
            Command::Verify => VERIFIER,
            Command::Suspend => UNTIL,
            _ => &[],
        }
    }

    /// The reason codes to choose from; empty when it needs no reason.
    pub fn reasons(self) -> &'static [&'static str] {
        match self {
            Command::Discard => &["nothing_there", "wrong_class", "permitted", "repeated", "test", "other"],
            Command::Void => &["not_on_list", "other_region", "repeated", "other"],
            Command::Return => &["not_ours", "wrong_place", "needs_others", "other"],
            Command::Rework => &["proof_missing", "not_done", "other"],
            Command::Reject => &["not_up_to_standard", "came_back", "other"],
            Command::Suspend => &["weather", "construction", "waiting_for_parts", "third_party", "other"],
            Command::Reopen => &["new_evidence", "came_back"],
            _ => &[],
        }
    }
}
