//! What is true of a simulated camera, in the words of `[camera.authorization]`: nobody passes before it, and it came into use today.

use jiff::{Timestamp, ToSpan};
use xueliang_ingest::authorization::today;

/// Keys and values; nothing is filed, so they hold for 30 days.
pub fn authorization() -> [(&'static str, String); 9] {
    let today = today(Timestamp::now());
    let in_a_year = today.saturating_add(1.year());
    [
        ("legal_class", "799-33-nonpublic".to_owned()),
        ("responsible_unit", "Test stand".to_owned()),
        ("place", "simulated".to_owned()),
        ("necessity", "Plays recorded footage to try the software".to_owned()),
        ("view_reviewed_on", today.to_string()),
        ("view_valid_until", in_a_year.to_string()),
        ("signage_proof", "no sign: nobody passes before a program".to_owned()),
        ("signage_valid_until", in_a_year.to_string()),
        ("first_used_on", today.to_string()),
    ]
}

/// The same as one line of a `[[camera]]`.
pub fn authorization_line() -> String {
    let keys = authorization().map(|(key, value)| format!("{key} = {value:?}"));
    format!("authorization = {{ {} }}", keys.join(", "))
}
