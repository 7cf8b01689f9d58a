//! Cameras for the registry from a TOML file with `[[camera]]` or a CSV file with a column for each key.
//!
//! The same rules as for a worker's own files, except that passwords need not be here: only the worker that pulls reads them.
//! A CSV column's name is the key's path (`url`, `name.zh`, `credentials.password_file`); an empty cell leaves the key out.

use std::path::Path;

use serde_json::{Map, Value};
use xueliang_events::CameraId;
use xueliang_settings::{Mistake, Mistakes};

use crate::settings::read_json_camera;

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
pub fn read_import(file: &Path) -> Result<Vec<ImportRow>, Mistakes> {
    let refused = |problem: String| {
        let (key, cure) = (".".to_owned(), "write [[camera]] tables, or a CSV file with a header line".to_owned());
        Mistakes(vec![Mistake { file: file.to_owned(), line: 1, key, problem, cure }])
    };
    let text = std::fs::read_to_string(file).map_err(|error| refused(format!("can't be read: {error}")))?;
    let is_csv = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let rows = if is_csv { csv_rows(&text) } else { toml_rows(&text) }.map_err(refused)?;
    Ok(rows.into_iter().map(|(place, settings)| ImportRow { read: check(file, settings), place }).collect())
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

fn check(file: &Path, settings: Map<String, Value>) -> Result<(CameraId, Map<String, Value>), Mistakes> {
    let id = settings.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let elsewhere =
        |mistake: &Mistake| mistake.key.ends_with(".password_file") || mistake.key.ends_with(".password_env");
    let mistakes = match read_json_camera(&settings, file) {
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

    fn read(name: &str, text: &str) -> Vec<(String, Result<String, String>)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let told = |row: ImportRow| {
            let read = row.read.map(|(_, settings)| Value::Object(settings).to_string());
            (row.place, read.map_err(|mistakes| mistakes.0[0].key.clone()))
        };
        read_import(&file).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn csv_columns_are_keys_and_a_bad_row_is_one_bad_camera() {
        let text = "id,url,grid,name.zh,analysis_fps,credentials.username,credentials.password_file\n\
            a,rtsp://10.0.0.1/1,340203001002003,北门,2.5,admin,passwords/a\n\
            b,http://10.0.0.1/1,,,,,\n\
            c,rtsp://10.0.0.1/3,,,,,\n";
        let rows = read("cameras.csv", text);
        let a = r#"{"id":"a","url":"rtsp://10.0.0.1/1","grid":"340203001002003","name":{"zh":"北门"},"analysis_fps":2.5,"credentials":{"username":"admin","password_file":"passwords/a"}}"#;
        assert_eq!(rows[0], ("line 2".to_owned(), Ok(a.to_owned())));
        assert_eq!(rows[1], ("line 3".to_owned(), Err("url".to_owned())));
        assert!(rows[2].1.is_ok());
    }

    #[test]
    fn toml_keeps_zones_and_refuses_passwords() {
        let text = "[[camera]]\nid = \"a\"\nurl = \"rtsp://h/1\"\n[[camera.zone]]\nid = \"z\"\npoints = [[0, 0], [1, 0], [1, 1]]\n\
            [[camera]]\nid = \"b\"\nurl = \"rtsp://h/1\"\ncredentials = { username = \"u\", password = \"secret\" }\n";
        let rows = read("cameras.toml", text);
        assert!(rows[0].1.as_ref().is_ok_and(|row| row.contains("\"zone\"")), "{rows:?}");
        assert!(rows[1].1.is_err());
    }

    #[test]
    fn what_is_no_such_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.toml", "[[camera]\n"), ("b.toml", "x = 1\n"), ("c.toml", "camera = [1]\n")] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            assert!(read_import(&file).is_err(), "{name}");
        }
        assert!(read_import(&folder.path().join("missing.csv")).is_err());
    }
}
