//! Reports of weeks and months, and what of that which machines raise was nothing.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Api,
    person::{Signed, asked_now, nothing_in_scope},
    problem::{Answer, Problem},
    shapes::{self, NuisancePage, NuisanceQuery, NuisanceRow, ProblemBody, ReportQuery},
    taken::{Named, Query, read_code},
};
use crate::{
    access::{Action, Kind, Purpose, Resource, Scope},
    report::{
        self, Audience, BinMinutes, Language, Period, Report,
        nuisance::{By, Nuisance, count},
    },
    store::{
        audit::{Asked, register},
        facts,
    },
};

const BIN_MIN: u16 = 60;
const NUISANCE_DAYS: u32 = 30;

enum Format {
    Json,
    Csv,
    Xlsx,
}

struct Wanted {
    format: Format,
    audience: Audience,
    language: Language,
    bin: BinMinutes,
    n_digits: usize,
    table: Option<String>,
}

/// A report of a week (`2026-W40`) or a month (`2026-10`) of the deployer's calendar.
#[utoipa::path(
    get, path = "/api/v1/reports/{period}", operation_id = "get_report", tag = "reports",
    params(("period" = String, Path, description = "A week such as 2026-W40 or a month such as 2026-10."), ReportQuery),
    responses((status = 200, content((shapes::Report = "application/json"), (String = "text/csv"),
                  (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
              (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn get(
    State(api): State<Api>,
    signed: Signed,
    Named(period): Named<String>,
    Query(query): Query<ReportQuery>,
) -> Answer<Response> {
    let period: Period = period.parse().map_err(|_| Problem::not_found())?;
    let region = query.region.clone().map(|region| read_code("region", region)).transpose()?;
    let wanted = read(query)?;
    let (scope, region) = permitted(&api, &signed, (period, region)).await?;
    let calendar = api.procedure().calendar().clone();
    let request = report::Request {
        period,
        zone: calendar.zone().clone(),
        audience: wanted.audience,
        bin: wanted.bin,
        made_at: Timestamp::now(),
    };
    let span = period.bounds(&request.zone).map_err(|invalid| refuse("period", &invalid))?;
    let (n_digits, zone) = (wanted.n_digits, request.zone.clone());
    let found = api.store.read(move |tx| {
        let asked = facts::Asked { scope: &scope, region: Some(&region), span, n_digits };
        Ok((facts::cases(tx, &asked, (Timestamp::now(), &calendar))?, facts::cameras(tx, &asked, &zone)?))
    });
    let (cases, cameras) = found.await?;
    let built = tokio::task::spawn_blocking(move || {
        let report = report::build(&cases, &cameras, &request).map_err(|none| refuse("digits", &none))?;
        write(&report, &wanted)
    });
    built.await.map_err(|_| Problem::unavailable("the report can't be made"))?
}

/// Which incidents, and of which region, once it is registered that somebody asks.
async fn permitted(api: &Api, signed: &Signed, (period, region): (Period, Option<String>)) -> Answer<(Scope, String)> {
    let asked = asked_now(&signed.person).for_purpose(Purpose::AggregateStatistics);
    let scope = api.access.scope(&signed.person, Action::ReadStatistics, asked);
    let own = scope.0.first().map(|part| part.region.clone());
    let region = region.or(own).unwrap_or_else(|| api.region.to_string());
    let (person, access, named) = (signed.person.clone(), api.access.clone(), region.clone());
    let permit = api.store.write(move |tx| {
        let resource = Resource::new(Kind::Statistics, &named);
        let permit = access.authorize(&person, Action::ReadStatistics, resource, asked);
        let (action, resource) = (Action::ReadStatistics.as_str(), format!("report/{period}/{named}"));
        let (at, purpose) = (asked.now, asked.purpose);
        let row = Asked { person: &person, at, purpose, reason: None, action, resource: &resource };
        register(tx, &access, row, permit.as_ref())?;
        Ok(permit.map(|_| ()))
    });
    permit.await??;
    Ok((scope, region))
}

fn read(query: ReportQuery) -> Answer<Wanted> {
    let ReportQuery { format, audience, region: _, digits, bin_min, language, table } = query;
    let n_digits = digits.unwrap_or_default();
    if digits.is_some_and(|digits| !(4..=20).contains(&digits)) {
        return Err(Problem::field("digits", "must be 4 to 20"));
    }
    Ok(Wanted {
        format: match format.as_deref() {
            None | Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            Some("xlsx") => Format::Xlsx,
            Some(_) => return Err(Problem::field("format", "must be json, csv or xlsx")),
        },
        audience: match audience.as_deref() {
            None | Some("in_scope") => Audience::InScope,
            Some("published") => Audience::Published,
            Some(_) => return Err(Problem::field("audience", "must be in_scope or published")),
        },
        language: match language.as_deref() {
            None | Some("zh") => Language::Zh,
            Some("en") => Language::En,
            Some(_) => return Err(Problem::field("language", "must be zh or en")),
        },
        bin: BinMinutes::try_from(bin_min.unwrap_or(BIN_MIN)).map_err(|invalid| refuse("bin_min", &invalid))?,
        n_digits,
        table,
    })
}

fn write(report: &Report, wanted: &Wanted) -> Answer<Response> {
    let unwritten = |error: &dyn std::error::Error| {
        tracing::error!(error = crate::error_chain(error), "report can't be written");
        Problem::unavailable("the report can't be written")
    };
    let (kind, end, bytes) = match wanted.format {
        Format::Json => return Ok(Json(report::json::write(report)).into_response()),
        Format::Csv => {
            let written = match &wanted.table {
                None => report::csv::write_all(report, wanted.language),
                Some(key) => {
                    let table = report.tables.iter().find(|table| table.key == key.as_str());
                    let table = table.ok_or_else(Problem::not_found)?;
                    report::csv::write(table, wanted.language)
                }
            };
            ("text/csv; charset=utf-8", "csv", written.map_err(|error| unwritten(&error))?)
        }
        Format::Xlsx => (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "xlsx",
            report::xlsx::write(report, wanted.language).map_err(|error| unwritten(&error))?,
        ),
    };
    let name = format!("attachment; filename=\"xueliang-{}-{}.{end}\"", report.period, report.audience.as_str());
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], bytes).into_response())
}

fn refuse(field: &str, error: &dyn std::error::Error) -> Problem {
    Problem::field(field, error.to_string())
}

/// Which categories, rules and devices raise what people then discard, and what to change.
#[utoipa::path(
    get, path = "/api/v1/nuisance", operation_id = "get_nuisance", tag = "reports", params(NuisanceQuery),
    responses((status = 200, body = NuisancePage), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody))
)]
pub(super) async fn nuisance(
    State(api): State<Api>,
    signed: Signed,
    Query(query): Query<NuisanceQuery>,
) -> Answer<Json<NuisancePage>> {
    let days = query.days.unwrap_or(NUISANCE_DAYS);
    if !(1..=92).contains(&days) {
        return Err(Problem::field("days", "must be 1 to 92"));
    }
    let watching = asked_now(&signed.person).for_purpose(Purpose::PublicSafetyWatch);
    if api.access.scope(&signed.person, Action::ReadRules, watching).0.is_empty() {
        return Err(nothing_in_scope(&signed.person).into());
    }
    let scope = api.access.scope(&signed.person, Action::ReadIncident, watching);
    let since = watching.now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN);
    let raised = api.store.read(move |tx| facts::raised(tx, Some(&scope), since)).await?;
    let rows = |by| count(&raised, by).iter().map(row).collect();
    Ok(Json(NuisancePage { days, categories: rows(By::Category), rules: rows(By::Rule), devices: rows(By::Device) }))
}

fn row(nuisance: &Nuisance) -> NuisanceRow {
    NuisanceRow {
        key: nuisance.key.clone(),
        name: nuisance.name.clone().into(),
        n_raised: nuisance.n_raised,
        n_judged: nuisance.n_judged,
        n_discarded: nuisance.n_discarded,
        rate: nuisance.rate().unwrap_or_default(),
        reason: nuisance.reason().map(Into::into),
        suggestion: nuisance.suggestion().map(Into::into),
    }
}
