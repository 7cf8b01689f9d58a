//! A cursor over one TOML table that remembers what was asked for and collects what is wrong.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
    rc::Rc,
    str::FromStr,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    mistake::{Mistake, Mistakes},
    setting::{Setting, Wrong},
};

/// A parsed file.
pub struct Document {
    file: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file; what can't be read is a mistake like any other.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Self { file: file.to_owned(), text }),
            Err(error) => Err(Mistakes(vec![Mistake {
                file: file.to_owned(),
                line: 1,
                key: ".".to_owned(),
                problem: format!("can't be read: {error}"),
                cure: "check the path and its permissions".to_owned(),
            }])),
        }
    }

    /// A text that stands for a file.
    pub fn from_text(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }

    /// The names of the top-level tables and keys, also when the text has mistakes.
    pub fn top_level_keys(&self) -> Vec<String> {
        let (table, _) = DeTable::parse_recoverable(&self.text);
        table.get_ref().keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Reads each `[[key]]` on its own, so that one with mistakes does not spoil the others; other keys are left alone.
    ///
    /// `Err` holds what is wrong with the text as a whole.
    pub fn rows<T>(
        &self,
        key: &'static str,
        read: impl Fn(&mut Reader<'_>) -> Option<T>,
    ) -> Result<Vec<Row<T>>, Mistakes> {
        let source = Rc::new(Source { file: self.file.clone(), text: self.text.clone(), mistakes: RefCell::default() });
        let table = parse(&source);
        let span = table.span();
        let mut root = Reader::new(Rc::clone(&source), table.get_ref(), span, String::new());
        let sections = root.sections(key);
        let mistakes = source.take_mistakes();
        if !mistakes.0.is_empty() {
            return Err(mistakes);
        }
        let row = |mut section: Reader<'_>| {
            let id = section.find("id").and_then(|(_, value)| value.get_ref().as_str().map(str::to_owned));
            let value = read(&mut section);
            let mistakes = source.take_mistakes();
            let read = value.filter(|_| mistakes.0.is_empty()).ok_or(mistakes);
            Row { id, line: section.line(), read }
        };
        Ok(sections.into_iter().map(row).collect())
    }

    /// Reads one table alone, an empty one when it is left out; unknown keys and everything else in the file are left alone.
    pub fn table<T>(&self, key: &'static str, read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, Mistakes> {
        let source = Rc::new(Source { file: self.file.clone(), text: self.text.clone(), mistakes: RefCell::default() });
        let table = parse(&source);
        let span = table.span();
        let mut root = Reader::new(Rc::clone(&source), table.get_ref(), span, String::new());
        let value = read(&mut root.section(key));
        let mistakes = source.take_mistakes();
        if mistakes.0.is_empty() { Ok(value) } else { Err(mistakes) }
    }

    /// True when nothing stands in the text but white space.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Lets `read` take the file's values; `Err` holds every mistake that it and the reader found.
    ///
    /// `read` returns `None` when a mistake left it without a value; it must have been reported then.
    pub fn read<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Result<T, Mistakes> {
        let source = Rc::new(Source { file: self.file.clone(), text: self.text.clone(), mistakes: RefCell::default() });
        let table = parse(&source);
        let span = table.span();
        let mut reader = Reader::new(Rc::clone(&source), table.get_ref(), span, String::new());
        let mut value = None;
        if source.mistakes.borrow().is_empty() {
            value = read(&mut reader);
            reader.finish();
        }
        let mistakes = source.take_mistakes();
        value.filter(|_| mistakes.0.is_empty()).ok_or(mistakes)
    }
}

/// One table of an array, read on its own.
pub struct Row<T> {
    /// The text under its `id`, when there is one.
    pub id: Option<String>,
    /// Its line, from 1.
    pub line: usize,
    /// What it holds, or its mistakes.
    pub read: Result<T, Mistakes>,
}

struct Source {
    file: PathBuf,
    text: String,
    mistakes: RefCell<Vec<Mistake>>,
}

/// Parses the text; what is no TOML is noted.
fn parse(source: &Source) -> Spanned<DeTable<'_>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        let cure = "write valid TOML (https://toml.io)".to_owned();
        source.note(error.span().unwrap_or(0..0), ".", Wrong { problem: error.message().to_owned(), cure });
    }
    table
}

impl Source {
    fn take_mistakes(&self) -> Mistakes {
        let mut mistakes = self.mistakes.take();
        mistakes.sort();
        mistakes.dedup();
        Mistakes(mistakes)
    }

