//! Which open incident a firing belongs to (RULES C, edge 1): the same place, one close by, or one cause.
//!
//! The same place is the same zone or line of the same device. Close by is the same category at another device within
//! [`JOIN_WITHIN_M`], where the registry says where both are. One cause is a camera that falls silent within
//! [`SAME_CAUSE_WITHIN`] of another one of the same county and [`CAUSE_LASTS`] of the first, as behind a switch that fails; only while nobody has looked at the
//! incident yet, for its region then grows to what covers both.

use std::time::Duration;

use jiff::Timestamp;
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::Firing;

use crate::{
    region::RegionScheme,
    store::{
        Stored, Tx,
        apply::Applier,
        columns::key,
        sql::{Row, params},
    },
    workflow::State,
};

/// How old an open incident may be that a firing joins.
pub const JOIN_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// How far another device may be, metres.
pub const JOIN_WITHIN_M: f64 = 50.0;

/// How long after the last camera another one falls silent of the same cause.
pub const SAME_CAUSE_WITHIN: Duration = Duration::from_secs(60);

/// How long after the first one cameras are still taken to fail of one cause.
const CAUSE_LASTS: Duration = Duration::from_secs(300);

/// The level of a county in a scheme of regions: what one switch serves doesn't reach beyond.
const COUNTY: usize = 1;

/// An incident that a firing joins.
pub(super) struct Found {
    pub incident: IncidentId,
    pub state: State,
    pub version: u64,
    /// The device that it is named for.
    pub device: String,
    /// Its region with the firing's device.
    pub region: String,
}

/// The incident, if there is one.
pub(super) fn find_open(tx: &Tx<'_>, firing: &Firing, applier: &Applier) -> Stored<Option<Found>> {
    if let Some(same) = at_same_place(tx, firing)? {
        return Ok(Some(same));
    }
    if let Some(near) = close_by(tx, firing)? {
        return Ok(Some(near));
    }
    if firing.category == Category::CameraOffline {
        return of_same_cause(tx, firing, applier);
    }
    Ok(None)
}

/// The region that decides who may see what a device's firing opens.
pub(super) fn region_of<'f>(firing: &'f Firing, root_region: &'f str) -> &'f str {
    firing.grid.as_ref().map_or(root_region, |grid| grid.as_str())
}

/// Longitude and latitude of the firing's device.
pub(super) fn position_of(tx: &Tx<'_>, firing: &Firing) -> Stored<Option<(f64, f64)>> {
    let sql = "SELECT longitude, latitude FROM device WHERE id = ?1 AND longitude IS NOT NULL";
    let row = tx.row(sql, params![firing.device.as_str()])?;
    row.map(|row| Ok((row.get("longitude")?, row.get("latitude")?))).transpose()
}

fn oldest(firing: &Firing) -> Timestamp {
    firing.at.checked_sub(JOIN_WITHIN).unwrap_or(Timestamp::MIN)
}

fn at_same_place(tx: &Tx<'_>, firing: &Firing) -> Stored<Option<Found>> {
    let row = tx.row(
        "SELECT incident.* FROM incident_device JOIN incident ON incident.id = incident_device.incident
         WHERE incident_device.device = ?1 AND incident_device.place = ?2 AND category = ?3 AND is_open = 1
         AND opened_at >= ?4 ORDER BY opened_at DESC LIMIT 1",
        params![firing.device.as_str(), firing.place.to_string(), firing.category.as_str(), oldest(firing)],
    )?;
    row.as_ref().map(|row| found(row, row.get("region")?)).transpose()
}

