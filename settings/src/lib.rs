//! Reads TOML settings into typed values and reports every mistake of a file at once.
//!
//! In: a file's text. Out: values, or [`Mistakes`], each with file, line, cause and cure. A [`Reader`] stands on one table;
//! what is not asked for by the time it is dropped by [`Reader::finish`] is an unknown key and refused.
//! Not here: what any key means.

mod endpoint;
mod mistake;
mod reader;
mod setting;

pub use endpoint::{AllowedEndpoints, Endpoint};
pub use mistake::{Mistake, Mistakes};
pub use reader::{Document, Reader, Row};
pub use setting::{Setting, Wrong, parse_duration};
