use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use proptest::prelude::*;

use super::{testing::case, *};

fn request(audience: Audience) -> Request {
    Request {
        period: "2026-W40".parse().unwrap(),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
        audience,
        bin: BinMinutes::try_from(60).unwrap(),
        made_at: "2026-10-05T00:00:00Z".parse().unwrap(),
    }
}

fn at_grid(mut case: CaseFact, grid: &str, department: Option<&str>) -> CaseFact {
    case.grid = grid.parse().unwrap();
    case.department = department.map(str::to_owned);
    case
}

/// Two grids, two departments, one of them named by somebody who likes formulas.
fn facts() -> (Vec<CaseFact>, Vec<CameraFact>) {
    let (north, south, works) = ("110101001001001", "110101001001002", Some("=works"));
    let mut in_time = at_grid(case(State::Closed), north, works);
    in_time.on_time = Some(true);
    let mut late = at_grid(case(State::Evaluated), north, works);
    (late.on_time, late.n_reworks) = (Some(false), 2);
    let mut overdue = at_grid(case(State::Handling), south, works);
    (overdue.on_time, overdue.n_returns) = (Some(false), 1);
    let mut again = at_grid(case(State::Dispatched), south, Some("市政"));
    again.n_attempts = 2;
    let untimed = at_grid(case(State::Closed), south, Some("市政"));
    let mut other_week = at_grid(case(State::Closed), north, works);
    other_week.opened_at = "2026-10-04T16:00:00Z".parse().unwrap();
    let nothing = at_grid(case(State::Discarded), north, None);
    let void = at_grid(case(State::Void), north, None);
    let camera = |camera: &str, grid: &str, [observed_s, live_s, good_s]: [u64; 3]| CameraFact {
        camera: camera.parse().unwrap(),
        grid: grid.parse().unwrap(),
        observed_s,
        live_s,
        good_s,
    };
    let cameras = vec![
        camera("a", north, [1000, 900, 800]),
        camera("b", north, [1000, 1000, 1000]),
        camera("c", south, [0, 0, 0]),
    ];
    (vec![in_time, late, overdue, again, untimed, other_week, nothing, void], cameras)
}

/// `n` closed cases in a grid, of a category.
fn many(n: usize, grid: &str, category: Category) -> Vec<CaseFact> {
    let mut case = at_grid(case(State::Closed), grid, Some("works"));
    (case.category, case.on_time) = (category, Some(true));
    vec![case; n]
}

fn made(audience: Audience) -> Report {
    let (cases, cameras) = facts();
    build(&cases, &cameras, &request(audience)).unwrap()
}

fn table<'a>(report: &'a Report, key: &str) -> &'a Table {
    report.tables.iter().find(|table| table.key == key).unwrap()
}

/// The CSV of one table without its mark.
fn csv_of(report: &Report, key: &str, language: Language) -> String {
    let bytes = csv::write(table(report, key), language).unwrap();
    String::from_utf8(bytes).unwrap().trim_start_matches('\u{feff}').replace("\r\n", "\n")
}

#[test]
fn figures_per_grid() {
    let expected = "\
名称,发现,误报,上报,立案,派遣,结案,未结,按时办结率（分子）,按时办结率（分母）,按时办结率,返工率（分子）,返工率（分母）,返工率,退回率（分子）,退回率（分母）,退回率,误报率（分子）,误报率（分母）,误报率
110101001001001,4,1,3,2,2,2,0,1,2,50.0%,1,2,50.0%,0,2,0.0%,1,4,25.0%
110101001001002,3,0,3,3,3,1,2,0,1,0.0%,1,3,33.3%,1,3,33.3%,0,3,0.0%
合计,7,1,6,5,5,3,2,1,3,33.3%,2,5,40.0%,1,5,20.0%,1,7,14.3%
";
    assert_eq!(csv_of(&made(Audience::InScope), "cases_by_grid", Language::Zh), expected);
}

#[test]
fn figures_per_department_leave_out_what_none_has() {
    let expected = "\
Name,Raised,Discarded,Reported,Filed,Dispatched,Closed,Open,On-time rate (n),On-time rate (of),On-time rate,Rework rate (n),Rework rate (of),Rework rate,Return rate (n),Return rate (of),Return rate,False-alarm rate (n),False-alarm rate (of),False-alarm rate
'=works,3,0,3,3,3,2,1,1,3,33.3%,1,3,33.3%,1,3,33.3%,0,3,0.0%
市政,2,0,2,2,2,1,1,,,,1,2,50.0%,0,2,0.0%,0,2,0.0%
All,7,1,6,5,5,3,2,1,3,33.3%,2,5,40.0%,1,5,20.0%,1,7,14.3%
";
    assert_eq!(csv_of(&made(Audience::InScope), "cases_by_department", Language::En), expected);
}

