//! The policies: read, strictly validated, cut into what can concern one role and one action, and asked.
//!
//! In: schema and policies as text, then questions. Out: which policies permit or forbid, or a [`Fault`]. Invariant: any
//! error while a policy is evaluated is a fault and never an answer, for Cedar skips a `forbid` that fails. Cutting changes
//! no answer: what is left out names another role or another action.

use std::{
    collections::{HashMap, HashSet},
    str::FromStr as _,
};

use cedar_policy::{
    ActionConstraint, Authorizer, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, Request, Schema, ValidationMode, Validator,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Action, Approval, Assignment, Context, Grant, Kind, Person, Purpose, Resource, terms::Terms};
use crate::{region::RegionScheme, workflow::Role};

/// The schema that is built in.
pub(super) const SCHEMA: &str = include_str!("schema.cedarschema");
/// The policies that are built in.
pub(super) const POLICIES: &str = include_str!("policies.cedar");
const GROUPS: [&str; 5] = ["read", "write", "operate", "imagery", "sealed"];

/// Why the policies can't be used; alerting does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The schema.
    #[error("the policies' schema can't be read: {0}")]
    Schema(String),
    /// The policies' text.
    #[error("the policies can't be read: {0}")]
    Text(String),
    /// A policy without an id, or with that of another.
    #[error("each policy needs an @id of its own: {0}")]
    Id(String),
    /// Strict validation, its warnings included.
    #[error("the policies don't fit their schema: {0}")]
    Invalid(String),
    /// Schema and code don't know the same words.
    #[error("the policies' schema and the program differ: {0}")]
    Vocabulary(String),
}

/// Something went wrong while a question was asked; the answer is no, and somebody must look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(pub String);

pub(super) fn fault(error: impl std::error::Error) -> Fault {
    Fault(chain(&error))
}

/// What the policies say of one assignment; ids of the policies that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These permit, and none forbids.
    Permitted(Vec<String>),
    /// These forbid.
    Forbidden(Vec<String>),
    /// None says anything.
    Silent,
}

/// The policies, ready to be asked.
pub(super) struct Policies {
    schema: Schema,
    slices: HashMap<(Role, Action), PolicySet>,
    actions: HashMap<Action, Entity>,
    terms: Terms,
    authorizer: Authorizer,
    hash: String,
}

/// Who asks, by which assignments, to do what with what.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub person: &'a Person,
    pub assignments: &'a [Assignment],
    pub action: Action,
    pub resource: Resource<'a>,
    pub context: Context<'a>,
    pub regions: &'a RegionScheme,
}

impl Policies {
    /// Reads and checks them.
    pub fn load(schema_text: &str, policies_text: &str) -> Result<Self, PolicyError> {
        let (schema, warnings) =
            Schema::from_cedarschema_str(schema_text).map_err(|error| PolicyError::Schema(chain(&error)))?;
        let warnings: Vec<String> = warnings.map(|warning| warning.to_string()).collect();
        if !warnings.is_empty() {
            return Err(PolicyError::Schema(warnings.join("; ")));
        }
        let all = named(policies_text)?;
        let result = Validator::new(schema.clone()).validate(&all, ValidationMode::Strict);
        if !result.validation_passed_without_warnings() {
            let errors = result.validation_errors().map(ToString::to_string);
            let found: Vec<String> = errors.chain(result.validation_warnings().map(ToString::to_string)).collect();
            return Err(PolicyError::Invalid(found.join("; ")));
        }
        check_actions(&schema)?;
        let vocabulary = |Fault(text): Fault| PolicyError::Vocabulary(text);
        let terms = Terms::new().map_err(vocabulary)?;
        let known = schema.action_entities().map_err(|error| PolicyError::Schema(error.to_string()))?;
        let mut actions = HashMap::new();
        for action in Action::all() {
            let uid = terms.action(action.as_str());
            let entity = known.get(&uid).ok_or_else(|| PolicyError::Vocabulary(format!("{uid} is unknown")))?;
            actions.insert(action, entity.clone());
        }
        let slices = slices(&all, &terms, &known)?;
        let hash = hash(schema_text, policies_text);
        let policies = Self { schema, slices, actions, terms, authorizer: Authorizer::new(), hash };
        policies.rehearse().map_err(vocabulary)?;
        Ok(policies)
    }

