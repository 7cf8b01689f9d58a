//! Which tables a report has, and what stands in them, for people in scope and for publication.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_events::{GridCode, payload::Category};

use super::{
    BinMinutes, CameraFact, CaseFact, Figures, MAX_GROUPS, NoReport, Rate, Request,
    crossed::{Counted, Crossed, Layer},
    figures::{Outcome, false_alarm_columns, on_time_columns, raised_column},
    heat, nuisance,
    table::{Cell, Column, Table, column, words},
};
use crate::words::{self, Bilingual};

pub(super) fn in_scope(
    cases: &[&CaseFact],
    cameras: &[CameraFact],
    groups: &Groups<'_>,
    request: &Request,
) -> Vec<Table> {
    let crossed = groups.counted(cases).in_scope();
    let by_grid = figures_by(cases, |case| Some(case.grid.as_str()));
    let by_department = figures_by(cases, |case| case.department.as_deref());
    let by_urgency = figures_by(cases, |case| Some(case.urgency.as_str()));
    let heat = groups.bins(cases, request).iter().map(|bins| heat::in_scope(bins)).collect();
    let mut tables = vec![
        figures_table("cases_by_grid", words("各网格案件", "Cases by grid"), by_grid),
        figures_table("cases_by_department", words("各部门案件", "Cases by department"), by_department),
        figures_table("cases_by_urgency", words("各紧急程度案件", "Cases by urgency"), by_urgency),
        groups.grid_by_category(&crossed),
        groups.department_by_category(&crossed),
        groups.heat_map(heat, request.bin),
    ];
    tables.extend(nuisance::tables(cases));
    tables.push(cameras_by_grid(cameras));
    tables
}

/// Cameras aren't people: how they are is shown as it is.
pub(super) fn published(
    cases: &[&CaseFact],
    cameras: &[CameraFact],
    groups: &Groups<'_>,
    request: &Request,
) -> Vec<Table> {
    let crossed = groups.counted(cases).published();
    let bins = groups.bins(cases, request);
    let heat = bins.iter().zip(crossed.totals(Layer::Grid)).map(|(bins, total)| heat::published(bins, total)).collect();
    vec![
        outcome_table(
            "outcome_by_grid",
            words("各网格办理结果", "Outcome by grid"),
            groups.grid_rows(),
            &crossed,
            Layer::Grid,
        ),
        outcome_table(
            "outcome_by_department",
            words("各部门办理结果", "Outcome by department"),
            groups.department_rows(),
            &crossed,
            Layer::Department,
        ),
        groups.grid_by_category(&crossed),
        groups.department_by_category(&crossed),
        groups.heat_map(heat, request.bin),
        cameras_by_grid(cameras),
    ]
}

fn total_words() -> Cell {
    Cell::Words(words("合计", "All"))
}

fn group_column() -> Column {
    column("name", "名称", "Name")
}

/// Without a department, a case belongs to none of their rows; the last row is all cases.
fn figures_by<'a>(
    cases: &[&'a CaseFact],
    group: impl Fn(&'a CaseFact) -> Option<&'a str>,
) -> (BTreeMap<&'a str, Figures>, Figures) {
    let (mut groups, mut all) = (BTreeMap::<&str, Figures>::new(), Figures::default());
    for case in cases.iter().copied() {
        all.add(case);
        if let Some(group) = group(case) {
            groups.entry(group).or_default().add(case);
        }
    }
    (groups, all)
}

fn figures_table(key: &'static str, title: Bilingual, figures: (BTreeMap<&str, Figures>, Figures)) -> Table {
    let (groups, all) = figures;
    let row = |name: Cell, figures: &Figures| [name].into_iter().chain(figures.cells()).collect::<Vec<Cell>>();
    let mut rows: Vec<_> = groups.iter().map(|(name, figures)| row(Cell::Text((*name).to_owned()), figures)).collect();
    rows.push(row(total_words(), &all));
    let columns = [group_column()].into_iter().chain(Figures::columns()).collect();
    Table { key, title, columns, rows }
}

/// How a group's incidents stand, with rates of the counts that are shown: they tell nothing beyond these.
fn outcome_table(key: &'static str, title: Bilingual, names: Vec<Cell>, crossed: &Crossed, layer: Layer) -> Table {
    let columns = [group_column()]
        .into_iter()
        .chain(Outcome::ALL.map(Outcome::column))
        .chain([raised_column()])
        .chain(on_time_columns())
        .chain(false_alarm_columns())
        .collect();
    let rows = names.into_iter().zip(crossed.table(layer, Layer::Outcome)).map(|(name, cells)| {
        let shown = |outcome: Outcome| match cells.get(outcome as usize) {
            Some(Cell::Count(n)) => Some(*n),
            _ => None,
        };
        let raised = match cells.last() {
            Some(Cell::Count(n)) => Some(*n),
            _ => None,
        };
        let in_time = shown(Outcome::ClosedInTime);
        let on_time = in_time.zip(shown(Outcome::ClosedLate)).zip(shown(Outcome::Overdue));
        let on_time = on_time.and_then(|((in_time, late), overdue)| Rate::new(in_time, in_time + late + overdue));
        let false_alarm = shown(Outcome::Discarded).zip(raised).and_then(|(n, of)| Rate::new(n, of));
        let rates = Rate::cells(on_time).into_iter().chain(Rate::cells(false_alarm));
        [name].into_iter().chain(cells).chain(rates).collect()
    });
    Table { key, title, columns, rows: rows.collect() }
}

fn cameras_by_grid(cameras: &[CameraFact]) -> Table {
    let mut grids: BTreeMap<&GridCode, [u64; 4]> = BTreeMap::new();
    for camera in cameras {
        let sums = grids.entry(&camera.grid).or_default();
        for (sum, more) in sums.iter_mut().zip([1, camera.observed_s, camera.live_s, camera.good_s]) {
            *sum = sum.saturating_add(more);
        }
    }
    let row = |name: Cell, [n, observed_s, live_s, good_s]: [u64; 4]| {
        let rates = [Rate::new(live_s, observed_s), Rate::new(good_s, observed_s)];
        [name, Cell::Count(n)].into_iter().chain(rates.into_iter().flat_map(Rate::cells)).collect::<Vec<_>>()
    };
    let all = grids.values().fold([0u64; 4], |all, sums| std::array::from_fn(|i| all[i].saturating_add(sums[i])));
    let mut rows: Vec<_> = grids.iter().map(|(grid, sums)| row(Cell::Text(grid.to_string()), *sums)).collect();
    rows.push(row(total_words(), all));
    let columns = [group_column(), column("cameras", "摄像机数", "Cameras")]
        .into_iter()
        .chain(Rate::columns("online_rate", "在线率", "Online rate"))
        .chain(Rate::columns("intact_rate", "完好率", "Intact rate"))
        .collect();
    Table { key: "cameras_by_grid", title: words("各网格摄像机", "Cameras by grid"), columns, rows }
}

/// The rows and columns of two-way tables.
pub(super) struct Groups<'a> {
    grids: Vec<&'a GridCode>,
    /// `None` stands for cases that no department has.
    departments: Vec<Option<&'a str>>,
}

