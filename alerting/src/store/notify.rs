//! Notifications in the store: changes become messages in one transaction, and each message is leased by one process at a time.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::Urgency;

use super::{
    Stored, Tx,
    columns::{json, key, to_json},
    incidents,
    sql::{Row, params},
};
use crate::{
    notify::{
        Change, Channel, Delivery, Group, GroupKey, Kind, Message, Pace, Road, Standing, Subject, Tries, next_try, plan,
    },
    words,
    workflow::{Note, State},
};

/// How long a process may take for one delivery before another one tries.
const LEASE: Duration = Duration::from_secs(180);
/// Most changes taken in at once.
const STEP: i64 = 500;

/// A message that this process delivers now.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The message.
    pub message: Message,
    /// How often it was tried, this time included.
    pub n_tries: u32,
}

/// Where a channel stands.
struct Standpoint {
    seen: i64,
    pace: Pace,
    next_at: Option<Timestamp>,
}

/// True when [`advance`] or [`lease`] may find something; asked by readers, so that a quiet channel takes nobody's turn to write.
pub fn is_any_due(tx: &Tx<'_>, channel: &Channel, now: Timestamp) -> Stored<bool> {
    let known = "SELECT seen FROM notify_channel WHERE channel = ?1 AND (next_at IS NULL OR next_at > ?2)";
    let Some(row) = tx.row(known, params![&channel.name, now])? else { return Ok(true) };
    let waits = "SELECT EXISTS (SELECT 1 FROM notification WHERE channel = ?1 AND outcome = 'waiting' AND next_at <= ?2
        AND leased_until <= ?2) OR EXISTS (SELECT 1 FROM change WHERE seq > ?3)";
    tx.value(waits, params![&channel.name, now, row.first::<i64>()?])
}

/// Takes new changes into the channel's groups and writes down what they make due; true when there may be more changes.
pub fn advance(tx: &Tx<'_>, channel: &Channel, now: Timestamp) -> Stored<bool> {
    let standpoint = standpoint(tx, channel)?;
    let rows = tx.rows(
        "SELECT change.seq, change.at, change.action, change.from_state, change.to_state, incident.id,
         incident.category, incident.region, incident.urgency FROM change JOIN incident ON incident.id = change.incident
         WHERE change.seq > ?1 ORDER BY change.seq LIMIT ?2",
        params![standpoint.seen, STEP],
    )?;
    if rows.is_empty() && standpoint.next_at.is_none_or(|at| at > now) {
        return Ok(false);
    }
    let before = groups(tx, channel)?;
    let mut after = before.clone();
    for row in &rows {
        take(&mut after, row, channel)?;
    }
    let n_waiting = tx.value::<u64>(
        "SELECT count(*) FROM notification WHERE channel = ?1 AND outcome = 'waiting'",
        params![&channel.name],
    )?;
    let road = Road { pace: &standpoint.pace, n_waiting: usize::try_from(n_waiting).unwrap_or(usize::MAX) };
    let planned = plan(channel, &mut after, road, now);
    for message in &planned.messages {
        let message = Message::new(message, &subjects(tx, message.to_name())?);
        tx.execute(
            "INSERT INTO notification (id, channel, json, made_at, next_at) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT DO NOTHING",
            params![message.id.to_string(), &channel.name, to_json("a notification", &message)?, now],
        )?;
    }
    store_groups(tx, channel, (&before, &after))?;
    let seen = rows.last().map_or(Ok(standpoint.seen), |row| row.get("seq"))?;
    tx.execute(
        "UPDATE notify_channel SET seen = ?2, next_at = ?3 WHERE channel = ?1",
        params![&channel.name, seen, planned.next_at],
    )?;
    Ok(rows.len() as i64 == STEP)
}

/// Takes the channel's oldest message that is due and that nobody else delivers, as long as its pace allows.
pub fn lease(tx: &Tx<'_>, channel: &Channel, now: Timestamp) -> Stored<Option<Leased>> {
    let Standpoint { mut pace, .. } = standpoint(tx, channel)?;
    if pace.free_at(channel.per_minute, now) > now {
        return Ok(None);
    }
    let row = tx.row(
        "UPDATE notification SET leased_until = ?3, n_tries = n_tries + 1 WHERE id IN
         (SELECT id FROM notification WHERE channel = ?1 AND outcome = 'waiting' AND next_at <= ?2 AND leased_until <= ?2
         ORDER BY next_at, id LIMIT 1) RETURNING json, n_tries",
        params![&channel.name, now, now.checked_add(LEASE).unwrap_or(Timestamp::MAX)],
    )?;
    let Some(row) = row else { return Ok(None) };
    pace.note(now);
    let pace = to_json("a pace", &pace)?;
    tx.execute("UPDATE notify_channel SET pace = ?2 WHERE channel = ?1", params![&channel.name, pace])?;
    let message = json("a notification", &row.get::<String>("json")?)?;
    Ok(Some(Leased { message, n_tries: row.get("n_tries")? }))
}