    /// SHA-256 of schema and policies, for the audit.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    #[cfg(test)]
    pub fn ids(&self, role: Role, action: Action) -> Vec<String> {
        self.slices[&(role, action)].policies().map(|policy| policy.id().to_string()).collect()
    }

    /// What the policies say of each assignment.
    pub fn ask(&self, asked: Asked<'_>) -> Result<Vec<Verdict>, Fault> {
        let Asked { person, assignments, action, resource, context, regions } = asked;
        if !action.kinds().contains(&resource.kind) {
            return Err(Fault(format!("{} is asked of a thing of kind {}", action.as_str(), resource.kind.as_str())));
        }
        let thing = self.terms.resource(resource, regions)?;
        let (thing_id, context) = (thing.uid(), self.terms.context(action, context)?);
        let deed = self.actions.get(&action).ok_or_else(|| Fault("an action without an entity".to_owned()))?;
        let mut principals = Vec::with_capacity(assignments.len());
        for (place, assignment) in assignments.iter().enumerate() {
            principals.push(self.terms.assignment(person, assignment, place)?);
        }
        let ids: Vec<EntityUid> = principals.iter().map(Entity::uid).collect();
        principals.extend([thing, deed.clone()]);
        let entities = Entities::from_entities(principals, None).map_err(fault)?;
        let verdicts = assignments.iter().zip(ids).map(|(assignment, id)| {
            let request = Request::new(id, deed.uid(), thing_id.clone(), context.clone(), None).map_err(fault)?;
            self.decide((assignment.role, action), &request, &entities)
        });
        verdicts.collect()
    }

    fn decide(&self, slice: (Role, Action), request: &Request, entities: &Entities) -> Result<Verdict, Fault> {
        let slice = self.slices.get(&slice).ok_or_else(|| Fault("a role without policies".to_owned()))?;
        let response = self.authorizer.is_authorized(request, slice, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(fault(error));
        }
        let mut ids: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        ids.sort_unstable();
        Ok(match response.decision() {
            Decision::Allow => Verdict::Permitted(ids),
            Decision::Deny if ids.is_empty() => Verdict::Silent,
            Decision::Deny => Verdict::Forbidden(ids),
        })
    }

    /// Asks everything once, checked against the schema, so that a word or an attribute that the schema lacks stops the
    /// start. Later requests have the same shapes and are not checked again, which takes longer than a decision.
    fn rehearse(&self) -> Result<(), Fault> {
        for role in Role::ALL {
            self.rehearse_with(*role, Action::ReadIncident, Kind::Incident, Purpose::PublicSafetyWatch)?;
        }
        for purpose in Purpose::ALL {
            self.rehearse_with(Role::Operator, Action::ReadIncident, Kind::Incident, *purpose)?;
        }
        for action in Action::all() {
            for kind in action.kinds() {
                self.rehearse_with(Role::Operator, action, *kind, Purpose::PublicSafetyWatch)?;
            }
        }
        Ok(())
    }

