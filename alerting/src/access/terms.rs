//! Our values as Cedar's: entities, records and their names.
//!
//! In: a person's assignment, a resource, a context. Out: what the policies' schema calls Assignment, Incident … and Asked.
//! An absent value is an absent attribute. Not here: what any of it means.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Context as CedarContext, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value,
};
use jiff::Timestamp;

use super::{
    Action, Approval, Assignment, Context, Grant, Kind, Person, Purpose, Resource,
    policies::{Fault, fault},
};
use crate::{region::RegionScheme, workflow::Role};

/// The names of the schema's types, parsed once.
#[derive(Debug)]
pub(super) struct Terms {
    assignment: EntityTypeName,
    role: EntityTypeName,
    purpose: EntityTypeName,
    action: EntityTypeName,
    kinds: HashMap<Kind, EntityTypeName>,
}

impl Terms {
    pub fn new() -> Result<Self, Fault> {
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(fault);
        let kinds = Kind::ALL.iter().map(|kind| Ok((*kind, name(kind.as_str())?)));
        Ok(Self {
            assignment: name("Assignment")?,
            role: name("Role")?,
            purpose: name("Purpose")?,
            action: name("Action")?,
            kinds: kinds.collect::<Result<_, Fault>>()?,
        })
    }

    /// A role and the groups to which it belongs.
    pub fn roles(&self, role: Role) -> HashSet<EntityUid> {
        let groups = [
            (role.as_str(), true),
            ("service", role.is_service()),
            ("person", !role.is_service()),
            ("centre", role.is_centre()),
            ("administrator", role.is_administrator()),
        ];
        groups.into_iter().filter(|(_, holds)| *holds).map(|(group, _)| uid(&self.role, group)).collect()
    }

    pub fn action(&self, key: &str) -> EntityUid {
        uid(&self.action, key)
    }

    /// Who asks: a person by one assignment, which has this place among those that ask.
    pub fn assignment(&self, person: &Person, assignment: &Assignment, place: usize) -> Result<Entity, Fault> {
        let mut attributes = Attributes::default();
        attributes.text("account", Some(&person.account));
        attributes.text("department", person.department.as_deref());
        attributes.text("region", Some(&assignment.region));
        attributes.time("valid_until", assignment.valid_until);
        let id = uid(&self.assignment, &place.to_string());
        Entity::new(id, attributes.0, self.roles(assignment.role)).map_err(fault)
    }

    /// What is asked for, in all the regions in which it lies.
    pub fn resource(&self, resource: Resource<'_>, scheme: &RegionScheme) -> Result<Entity, Fault> {
        let kind = self.kinds.get(&resource.kind).ok_or_else(|| Fault("a kind without a name".to_owned()))?;
        let mut attributes = Attributes::default();
        let regions = scheme.lineage(resource.region).map(|region| Value::new_string(region.to_owned()));
        attributes.text("id", Some(resource.id));
        attributes.set("regions", Some(Value::new_set(regions)));
        match resource.kind {
            Kind::Incident | Kind::Attachment => {
                attributes.text("department", resource.department);
                attributes.text("checker", resource.checker);
                attributes.text("verifier", resource.verifier);
                attributes.text("reporter", resource.reporter);
                attributes.text("handler", resource.handler);
            }
            Kind::Grant => {
                let approvers = resource.approvers.iter().map(|name| Value::new_string(name.clone()));
                attributes.text("requester", resource.requester);
                attributes.set("approvers", Some(Value::new_set(approvers)));
                attributes.time("requested_at", resource.requested_at);
            }
            _ => {}
        }
        Entity::new(uid(kind, resource.id), attributes.0, HashSet::new()).map_err(fault)
    }

    pub fn context(&self, action: Action, context: Context<'_>) -> Result<CedarContext, Fault> {
        let mut pairs = Attributes::default();
        pairs.time("now", Some(context.now));
        pairs.set("has_reason", Some(Value::new_bool(context.has_reason)));
        pairs.set("unreviewed_break_glass", Some(Value::new_bool(context.unreviewed_break_glass)));
        pairs.set("purpose", context.purpose.map(|purpose| self.purpose(purpose)));
        pairs.time("training_valid_until", context.training_valid_until);
        pairs.set("range", context.range.map(span).transpose()?);
        pairs.set("grant", context.grant.map(|grant| self.grant(action, grant)).transpose()?);
        CedarContext::from_pairs(pairs.0).map_err(fault)
    }

    fn grant(&self, action: Action, grant: &Grant) -> Result<Value, Fault> {
        let mut fields = Attributes::default();
        fields.text("account", Some(&grant.account));
        fields.text("object", Some(&grant.object));
        fields.set("for_this_action", Some(Value::new_bool(grant.action == action)));
        fields.set("purpose", Some(self.purpose(grant.purpose)));
        fields.set("range", Some(span(grant.range)?));
        fields.time("granted_at", Some(grant.granted_at));
        fields.time("expires_at", Some(grant.expires_at));
        fields.set("break_glass", Some(Value::new_bool(grant.approval == Approval::BreakGlass)));
        if let Approval::FourEyes { supervisor, privacy_officer } = &grant.approval {
            fields.text("supervisor", Some(supervisor));
            fields.text("privacy_officer", Some(privacy_officer));
        }
        Value::new_record(fields.0).map_err(fault)
    }

    fn purpose(&self, purpose: Purpose) -> Value {
        Value::new_entity_uid(uid(&self.purpose, purpose.as_str()))
    }
}

#[derive(Default)]
struct Attributes(HashMap<String, Value>);

impl Attributes {
    fn set(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        self.set(name, text.map(|text| Value::new_string(text.to_owned())));
    }

    fn time(&mut self, name: &str, time: Option<Timestamp>) {
        self.set(name, time.map(|time| Value::new_long(time.as_microsecond())));
    }
}

fn span((from, until): (Timestamp, Timestamp)) -> Result<Value, Fault> {
    let mut fields = Attributes::default();
    fields.time("from", Some(from));
    fields.time("until", Some(until));
    Value::new_record(fields.0).map_err(fault)
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}
