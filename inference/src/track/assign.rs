//! Which detection belongs to which track: the pairing with the largest sum of overlaps.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Overlaps are compared as integers of this many parts.
const PARTS: f32 = 1e6;

/// Pairs (row, column) with the largest sum of overlaps; `overlap` is `None` where a pair must not be.
pub(super) fn assign(
    n_rows: usize,
    n_columns: usize,
    overlap: impl Fn(usize, usize) -> Option<f32>,
) -> Vec<(usize, usize)> {
    if n_rows == 0 || n_columns == 0 {
        return Vec::new();
    }
    let weight = |row, column| overlap(row, column).map_or(0, |overlap| (overlap * PARTS) as i64);
    // The algorithm wants at least as many columns as rows.
    let pairs: Vec<(usize, usize)> = if n_rows <= n_columns {
        let weights = Matrix::from_fn(n_rows, n_columns, |(row, column)| weight(row, column));
        kuhn_munkres(&weights).1.into_iter().enumerate().collect()
    } else {
        let weights = Matrix::from_fn(n_columns, n_rows, |(column, row)| weight(row, column));
        kuhn_munkres(&weights).1.into_iter().enumerate().map(|(column, row)| (row, column)).collect()
    };
    pairs.into_iter().filter(|&(row, column)| weight(row, column) > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_best_sum_wins_over_the_best_single_pair() {
        let overlaps = [[0.9, 0.8], [0.85, 0.0]];
        let overlap = |row: usize, column: usize| Some(overlaps[row][column]).filter(|&v| v > 0.0);
        let mut pairs = assign(2, 2, overlap);
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 1), (1, 0)]);
    }

    proptest! {
        #[test]
        fn no_row_or_column_is_used_twice_and_no_refused_pair(
            n_rows in 0usize..7, n_columns in 0usize..7, values in proptest::collection::vec(-0.5f32..1.0, 49)
        ) {
            let overlap = |row: usize, column: usize| Some(values[row * 7 + column]).filter(|&v| v > 0.1);
            let pairs = assign(n_rows, n_columns, overlap);
            for (i, &(row, column)) in pairs.iter().enumerate() {
                prop_assert!(row < n_rows && column < n_columns && overlap(row, column).is_some());
                prop_assert!(pairs[i + 1..].iter().all(|&(r, c)| r != row && c != column));
            }
        }
    }
}