    fn rehearse_with(&self, role: Role, action: Action, kind: Kind, purpose: Purpose) -> Result<(), Fault> {
        let (now, scheme, name) = (Timestamp::UNIX_EPOCH, RegionScheme::default(), Some("a"));
        let assignment = Assignment { role, region: "3402".to_owned(), valid_until: Some(now) };
        let (account, department) = ("a".to_owned(), Some("a".to_owned()));
        let display_name = account.clone();
        let person =
            Person { account, display_name, department, assignments: Vec::new(), training_valid_until: Some(now) };
        let bare = Resource::new(kind, "3402");
        let full = Resource { department: name, checker: name, verifier: name, reporter: name, handler: name, ..bare };
        let full = Resource { requester: name, requested_at: Some(now), approvers: &["a".to_owned()], ..full };
        let (supervisor, privacy_officer) = ("a".to_owned(), "b".to_owned());
        let grant = Grant {
            account: "a".to_owned(),
            action,
            object: "a".to_owned(),
            purpose,
            range: (now, now),
            granted_at: now,
            expires_at: now,
            approval: Approval::FourEyes { supervisor, privacy_officer },
        };
        let plain = Context::new(now, None).for_purpose(purpose);
        let laden = Context { range: Some((now, now)), grant: Some(&grant), ..Context::new(now, Some(now)) };
        for (resource, context) in [(bare, plain), (full, laden.for_purpose(purpose))] {
            let who = self.terms.assignment(&person, &assignment, 0)?;
            let thing = self.terms.resource(resource, &scheme)?;
            let (who_id, deed, thing_id) = (who.uid(), self.terms.action(action.as_str()), thing.uid());
            let circumstances = self.terms.context(action, context)?;
            Entities::from_entities([who, thing], Some(&self.schema)).map_err(fault)?;
            Request::new(who_id, deed, thing_id, circumstances, Some(&self.schema)).map_err(fault)?;
            let assignments = std::slice::from_ref(&assignment);
            self.ask(Asked { person: &person, assignments, action, resource, context, regions: &scheme })?;
        }
        Ok(())
    }
}

/// The policies under the ids that they are annotated with.
fn named(text: &str) -> Result<PolicySet, PolicyError> {
    let read = PolicySet::from_str(text).map_err(|error| PolicyError::Text(chain(&error)))?;
    let mut named = PolicySet::new();
    for policy in read.policies() {
        let id = policy.annotation("id").ok_or_else(|| PolicyError::Id(policy.to_string()))?;
        named.add(policy.new_id(PolicyId::new(id))).map_err(|error| PolicyError::Id(error.to_string()))?;
    }
    Ok(named)
}

/// The schema may know no action but ours, and each of the same kinds.
fn check_actions(schema: &Schema) -> Result<(), PolicyError> {
    for uid in schema.actions() {
        let key = uid.id().unescaped();
        if GROUPS.contains(&key) {
            continue;
        }
        let action = Action::parse(key).ok_or_else(|| PolicyError::Vocabulary(format!("{key} is no action")))?;
        let ours: HashSet<String> = action.kinds().iter().map(|kind| kind.as_str().to_owned()).collect();
        let theirs: HashSet<String> =
            schema.resources_for_action(uid).into_iter().flatten().map(ToString::to_string).collect();
        if ours != theirs {
            return Err(PolicyError::Vocabulary(format!("{key} is asked of other things")));
        }
    }
    Ok(())
}

fn slices(all: &PolicySet, terms: &Terms, known: &Entities) -> Result<HashMap<(Role, Action), PolicySet>, PolicyError> {
    let mut slices = HashMap::new();
    for role in Role::ALL {
        let roles = terms.roles(*role);
        for action in Action::all() {
            let uid = terms.action(action.as_str());
            let concerns = |policy: &&Policy| names_role(policy, &roles) && names_action(policy, &uid, known);
            let policies = all.policies().filter(concerns).cloned();
            let slice = PolicySet::from_policies(policies).map_err(|error| PolicyError::Id(error.to_string()))?;
            slices.insert((*role, action), slice);
        }
    }
    Ok(slices)
}

fn names_role(policy: &Policy, roles: &HashSet<EntityUid>) -> bool {
    match policy.principal_constraint() {
        PrincipalConstraint::In(role) => roles.contains(&role),
        _ => true,
    }
}

fn names_action(policy: &Policy, action: &EntityUid, known: &Entities) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => named == *action,
        ActionConstraint::In(named) => named.iter().any(|group| group == action || known.is_ancestor_of(group, action)),
    }
}

fn hash(schema: &str, policies: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"xueliang policy v1\0");
    for text in [schema, policies] {
        digest.update(text.len().to_string());
        digest.update(b"\0");
        digest.update(text);
    }
    hex::encode(digest.finalize())
}

fn chain(error: &dyn std::error::Error) -> String {
    crate::error_chain(error)
}
