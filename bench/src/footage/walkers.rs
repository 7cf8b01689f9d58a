//! Single persons of the recording: in which frames, and where (`data/walkers.csv`).

use anyhow::{Context, Result};

const TABLE: &str = include_str!("../../data/walkers.csv");

/// One person's way through the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walker {
    /// The first frame.
    pub first: usize,
    /// Left, top, right and bottom in pixels, for each frame from the first on.
    pub boxes: Vec<[i32; 4]>,
}

/// All walkers, in the table's order.
pub fn walkers() -> Result<Vec<Walker>> {
    let mut walkers: Vec<(u32, Walker)> = Vec::new();
    for (number, line) in TABLE.lines().enumerate().skip(1) {
        let (id, frame, bbox) = row(line).with_context(|| format!("walkers.csv:{}", number + 1))?;
        match walkers.last_mut() {
            Some((last, walker)) if *last == id => walker.boxes.push(bbox),
            _ => walkers.push((id, Walker { first: frame, boxes: vec![bbox] })),
        }
    }
    Ok(walkers.into_iter().map(|(_, walker)| walker).collect())
}

fn row(line: &str) -> Result<(u32, usize, [i32; 4])> {
    let mut fields = line.split(',');
    let mut next = || fields.next().context("six fields are needed");
    let (id, frame) = (next()?.parse()?, next()?.parse()?);
    Ok((id, frame, [next()?.parse()?, next()?.parse()?, next()?.parse()?, next()?.parse()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_nine_walkers_of_some_seconds_each() {
        let walkers = walkers().unwrap();
        assert_eq!(walkers.len(), 9);
        for walker in walkers {
            assert!((40..=100).contains(&walker.boxes.len()), "{}", walker.boxes.len());
            assert!(walker.first + walker.boxes.len() <= 795);
        }
    }
}
