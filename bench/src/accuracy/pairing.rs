//! Which row belongs to which column: the pairing with the largest sum of weights.

use pathfinding::{kuhn_munkres::kuhn_munkres, matrix::Matrix};

/// Pairs (row, column) of the largest sum; a pair of weight 0 is never made.
pub(super) fn best(n_rows: usize, n_columns: usize, weight: impl Fn(usize, usize) -> i64) -> Vec<(usize, usize)> {
    if n_rows == 0 || n_columns == 0 {
        return Vec::new();
    }
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
