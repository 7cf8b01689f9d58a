//! A report as JSON: each row an object by column keys, counts and shares as numbers.

use serde_json::{Map, Value, json};

use super::{
    Report,
    table::{Cell, SMALL, Table, WITHHELD},
};
use crate::words::Bilingual;

/// The whole report.
pub fn write(report: &Report) -> Value {
    json!({
        "period": report.period.to_string(),
        "starts_at": report.starts_at,
        "ends_at": report.ends_at,
        "made_at": report.made_at,
        "audience": report.audience.as_str(),
        "tables": report.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

fn table(table: &Table) -> Value {
    let columns = table.columns.iter().map(|column| json!({ "key": column.key, "heading": words(&column.heading) }));
    let row = |row: &Vec<Cell>| -> Map<String, Value> {
        table.columns.iter().zip(row).map(|(column, cell)| (column.key.clone(), value(cell))).collect()
    };
    json!({
        "key": table.key,
        "title": words(&table.title),
        "columns": columns.collect::<Vec<_>>(),
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => json!(text),
        Cell::Words(both) => words(both),
        Cell::Count(n) => json!(n),
        Cell::Share(share) => json!((share * 10_000.0).round() / 10_000.0),
        Cell::Small => json!(SMALL),
        Cell::Withheld => json!(WITHHELD),
        Cell::Empty => Value::Null,
    }
}

fn words(words: &Bilingual) -> Value {
    json!({ "zh": words.zh, "en": words.en })
}
