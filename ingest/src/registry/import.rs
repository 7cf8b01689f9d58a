//! Cameras for the registry from a TOML file with `[[camera]]` or a CSV file with a column for each key.
//!
//! The same rules as for a worker's own files, except that passwords need not be here: only the worker that pulls reads them.
//! Records stand alone: what `[ingest.authorization]` of a settings file says is written into each here.
//! A CSV column's name is the key's path (`url`, `name.zh`, `credentials.password_file`); an empty cell leaves the key out, and
//! a cell of `position` is longitude and latitude with a space or comma between.

use std::path::Path;

use jiff::civil::Date;
use serde_json::{Map, Value};
use xueliang_events::{CameraId, payload::Suspension};
use xueliang_settings::{Mistake, Mistakes};

use crate::{
    authorization::{State, state},
    settings::{ImportDefaults, read_json_camera},
};

/// Keys whose values are numbers; all others are texts, also when they look like numbers.
const NUMBERS: [&str; 2] = ["analysis_fps", "largest_person"];

/// One camera of a file.
pub struct ImportRow {
    /// Its line or, in a TOML file, its place among the cameras.
    pub place: String,
    /// Its id and settings, or its mistakes.
    pub read: Result<(CameraId, Map<String, Value>), Mistakes>,
}

/// A row's place and its keys.
type Placed = (String, Map<String, Value>);

/// Reads a file; `Err` when it is as a whole no such file.
pub fn read_import(file: &Path, defaults: &ImportDefaults) -> Result<Vec<ImportRow>, Mistakes> {
    let refused = |problem: String| {
        let (key, cure) = (".".to_owned(), "write [[camera]] tables, or a CSV file with a header line".to_owned());
        Mistakes(vec![Mistake { file: file.to_owned(), line: 1, key, problem, cure }])
    };
    let text = std::fs::read_to_string(file).map_err(|error| refused(format!("can't be read: {error}")))?;
    let is_csv = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let rows = if is_csv { csv_rows(&text) } else { toml_rows(&text) }.map_err(refused)?;
    Ok(rows.into_iter().map(|(place, settings)| ImportRow { read: check(file, settings, defaults), place }).collect())
}

fn toml_rows(text: &str) -> Result<Vec<Placed>, String> {
    let document: Map<String, Value> = toml::from_str(text).map_err(|error| error.to_string())?;
    let cameras = document.get("camera").and_then(Value::as_array).ok_or("no [[camera]] stands in it")?;
    let row = |(index, camera): (usize, &Value)| Some((format!("camera[{index}]"), camera.as_object()?.clone()));
    cameras.iter().enumerate().map(|camera| row(camera).ok_or_else(|| "camera is no [[camera]]".to_owned())).collect()
}

fn csv_rows(text: &str) -> Result<Vec<Placed>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut settings = Map::new();
        for (key, cell) in header.iter().zip(&record).filter(|(_, cell)| !cell.is_empty()) {
            put(&mut settings, key.trim_start_matches('\u{feff}'), value(key, cell));
        }
        rows.push((format!("line {line}"), settings));
    }
    Ok(rows)
}

fn value(key: &str, cell: &str) -> Value {
    if key == "position" {
        let parts: Result<Vec<f64>, _> =
            cell.split([' ', ',']).filter(|part| !part.is_empty()).map(str::parse).collect();
        return parts.map_or_else(|_| Value::String(cell.to_owned()), Value::from);
    }
    let number = NUMBERS.contains(&key).then(|| cell.parse::<f64>().ok()).flatten();
    number.and_then(serde_json::Number::from_f64).map_or_else(|| Value::String(cell.to_owned()), Value::Number)
}

fn put(table: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((outer, inner)) => {
            if let Some(inside) = table.entry(outer).or_insert_with(|| Value::Object(Map::new())).as_object_mut() {
                put(inside, inner, value);
            }
        }
    }
}

/// Why a camera of the registry is not pulled on this day; empty when it is, or when its settings have mistakes.
pub fn suspended(settings: &Map<String, Value>, today: Date) -> Vec<Suspension> {
    let mut settings = settings.clone();
    // Only the worker that pulls it can read its password.
    settings.remove("credentials");
    let read = read_json_camera(&settings, Path::new("."), &ImportDefaults::default().checks);
    match read.map(|camera| state(&camera.authorization, today)) {
        Ok(State::Suspended { why }) => why,
        Ok(State::Active { .. }) | Err(_) => Vec::new(),
    }
}

