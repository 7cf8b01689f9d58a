//! Reports and nuisance, as they are asked for and answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Bilingual;

/// Which report, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// `json`, `csv` or `xlsx`; `json` when left out.
    pub format: Option<String>,
    /// `in_scope` for people who may see each incident; `published` for anybody: small counts are withheld. `in_scope` when left out.
    pub audience: Option<String>,
    /// Only what lies in this region: the beginning of its code.
    #[param(max_length = 64)]
    pub region: Option<String>,
    /// By how many digits of their codes grids are told apart; all when left out.
    #[param(minimum = 4, maximum = 20)]
    pub digits: Option<usize>,
    /// The length of a part of the day in the heat map, minutes: at least 15. 60 when left out.
    #[param(minimum = 15, maximum = 1440)]
    pub bin_min: Option<u16>,
    /// `zh` or `en`, for CSV and XLSX; `zh` when left out.
    pub language: Option<String>,
    /// One table of it by its key, for CSV; all when left out.
    #[param(max_length = 64)]
    pub table: Option<String>,
}

/// A report; each row is an object by column keys.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Report(BTreeMap<String, String>);

/// Over which days nuisance is counted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NuisanceQuery {
    /// How many days back, 1 to 92; 30 when left out.
    #[param(minimum = 1, maximum = 92)]
    pub days: Option<u32>,
}

/// What of that which machines raised was nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct NuisancePage {
    /// How many days back it was counted.
    pub days: u32,
    /// Per category, those with most discarded first.
    pub categories: Vec<NuisanceRow>,
    /// Per rule.
    pub rules: Vec<NuisanceRow>,
    /// Per camera or sensor.
    pub devices: Vec<NuisanceRow>,
}

/// Of one category, rule or device.
#[derive(Debug, Serialize, ToSchema)]
pub struct NuisanceRow {
    /// Its key or id.
    pub key: String,
    /// What people read.
    pub name: Bilingual,
    /// How many incidents it raised.
    pub n_raised: u64,
    /// How many of them a person judged.
    pub n_judged: u64,
    /// How many of them a person discarded.
    pub n_discarded: u64,
    /// Discarded by raised, 0 to 1.
    pub rate: f64,
    /// The most frequent reason to discard.
    #[schema(required)]
    pub reason: Option<Bilingual>,
    /// What to change, once a rule is mostly discarded.
    #[schema(required)]
    pub suggestion: Option<Bilingual>,
}
