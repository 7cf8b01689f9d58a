//! One `[[camera]]`: where it is, how it is pulled, what is watched in its picture.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use url::Url;
use xueliang_events::{CameraId, GridCode, LineId, ZoneId};
use xueliang_inference::{
    Class, ClassSet, Line, Point, Polygon, PrivacyMasks, Zone, ZoneTiming, redact::RedactSettings,
};
use xueliang_settings::Reader;

use crate::{
    authorization::Authorization,
    session::Endpoint,
    settings::{CameraDefaults, DeclaredNetworks, authorization::read_authorization},
};

/// How RTP is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamTransport {
    /// Inside the RTSP connection.
    Tcp,
    /// Beside it.
    Udp,
}

/// What is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatePolicy {
    /// Every access unit; frames are analysed at the camera's rate.
    Always,
    /// Only keyframes, by the shared decoders.
    Keyframes,
    /// Nothing while nothing happens, everything when something does.
    Adaptive,
}

/// A user name and where its password is found; the password itself never stands in the settings.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// True when they may be sent readable by anyone on the way, to cameras that know nothing better than basic.
    pub allow_basic: bool,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What a camera's sub-stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubStreamUse {
    /// `Detect` when its picture is large enough, else `Gate`.
    Auto,
    /// The gate looks at it, and what it opens for is decoded from the main stream.
    Gate,
    /// All is decoded from it; the main stream is never pulled.
    Detect,
}

/// A second, smaller stream of the same picture.
#[derive(Debug, Clone)]
pub struct SubStream {
    /// Its address, without credentials; account and transport are the camera's.
    pub url: Url,
    /// What it is for.
    pub used_for: SubStreamUse,
}

/// One camera.
#[derive(Debug, Clone)]
pub struct CameraSettings {
    /// Its id.
    pub id: CameraId,
    /// Its name for people, by language tag; empty: its id.
    pub names: BTreeMap<String, String>,
    /// Its address, without credentials.
    pub url: Url,
    /// Its sub-stream, if it has one.
    pub sub: Option<SubStream>,
    /// Who to be for it.
    pub credentials: Option<Credentials>,
    /// How RTP is carried.
    pub transport: StreamTransport,
    /// What is decoded.
    pub gate: GatePolicy,
    /// Frames analysed per second at most.
    pub analysis_fps: f32,
    /// The grid it stands in.
    pub grid: Option<GridCode>,
    /// WGS-84 longitude and latitude, degrees: what happens within 50 m becomes one incident.
    pub position: Option<[f64; 2]>,
    /// Zones in its picture.
    pub zones: Vec<Zone>,
    /// Lines in its picture.
    pub lines: Vec<Line>,
    /// What is blanked before anything looks at the picture.
    pub masks: Vec<Polygon>,
    /// How snapshots are redacted.
    pub redact: RedactSettings,
    /// Where it stands, and may redirect to.
    pub networks: DeclaredNetworks,
    /// What lets it be pulled.
    pub authorization: Authorization,
    /// The file it stands in.
    pub file: PathBuf,
    /// The line it stands at.
    pub line: usize,
}

impl CameraSettings {
    /// Reads one `[[camera]]`.
    pub fn read(camera: &mut Reader<'_>, defaults: &CameraDefaults) -> Option<Self> {
        let id = camera.required_text("id");
        let names = read_names(camera);
        let url = read_url(camera, defaults);
        let sub = read_sub_stream(camera, defaults);
        let credentials = read_credentials(camera);
        let transports = [("tcp", StreamTransport::Tcp), ("udp", StreamTransport::Udp)];
        let transport = camera.choice("transport", &transports).unwrap_or(StreamTransport::Tcp);
        let policies =
            [("adaptive", GatePolicy::Adaptive), ("always", GatePolicy::Always), ("keyframes", GatePolicy::Keyframes)];
        let gate = camera.choice("gate", &policies).unwrap_or(GatePolicy::Adaptive);
        let analysis_fps = read_rate(camera);
        let grid = camera.optional_text("grid");
        let position = read_position(camera);
        let redact = read_redaction(camera);
        let authorization = read_authorization(camera, &defaults.authorization);
        let zones: Vec<Zone> = camera.sections("zone").iter_mut().filter_map(read_zone).collect();
        let lines: Vec<Line> = camera.sections("line").iter_mut().filter_map(read_line).collect();
        let masks = camera.sections("mask").iter_mut().filter_map(read_mask).collect();
        refuse_repeated(camera, &zones, &lines);
        camera.finish();
        Some(Self {
            id: id?,
            names,
            url: url?,
            sub: sub?,
            credentials: credentials?,
            transport,
            gate,
            analysis_fps,
            grid,
            position,
            zones,
            lines,
            masks,
            redact,
            networks: defaults.networks.clone(),
            authorization: authorization?,
            file: camera.file().to_owned(),
            line: camera.line(),
        })
    }

