//! The linter: words that no name may contain, and the reviewed exceptions.

use crate::artefacts;

/// A row of RULES D.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Faces,
    WatchLists,
    Plates,
    Reidentification,
    Attributes,
    Trajectories,
    FindPerson,
    Groups,
    Penalties,
    Audio,
    BulkRaw,
    Retention,
    SilentViewing,
    Telemetry,
}

const ROWS: [Row; 14] = [
    Row::Faces,
    Row::WatchLists,
    Row::Plates,
    Row::Reidentification,
    Row::Attributes,
    Row::Trajectories,
    Row::FindPerson,
    Row::Groups,
    Row::Penalties,
    Row::Audio,
    Row::BulkRaw,
    Row::Retention,
    Row::SilentViewing,
    Row::Telemetry,
];

/// Row, source, name, and why it may stand there. Each needs a reviewer.
const EXCEPTIONS: &[(Row, &str, &str, &str)] = &[
    (Row::Trajectories, "events", "track", "local to one camera session, replaced every ten minutes, not stored (P10)"),
    (Row::FindPerson, "openapi.json", "follow_changes", "follows changes of incidents, nobody"),
    (Row::FindPerson, "Cargo.lock", "find-msvc-tools", "finds a compiler when a dependency is built"),
    (Row::BulkRaw, "Cargo.lock", "raw-cpuid", "asks the processor what it can do"),
    (Row::BulkRaw, "Cargo.lock", "linux-raw-sys", "names of system calls"),
    (Row::BulkRaw, "Cargo.lock", "ar_archive_writer", "links a library when Cedar is built"),
    (Row::Reidentification, "Cargo.lock", "document-features", "documents features of crates"),
    (Row::Attributes, "Cargo.lock", "tracing-attributes", "attributes of functions"),
    (Row::Attributes, "settings", "max_age", "how old a retained sensor message may be"),
    (Row::SilentViewing, "settings", "silent_after", "after how long without readings a sensor counts as silent"),
    (Row::Audio, "Cargo.lock", "mpeg4-audio-const", "tables of retina's SDP parser; only video is set up"),
    (Row::BulkRaw, "actions", "view_original", "one thing at a time, with a grant of four eyes"),
    (Row::BulkRaw, "policy schema", "view_original", "one thing at a time, with a grant of four eyes"),
    (Row::BulkRaw, "openapi.json", "view_original", "one thing at a time, with a grant of four eyes"),
    (Row::BulkRaw, "openapi.json", "originals", "one thing at a time, with a grant of four eyes"),
    (Row::BulkRaw, "openapi.json", "KeptOriginal", "names a still whose sealed original a grant can open"),
    (Row::BulkRaw, "settings", "sealed_originals", "off by default; ciphertext that opens with a grant of four eyes"),
    (Row::Attributes, "Cargo.lock", "age", "the file encryption of sealed originals"),
    (Row::Attributes, "Cargo.lock", "age-core", "the file encryption of sealed originals"),
    (Row::FindPerson, "Cargo.lock", "find-crate", "finds a crate when age's messages are built"),
];

