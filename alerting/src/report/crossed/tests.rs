//! An attacker with all published tables, who knows how they were made and solves the linear system.

use proptest::prelude::*;

use super::*;

/// What the attacker knows of one number: it lies between these.
type Bounds = (f64, f64);

/// All numbers of a publication and how they add up.
struct System {
    truth: Vec<f64>,
    bounds: Vec<Bounds>,
    /// Sums: parts, and their whole.
    sums: Vec<(Vec<usize>, usize)>,
}

impl System {
    /// Reads the tables as anybody would: one unknown per place, totals shared between tables.
    fn new(counted: &Counted, crossed: &Crossed, knows_exactly: bool) -> Self {
        let mut system = Self { truth: Vec::new(), bounds: Vec::new(), sums: Vec::new() };
        let mut add = |n: u32, cell: &Cell, is_total: bool| {
            let n = f64::from(n);
            system.truth.push(n);
            system.bounds.push(match cell {
                Cell::Count(_) if knows_exactly => (n, n),
                Cell::Count(shown) => (*shown as f64 - 2.0, *shown as f64 + 2.0),
                // A row is there only if something happened in it.
                Cell::Small if is_total => (n.min(1.0), 9.0),
                Cell::Small => (0.0, 9.0),
                _ => (10.0, 10_000.0),
            });
            system.truth.len() - 1
        };
        let grand = add(counted.grand(), &crossed.grand, true);
        let totals: [Vec<usize>; 4] = std::array::from_fn(|layer| {
            counted.totals[layer].iter().zip(&crossed.totals[layer]).map(|(n, cell)| add(*n, cell, true)).collect()
        });
        let pairs: [Vec<Vec<usize>>; 4] = std::array::from_fn(|layer| {
            let rows = counted.pairs[layer].iter().zip(&crossed.pairs[layer]);
            rows.map(|(n, cells)| n.iter().zip(cells).map(|(n, cell)| add(*n, cell, false)).collect()).collect()
        });
        for layer in 0..4 {
            let next = (layer + 1) % 4;
            system.sums.push((totals[layer].clone(), grand));
            for (row, total) in pairs[layer].iter().zip(&totals[layer]) {
                system.sums.push((row.clone(), *total));
            }
            for (column, total) in totals[next].iter().enumerate() {
                system.sums.push((pairs[layer].iter().map(|row| row[column]).collect(), *total));
            }
        }
        system
    }

    fn holds_for_the_truth(&self) -> bool {
        let within = self.truth.iter().zip(&self.bounds).all(|(n, (least, most))| (*least..=*most).contains(n));
        within
            && self
                .sums
                .iter()
                .all(|(parts, whole)| parts.iter().map(|part| self.truth[*part]).sum::<f64>() == self.truth[*whole])
    }

    /// The least and the greatest value that a number can have: linear programmes over how far each lies from the truth.
    fn interval(&self, place: usize) -> Bounds {
        let (basis, free) = self.solutions();
        // Each unknown is a sum of free ones; both its bounds are rows of the programme.
        let mut rows: Vec<(Vec<f64>, f64)> = Vec::new();
        for (unknown, combination) in basis.iter().enumerate() {
            let (least, most) = self.bounds[unknown];
            if combination.iter().any(|factor| *factor != 0.0) {
                rows.push((combination.clone(), most - self.truth[unknown]));
                rows.push((combination.iter().map(|factor| -factor).collect(), self.truth[unknown] - least));
            }
        }
        let up = maximum(&rows, &basis[place], free);
        let down = maximum(&rows, &basis[place].iter().map(|factor| -factor).collect::<Vec<_>>(), free);
        (self.truth[place] - down, self.truth[place] + up)
    }

    /// All ways to differ from the truth (Gauss, Jordan): each unknown as a combination of the free ones.
    fn solutions(&self) -> (Vec<Vec<f64>>, usize) {
        let n = self.truth.len();
        let is_fixed: Vec<bool> = self.bounds.iter().map(|(least, most)| least == most).collect();
        let mut equations: Vec<Vec<f64>> = self
            .sums
            .iter()
            .map(|(parts, whole)| {
                let mut equation = vec![0.0; n];
                parts.iter().for_each(|part| equation[*part] += 1.0);
                equation[*whole] -= 1.0;
                (0..n).for_each(|unknown| {
                    if is_fixed[unknown] {
                        equation[unknown] = 0.0
                    }
                });
                equation
            })
            .collect();
        let (mut pivots, mut line) = (vec![None; n], 0);
        for unknown in 0..n {
            let Some(found) = (line..equations.len()).find(|row| equations[*row][unknown].abs() > 1e-9) else {
                continue;
            };
            equations.swap(line, found);
            let pivot = equations[line][unknown];
            equations[line].iter_mut().for_each(|factor| *factor /= pivot);
            let reference = equations[line].clone();
            for (row, equation) in equations.iter_mut().enumerate() {
                let factor = equation[unknown];
                if row != line && factor.abs() > 1e-9 {
                    equation.iter_mut().zip(&reference).for_each(|(to, by)| *to -= factor * by);
                }
            }
            pivots[unknown] = Some(line);
            line += 1;
        }
        let free: Vec<usize> = (0..n).filter(|unknown| pivots[*unknown].is_none() && !is_fixed[*unknown]).collect();
        let combination = |unknown: usize| -> Vec<f64> {
            let factor = |place: &usize| match pivots[unknown] {
                Some(line) => -equations[line][*place],
                None => f64::from(u8::from(*place == unknown)),
            };
            free.iter()
                .map(|place| {
                    let factor = factor(place);
                    if factor.abs() < 1e-9 { 0.0 } else { factor }
                })
                .collect()
        };
        ((0..n).map(combination).collect(), free.len())
    }
}

