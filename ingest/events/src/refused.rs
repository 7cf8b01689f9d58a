//! Why an incoming event was refused: the field's path and the reason, never the refused bytes.

/// A refused event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Refused {
    /// Dotted path of the field, `.` for the whole document.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Refused {
    pub(crate) fn at(path: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self { path: bounded(&path.into()), reason: bounded(&reason.to_string()) }
    }

    pub(crate) fn from_json(prefix: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let inner = error.path().to_string();
        let path = match (prefix, inner.as_str()) {
            ("", path) => path.to_owned(),
            (prefix, ".") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        Self::at(path, error.inner())
    }
}

/// Parsers quote what they refuse. Refusals go to logs and to Kafka, so no long word gets through (RULES P11): a picture in any
/// text form is one.
fn bounded(text: &str) -> String {
    const LONGEST_WORD: usize = 40;
    const LONGEST_TEXT: usize = 240;
    let shown = |word: &str| if word.chars().count() > LONGEST_WORD { "…".to_owned() } else { word.to_owned() };
    let words: Vec<String> = text.split_whitespace().map(shown).collect();
    words.join(" ").chars().take(LONGEST_TEXT).collect()
}
