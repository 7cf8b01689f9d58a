//! What a camera needs in tests that are about something else; it holds on the tests' day and for a thousand years.

use serde_json::{Value, json};

/// One key of a `[[camera]]`.
pub const TOML: &str = "authorization = { legal_class = \"799-33-nonpublic\", responsible_unit = \"Test stand\", \
    place = \"simulated\", necessity = \"Tests\", view_reviewed_on = \"2026-11-01\", view_valid_until = \"2999-12-31\", \
    signage_proof = \"nobody passes\", signage_valid_until = \"2999-12-31\", first_used_on = \"2026-11-01\", \
    filing = { number = \"TEST-1\", filed_on = \"2026-11-02\", legal_class = \"799-33-nonpublic\", \
    responsible_unit = \"Test stand\", place = \"simulated\" } }\n";

/// The same as JSON.
pub fn json() -> Value {
    json!({
        "legal_class": "799-33-nonpublic",
        "responsible_unit": "Test stand",
        "place": "simulated",
        "necessity": "Tests",
        "view_reviewed_on": "2026-11-01",
        "view_valid_until": "2999-12-31",
        "signage_proof": "nobody passes",
        "signage_valid_until": "2999-12-31",
        "first_used_on": "2026-11-01",
        "filing": {
            "number": "TEST-1",
            "filed_on": "2026-11-02",
            "legal_class": "799-33-nonpublic",
            "responsible_unit": "Test stand",
            "place": "simulated",
        },
    })
}
