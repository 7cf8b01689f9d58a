//! Which counts may be shown so that no small one can be worked out from the others (P33).
//!
//! In: counts as arcs of a network in which every node gets as much as it gives: a row's cells and its total, a column's
//! cells and its total. Out: per count [`Shown`], or nothing when there is no safe choice. Counts below [`SMALL_BELOW`] are
//! hidden; larger ones are withheld with them until somebody who knows all shown counts *exactly*, and for each hidden one
//! whether it is small, still finds [`MIN_STEPS`] other values possible. What else an arc could carry is a flow around
//! it, so the check is exact and in whole numbers (J. Castro, minimum-cost network flows for cell suppression). Rounding
//! comes on top and isn't relied upon.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Counts below this are never shown (P33).
pub(super) const SMALL_BELOW: u32 = 10;
/// How many values beside the true one must stay possible for a small count.
pub(super) const MIN_STEPS: u32 = 4;
/// A total tells more than a cell, so withholding it costs as much as withholding cells of this many times its count.
const TOTAL_WEIGHT: u64 = 4;

/// How a count is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As it is; the caller rounds.
    Plain,
    /// As small.
    Small,
    /// Not at all, for it would give a small one away.
    Withheld,
}

/// One count.
#[derive(Debug)]
struct Arc {
    from: usize,
    to: usize,
    n: u32,
    /// Of which breakdown it is a total.
    layer: Option<usize>,
}

/// All counts of one publication.
#[derive(Debug, Default)]
pub(super) struct Network {
    arcs: Vec<Arc>,
    /// The arcs at each node.
    around: Vec<Vec<usize>>,
    n_layers: usize,
}

impl Network {
    /// Adds a count; `layer` when it is a total of that breakdown of the whole.
    pub fn add(&mut self, from: usize, to: usize, n: u32, layer: Option<usize>) -> usize {
        let n_nodes = self.around.len().max(from.max(to) + 1);
        self.around.resize_with(n_nodes, Vec::new);
        self.around[from].push(self.arcs.len());
        self.around[to].push(self.arcs.len());
        self.n_layers = self.n_layers.max(layer.map_or(0, |layer| layer + 1));
        self.arcs.push(Arc { from, to, n, layer });
        self.arcs.len() - 1
    }

    /// Decides for every count; `None` when a small one can't be protected, and nothing of all this may be shown.
    pub fn protect(&self) -> Option<Vec<Shown>> {
        let mut search = Search::new(self);
        for (index, arc) in self.arcs.iter().enumerate() {
            // That nobody was there may be known. Each step only widens what was possible before, so one pass is enough.
            if (1..SMALL_BELOW).contains(&arc.n) {
                search.cover(index)?;
            }
        }
        Some(search.shown)
    }

    /// Whom to assume before us: one who knows all totals of one breakdown, so that no flow leads around the whole and the
    /// grand total holds. An arc that is itself such a total needs another breakdown to be the known one.
    fn assumed_known(&self, arc: usize) -> Vec<Option<usize>> {
        if self.n_layers == 0 {
            return vec![None];
        }
        (0..self.n_layers).map(Some).filter(|layer| *layer != self.arcs[arc].layer).collect()
    }
}

/// One way around an arc: arcs, and whether each is followed forward.
type Path = Vec<(usize, bool)>;
/// What it costs to reach a node, and by which arc.
type Reached = (u64, Option<(usize, bool)>);

