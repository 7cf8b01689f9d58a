//! Holds: placed by a grant, and which there are.

use axum::{Json, extract::State};
use jiff::Timestamp;

use super::{
    Api,
    person::{Signed, asked_now, check_in_force},
    problem::Answer,
    shapes::{
        ProblemBody,
        grants::{Hold, HoldList, HoldRequest},
    },
    taken::Body,
};
use crate::{
    access::{Action, Asker, Context, Kind, Purpose, Resource},
    store::{
        holds::{self, newest, place},
        incidents::Incident,
    },
};

/// Keep an incident's pictures beyond their end; with a grant to hold.
#[utoipa::path(
    post, path = "/api/v1/holds", operation_id = "place_hold", tag = "grants", request_body = HoldRequest,
    responses((status = 200, body = Hold), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody))
)]
pub(super) async fn place_one(
    State(api): State<Api>,
    signed: Signed,
    Body(body): Body<HoldRequest>,
) -> Answer<Json<Hold>> {
    let HoldRequest { grant } = body;
    let access = api.access.clone();
    let placed = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &signed.person };
        place(tx, asker, grant, asked_now(&signed.person))
    });
    Ok(Json(shape(placed.await??, Timestamp::now())))
}

/// Holds of the last 90 days, for who may see the incident or says how long things are kept.
#[utoipa::path(
    get, path = "/api/v1/holds", operation_id = "list_holds", tag = "grants",
    responses((status = 200, body = HoldList), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn list(State(api): State<Api>, signed: Signed) -> Answer<Json<HoldList>> {
    check_in_force(&signed.person)?;
    let context = asked_now(&signed.person).for_purpose(Purpose::IncidentHandling);
    let found = api.store.read(move |tx| newest(tx, context.now)).await?;
    let asker = Asker { access: &api.access, person: &signed.person };
    let seen = found.into_iter().filter(|(_, incident)| sees(asker, incident, context));
    Ok(Json(HoldList { items: seen.map(|(hold, _)| shape(hold, context.now)).collect() }))
}

fn sees(asker: Asker<'_>, incident: &Incident, context: Context<'_>) -> bool {
    let deployment = Resource::new(Kind::Deployment, &incident.region);
    let may = |action, resource| asker.access.authorize(asker.person, action, resource, context).is_ok();
    may(Action::ReadIncident, incident.resource()) || may(Action::SetRetention, deployment)
}

fn shape(hold: holds::Hold, now: Timestamp) -> Hold {
    let holds::Hold { grant, incident, case, placed_by, placed_at, ends_at } = hold;
    let active = now < ends_at;
    Hold { grant: grant.to_string(), incident: incident.to_string(), case, placed_by, placed_at, ends_at, active }
}
