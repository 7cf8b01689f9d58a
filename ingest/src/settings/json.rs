//! One camera as a JSON object with the same keys as `[[camera]]`: read by the same reader, so the rules are the same everywhere.

use std::path::Path;

use serde_json::{Map, Value};
use xueliang_settings::{Document, Mistake, Mistakes};

use crate::settings::{CameraDefaults, CameraSettings};

/// Where a mistake's key begins when one camera stands alone.
const PLACE: &str = "camera[0]";

/// Reads a camera; paths in it are relative to the folder of `beside`.
pub fn read_json_camera(
    settings: &Map<String, Value>,
    beside: &Path,
    defaults: &CameraDefaults,
) -> Result<CameraSettings, Mistakes> {
    let refused = |problem: String, cure: &str| {
        let (key, cure) = (".".to_owned(), cure.to_owned());
        Mistakes(vec![Mistake { file: beside.to_owned(), line: 1, key, problem, cure }])
    };
    let text = toml::to_string(&serde_json::json!({ "camera": [without_nulls(settings)] }))
        .map_err(|error| refused(error.to_string(), "write an object with the keys of [[camera]]"))?;
    let rows = Document::from_text(beside, text).rows("camera", |camera| CameraSettings::read(camera, defaults))?;
    let read = rows.into_iter().next().map(|row| row.read);
    let read = read.unwrap_or_else(|| Err(refused("is empty".to_owned(), "write the keys of [[camera]]")));
    read.map_err(|mistakes| Mistakes(mistakes.0.into_iter().map(at_its_own_key).collect()))
}

/// A mistake in words for those who never see the file that it would stand in.
pub fn without_place(mistake: &Mistake) -> String {
    format!("{}: {}; {}", mistake.key, mistake.problem, mistake.cure)
}

/// TOML has no null: left out is left out.
fn without_nulls(settings: &Map<String, Value>) -> Map<String, Value> {
    settings.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn at_its_own_key(mistake: Mistake) -> Mistake {
    let key = mistake.key.strip_prefix(PLACE).map(|key| key.trim_start_matches('.').to_owned());
    Mistake { key: key.unwrap_or(mistake.key), ..mistake }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(settings: Value) -> Result<CameraSettings, Vec<String>> {
        let Value::Object(settings) = settings else { panic!("an object") };
        read_json_camera(&settings, Path::new("/etc/x.toml"), &CameraDefaults::default())
            .map_err(|mistakes| mistakes.0.iter().map(without_place).collect())
    }

    #[test]
    fn the_keys_are_those_of_the_settings_file() {
        let camera = read(json!({
            "id": "gate",
            "url": "rtsp://10.0.0.1/1",
            "name": { "en": "Gate" },
            "grid": null,
            "analysis_fps": 2,
            "authorization": crate::authorization::testing::json(),
            "zone": [{ "id": "lawn", "points": [[0, 0], [1, 0], [1, 1]], "classes": ["person"] }],
        }))
        .unwrap();
        assert_eq!((camera.zones.len(), camera.analysis_fps), (1, 2.0));
        assert_eq!(camera.names["en"], "Gate");
    }

    #[test]
    fn all_mistakes_come_with_their_keys() {
        let mistakes = read(json!({ "url": "rtsp://me:secret@10.0.0.1/1", "zone": [{ "id": "z" }], "speed": 3 }));
        let mistakes = mistakes.unwrap_err();
        for key in ["id: is missing", "url: carries credentials", "zone[0].points: is missing", "speed: unknown key"] {
            assert!(mistakes.iter().any(|mistake| mistake.starts_with(key)), "{key}: {mistakes:#?}");
        }
        assert!(mistakes.iter().all(|mistake| !mistake.contains("secret")), "{mistakes:#?}");
        assert!(read(json!({})).is_err());
    }
}
