//! `[[sensor]]` and `[[sensor_group]]`: what a sensor measures, where its readings come from, and what is believed of them.
//!
//! Bounds are written in the sensor's own unit and kept in the unit on the wire. A group is many sensors of one shape: by a list of
//! ids, or open, when its first readings make a sensor known.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use xueliang_events::{GridCode, SensorId};
use xueliang_settings::Reader;

use crate::sensor::{
    checks::Limits,
    clock::ClockLimits,
    kind::{Kind, Measure},
    payload::{Places, Pointer},
    topic::TopicPattern,
};

use super::camera::{read_names, read_position};

/// Most sensors that an open group may find unless it says otherwise.
const MAX_FOUND: usize = 1000;

/// What sensors of one make have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorShape {
    /// What it watches.
    pub kind: Kind,
    /// How it measures.
    pub measure: Measure,
    /// True when its on is our off.
    pub inverted: bool,
    /// Where value and time stand in its messages.
    pub places: Places,
    /// What is believed.
    pub limits: Limits,
    /// So long without a word is silence.
    pub silent_after: Duration,
    /// The grid it stands in.
    pub grid: Option<GridCode>,
    /// The broker and topics its messages come by; `None`: only HTTP.
    pub way: Option<TopicWay>,
}

/// A broker and a topic pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicWay {
    /// The broker's name; `None`: the only one.
    pub broker: Option<String>,
    /// The topics.
    pub topic: TopicPattern,
    /// Where the sensor's id stands in the message, when the topic does not name it.
    pub id_at: Option<Pointer>,
}

/// One sensor.
#[derive(Debug, Clone)]
pub struct SensorSettings {
    /// Its id.
    pub id: SensorId,
    /// Its name for people, by language tag; empty: its id.
    pub names: BTreeMap<String, String>,
    /// WGS-84 longitude and latitude.
    pub position: Option<[f64; 2]>,
    /// What it shares with its like.
    pub shape: Arc<SensorShape>,
    /// The file it stands in.
    pub file: PathBuf,
    /// The line it stands at.
    pub line: usize,
}

/// Many sensors of one shape.
#[derive(Debug, Clone)]
pub struct SensorGroup {
    /// Their ids; empty: whichever send.
    pub ids: Vec<SensorId>,
    /// The most that may be found when no ids are listed.
    pub max_sensors: usize,
    /// Their names for people; `{sensor}` is the id.
    pub names: BTreeMap<String, String>,
    /// What they share.
    pub shape: Arc<SensorShape>,
    /// The file it stands in.
    pub file: PathBuf,
    /// The line it stands at.
    pub line: usize,
}

impl SensorSettings {
    /// Reads one `[[sensor]]`.
    pub fn read(sensor: &mut Reader<'_>) -> Option<Self> {
        let id = sensor.required_text("id");
        let names = read_names(sensor);
        let position = read_position(sensor);
        let shape = read_shape(sensor);
        sensor.finish();
        let shape = shape?;
        if shape.way.as_ref().is_some_and(|way| way.topic.names_sensor() || way.id_at.is_some()) {
            sensor.refuse(
                "topic",
                "leaves the sensor's id open",
                "write the sensor's own topic, or make it a [[sensor_group]]",
            );
        }
        let (file, line) = (sensor.file().to_owned(), sensor.line());
        Some(Self { id: id?, names, position, shape: Arc::new(shape), file, line })
    }
}

impl SensorGroup {
    /// Reads one `[[sensor_group]]`.
    pub fn read(group: &mut Reader<'_>) -> Option<Self> {
        let ids: Vec<SensorId> = group.texts("ids");
        let max_sensors = group.or("max_sensors", MAX_FOUND);
        let names = read_names(group);
        let shape = read_shape(group);
        group.finish();
        let shape = shape?;
        let named = |way: &TopicWay| way.topic.names_sensor() || way.id_at.is_some();
        if !shape.way.as_ref().map_or(!ids.is_empty(), named) {
            let cure = "write {sensor} in topic, or id_at = \"/path/of/the/id\", or list ids for HTTP push";
            group.refuse("topic", "does not say which sensor a message is from", cure);
        }
        let (file, line) = (group.file().to_owned(), group.line());
        Some(Self { ids, max_sensors, names, shape: Arc::new(shape), file, line })
    }