#[test]
fn cameras_online_and_intact() {
    let expected = "\
名称,摄像机数,在线率（分子）,在线率（分母）,在线率,完好率（分子）,完好率（分母）,完好率
110101001001001,2,1900,2000,95.0%,1800,2000,90.0%
110101001001002,1,,,,,,
合计,3,1900,2000,95.0%,1800,2000,90.0%
";
    for audience in [Audience::InScope, Audience::Published] {
        assert_eq!(csv_of(&made(audience), "cameras_by_grid", Language::Zh), expected);
    }
}

#[test]
fn p33_a_published_report_hides_small_counts_in_every_table() {
    let (flood, manhole) = (Category::RoadFlood, Category::ManholeOpen);
    let (north, south) = ("110101001001001", "110101001001002");
    let cases =
        [many(41, north, flood), many(23, south, flood), many(3, north, manhole), many(52, south, manhole)].concat();
    let report = build(&cases, &[], &request(Audience::Published)).unwrap();
    let keys: Vec<&str> = report.tables.iter().map(|table| table.key).collect();
    let expected = [
        "outcome_by_grid",
        "outcome_by_department",
        "grid_by_category",
        "department_by_category",
        "raised_by_time",
        "cameras_by_grid",
    ];
    assert_eq!(keys, expected, "no table of single rules or cameras");
    let by_category = table(&report, "grid_by_category");
    let place =
        |category: Category| by_category.columns.iter().position(|column| column.key == category.as_str()).unwrap();
    let cells = |row: usize| [&by_category.rows[row][place(flood)], &by_category.rows[row][place(manhole)]];
    assert_eq!(cells(0), [&Cell::Withheld, &Cell::Small]);
    assert_eq!(cells(1), [&Cell::Withheld, &Cell::Withheld]);
    assert_eq!(cells(2), [&Cell::Count(65), &Cell::Count(55)]);
    let by_grid = csv_of(&report, "outcome_by_grid", Language::En);
    let last = by_grid.lines().last().unwrap();
    assert!(last.starts_with("All,<10,<10,<10,<10,120,<10,<10,120,"), "{last}");
}

#[test]
fn rates_of_published_counts_follow_from_what_is_shown() {
    let grid = "110101001001001";
    let with = |n: usize, state: State, on_time: Option<bool>| {
        let mut case = at_grid(case(state), grid, Some("works"));
        case.on_time = on_time;
        vec![case; n]
    };
    let cases = [
        with(62, State::Closed, Some(true)),
        with(21, State::Closed, Some(false)),
        with(14, State::Handling, Some(false)),
        with(33, State::Discarded, None),
    ];
    let report = build(&cases.concat(), &[], &request(Audience::Published)).unwrap();
    let csv = csv_of(&report, "outcome_by_grid", Language::En);
    let expected = "110101001001001,35,<10,<10,15,60,20,<10,130,60,95,63.2%,35,130,26.9%";
    assert_eq!(csv.lines().nth(1), Some(expected));
}

#[test]
fn json_names_every_cell() {
    let json = json::write(&made(Audience::InScope));
    let (period, audience) = (&json["period"], &json["audience"]);
    assert_eq!((period, audience), (&"2026-W40".into(), &"in_scope".into()));
    assert_eq!(
        (&json["starts_at"], &json["ends_at"]),
        (&"2026-09-27T16:00:00Z".into(), &"2026-10-04T16:00:00Z".into())
    );
    let expected = serde_json::json!({
        "name": "110101001001002",
        "raised": 3, "discarded": 0, "reported": 3, "filed": 3, "dispatched": 3, "closed": 1, "open": 2,
        "on_time_rate_n": 0, "on_time_rate_of": 1, "on_time_rate": 0.0,
        "rework_rate_n": 1, "rework_rate_of": 3, "rework_rate": 0.3333,
        "return_rate_n": 1, "return_rate_of": 3, "return_rate": 0.3333,
        "false_alarm_rate_n": 0, "false_alarm_rate_of": 3, "false_alarm_rate": 0.0,
    });
    assert_eq!(json["tables"][0]["rows"][1], expected);
    let departments = &json["tables"][1]["rows"];
    assert!(departments[1]["on_time_rate"].is_null(), "no rate of nothing: {departments}");
    let published = json::write(&made(Audience::Published)).to_string();
    assert!(published.contains("\"<10\"") && published.contains("\"*\""));
}