/// Writes down what became of a message; true when it is given up.
pub fn settle(tx: &Tx<'_>, leased: &Leased, delivery: &Delivery, now: Timestamp) -> Stored<bool> {
    let (id, made_at) = (leased.message.id, leased.message.at);
    let again = |after: Option<Duration>| next_try(&Tries { id, n: leased.n_tries, first_at: made_at }, after, now);
    let (outcome, next_at, detail) = match delivery {
        Delivery::Delivered => ("delivered", None, None),
        Delivery::Dead { reason } => ("dead", None, Some(reason)),
        Delivery::Retry { after, reason } => match again(*after) {
            Some(at) => ("waiting", Some(at), Some(reason)),
            None => ("dead", None, Some(reason)),
        },
    };
    tx.execute(
        "UPDATE notification SET outcome = ?2, next_at = ?3, leased_until = 0, detail = ?4 WHERE id = ?1",
        params![id.to_string(), outcome, next_at.unwrap_or(now), detail.map(String::as_str)],
    )?;
    Ok(outcome == "dead")
}

/// Begins with what changes from now on.
fn standpoint(tx: &Tx<'_>, channel: &Channel) -> Stored<Standpoint> {
    let known = tx.row("SELECT seen, pace, next_at FROM notify_channel WHERE channel = ?1", params![&channel.name])?;
    if let Some(row) = known {
        let pace = json("a pace", &row.get::<String>("pace")?)?;
        return Ok(Standpoint { seen: row.get("seen")?, pace, next_at: row.get("next_at")? });
    }
    let (seen, pace) = (super::changes::newest(tx)?, Pace::default());
    tx.execute(
        "INSERT INTO notify_channel (channel, seen, pace) VALUES (?1, ?2, ?3)",
        params![&channel.name, seen, to_json("a pace", &pace)?],
    )?;
    Ok(Standpoint { seen, pace, next_at: None })
}

fn take(groups: &mut BTreeMap<GroupKey, Group>, row: &Row, channel: &Channel) -> Stored<()> {
    let (action, from): (String, Option<String>) = (row.get("action")?, row.get("from_state")?);
    let to = key(row, "to_state", State::parse)?;
    let region: String = row.get("region")?;
    let change = Change {
        incident: key(row, "id", |text| text.parse().ok())?,
        category: key(row, "category", Category::parse)?,
        region: &region,
        urgency: key(row, "urgency", Urgency::parse)?,
        kind: match action.as_str() {
            "remind" => Some(Kind::Reminder),
            "overdue" => Some(Kind::Overdue),
            "escalate" => Some(Kind::Escalated),
            "break_glass" => Some(Kind::GlassBroken),
            _ => Kind::of_move(from.as_deref().and_then(State::parse), to),
        },
        standing: Standing::of(to),
        at: row.get("at")?,
    };
    // An incident whose region has grown stays where it was told.
    let of_it = |(key, group): &(&GroupKey, &Group)| key.category == change.category && group.knows(change.incident);
    let known = groups.iter().find(of_it).map(|(key, _)| key.clone());
    if let Some(key) = known.or_else(|| GroupKey::of(&change, channel)) {
        let group = groups.entry(key).or_default();
        if action == Note::Acknowledge.as_str() {
            group.acknowledge(change.incident);
        } else {
            group.take(&change, channel);
        }
    }
    Ok(())
}

fn groups(tx: &Tx<'_>, channel: &Channel) -> Stored<BTreeMap<GroupKey, Group>> {
    let rows = tx.rows("SELECT * FROM notify_group WHERE channel = ?1", params![&channel.name])?;
    let groups = rows.iter().map(|row| {
        let (region, category) = (row.get("region")?, key(row, "category", Category::parse)?);
        Ok((GroupKey { region, category }, json("a group", &row.get::<String>("json")?)?))
    });
    groups.collect()
}

fn store_groups(
    tx: &Tx<'_>,
    channel: &Channel,
    (before, after): (&BTreeMap<GroupKey, Group>, &BTreeMap<GroupKey, Group>),
) -> Stored<()> {
    let named = |key: &GroupKey| params![&channel.name, &key.region, key.category.as_str()].to_vec();
    let gone: Vec<_> = before.keys().filter(|key| !after.contains_key(key)).map(named).collect();
    tx.execute_each("DELETE FROM notify_group WHERE channel = ?1 AND region = ?2 AND category = ?3", &gone)?;
    let changed = after.iter().filter(|(key, group)| before.get(key) != Some(group)).map(|(key, group)| {
        let json = to_json("a group", group)?;
        Ok([named(key), params![json].to_vec()].concat())
    });
    tx.execute_each(
        "INSERT INTO notify_group (channel, region, category, json) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (channel, region, category) DO UPDATE SET json = excluded.json",
        &changed.collect::<Stored<Vec<_>>>()?,
    )?;
    Ok(())
}

fn subjects(tx: &Tx<'_>, ids: impl Iterator<Item = IncidentId>) -> Stored<BTreeMap<IncidentId, Subject>> {
    let mut subjects = BTreeMap::new();
    for id in ids {
        if let Some(incident) = incidents::load(tx, id)? {
            let device = match &incident.device {
                Some(device) => words::device(device.as_str(), &incident.device_names),
                None => words::reporter(incident.entry),
            };
            subjects.insert(id, Subject { opened_at: incident.opened_at, device });
        }
    }
    Ok(subjects)
}

#[cfg(test)]
mod tests;
