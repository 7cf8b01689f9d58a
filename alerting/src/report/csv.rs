//! A table as CSV for spreadsheets: UTF-8 with a byte order mark, without which Excel doesn't show Chinese.
//!
//! Invariant: no cell is taken for a formula (OWASP, CSV injection).

use ::csv::{Terminator, WriterBuilder};

use super::{
    Report,
    table::{Cell, Language, Table, in_language},
};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why no CSV came out.
#[derive(Debug, thiserror::Error)]
#[error("table {table} can't be written as CSV")]
pub struct NotWritten {
    table: &'static str,
    #[source]
    cause: ::csv::Error,
}

/// All tables one below the other, each with its title, and an empty line between them.
pub fn write_all(report: &Report, language: Language) -> Result<Vec<u8>, NotWritten> {
    let mut all = BYTE_ORDER_MARK.as_bytes().to_vec();
    for table in &report.tables {
        let written = write(table, language)?;
        all.extend_from_slice(in_language(&table.title, language).as_bytes());
        all.extend_from_slice(b"\r\n");
        all.extend_from_slice(written.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(&written));
        all.extend_from_slice(b"\r\n");
    }
    Ok(all)
}

/// One table with a line of headings.
pub fn write(table: &Table, language: Language) -> Result<Vec<u8>, NotWritten> {
    let refuse = |cause| NotWritten { table: table.key, cause };
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(BYTE_ORDER_MARK.as_bytes().to_vec());
    let headings = table.columns.iter().map(|column| inert(in_language(&column.heading, language).to_owned()));
    writer.write_record(headings).map_err(refuse)?;
    for row in &table.rows {
        writer.write_record(row.iter().map(|cell| field(cell, language))).map_err(refuse)?;
    }
    writer.into_inner().map_err(|error| refuse(error.into_error().into()))
}

fn field(cell: &Cell, language: Language) -> String {
    match cell {
        // Our own numbers are numbers, and a withheld one is a text.
        Cell::Count(_) | Cell::Share(_) => cell.text(language),
        _ => inert(cell.text(language)),
    }
}

/// What a spreadsheet would compute gets an apostrophe, which makes it a text. Full-width signs count too where the
/// keyboard is Chinese.
fn inert(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::table::{column, words},
        *,
    };

    fn one_cell(cell: Cell) -> String {
        let columns = vec![column("name", "名称", "Name")];
        let bytes = write(&Table { key: "t", title: words("表", "T"), columns, rows: vec![vec![cell]] }, Language::Zh);
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn the_file_begins_with_the_mark_that_excel_needs() {
        assert_eq!(one_cell(Cell::Text("积水".to_owned())).as_bytes(), "\u{feff}名称\r\n积水\r\n".as_bytes());
    }

    #[test]
    fn formulas_become_texts() {
        let cases = [
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+86", "'+86"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("＝1", "'＝1"),
            ("a=1", "a=1"),
            ("<10", "<10"),
        ];
        for (text, expected) in cases {
            assert_eq!(one_cell(Cell::Text(text.to_owned())), format!("\u{feff}名称\r\n{expected}\r\n"), "{text:?}");
        }
    }

    proptest! {
        /// Whatever stands in a cell, a reader of CSV gets it back whole and finds no formula.
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let written = one_cell(Cell::Text(text.clone()));
            let mut reader = ::csv::Reader::from_reader(written.trim_start_matches('\u{feff}').as_bytes());
            // A record of one empty field is an empty line to some readers; this one takes the quoted form.
            let records: Vec<_> = reader.records().map(Result::unwrap).collect();
            let read = &records[0][0];
            prop_assert!(!read.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert!(read == text || read.strip_prefix('\'') == Some(text.as_str()));
        }
    }
}