/// The greatest value of `goal · t` where each `row · t ≤ bound`, from t = 0, which is allowed (simplex, Bland's rule).
fn maximum(rows: &[(Vec<f64>, f64)], goal: &[f64], n_free: usize) -> f64 {
    // Free numbers are differences of two that aren't negative; then one slack a row, then the bound.
    let width = 2 * n_free + rows.len() + 1;
    let line = |factors: &[f64]| -> Vec<f64> {
        let mut line = vec![0.0; width];
        factors
            .iter()
            .enumerate()
            .for_each(|(place, factor)| (line[2 * place], line[2 * place + 1]) = (*factor, -factor));
        line
    };
    let mut tableau: Vec<Vec<f64>> = rows
        .iter()
        .enumerate()
        .map(|(slack, (factors, bound))| {
            let mut line = line(factors);
            (line[2 * n_free + slack], line[width - 1]) = (1.0, *bound);
            line
        })
        .collect();
    let mut goal: Vec<f64> = line(goal).into_iter().map(|factor| -factor).collect();
    let mut basic: Vec<usize> = (2 * n_free..width - 1).collect();
    while let Some(enters) = (0..width - 1).find(|column| goal[*column] < -1e-9) {
        let limits = (0..tableau.len()).filter(|row| tableau[*row][enters] > 1e-9);
        let ratio = |row: usize| tableau[row][width - 1] / tableau[row][enters];
        let Some(leaves) = limits.min_by(|a, b| ratio(*a).total_cmp(&ratio(*b)).then(basic[*a].cmp(&basic[*b]))) else {
            return f64::INFINITY;
        };
        let pivot = tableau[leaves][enters];
        tableau[leaves].iter_mut().for_each(|factor| *factor /= pivot);
        let reference = tableau[leaves].clone();
        let eliminate = |line: &mut Vec<f64>| {
            let factor = line[enters];
            if factor.abs() > 1e-12 {
                line.iter_mut().zip(&reference).for_each(|(to, by)| *to -= factor * by);
            }
        };
        tableau.iter_mut().enumerate().filter(|(row, _)| *row != leaves).for_each(|(_, line)| eliminate(line));
        eliminate(&mut goal);
        basic[leaves] = enters;
    }
    goal[width - 1]
}

/// The small counts that the attacker narrows down to one value.
fn recovered(counted: &Counted, crossed: &Crossed, knows_exactly: bool) -> Vec<(f64, Bounds)> {
    let system = System::new(counted, crossed, knows_exactly);
    assert!(system.holds_for_the_truth(), "what is published is true and adds up");
    let small = (0..system.truth.len()).filter(|place| (1.0..10.0).contains(&system.truth[*place]));
    let small = small.map(|place| (system.truth[place], system.interval(place)));
    // Whole numbers within.
    small.filter(|(_, (least, most))| (most + 1e-6).floor() - (least - 1e-6).ceil() < 1.0).collect()
}

/// Grid × category only: everything has the same outcome and department.
fn two_way(rows: &[&[u32]]) -> Counted {
    let cases = rows.iter().enumerate().flat_map(|(grid, row)| {
        row.iter().enumerate().flat_map(move |(category, n)| (0..*n).map(move |_| [0, grid, category, 0]))
    });
    Counted::new([1, rows.len(), rows[0].len(), 1], cases)
}

/// Only small counts are hidden: no complementary suppression.
fn hidden_small_only(counted: &Counted) -> Crossed {
    counted.shown_by(|n, _| publish(n, if n < SMALL_BELOW { Shown::Small } else { Shown::Plain }))
}

#[test]
fn the_attacker_finds_what_complementary_suppression_is_for() {
    let counted = two_way(&[&[40, 3], &[25, 30]]);
    let found = recovered(&counted, &hidden_small_only(&counted), true);
    assert_eq!(found, [(3.0, (3.0, 3.0))]);
    assert_eq!(recovered(&counted, &counted.published(), true), []);
}

#[test]
fn p33_a_small_cell_takes_others_with_it_in_its_row_and_column() {
    let table = two_way(&[&[40, 3, 90], &[25, 30, 90], &[80, 90, 90]]).published().table(Layer::Grid, Layer::Category);
    let [count, small, withheld] = [Cell::Count, |_| Cell::Small, |_| Cell::Withheld];
    let expected = [
        vec![withheld(0), small(0), count(90), count(135)],
        vec![withheld(0), withheld(0), count(90), count(145)],
        vec![count(80), count(90), count(90), count(260)],
        vec![count(145), count(125), count(270), count(540)],
    ];
    assert_eq!(table, expected);
}