fn close_by(tx: &Tx<'_>, firing: &Firing) -> Stored<Option<Found>> {
    let Some(here) = position_of(tx, firing)? else { return Ok(None) };
    let (d_longitude, d_latitude) = reach(here.1);
    let rows = tx.rows(
        "SELECT * FROM incident WHERE category = ?1 AND is_open = 1 AND opened_at >= ?2 AND device <> ?3
         AND longitude BETWEEN ?4 AND ?5 AND latitude BETWEEN ?6 AND ?7 ORDER BY opened_at DESC LIMIT 100",
        params![
            firing.category.as_str(),
            oldest(firing),
            firing.device.as_str(),
            here.0 - d_longitude,
            here.0 + d_longitude,
            here.1 - d_latitude,
            here.1 + d_latitude,
        ],
    )?;
    for row in &rows {
        if distance_m(here, (row.get("longitude")?, row.get("latitude")?)) <= JOIN_WITHIN_M {
            return found(row, row.get("region")?).map(Some);
        }
    }
    Ok(None)
}

fn of_same_cause(tx: &Tx<'_>, firing: &Firing, applier: &Applier) -> Stored<Option<Found>> {
    let region = region_of(firing, &applier.root_region);
    let from = firing.at.checked_sub(SAME_CAUSE_WITHIN).unwrap_or(Timestamp::MIN);
    let to = firing.at.checked_add(SAME_CAUSE_WITHIN).unwrap_or(Timestamp::MAX);
    let began = firing.at.checked_sub(CAUSE_LASTS).unwrap_or(Timestamp::MIN);
    let rows = tx.rows(
        "SELECT * FROM incident WHERE category = ?1 AND is_open = 1 AND opened_at >= ?2 AND state = ?3
         AND last_fired_at BETWEEN ?4 AND ?5 ORDER BY n_devices DESC, opened_at LIMIT 100",
        params![firing.category.as_str(), began, State::Suspected.as_str(), from, to],
    )?;
    for row in &rows {
        let theirs: String = row.get("region")?;
        if let Some(both) = common_region(&applier.regions, &theirs, region) {
            return found(row, both.to_owned()).map(Some);
        }
    }
    Ok(None)
}

/// The narrowest region that covers both; `None` when it is larger than a county and they differ.
fn common_region<'r>(regions: &RegionScheme, one: &'r str, other: &str) -> Option<&'r str> {
    if one == other {
        return Some(one);
    }
    regions.common(one, other).filter(|both| regions.level(both).is_ok_and(|level| level >= COUNTY))
}

fn found(row: &Row, region: String) -> Stored<Found> {
    Ok(Found {
        incident: key(row, "id", |text| text.parse().ok())?,
        state: key(row, "state", State::parse)?,
        version: row.get("version")?,
        device: row.get("device")?,
        region,
    })
}

const METRES_A_DEGREE: f64 = 111_320.0;

/// Degrees of longitude and latitude that hold everything within reach.
fn reach(latitude: f64) -> (f64, f64) {
    let d_latitude = JOIN_WITHIN_M / METRES_A_DEGREE;
    (d_latitude / latitude.to_radians().cos().max(0.01), d_latitude)
}

/// On the plane that touches the earth here; over 50 m the curvature is nothing.
fn distance_m(one: (f64, f64), other: (f64, f64)) -> f64 {
    let east = (one.0 - other.0) * one.1.to_radians().cos();
    let north = one.1 - other.1;
    east.hypot(north) * METRES_A_DEGREE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_grow_to_the_next_level_that_covers_both() {
        let check = |one, other, expected| {
            assert_eq!(common_region(&RegionScheme::default(), one, other), expected, "{one} {other}")
        };
        check("340203001001007", "340203001001008", Some("340203001001"));
        check("340203001001007", "340203001002007", Some("340203001"));
        check("340203001001007", "340203002001007", Some("340203"));
        check("340203001001007", "340204001001007", None);
        check("3402", "3402", Some("3402"));
        check("3402", "340203", None);
    }

    #[test]
    fn fifty_metres_are_fifty_metres_east_and_north() {
        let here = (118.38, 31.33);
        let (d_longitude, d_latitude) = reach(here.1);
        for there in [(here.0 + d_longitude, here.1), (here.0, here.1 - d_latitude)] {
            assert!((distance_m(here, there) - 50.0).abs() < 0.1, "{}", distance_m(here, there));
        }
    }
}
