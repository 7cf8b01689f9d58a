//! A report as an Excel workbook: a sheet per table, counts as numbers, shares as percentages.
//!
//! The same report gives the same bytes. Texts are written as texts, so none becomes a formula.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::{
    Report,
    table::{Cell, Language, Table, in_language},
};

/// Longest name of a sheet, characters; Excel's bound.
const MAX_NAME: usize = 31;
const COLUMN_WIDTH: f64 = 14.0;

/// Why no workbook came out.
#[derive(Debug, thiserror::Error)]
#[error("the report can't be written as XLSX")]
pub struct NotWritten(#[from] XlsxError);

/// The whole report.
pub fn write(report: &Report, language: Language) -> Result<Vec<u8>, NotWritten> {
    let mut workbook = Workbook::new();
    let made_at = ExcelDateTime::from_timestamp(report.made_at.as_second())?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&made_at));
    for table in &report.tables {
        sheet(workbook.add_worksheet(), table, language)?;
    }
    Ok(workbook.save_to_buffer()?)
}

fn sheet(sheet: &mut Worksheet, table: &Table, language: Language) -> Result<(), NotWritten> {
    let name: String = in_language(&table.title, language).chars().take(MAX_NAME).collect();
    sheet.set_name(name)?.set_freeze_panes(1, 1)?;
    let (bold, share) = (Format::new().set_bold(), Format::new().set_num_format("0.0%"));
    for (place, column) in (0u16..).zip(&table.columns) {
        sheet.write_string_with_format(0, place, in_language(&column.heading, language), &bold)?;
        sheet.set_column_width(place, COLUMN_WIDTH)?;
    }
    for (line, row) in (1u32..).zip(&table.rows) {
        for (place, cell) in (0u16..).zip(row) {
            match cell {
                // Counts of a period lie far below 2^53.
                Cell::Count(n) => sheet.write_number(line, place, *n as f64)?,
                Cell::Share(part) => sheet.write_number_with_format(line, place, *part, &share)?,
                Cell::Empty => continue,
                text => sheet.write_string(line, place, text.text(language))?,
            };
        }
    }
    Ok(())
}