    /// What a session of its sub-stream connects to.
    pub fn sub_endpoint(&self) -> Option<Endpoint> {
        self.sub.as_ref().map(|sub| Endpoint { url: sub.url.clone(), ..self.endpoint() })
    }

    /// What a session of its main stream connects to.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            url: self.url.clone(),
            credentials: self.credentials.clone(),
            transport: self.transport,
            networks: self.networks.clone(),
        }
    }

    /// True when both are pulled and watched in the same way, wherever they are written and whatever permits it.
    pub fn is_same(&self, other: &Self) -> bool {
        let placeless = |camera: &Self| {
            let authorization = other.authorization.clone();
            format!("{:?}", Self { file: PathBuf::new(), line: 0, authorization, ..camera.clone() })
        };
        self.credentials == other.credentials && placeless(self) == placeless(other)
    }

    /// The masks as the decoder's rim paints them.
    pub fn privacy_masks(&self) -> PrivacyMasks {
        PrivacyMasks::new(self.masks.clone())
    }
}

pub(super) fn read_names(camera: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut name = camera.section("name");
    let mut names = BTreeMap::new();
    for language in ["zh", "en"] {
        let Some(text) = name.optional::<String>(language) else { continue };
        if text.trim().is_empty() || text.chars().count() > 120 {
            name.refuse(
                language,
                "is empty or longer than 120 characters",
                "write a name that people know the place by",
            );
        }
        names.insert(language.to_owned(), text);
    }
    name.finish();
    names
}

/// Where it stands; a mistake is reported and `None`.
pub(super) fn read_position(reader: &mut Reader<'_>) -> Option<[f64; 2]> {
    let position = reader.optional::<[f64; 2]>("position")?;
    let [longitude, latitude] = position;
    if !(longitude.abs() <= 180.0 && latitude.abs() <= 90.0) {
        reader.refuse("position", "is not on Earth", "write [longitude, latitude] in degrees, WGS-84");
        return None;
    }
    Some(position)
}

fn read_url(camera: &mut Reader<'_>, defaults: &CameraDefaults) -> Option<Url> {
    let text: String = camera.required("url")?;
    let cure = "write rtsp://host[:port]/path and the account under credentials";
    let Ok(url) = Url::parse(&text) else {
        camera.refuse("url", "is no address", cure);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        camera.refuse("url", "carries credentials", cure);
        return None;
    }
    if url.scheme() != "rtsp" || url.host().is_none() {
        camera.refuse("url", "is no RTSP address", cure);
        return None;
    }
    defaults.networks.check(camera, &url);
    Some(url)
}

/// The outer `None` means that a mistake was reported.
fn read_sub_stream(camera: &mut Reader<'_>, defaults: &CameraDefaults) -> Option<Option<SubStream>> {
    let is_there = camera.has("sub");
    let mut sub = camera.section("sub");
    if !is_there {
        return Some(None);
    }
    let url = read_url(&mut sub, defaults);
    let uses = [("auto", SubStreamUse::Auto), ("gate", SubStreamUse::Gate), ("detect", SubStreamUse::Detect)];
    let used_for = sub.choice("use", &uses).unwrap_or(SubStreamUse::Auto);
    sub.finish();
    Some(Some(SubStream { url: url?, used_for }))
}

/// The outer `None` means that a mistake was reported.
pub(super) fn read_credentials(camera: &mut Reader<'_>) -> Option<Option<Credentials>> {
    if !camera.has("credentials") {
        camera.section("credentials");
        return Some(None);
    }
    let mut section = camera.section("credentials");
    let username = section.required::<String>("username");
    let file = section.optional::<PathBuf>("password_file");
    let variable = section.optional::<String>("password_env");
    let allow_basic = section.or("allow_basic", false);
    section.finish();
    let base = section.file().parent().map(PathBuf::from).unwrap_or_default();
    let password = match (file, variable) {
        (Some(file), None) => std::fs::read_to_string(base.join(&file))
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| ("password_file", format!("{}: {error}", file.display()))),
        (None, Some(name)) => {
            std::env::var(&name).map_err(|_| ("password_env", format!("the environment has no {name}")))
        }
        _ => Err(("username", "the password's place is missing or doubled".to_owned())),
    };
    match password {
        Ok(password) => Some(Some(Credentials { username: username?, password, allow_basic })),
        Err((key, problem)) => {
            section.refuse(key, problem, "name one of password_file (mode 0600) or password_env, and let it exist");
            None
        }
    }
}

