//! Settings of any text: values or mistakes, never a panic, and every mistake names a line of the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xueliang_ingest::IngestSettings;
use xueliang_settings::{Document, parse_duration};

fuzz_target!(|text: &str| {
    let _ = parse_duration(text);
    let n_lines = text.lines().count().max(1) + 1;
    let document = Document::from_text("/nowhere/fuzz.toml", text);
    // Files that are named are looked for beside /nowhere; some of this machine's would never end.
    if ["/dev", "/proc", "/sys", ".."].iter().any(|place| text.contains(place)) {
        return;
    }
    if let Err(mistakes) = document.read(IngestSettings::read).and_then(IngestSettings::with_camera_files) {
        assert!(!mistakes.0.is_empty());
        for mistake in mistakes.0 {
            assert!(mistake.line <= n_lines, "line {} of {n_lines}", mistake.line);
            assert!(!mistake.to_string().is_empty());
        }
    }
});