#[test]
fn a_workbook_has_counts_as_numbers_and_texts_as_texts() {
    for (language, sheet, heading) in
        [(Language::Zh, "各部门案件", "发现"), (Language::En, "Cases by department", "Raised")]
    {
        let bytes = xlsx::write(&made(Audience::InScope), language).unwrap();
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap();
        assert_eq!(book.sheet_names().len(), made(Audience::InScope).tables.len());
        let range = book.worksheet_range(sheet).unwrap();
        let cell = |row: u32, column: u32| range.get_value((row, column)).cloned().unwrap_or(Data::Empty);
        assert_eq!(cell(0, 1), Data::String(heading.to_owned()));
        assert_eq!((cell(1, 0), cell(1, 1)), (Data::String("=works".to_owned()), Data::Float(3.0)));
        assert!(matches!(cell(1, 10), Data::Float(share) if (share - 1.0 / 3.0).abs() < 1e-9), "{:?}", cell(1, 10));
        assert_eq!(cell(2, 10), Data::Empty, "no rate of nothing");
        assert!(book.worksheet_formula(sheet).unwrap().is_empty(), "no formula");
    }
    let bytes = xlsx::write(&made(Audience::Published), Language::En).unwrap();
    assert_eq!(
        bytes,
        xlsx::write(&made(Audience::Published), Language::En).unwrap(),
        "the same report, the same bytes"
    );
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap();
    let range = book.worksheet_range("Outcome by grid").unwrap();
    assert_eq!(range.get_value((3, 8)), Some(&Data::String("<10".to_owned())), "7 in all");
}

#[test]
fn too_many_groups_are_refused() {
    let cases: Vec<CaseFact> =
        (0..=MAX_GROUPS).map(|n| at_grid(case(State::Closed), &format!("1101010010{n:05}"), None)).collect();
    let refusal = build(&cases, &[], &request(Audience::InScope)).unwrap_err();
    assert_eq!(refusal.to_string(), "the report has 1001 grids: report on larger regions, at most 1000");
}

#[test]
fn every_row_fills_its_columns_and_every_key_is_unique() {
    for audience in [Audience::InScope, Audience::Published] {
        for table in made(audience).tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.key);
            let mut keys: Vec<&str> = table.columns.iter().map(|column| column.key.as_str()).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), table.columns.len(), "{}", table.key);
        }
    }
}

/// A city's week on a debug build; prints how long it takes.
#[test]
fn a_large_published_report_is_made_soon() {
    let mut cases = Vec::new();
    for grid in 0..300usize {
        for (place, category) in Category::ALL.into_iter().enumerate() {
            let n = (grid * 31 + place * 17) % 23 / (1 + place % 4);
            cases.extend(many(n, &format!("1101010010{grid:05}"), category));
        }
    }
    let began = std::time::Instant::now();
    let report = build(&cases, &[], &request(Audience::Published)).unwrap();
    println!("{} cases in {:?}", cases.len(), began.elapsed());
    let n_counts =
        table(&report, "grid_by_category").rows.iter().flatten().filter(|cell| matches!(cell, Cell::Count(_))).count();
    assert!(n_counts > 300, "most totals are shown: {n_counts}");
}

fn any_case() -> impl Strategy<Value = CaseFact> {
    let state = prop::sample::select(State::ALL);
    (state, prop::option::of(any::<bool>()), 0u32..3, 0u32..3, 0usize..17, 0u32..4).prop_map(
        |(state, on_time, n_returns, n_reworks, category, grid)| {
            let mut case = at_grid(case(state), &format!("11010100100100{grid}"), None);
            (case.on_time, case.n_returns, case.n_reworks) = (on_time, n_returns, n_reworks);
            case.category = Category::ALL[category];
            case
        },
    )
}

proptest! {
    /// Each incident is one of discarded, void, closed, open; groups sum up to the whole; no rate is more than all.
    #[test]
    fn figures_add_up(cases in prop::collection::vec(any_case(), 0..80)) {
        let mut all = Figures::default();
        cases.iter().for_each(|case| all.add(case));
        let n_void = cases.iter().filter(|case| case.state == State::Void).count() as u64;
        prop_assert_eq!(all.n_raised, all.n_discarded + n_void + all.n_closed + all.n_open);
        for rate in [all.on_time(), all.rework(), all.returned(), all.false_alarm()].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&rate.share()));
        }
        let report = build(&cases, &[], &request(Audience::InScope)).unwrap();
        let rows = &table(&report, "cases_by_grid").rows;
        for column in 1..8 {
            let count = |row: &Vec<Cell>| match row[column] { Cell::Count(n) => n, _ => 0 };
            let (last, groups) = rows.split_last().unwrap();
            prop_assert_eq!(groups.iter().map(count).sum::<u64>(), count(last));
        }
    }
}