fn read_rate(camera: &mut Reader<'_>) -> f32 {
    let rate = camera.or("analysis_fps", 5.0f32);
    if !(0.1..=60.0).contains(&rate) {
        camera.refuse("analysis_fps", format!("{rate} is out of range"), "write 0.1 to 60 frames a second");
    }
    rate
}

fn read_redaction(camera: &mut Reader<'_>) -> RedactSettings {
    let defaults = RedactSettings::default();
    let largest_person = camera.or("largest_person", defaults.largest_person);
    if !(0.05..=1.0).contains(&largest_person) {
        let cure = "write the height of the nearest person as a fraction of the picture's height, 0.05 to 1";
        camera.refuse("largest_person", format!("{largest_person} is out of range"), cure);
    }
    RedactSettings { largest_person, ..defaults }
}

/// Often enough for dwell rules, and for the rules to learn what never moves.
const DWELL_EVERY: Duration = Duration::from_secs(30);

fn read_zone(zone: &mut Reader<'_>) -> Option<Zone> {
    let id = zone.required_text::<ZoneId>("id");
    let polygon = read_polygon(zone);
    let classes = read_classes(zone);
    let defaults = ZoneTiming::default();
    let timing = ZoneTiming {
        enter_after: zone.or("enter_after", defaults.enter_after),
        exit_after: zone.or("exit_after", defaults.exit_after),
        rise_after: zone.or("rise_after", defaults.rise_after),
        fall_after: zone.or("fall_after", defaults.fall_after),
        dwell_every: Some(zone.or("dwell_every", DWELL_EVERY)),
    };
    if timing.dwell_every.is_some_and(|every| every < Duration::from_secs(1)) {
        zone.refuse("dwell_every", "is below a second", "write \"1s\" or more");
    }
    zone.finish();
    Some(Zone { id: id?.to_string(), polygon: polygon?, classes, timing })
}

fn read_line(line: &mut Reader<'_>) -> Option<Line> {
    let id = line.required_text::<LineId>("id");
    let from = line.required::<[f32; 2]>("from");
    let to = line.required::<[f32; 2]>("to");
    let classes = read_classes(line);
    line.finish();
    match Line::new(id?.to_string(), point(from?), point(to?), classes) {
        Ok(made) => Some(made),
        Err(error) => {
            line.refuse("from", error.to_string(), "write two different points with coordinates from 0 to 1");
            None
        }
    }
}

fn read_mask(mask: &mut Reader<'_>) -> Option<Polygon> {
    let polygon = read_polygon(mask);
    mask.finish();
    polygon
}

fn read_polygon(reader: &mut Reader<'_>) -> Option<Polygon> {
    let points: Vec<[f32; 2]> = reader.required("points")?;
    match Polygon::new(points.into_iter().map(point).collect()) {
        Ok(polygon) => Some(polygon),
        Err(error) => {
            let cure = "write at least 3 corners [x, y] from 0 to 1, in order around the area";
            reader.refuse("points", error.to_string(), cure);
            None
        }
    }
}

fn read_classes(reader: &mut Reader<'_>) -> ClassSet {
    if !reader.has("classes") {
        reader.texts::<NamedClass>("classes");
        return ClassSet::all();
    }
    let classes: Vec<Class> = reader.texts::<NamedClass>("classes").into_iter().map(|named| named.0).collect();
    ClassSet::of(&classes)
}

struct NamedClass(Class);

impl FromStr for NamedClass {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let known: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
        let found = Class::ALL.into_iter().find(|class| class.as_str() == name);
        found.map(NamedClass).ok_or_else(|| format!("{name:?} is none of {}", known.join(", ")))
    }
}

fn point([x, y]: [f32; 2]) -> Point {
    Point { x, y }
}

fn refuse_repeated(camera: &Reader<'_>, zones: &[Zone], lines: &[Line]) {
    let mut ids: Vec<&str> = zones.iter().map(|zone| zone.id.as_str()).chain(lines.iter().map(Line::id)).collect();
    ids.sort_unstable();
    for pair in ids.windows(2).filter(|pair| pair[0] == pair[1]) {
        camera.refuse("zone", format!("the id {:?} stands twice", pair[0]), "give each zone and line its own id");
    }
}
