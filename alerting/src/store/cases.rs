//! 立案: the code of a case, `<county>-<yyyymmdd>-<number>` (RULES C, edge 7). It is given once and stays with the incident.

use jiff::{Timestamp, tz::TimeZone};

use super::{Stored, Tx, sql::params};
use crate::region::RegionScheme;

/// The level of a county in a scheme of regions.
const COUNTY: usize = 1;

/// The next code in the county of a region, on the local day.
pub fn next_code(
    tx: &Tx<'_>,
    (regions, region): (&RegionScheme, &str),
    (now, zone): (Timestamp, &TimeZone),
) -> Stored<String> {
    let county = regions.lineage(region).nth(COUNTY).unwrap_or(region);
    let day = now.to_zoned(zone.clone()).strftime("%Y%m%d").to_string();
    tx.execute(
        "INSERT INTO case_number (county, day, last) VALUES (?1, ?2, 1)
         ON CONFLICT (county, day) DO UPDATE SET last = case_number.last + 1",
        params![county, &day],
    )?;
    let sql = "SELECT last FROM case_number WHERE county = ?1 AND day = ?2";
    let last: i64 = tx.value(sql, params![county, &day])?;
    Ok(format!("{county}-{day}-{last:05}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, testing};

    #[test]
    fn codes_count_within_a_county_and_a_local_day() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let code = |region: &'static str, at: &str| {
                let at: Timestamp = at.parse().unwrap();
                let zone = TimeZone::get("Asia/Shanghai").unwrap();
                store.write_blocking(move |tx| next_code(tx, (&RegionScheme::default(), region), (at, &zone))).unwrap()
            };
            assert_eq!(code("340203001002003", "2026-11-27T15:59:00Z"), "340203-20261127-00001");
            assert_eq!(code("340203009", "2026-11-27T03:00:00Z"), "340203-20261127-00002");
            assert_eq!(code("340203009", "2026-11-27T16:00:00Z"), "340203-20261128-00001", "the next day in Shanghai");
            assert_eq!(code("340204", "2026-11-27T03:00:00Z"), "340204-20261127-00001");
            assert_eq!(code("3402", "2026-11-27T03:00:00Z"), "3402-20261127-00001", "no county is known");
        });
    }
}