#[test]
fn p33_small_totals_are_hidden_with_all_that_gives_them_away() {
    // The second grid has 4 in all; only its cell and the first grid's numbers could tell.
    let counted = two_way(&[&[30, 50], &[4, 0]]);
    let table = counted.published().table(Layer::Grid, Layer::Category);
    assert_eq!(table[1][2], Cell::Small);
    assert_ne!(table[0][2], Cell::Count(80), "80 of 84 would tell");
    assert_eq!(recovered(&counted, &counted.published(), true), []);
}

#[test]
fn p33_a_total_below_ten_shows_nothing_else() {
    let crossed = two_way(&[&[4, 2], &[1, 0]]).published();
    assert_eq!(crossed.grand, Cell::Small);
    assert!(
        crossed
            .table(Layer::Grid, Layer::Category)
            .iter()
            .flatten()
            .all(|cell| matches!(cell, Cell::Withheld | Cell::Small))
    );
}

#[test]
fn people_in_scope_see_counts_as_they_are() {
    let table = two_way(&[&[40, 3], &[0, 30]]).in_scope().table(Layer::Grid, Layer::Category);
    let counts = [[40, 3, 43], [0, 30, 30], [40, 33, 73]].map(|row| row.map(Cell::Count).to_vec());
    assert_eq!(table, counts);
    assert_eq!(two_way(&[&[40, 3]]).in_scope().table(Layer::Category, Layer::Grid)[1], [3, 3].map(Cell::Count));
}

/// Counts of all kinds: empty, small, just not small, large; a few parts a breakdown.
fn any_counted() -> impl Strategy<Value = Counted> {
    (1usize..4, 1usize..5, 1usize..4, 1usize..4).prop_flat_map(|(outcomes, grids, categories, departments)| {
        let sizes = [outcomes, grids, categories, departments];
        let kind =
            (0..outcomes, 0..grids, 0..categories, 0..departments, prop_oneof![1usize..4, 1usize..13, 5usize..60]);
        prop::collection::vec(kind, 1..14).prop_map(move |kinds| {
            let cases = kinds.into_iter().flat_map(|(o, g, c, d, n)| std::iter::repeat_n([o, g, c, d], n));
            Counted::new(sizes, cases)
        })
    })
}

/// Whether anything but the grand total is shown.
fn shows_something(crossed: &Crossed) -> bool {
    crossed
        .pairs
        .iter()
        .flatten()
        .flatten()
        .chain(crossed.totals.iter().flatten())
        .any(|cell| matches!(cell, Cell::Count(_)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Neither one who reads the rounded tables nor one who somehow knows each shown count exactly.
    #[test]
    fn p33_no_small_count_is_recovered_from_totals_or_other_tables(counted in any_counted()) {
        let crossed = counted.published();
        if shows_something(&crossed) {
            for knows_exactly in [false, true] {
                prop_assert_eq!(recovered(&counted, &crossed, knows_exactly), [], "{:?}\n{:?}", &counted, &crossed);
            }
        }
    }

    /// Five values stay possible, not just two, to whoever knows what is shown exactly.
    #[test]
    fn p33_every_small_count_keeps_room(counted in any_counted()) {
        let crossed = counted.published();
        if shows_something(&crossed) {
            let system = System::new(&counted, &crossed, true);
            for place in (0..system.truth.len()).filter(|place| (1.0..10.0).contains(&system.truth[*place])) {
                let (least, most) = system.interval(place);
                prop_assert!(most - least > 4.0 - 1e-6, "{} in {:?}", system.truth[place], (least, most));
            }
        }
    }

    /// Shown counts are multiples of five within two of the truth, none is below ten, and tables agree on their totals.
    #[test]
    fn p33_shown_counts_are_rounded_and_tables_agree(counted in any_counted()) {
        let (crossed, truth) = (counted.published(), counted.in_scope());
        for (rows, columns) in [(Layer::Grid, Layer::Category), (Layer::Department, Layer::Category), (Layer::Grid, Layer::Outcome)] {
            let (shown, true_table) = (crossed.table(rows, columns), truth.table(rows, columns));
            for (shown, truth) in shown.iter().flatten().zip(true_table.iter().flatten()) {
                let Cell::Count(truth) = truth else { panic!("in scope all is shown") };
                if let Cell::Count(shown) = shown {
                    prop_assert!(shown % 5 == 0 && shown.abs_diff(*truth) <= 2 && *truth >= 10);
                }
                prop_assert!(*shown != Cell::Small || *truth < 10);
            }
        }
        let last_row = |rows| crossed.table(rows, Layer::Category).pop();
        prop_assert_eq!(last_row(Layer::Grid), last_row(Layer::Department));
    }
}
