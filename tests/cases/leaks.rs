//! RULES P11: no picture in Kafka, in logs, in a store's text. Looks for what a JPEG or a NAL unit begins with, raw or in base64 or hex.

use std::path::Path;

/// What must not be found, with its name.
const MARKS: [(&str, &[u8]); 7] = [
    ("JPEG", &[0xff, 0xd8, 0xff]),
    ("JPEG in base64", b"/9j/"),
    ("JPEG in hex", b"ffd8ffe0"),
    ("PNG", b"\x89PNG"),
    ("NAL start code", &[0, 0, 0, 1]),
    ("NAL start code in base64", b"AAAAAW"),
    ("NAL start code in hex", b"00000001"),
];

/// Panics when `bytes` hold the beginning of a picture.
pub fn check_bytes(what: &str, bytes: &[u8]) {
    for (name, mark) in MARKS {
        let found = bytes.windows(mark.len()).position(|window| window.eq_ignore_ascii_case(mark));
        assert_eq!(found, None, "{what} holds a {name}");
    }
}

/// Checks a log file; it must exist and say something.
pub fn check_log(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    assert!(!bytes.is_empty(), "{} is empty", path.display());
    check_bytes(&path.display().to_string(), &bytes);
}

#[test]
fn p11_the_scanner_finds_what_it_looks_for() {
    for (name, mark) in MARKS {
        let bytes = [b"log line ".as_slice(), mark, b" end"].concat();
        let scanned = std::panic::catch_unwind(|| check_bytes("a sample", &bytes));
        assert!(scanned.is_err(), "a {name} was not found");
    }
    check_bytes("plain text", b"camera status camera=street-01 state=Live at 2026-11-24T01:08:52Z");
}