/// Matched against each word of a name, and each two neighbours written together (`re_id`, `watch_list`).
fn words(row: Row) -> &'static [&'static str] {
    match row {
        Row::Faces => &[
            "face",
            "faces",
            "facial",
            "biometric",
            "biometrics",
            "iris",
            "fingerprint",
            "landmark",
            "landmarks",
            "embedding",
            "embeddings",
            "identity",
            "idcard",
            "passport",
        ],
        Row::WatchLists => &[
            "watchlist",
            "watchlists",
            "blacklist",
            "blocklist",
            "whitelist",
            "wanted",
            "suspect",
            "suspects",
            "gallery",
            "poi",
        ],
        Row::Plates => {
            &["plate", "plates", "licence", "license", "vin", "anpr", "alpr", "lpr", "ocr", "tesseract", "leptonica"]
        }
        Row::Reidentification => {
            &["reid", "reidentify", "reidentification", "similarity", "embedding", "embeddings", "feature", "features"]
        }
        Row::Attributes => &[
            "age",
            "ages",
            "sex",
            "gender",
            "ethnicity",
            "ethnic",
            "race",
            "religion",
            "emotion",
            "emotions",
            "mood",
            "gait",
            "clothing",
            "clothes",
            "hair",
            "skin",
            "nationality",
            "demographic",
            "demographics",
            "attribute",
            "attributes",
        ],
        Row::Trajectories => &[
            "trajectory",
            "trajectories",
            "itinerary",
            "whereabouts",
            "track",
            "tracks",
            "tracking",
            "tracklet",
            "crosscamera",
            "globalid",
            "journey",
            "movements",
        ],
        Row::FindPerson => &["find", "search", "searches", "locate", "lookup", "follow", "similar", "whois", "hunt"],
        Row::Groups => &[
            "petition",
            "petitions",
            "petitioner",
            "petitioners",
            "protest",
            "protests",
            "protester",
            "protesters",
            "demonstration",
            "religion",
            "religious",
            "minority",
            "ethnic",
            "dissident",
            "activist",
            "keyperson",
            "keypersons",
            "keypeople",
            "gathering",
            "assembly",
        ],
        Row::Penalties => &[
            "penalty",
            "penalties",
            "fine",
            "fines",
            "fined",
            "score",
            "scores",
            "scoring",
            "credit",
            "credits",
            "rating",
            "ratings",
            "punish",
            "punishment",
            "offence",
            "offense",
            "offender",
            "violation",
            "violator",
            "demerit",
        ],
        Row::Audio => &["audio", "microphone", "sound", "voice", "speech", "pcm", "aac", "opus", "cpal", "rodio"],
        Row::BulkRaw => &[
            "bulk",
            "raw",
            "original",
            "originals",
            "archive",
            "archives",
            "recording",
            "recordings",
            "playback",
            "footage",
            "dump",
            "unredacted",
        ],
        Row::Retention => {
            &["forever", "unlimited", "infinite", "permanent", "permanently", "indefinite", "perpetual", "noexpiry"]
        }
        Row::SilentViewing => &[
            "silent",
            "silently",
            "covert",
            "stealth",
            "hidden",
            "unlogged",
            "unaudited",
            "noaudit",
            "bypass",
            "anonymous",
        ],
        Row::Telemetry => &[
            "telemetry",
            "opentelemetry",
            "analytics",
            "sentry",
            "beacon",
            "posthog",
            "datadog",
            "newrelic",
            "mixpanel",
            "amplitude",
            "honeycomb",
            "bugsnag",
            "rollbar",
            "crashpad",
            "phonehome",
            "umeng",
            "bugly",
        ],
    }
}

/// Fails on each name of the artefacts that carries one of the row's words and is no exception.
pub fn check(row: Row) {
    let found = findings(row, &artefacts::all());
    assert!(found.is_empty(), "{row:?} is refused by design (RULES D): {found:?}");
}

/// Fails on each exception that excuses nothing.
pub fn check_exceptions() {
    let names = artefacts::all();
    assert_eq!(ROWS.len(), 14, "RULES D has fourteen rows");
    for (row, source, name, why) in EXCEPTIONS {
        assert!(ROWS.contains(row) && why.len() > 10, "{name}");
        let is_there = names.iter().any(|(of, known)| of == source && known == name);
        assert!(is_there && carries(*row, name), "the exception {source} {name} excuses nothing");
    }
}

/// The names that carry one of the row's words, as `source: name`.
pub fn findings(row: Row, names: &[(String, String)]) -> Vec<String> {
    let excused = |source: &str, name: &str| {
        EXCEPTIONS.iter().any(|(of, at, known, _)| (*of, *at, *known) == (row, source, name))
    };
    let found = names.iter().filter(|(source, name)| carries(row, name) && !excused(source, name));
    found.map(|(source, name)| format!("{source}: {name}")).collect()
}

fn carries(row: Row, name: &str) -> bool {
    let words = words(row);
    let parts = parts(name);
    let pairs = parts.windows(2).map(|pair| pair.concat());
    parts.iter().cloned().chain(pairs).any(|part| words.contains(&part.as_str()))
}

/// `bestFaceImage`, `best_face-image` → best, face, image.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && was_lower) {
            parts.push(String::new());
        }
        if letter.is_ascii_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.push(letter.to_ascii_lowercase());
        }
        was_lower = letter.is_ascii_lowercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}