fn check(
    file: &Path,
    mut settings: Map<String, Value>,
    defaults: &ImportDefaults,
) -> Result<(CameraId, Map<String, Value>), Mistakes> {
    defaults.fill(&mut settings);
    let id = settings.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let elsewhere =
        |mistake: &Mistake| mistake.key.ends_with(".password_file") || mistake.key.ends_with(".password_env");
    let mistakes = match read_json_camera(&settings, file, &defaults.checks.networks_only()) {
        Ok(camera) => return Ok((camera.id, settings)),
        Err(Mistakes(mistakes)) => mistakes,
    };
    match id {
        Some(id) if mistakes.iter().all(elsewhere) => Ok((id, settings)),
        _ => Err(Mistakes(mistakes.into_iter().filter(|mistake| !elsewhere(mistake)).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization::testing::TOML;

    const AUTHORIZATION: &str =
        ",authorization.legal_class,authorization.responsible_unit,authorization.place,authorization.first_used_on";

    fn read(name: &str, text: &str) -> Vec<(String, Result<String, String>)> {
        read_with(name, text, &ImportDefaults::default())
    }

    fn read_with(name: &str, text: &str, defaults: &ImportDefaults) -> Vec<(String, Result<String, String>)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let told = |row: ImportRow| {
            let read = row.read.map(|(_, settings)| Value::Object(settings).to_string());
            (row.place, read.map_err(|mistakes| mistakes.0[0].key.clone()))
        };
        read_import(&file, defaults).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn csv_columns_are_keys_and_a_bad_row_is_one_bad_camera() {
        let text = format!(
            "id,url,grid,position,name.zh,analysis_fps,credentials.username,credentials.password_file{AUTHORIZATION}\n\
            a,rtsp://10.0.0.1/1,340203001002003,118.376512 31.332912,北门,2.5,admin,passwords/a,799-7-gov,Unit,street,2026-08-01\n\
            b,http://10.0.0.1/1,,,,,,,799-7-gov,Unit,street,2026-08-01\n\
            c,rtsp://10.0.0.1/3,,,,,,,799-7-gov,Unit,street,2026-08-01\n\
            d,rtsp://10.0.0.1/4,,\"31.3, 118.4\",,,,,799-7-gov,Unit,street,2026-08-01\n\
            e,rtsp://10.0.0.1/5,,north gate,,,,,799-7-gov,Unit,street,2026-08-01\n"
        );
        let rows = read("cameras.csv", &text);
        let a = r#"{"id":"a","url":"rtsp://10.0.0.1/1","grid":"340203001002003","position":[118.376512,31.332912],"name":{"zh":"北门"},"analysis_fps":2.5,"credentials":{"username":"admin","password_file":"passwords/a"},"authorization":{"legal_class":"799-7-gov","responsible_unit":"Unit","place":"street","first_used_on":"2026-08-01"}}"#;
        assert_eq!(rows[0], ("line 2".to_owned(), Ok(a.to_owned())));
        assert_eq!(rows[1], ("line 3".to_owned(), Err("url".to_owned())));
        assert!(rows[2].1.is_ok());
        let latitude_first = &rows[3];
        assert_eq!(*latitude_first, ("line 5".to_owned(), Err("position".to_owned())), "that latitude is not on Earth");
        assert_eq!(rows[4], ("line 6".to_owned(), Err("position".to_owned())));
    }

    #[test]
    fn toml_keeps_zones_and_refuses_passwords() {
        let text = format!(
            "[[camera]]\nid = \"a\"\nurl = \"rtsp://h/1\"\n{TOML}[[camera.zone]]\nid = \"z\"\npoints = [[0, 0], [1, 0], [1, 1]]\n\
            [[camera]]\nid = \"b\"\nurl = \"rtsp://h/1\"\n{TOML}credentials = {{ username = \"u\", password = \"secret\" }}\n"
        );
        let rows = read("cameras.toml", &text);
        assert!(rows[0].1.as_ref().is_ok_and(|row| row.contains("\"zone\"")), "{rows:?}");
        assert!(rows[1].1.is_err());
    }

    #[test]
    fn what_is_no_such_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.toml", "[[camera]\n"), ("b.toml", "x = 1\n"), ("c.toml", "camera = [1]\n")] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            assert!(read_import(&file, &ImportDefaults::default()).is_err(), "{name}");
        }
        assert!(read_import(&folder.path().join("missing.csv"), &ImportDefaults::default()).is_err());
    }

    #[test]
    fn p01_a_row_gets_what_the_settings_say_of_all_cameras_and_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("city.toml");
        let text = "[ingest]\ndeclared_networks = [\"203.0.113.0/24\"]\n[ingest.authorization]\nlegal_class = \"799-9-other\"\n\
            responsible_unit = \"Unit\"\nfirst_used_on = \"2026-08-01\"\n\
            filing = { number = \"F-1\", filed_on = \"2026-08-02\", legal_class = \"799-9-other\", responsible_unit = \"Unit\" }\n";
        std::fs::write(&settings, text).unwrap();
        let defaults = ImportDefaults::load(&settings).unwrap();
        let text = "id,url,authorization.place,authorization.responsible_unit,authorization.filing.place\n\
            filed,rtsp://203.0.113.1/1,park,,park\n\
            unfiled,rtsp://203.0.113.1/1,park,Own unit,\n\
            unplaced,rtsp://203.0.113.1/1,,,\n\
            outside,rtsp://10.0.0.1/1,park,,\n";
        let rows = read_with("cameras.csv", text, &defaults);
        let filed = rows[0].1.as_ref().unwrap();
        assert!(filed.contains(r#""number":"F-1""#) && filed.contains(r#""legal_class":"799-9-other""#), "{filed}");
        let unfiled = rows[1].1.as_ref().unwrap();
        assert!(unfiled.contains("Own unit") && !unfiled.contains("filing"), "{unfiled}");
        assert_eq!(rows[2].1, Err("authorization.place".to_owned()));
        assert_eq!(rows[3].1, Err("url".to_owned()));
        assert!(read("cameras.csv", text).iter().all(|(_, row)| row.is_err()), "without the settings much is missing");
    }

    #[test]
    fn p02_a_prohibited_place_is_imported_so_that_whoever_pulls_the_camera_stops() {
        let text = format!(
            "[[camera]]\nid = \"a\"\nurl = \"rtsp://10.0.0.1/1\"\n{}",
            TOML.replace("place = \"simulated\", n", "place = \"toilet\", n")
        );
        let row = read("cameras.toml", &text).remove(0).1.unwrap();
        let settings: Map<String, Value> = serde_json::from_str(&row).unwrap();
        assert_eq!(suspended(&settings, jiff::civil::date(2026, 11, 27))[0], Suspension::ProhibitedPlace);
    }
}
