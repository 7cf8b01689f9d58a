//! What `[ingest]` says of all cameras: what they inherit, and where they may stand.

use std::path::Path;

use serde_json::{Map, Value};
use xueliang_settings::{Document, Mistakes, Reader};

use crate::settings::{Inherited, authorization, networks::DeclaredNetworks};

/// What holds for cameras beside what is written of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CameraDefaults {
    /// What `[camera.authorization]` inherits.
    pub(super) authorization: Inherited,
    /// Where plain RTSP may be spoken.
    pub(super) networks: DeclaredNetworks,
}

impl CameraDefaults {
    pub(super) fn read(ingest: &mut Reader<'_>) -> Self {
        Self { authorization: Inherited::read(ingest), networks: DeclaredNetworks::read(ingest) }
    }

    /// Those of a settings file whose other keys are not looked at.
    pub(crate) fn of(document: &Document) -> Result<Self, Mistakes> {
        document.table("ingest", Self::read)
    }

    /// For cameras that are kept elsewhere than in the settings files and may be pulled beside other settings: they inherit nothing.
    pub fn networks_only(&self) -> Self {
        Self { authorization: Inherited::default(), networks: self.networks.clone() }
    }
}

/// What a camera gets before it is put into the registry, where each stands alone.
#[derive(Debug, Clone)]
pub struct ImportDefaults {
    authorization: Map<String, Value>,
    pub(crate) checks: CameraDefaults,
}

impl Default for ImportDefaults {
    /// Nothing; the networks are those of the worker that will pull the camera, and checked there.
    fn default() -> Self {
        let checks = CameraDefaults { networks: DeclaredNetworks::unknown(), ..CameraDefaults::default() };
        Self { authorization: Map::new(), checks }
    }
}

impl ImportDefaults {
    /// Those of a worker's settings file.
    pub fn load(settings: &Path) -> Result<Self, Mistakes> {
        let document = Document::load(settings)?;
        let checks = CameraDefaults::of(&document)?;
        Ok(Self { authorization: authorization::as_json(&checks.authorization), checks })
    }

    /// Writes into a camera's settings what it would inherit in the settings file.
    pub(crate) fn fill(&self, camera: &mut Map<String, Value>) {
        let own = camera.entry("authorization").or_insert_with(|| Value::Object(Map::new()));
        if let Some(own) = own.as_object_mut() {
            fill(own, &self.authorization);
        }
    }
}

/// A camera without a filing of its own is in none: what is said of filings then goes nowhere.
fn fill(own: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (key, value) in defaults {
        match (own.get_mut(key), value) {
            (Some(Value::Object(own)), Value::Object(defaults)) => fill(own, defaults),
            (None, Value::Object(_)) | (Some(_), _) => {}
            (None, value) => drop(own.insert(key.clone(), value.clone())),
        }
    }
}