struct Search<'a> {
    network: &'a Network,
    shown: Vec<Shown>,
    /// What the arcs carry in the table that is being tried; the true counts between tries.
    flow: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(network: &'a Network) -> Self {
        let shown = |arc: &Arc| if arc.n < SMALL_BELOW { Shown::Small } else { Shown::Plain };
        let arcs = &network.arcs;
        Self { network, shown: arcs.iter().map(shown).collect(), flow: arcs.iter().map(|arc| arc.n).collect() }
    }

    /// Withholds more until this small count is safe.
    fn cover(&mut self, arc: usize) -> Option<()> {
        let known = self.network.assumed_known(arc);
        loop {
            let mut cheapest: Option<(u64, Path)> = None;
            for &known in &known {
                let (n_up, more_up) = self.room(arc, true, known);
                let (n_down, more_down) = self.room(arc, false, known);
                if n_up + n_down >= MIN_STEPS {
                    return Some(());
                }
                let more = more_up.into_iter().chain(more_down);
                cheapest = cheapest.into_iter().chain(more).min_by_key(|(cost, _)| *cost);
            }
            for (withheld, _) in cheapest?.1 {
                if self.shown[withheld] == Shown::Plain {
                    self.shown[withheld] = Shown::Withheld;
                }
            }
        }
    }

    /// By how much the arc could carry more, or less; and when that is little, which arcs would have to be hidden too.
    fn room(&mut self, arc: usize, is_up: bool, known: Option<usize>) -> (u32, Option<(u64, Path)>) {
        let (mut n_steps, mut more, mut changed) = (0, None, Vec::new());
        while n_steps < MIN_STEPS && self.step_cost(arc, is_up, false).is_some() {
            let Some((_, path)) = self.path(arc, is_up, known, false) else {
                more = self.path(arc, is_up, known, true);
                break;
            };
            n_steps += 1;
            for (index, is_forward) in path.into_iter().chain([(arc, is_up)]) {
                self.flow[index] = if is_forward { self.flow[index] + 1 } else { self.flow[index] - 1 };
                changed.push(index);
            }
        }
        for index in changed {
            self.flow[index] = self.network.arcs[index].n;
        }
        (n_steps, more)
    }

    /// What it costs to let an arc carry one more, or one less; `None` when everybody knows that it doesn't.
    fn step_cost(&self, index: usize, is_up: bool, may_withhold: bool) -> Option<u64> {
        let arc = &self.network.arcs[index];
        let weight = if arc.layer.is_some() { TOTAL_WEIGHT } else { 1 };
        let (least, most, cost) = match self.shown[index] {
            // A table has only rows and columns in which something happened, so a small total is known not to be 0.
            Shown::Small if arc.layer.is_some() => (arc.n.min(1), SMALL_BELOW - 1, 0),
            Shown::Small => (0, SMALL_BELOW - 1, 0),
            Shown::Withheld => (SMALL_BELOW, u32::MAX, 0),
            Shown::Plain if may_withhold => (SMALL_BELOW, u32::MAX, weight * (u64::from(arc.n) + 1)),
            Shown::Plain => return None,
        };
        let is_possible = if is_up { self.flow[index] < most } else { self.flow[index] > least };
        is_possible.then_some(cost)
    }

    /// The cheapest way (Dijkstra) for one unit from the arc's end to its start, or the other way round. Of equally cheap
    /// nodes the one reached last goes first, which soon finds a way that costs nothing in a large network.
    fn path(&self, around: usize, is_up: bool, known: Option<usize>, may_withhold: bool) -> Option<(u64, Path)> {
        let arcs = &self.network.arcs;
        let Arc { from, to, .. } = arcs[around];
        let (start, end) = if is_up { (to, from) } else { (from, to) };
        let mut reached: Vec<Reached> = vec![(u64::MAX, None); self.network.around.len()];
        reached[start].0 = 0;
        let mut next = BinaryHeap::from([Reverse((0, usize::MAX, start))]);
        let mut n_reached = 0;
        while let Some(Reverse((cost, _, node))) = next.pop() {
            if node == end {
                return Some((cost, self.way_back(&reached, start, end)));
            }
            if cost > reached[node].0 {
                continue;
            }
            for &index in &self.network.around[node] {
                let is_known = index == around || (known.is_some() && arcs[index].layer == known);
                let is_forward = arcs[index].from == node;
                let Some(step) = self.step_cost(index, is_forward, may_withhold).filter(|_| !is_known) else {
                    continue;
                };
                let (there, cost) = (if is_forward { arcs[index].to } else { arcs[index].from }, cost + step);
                if cost < reached[there].0 {
                    reached[there] = (cost, Some((index, is_forward)));
                    if there == end && step == 0 {
                        return Some((cost, self.way_back(&reached, start, end)));
                    }
                    n_reached += 1;
                    next.push(Reverse((cost, usize::MAX - n_reached, there)));
                }
            }
        }
        None
    }

    fn way_back(&self, reached: &[Reached], start: usize, end: usize) -> Path {
        let (mut path, mut node) = (Vec::new(), end);
        while node != start
            && let Some((index, is_forward)) = reached[node].1
        {
            path.push((index, is_forward));
            node = if is_forward { self.network.arcs[index].from } else { self.network.arcs[index].to };
        }
        path
    }
}