impl<'a> Groups<'a> {
    pub fn of(cases: &[&'a CaseFact]) -> Result<Self, NoReport> {
        let grids: BTreeSet<_> = cases.iter().map(|case| &case.grid).collect();
        let departments: BTreeSet<_> = cases.iter().map(|case| case.department.as_deref()).collect();
        for (what, n_groups) in [("grids", grids.len()), ("departments", departments.len())] {
            if n_groups > MAX_GROUPS {
                return Err(NoReport::TooMany { what, n_groups });
            }
        }
        Ok(Self { grids: grids.into_iter().collect(), departments: departments.into_iter().collect() })
    }

    /// All categories have their column, also those of which nothing was raised.
    fn counted(&self, cases: &[&CaseFact]) -> Counted {
        let place = |case: &&CaseFact| {
            let category = Category::ALL.iter().position(|category| *category == case.category)?;
            let grid = self.grids.binary_search(&&case.grid).ok()?;
            let department = self.departments.binary_search(&case.department.as_deref()).ok()?;
            Some([Outcome::of(case) as usize, grid, category, department])
        };
        let sizes = [Outcome::ALL.len(), self.grids.len(), Category::ALL.len(), self.departments.len()];
        Counted::new(sizes, cases.iter().filter_map(place))
    }

    /// Per grid, how many were raised in each part of the day.
    fn bins(&self, cases: &[&CaseFact], request: &Request) -> Vec<Vec<u32>> {
        let mut bins = vec![vec![0; request.bin.n_bins()]; self.grids.len()];
        for case in cases {
            let place = self.grids.binary_search(&&case.grid).ok();
            let bin = request.bin.bin(case.opened_at, &request.zone);
            if let Some(n) = place.and_then(|place| bins.get_mut(place)).and_then(|row| row.get_mut(bin)) {
                *n += 1;
            }
        }
        bins
    }

    fn grid_rows(&self) -> Vec<Cell> {
        self.grids.iter().map(|grid| Cell::Text(grid.to_string())).chain([total_words()]).collect()
    }

    fn department_rows(&self) -> Vec<Cell> {
        let name = |department: &Option<&str>| {
            department
                .map_or_else(|| Cell::Words(words("未派遣", "Not dispatched")), |name| Cell::Text(name.to_owned()))
        };
        self.departments.iter().map(name).chain([total_words()]).collect()
    }

    fn grid_by_category(&self, crossed: &Crossed) -> Table {
        let title = words("网格与类别", "Grid by category");
        by_category("grid_by_category", title, self.grid_rows(), crossed.table(Layer::Grid, Layer::Category))
    }

    fn department_by_category(&self, crossed: &Crossed) -> Table {
        let (title, cells) =
            (words("部门与类别", "Department by category"), crossed.table(Layer::Department, Layer::Category));
        by_category("department_by_category", title, self.department_rows(), cells)
    }

    fn heat_map(&self, rows: Vec<Vec<Cell>>, bin: BinMinutes) -> Table {
        let labels = (0..bin.n_bins()).map(|place| bin.label(place));
        let columns =
            [group_column()].into_iter().chain(labels.map(|label| column(label.clone(), label.clone(), label)));
        let rows = self.grid_rows().into_iter().zip(rows).map(|(name, row)| [name].into_iter().chain(row).collect());
        let title = words("分时段发现", "Raised by time of day");
        Table { key: "raised_by_time", title, columns: columns.collect(), rows: rows.collect() }
    }
}

fn by_category(key: &'static str, title: Bilingual, names: Vec<Cell>, cells: Vec<Vec<Cell>>) -> Table {
    let categories = Category::ALL.map(|category| {
        let (zh, en) = words::category_name(category);
        column(category.as_str(), zh, en)
    });
    let columns = [group_column()].into_iter().chain(categories).chain([raised_column()]).collect();
    let rows = names.into_iter().zip(cells).map(|(name, cells)| [name].into_iter().chain(cells).collect()).collect();
    Table { key, title, columns, rows }
}
