//! Devices and rules, to be shown.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use xueliang_rules::RuleId;

use super::{
    Api,
    person::{Caller, Signed, asked_now, nothing_in_scope},
    problem::{Answer, Problem},
    shapes::{
        Bbox, Bilingual, Device, DeviceList, ProblemBody, Rule, RuleList, RuleVersion, RuleVersionList, StaticList,
        StaticObject,
    },
    taken::Named,
};
use crate::{
    access::{Action, Kind, Person, Purpose, Resource, Scope},
    store::{devices, rule_versions, statics},
    words,
};

/// Most versions of a rule that are shown.
const MAX_VERSIONS: usize = 200;

/// The devices in scope.
#[utoipa::path(
    get, path = "/api/v1/devices", operation_id = "list_devices", tag = "devices",
    responses((status = 200, body = DeviceList), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Answer<Json<DeviceList>> {
    let scope = scope(&api, &caller.person)?;
    let mut found = api.store.read(|transaction| devices::since(transaction, 0)).await?;
    found.retain(|device| scope.covers(resource(device)));
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Json(DeviceList { items: found.iter().map(shape).collect() }))
}

/// Static objects: what stood at one place of a zone for hours, is told once and then no more.
#[utoipa::path(
    get, path = "/api/v1/statics", operation_id = "list_statics", tag = "devices",
    responses((status = 200, body = StaticList), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn statics(State(api): State<Api>, signed: Signed) -> Answer<Json<StaticList>> {
    let scope = scope(&api, &signed.person)?;
    let (learnt, known) = api.store.read(|tx| Ok((statics::all(tx)?, devices::since(tx, 0)?))).await?;
    let visible: BTreeSet<_> =
        known.iter().filter(|device| scope.covers(resource(device))).map(|device| &device.id).collect();
    let items = learnt.into_iter().filter(|(device, _)| visible.contains(device)).map(|(device, learnt)| {
        let [x, y, w, h] = learnt.bbox.xywh();
        StaticObject {
            device: device.to_string(),
            zone: learnt.zone.to_string(),
            class: learnt.class.as_str().to_owned(),
            bbox: Bbox { x, y, w, h },
            since: learnt.since,
            seen_at: learnt.seen_at,
        }
    });
    Ok(Json(StaticList { items: items.collect() }))
}

/// The devices that somebody may see; none is an error.
fn scope(api: &Api, person: &Person) -> Answer<Scope> {
    let asked = asked_now(person).for_purpose(Purpose::DeviceMaintenance);
    let scope = api.access.scope(person, Action::ReadDevices, asked);
    if scope.0.is_empty() { Err(nothing_in_scope(person).into()) } else { Ok(scope) }
}

/// The rules.
#[utoipa::path(
    get, path = "/api/v1/rules", operation_id = "list_rules", tag = "devices",
    responses((status = 200, body = RuleList), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn rules(State(api): State<Api>, signed: Signed) -> Answer<Json<RuleList>> {
    may_read_rules(&api, &signed.person)?;
    let engine = api.rules.engine();
    let items = engine.rules().iter().map(|rule| Rule {
        id: rule.id.to_string(),
        version: rule.version,
        category: rule.category.as_str().to_owned(),
        enabled: rule.enabled,
        kind: rule.kind.as_str().to_owned(),
        devices: rule.devices.iter().map(ToString::to_string).collect(),
        place: rule.place.id().map(str::to_owned),
        for_s: rule.kind.hold().as_secs_f64(),
        description: words::rule(rule).into(),
    });
    Ok(Json(RuleList { items: items.collect() }))
}

/// What each version of a rule meant, the newest 200 first: an incident names the version that opened it.
#[utoipa::path(
    get, path = "/api/v1/rules/{rule}/versions", operation_id = "list_rule_versions", tag = "devices",
    params(("rule" = String, Path, description = "The rule, also one that is gone.")),
    responses((status = 200, body = RuleVersionList), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn versions(
    State(api): State<Api>,
    signed: Signed,
    Named(rule): Named<RuleId>,
) -> Answer<Json<RuleVersionList>> {
    may_read_rules(&api, &signed.person)?;
    let found = api.store.read(move |tx| rule_versions::of_rule(tx, &rule, MAX_VERSIONS)).await?;
    let shape = |found: rule_versions::RuleVersion| {
        let rule_versions::RuleVersion { version, meaning, sha256, seen_at, .. } = found;
        RuleVersion { version, meaning, sha256, seen_at }
    };
    match found.is_empty() {
        true => Err(Problem::not_found()),
        false => Ok(Json(RuleVersionList { items: found.into_iter().map(shape).collect() })),
    }
}

fn may_read_rules(api: &Api, person: &Person) -> Answer<()> {
    let asked = asked_now(person).for_purpose(Purpose::PublicSafetyWatch);
    match api.access.scope(person, Action::ReadRules, asked).0.is_empty() {
        true => Err(nothing_in_scope(person).into()),
        false => Ok(()),
    }
}

pub(super) fn resource(device: &devices::Device) -> Resource<'_> {
    Resource::new(Kind::Device, &device.region)
}

pub(super) fn shape(device: &devices::Device) -> Device {
    let id = device.id.to_string();
    let (zh, en) = &device.names;
    let name = Bilingual {
        zh: zh.clone().or_else(|| en.clone()).unwrap_or_else(|| id.clone()),
        en: en.clone().or_else(|| zh.clone()).unwrap_or_else(|| id.clone()),
    };
    Device {
        id,
        kind: device.kind.clone(),
        name,
        state: device.state.clone(),
        cause: device.cause.clone(),
        suspended: device.suspended.clone(),
        since: device.since,
        last_seen: Some(device.last_seen),
        grid: device.grid.clone(),
    }
}