    /// The name of one of its sensors.
    pub fn names_of(&self, id: &SensorId) -> BTreeMap<String, String> {
        let named = |text: &String| text.replace("{sensor}", id.as_str()).chars().take(120).collect();
        self.names.iter().map(|(tag, text)| (tag.clone(), named(text))).collect()
    }
}

fn read_shape(reader: &mut Reader<'_>) -> Option<SensorShape> {
    if !reader.has("kind") {
        let names: Vec<&str> = Kind::ALL.iter().map(|(name, _)| *name).collect();
        reader.refuse("kind", "is missing", format!("add kind = one of {}", names.join(", ")));
    }
    let kind = reader.choice("kind", &Kind::ALL);
    let unit: Option<String> = reader.optional("unit");
    let measure = kind.and_then(|kind| read_measure(reader, kind, unit));
    let inverted = reader.or("inverted", false);
    let value = reader.optional_text("value_at");
    let time = reader.optional_text("time_at");
    let limits = read_limits(reader, measure);
    let silent_after = reader.or("silent_after", Duration::from_secs(900));
    if silent_after < Duration::from_secs(1) {
        reader.refuse("silent_after", "is below a second", "write more than the time between two readings");
    }
    let grid = reader.optional_text("grid");
    let way = read_way(reader);
    if inverted && measure.is_some_and(|measure| !measure.is_state) {
        reader.refuse("inverted", "turns on and off round, and this unit is neither", "leave it out");
    }
    let value = match value {
        Some(value) => value,
        None => "/value".parse().ok()?,
    };
    let places = Places { value, time };
    Some(SensorShape {
        kind: kind?,
        measure: measure?,
        inverted,
        places,
        limits: limits?,
        silent_after,
        grid,
        way: way?,
    })
}

fn read_measure(reader: &Reader<'_>, kind: Kind, unit: Option<String>) -> Option<Measure> {
    let measure = match &unit {
        Some(unit) => kind.measure(unit),
        None => kind.only_measure(),
    };
    if measure.is_none() {
        let known: Vec<&str> = kind.measures().iter().map(|measure| measure.written).collect();
        let problem = if unit.is_some() { "is no unit of this kind" } else { "is missing" };
        reader.refuse("unit", problem, format!("write one of {}", known.join(", ")));
    }
    measure
}

/// `measure` is `None` when a mistake was reported; the keys are asked for all the same.
fn read_limits(reader: &mut Reader<'_>, measure: Option<Measure>) -> Option<Limits> {
    let range = reader.optional::<[f64; 2]>("range");
    let change = reader.optional::<f64>("max_change_per_minute");
    let max_per_minute = reader.or("max_per_minute", 600u32);
    let tolerance = reader.or("clock_tolerance", Duration::from_secs(60));
    let max_age = reader.or("max_age", Duration::from_secs(3600));
    if range.is_some_and(|[low, high]| low >= high) {
        reader.refuse("range", "does not rise", "write [lowest, highest] in the sensor's unit");
    }
    if change.is_some_and(|change| change <= 0.0) {
        reader.refuse(
            "max_change_per_minute",
            "is not positive",
            "write the most that the value can change in a minute",
        );
    }
    if max_per_minute == 0 {
        reader.refuse("max_per_minute", "is 0", "write 1 or more");
    }
    let measure = measure?;
    let canonical = range.map(|[low, high]| (measure.canonical(low), measure.canonical(high)));
    Some(Limits {
        range: canonical.unwrap_or(measure.range),
        unit: measure.unit,
        max_change_per_minute: change.map(|change| measure.canonical_change(change)),
        max_per_minute,
        clock: ClockLimits { tolerance, max_age },
    })
}

/// The outer `None` means that a mistake was reported.
fn read_way(reader: &mut Reader<'_>) -> Option<Option<TopicWay>> {
    let broker = reader.optional::<String>("broker");
    let id_at = reader.optional_text("id_at");
    let has_topic = reader.has("topic");
    match reader.optional_text("topic") {
        Some(topic) => Some(Some(TopicWay { broker, topic, id_at })),
        None if has_topic => None,
        None => Some(None),
    }
}
