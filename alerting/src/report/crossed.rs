//! Incidents counted along four breakdowns, two at a time, as they are or as they may be published (P33).
//!
//! The breakdowns stand in a ring: outcome, grid, category, department, outcome. Each neighbouring pair is a two-way table,
//! and all tables share their totals. So every count is an arc of one network, and what protects a small count holds
//! against all tables together. Published counts are rounded to [`ROUND_TO`]; sums of rounded counts differ from rounded
//! totals. Not here: labels.

use super::{
    network::{Network, SMALL_BELOW, Shown},
    table::Cell,
};

/// Published counts are multiples of this.
pub(super) const ROUND_TO: u32 = 5;
/// How many breakdowns there are.
const N_LAYERS: usize = 4;

/// A breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Outcome,
    Grid,
    Category,
    Department,
}

/// What was counted.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// Per breakdown, its parts' totals.
    totals: [Vec<u32>; N_LAYERS],
    /// Per breakdown, its parts × the next breakdown's parts.
    pairs: [Vec<Vec<u32>>; N_LAYERS],
}

impl Counted {
    /// Counts incidents, each given as its part in each breakdown, in the order of [`Layer`].
    pub fn new(sizes: [usize; N_LAYERS], cases: impl Iterator<Item = [usize; N_LAYERS]>) -> Self {
        let totals = sizes.map(|size| vec![0; size]);
        let pairs = std::array::from_fn(|layer| vec![vec![0; sizes[(layer + 1) % N_LAYERS]]; sizes[layer]]);
        let mut counted = Self { totals, pairs };
        for case in cases {
            for layer in 0..N_LAYERS {
                counted.totals[layer][case[layer]] += 1;
                counted.pairs[layer][case[layer]][case[(layer + 1) % N_LAYERS]] += 1;
            }
        }
        counted
    }

    /// All counts as they are, for people in whose scope they lie.
    pub fn in_scope(&self) -> Crossed {
        self.shown_by(|n, _| Cell::Count(n.into()))
    }

    /// All counts as anybody may see them.
    pub fn published(&self) -> Crossed {
        let (network, is_small) = (self.network(), self.grand() < SMALL_BELOW);
        let shown = if is_small { None } else { network.protect() };
        let Some(shown) = shown else {
            // Not even how large each is.
            let mut crossed = self.shown_by(|_, _| Cell::Withheld);
            crossed.grand = if is_small { Cell::Small } else { Cell::Withheld };
            return crossed;
        };
        let mut crossed = self.shown_by(|n, index| publish(n, shown[index]));
        crossed.grand = publish(self.grand(), Shown::Plain);
        crossed
    }

    fn grand(&self) -> u32 {
        self.totals[0].iter().sum()
    }

    /// Each part of a breakdown is two nodes with its total between; pairs lead from one breakdown to the next.
    fn network(&self) -> Network {
        let mut network = Network::default();
        let mut firsts = [0; N_LAYERS];
        for layer in 1..N_LAYERS {
            firsts[layer] = firsts[layer - 1] + 2 * self.totals[layer - 1].len();
        }
        self.each(|index, place| {
            let added = match place {
                Place::Total { layer, part, n } => {
                    let node = firsts[layer] + 2 * part;
                    network.add(node, node + 1, n, Some(layer))
                }
                Place::Pair { layer, part, next, n } => {
                    network.add(firsts[layer] + 2 * part + 1, firsts[(layer + 1) % N_LAYERS] + 2 * next, n, None)
                }
            };
            debug_assert_eq!(added, index);
        });
        network
    }

    /// Visits every count in one order that network and tables share.
    fn each(&self, mut visit: impl FnMut(usize, Place)) {
        let mut index = 0;
        let mut visit_next = |place| {
            visit(index, place);
            index += 1;
        };
        for layer in 0..N_LAYERS {
            for (part, n) in self.totals[layer].iter().enumerate() {
                visit_next(Place::Total { layer, part, n: *n });
            }
            for (part, row) in self.pairs[layer].iter().enumerate() {
                for (next, n) in row.iter().enumerate() {
                    visit_next(Place::Pair { layer, part, next, n: *n });
                }
            }
        }
    }

    fn shown_by(&self, show: impl Fn(u32, usize) -> Cell) -> Crossed {
        let totals = self.totals.each_ref().map(|totals| vec![Cell::Empty; totals.len()]);
        let empty_rows = |rows: &Vec<Vec<u32>>| rows.iter().map(|row| vec![Cell::Empty; row.len()]).collect();
        let pairs = self.pairs.each_ref().map(empty_rows);
        let mut crossed = Crossed { totals, pairs, grand: Cell::Count(self.grand().into()) };
        self.each(|index, place| match place {
            Place::Total { layer, part, n } => crossed.totals[layer][part] = show(n, index),
            Place::Pair { layer, part, next, n } => crossed.pairs[layer][part][next] = show(n, index),
        });
        crossed
    }
}

/// Where a count stands.
enum Place {
    Total { layer: usize, part: usize, n: u32 },
    Pair { layer: usize, part: usize, next: usize, n: u32 },
}

/// What is shown of a count.
pub(super) fn publish(n: u32, shown: Shown) -> Cell {
    match shown {
        Shown::Plain => Cell::Count(u64::from((n + ROUND_TO / 2) / ROUND_TO * ROUND_TO)),
        Shown::Small => Cell::Small,
        Shown::Withheld => Cell::Withheld,
    }
}

/// Tables to show.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Crossed {
    totals: [Vec<Cell>; N_LAYERS],
    pairs: [Vec<Vec<Cell>>; N_LAYERS],
    grand: Cell,
}

impl Crossed {
    /// The totals of a breakdown's parts.
    pub fn totals(&self, layer: Layer) -> &[Cell] {
        &self.totals[layer as usize]
    }

    /// A two-way table of two neighbouring breakdowns, with each row's total at its end and the columns' totals below.
    pub fn table(&self, rows: Layer, columns: Layer) -> Vec<Vec<Cell>> {
        let (row_layer, column_layer) = (rows as usize, columns as usize);
        let is_forward = (row_layer + 1) % N_LAYERS == column_layer;
        let cell = |row: usize, column: usize| {
            if is_forward { &self.pairs[row_layer][row][column] } else { &self.pairs[column_layer][column][row] }
        };
        let mut table: Vec<Vec<Cell>> = (self.totals[row_layer].iter().enumerate())
            .map(|(row, total)| {
                let cells = (0..self.totals[column_layer].len()).map(|column| cell(row, column).clone());
                cells.chain([total.clone()]).collect()
            })
            .collect();
        table.push(self.totals[column_layer].iter().chain([&self.grand]).cloned().collect());
        table
    }
}

#[cfg(test)]
mod tests;