    fn note(&self, span: Range<usize>, key: &str, wrong: Wrong) {
        let line = 1 + self.text.bytes().take(span.start).filter(|b| *b == b'\n').count();
        let Wrong { problem, cure } = wrong;
        self.mistakes.borrow_mut().push(Mistake { file: self.file.clone(), line, key: key.to_owned(), problem, cure });
    }
}

/// A cursor over one table.
pub struct Reader<'t> {
    source: Rc<Source>,
    table: Option<&'t DeTable<'t>>,
    span: Range<usize>,
    path: String,
    asked: BTreeSet<&'static str>,
}

impl<'t> Reader<'t> {
    fn new(source: Rc<Source>, table: &'t DeTable<'t>, span: Range<usize>, path: String) -> Self {
        Self { source, table: Some(table), span, path, asked: BTreeSet::new() }
    }

    /// A value that must be there.
    pub fn required<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.expect(key);
        self.optional(key)
    }

    /// A value that may be left out.
    pub fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let value = self.value(key)?;
        self.keep(value.span(), key, T::read(value.get_ref()))
    }

    /// A value or its default.
    pub fn or<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// A text that must be there and is read by `FromStr`; the type's error says what is allowed.
    pub fn required_text<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        self.expect(key);
        self.optional_text(key)
    }

    /// A text that may be left out and is read by `FromStr`.
    pub fn optional_text<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        let value = self.value(key)?;
        let read = String::read(value.get_ref()).and_then(|text| parse_text(&text));
        self.keep(value.span(), key, read)
    }

    /// A list of texts read by `FromStr`; left out is empty. Every bad item is reported.
    pub fn texts<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &'static str) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.keep::<()>(value.span(), key, Err(Wrong::new("is no list", "write a list of texts in [ ]")));
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                let read = String::read(item.get_ref()).and_then(|text| parse_text(&text));
                self.keep(item.span(), key, read)
            })
            .collect()
    }

    /// A text from a closed list of names with their values.
    pub fn choice<T: Clone>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let read = String::read(value.get_ref()).and_then(|text| {
            let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| choice.clone());
            found.ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                Wrong::new(format!("{text:?} is not known"), format!("write one of {}", names.join(", ")))
            })
        });
        self.keep(value.span(), key, read)
    }

    /// A sub-table; an empty one when it is left out.
    pub fn section(&mut self, key: &'static str) -> Reader<'t> {
        let path = self.path_of(key);
        let empty = Reader {
            source: Rc::clone(&self.source),
            table: None,
            span: self.span.clone(),
            path: path.clone(),
            asked: BTreeSet::new(),
        };
        let Some(value) = self.value(key) else { return empty };
        match value.get_ref() {
            DeValue::Table(table) => Reader::new(Rc::clone(&self.source), table, value.span(), path),
            _ => {
                self.keep::<()>(value.span(), key, Err(Wrong::new("is no table", format!("write [{path}]"))));
                empty
            }
        }
    }

    /// An array of tables; empty when it is left out.
    pub fn sections(&mut self, key: &'static str) -> Vec<Reader<'t>> {
        let path = self.path_of(key);
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.keep::<()>(value.span(), key, Err(Wrong::new("is no array of tables", format!("write [[{path}]]"))));
            return Vec::new();
        };
        let mut readers = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match item.get_ref() {
                DeValue::Table(table) => {
                    readers.push(Reader::new(Rc::clone(&self.source), table, item.span(), path));
                }
                _ => self.source.note(item.span(), &path, Wrong::new("is no table", format!("write [[{key}]]"))),
            }
        }
        readers
    }

    /// A table or an array of tables; empty when it is left out.
    pub fn one_or_more(&mut self, key: &'static str) -> Vec<Reader<'t>> {
        let is_list = self.find(key).is_some_and(|(_, value)| value.get_ref().as_array().is_some());
        if is_list || !self.has(key) { self.sections(key) } else { vec![self.section(key)] }
    }

    /// Leaves a key to somebody else: it may be there and is not read here.
    pub fn ignore(&mut self, key: &'static str) {
        self.asked.insert(key);
    }

    /// True when the key is written in this table.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Reports a mistake in the meaning of `key` (or of the whole table when it is not there).
    pub fn refuse(&self, key: &str, problem: impl Into<String>, cure: impl Into<String>) {
        let span = self.find(key).map_or_else(|| self.span.clone(), |(key, _)| key.span());
        self.source.note(span, &self.path_of(key), Wrong::new(problem, cure));
    }

    /// The line of this table, from 1.
    pub fn line(&self) -> usize {
        1 + self.source.text.bytes().take(self.span.start).filter(|b| *b == b'\n').count()
    }

    /// The file being read.
    pub fn file(&self) -> &Path {
        &self.source.file
    }

    /// Refuses every key that nobody asked for.
    pub fn finish(&self) {
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if self.asked.contains(name) {
                continue;
            }
            let known: Vec<&str> = self.asked.iter().copied().collect();
            let cure = match nearest(name, &known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.source.note(key.span(), &self.path_of(name), Wrong::new("unknown key", cure));
        }
    }

    fn expect(&mut self, key: &'static str) {
        if !self.has(key) {
            self.asked.insert(key);
            self.source.note(self.span.clone(), &self.path_of(key), Wrong::new("is missing", format!("add {key} = …")));
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.insert(key);
        self.find(key).map(|(_, value)| value)
    }

    fn find(&self, key: &str) -> Option<(&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>)> {
        self.table?.iter().find(|(name, _)| name.get_ref().as_ref() == key)
    }

    fn keep<T>(&self, span: Range<usize>, key: &str, read: Result<T, Wrong>) -> Option<T> {
        read.map_err(|wrong| self.source.note(span, &self.path_of(key), wrong)).ok()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn parse_text<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|error: T::Err| Wrong::new(error.to_string(), "correct it"))
}

/// The known key that a typing mistake most likely meant.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let (distance, near) = known.iter().map(|key| (edit_distance(name, key), *key)).min()?;
    (distance <= 1 + name.len() / 4).then_some(near)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        name: String,
        hold: Duration,
        ports: Vec<u16>,
    }

    fn read_sample(reader: &mut Reader<'_>) -> Option<Sample> {
        let name = reader.required("name");
        let hold = reader.or("hold", Duration::from_secs(5));
        let ports: Vec<u16> = reader
            .sections("port")
            .into_iter()
            .filter_map(|mut port| {
                let number = port.required("number");
                port.finish();
                number
            })
            .collect();
        Some(Sample { name: name?, hold, ports })
    }

    fn mistakes(text: &str) -> Vec<String> {
        let read = Document::from_text("x.toml", text).read(read_sample);
        read.expect_err("should be refused").0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_and_defaults_are_read() {
        let text = "name = \"a\"\n[[port]]\nnumber = 80\n[[port]]\nnumber = 0x51\n";
        let sample = Document::from_text("x.toml", text).read(read_sample).unwrap();
        assert_eq!(sample, Sample { name: "a".to_owned(), hold: Duration::from_secs(5), ports: vec![80, 81] });
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_lines() {
        let found =
            mistakes("nmae = \"a\"\nhold = \"5 fortnights\"\n[[port]]\nnumber = -1\n[[port]]\nnumber = 1\nextra = 2\n");
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].starts_with("x.toml:1: name: is missing"), "{found:#?}");
        assert!(found[1].contains("x.toml:1: nmae: unknown key; did you mean \"name\"?"), "{found:#?}");
        assert!(found[2].starts_with("x.toml:2: hold:"), "{found:#?}");
        assert!(found[3].starts_with("x.toml:4: port[0].number:"), "{found:#?}");
        assert!(found[4].starts_with("x.toml:7: port[1].extra: unknown key"), "{found:#?}");
    }

    #[test]
    fn a_bad_row_does_not_spoil_the_others() {
        let number = |row: &mut Reader<'_>| {
            let number = row.required::<u16>("number");
            row.ignore("id");
            row.finish();
            number
        };
        let text =
            "other = 1\n[[port]]\nid = \"a\"\nnumber = 1\n[[port]]\nid = \"b\"\nnumbr = 2\n[[port]]\nnumber = 3\n";
        let rows = Document::from_text("x.toml", text).rows("port", number).unwrap();
        let read: Vec<_> = rows.iter().map(|row| (row.id.as_deref(), row.read.as_ref().ok().copied())).collect();
        assert_eq!(read, [(Some("a"), Some(1)), (Some("b"), None), (None, Some(3))]);
        let mistakes = rows[1].read.as_ref().unwrap_err();
        assert_eq!(mistakes.0.len(), 2, "{mistakes}");
        assert!(Document::from_text("x.toml", "[[port]\n").rows("port", number).is_err());
        assert!(Document::from_text("x.toml", "port = 3\n").rows("port", number).is_err());
    }

    #[test]
    fn broken_toml_is_reported_with_its_line() {
        let found = mistakes("name = \"a\"\nhold = \n");
        assert!(found[0].starts_with("x.toml:2:"), "{found:#?}");
    }

    proptest::proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[a-z=\\[\\]\"\\n .0-9]{0,60}") {
            let _ = Document::from_text("x.toml", text).read(read_sample);
        }
    }
}
