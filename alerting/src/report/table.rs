//! What writers get: a report's tables, cell by cell, with headings in both languages.

use crate::words::Bilingual;

/// One table of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its key, unique in the report.
    pub key: &'static str,
    /// What it shows.
    pub title: Bilingual,
    /// What stands in each place of a row.
    pub columns: Vec<Column>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its key, unique in the table.
    pub key: String,
    /// What people read.
    pub heading: Bilingual,
}

/// What stands in a row's place.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A code or a name.
    Text(String),
    /// Words.
    Words(Bilingual),
    /// A count.
    Count(u64),
    /// A part of a whole, 0 to 1.
    Share(f64),
    /// A published count below ten.
    Small,
    /// A published count that would give a small one away.
    Withheld,
    /// Nothing: a rate of nothing.
    Empty,
}

/// A language of headings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// 中文
    Zh,
    /// English
    En,
}

impl Cell {
    /// As people read it.
    pub fn text(&self, language: Language) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Words(words) => in_language(words, language).to_owned(),
            Cell::Count(n) => n.to_string(),
            Cell::Share(share) => format!("{:.1}%", share * 100.0),
            Cell::Small => SMALL.to_owned(),
            Cell::Withheld => WITHHELD.to_owned(),
            Cell::Empty => String::new(),
        }
    }
}

/// How a count below ten is written.
pub(super) const SMALL: &str = "<10";
/// How a withheld count is written.
pub(super) const WITHHELD: &str = "*";

pub(super) fn in_language(words: &Bilingual, language: Language) -> &str {
    match language {
        Language::Zh => &words.zh,
        Language::En => &words.en,
    }
}

pub(super) fn words(zh: impl Into<String>, en: impl Into<String>) -> Bilingual {
    Bilingual { zh: zh.into(), en: en.into() }
}

pub(super) fn column(key: impl Into<String>, zh: impl Into<String>, en: impl Into<String>) -> Column {
    Column { key: key.into(), heading: words(zh, en) }
}
