//! The boxes that were set by eye; how is told in `data/vtest_persons.md`. They are part of the program, so that a
//! measurement needs the recording only.

use std::collections::HashSet;

use thiserror::Error;
use xueliang_inference::BBox;

use super::Sighting;

/// Width and height of the recording that is labelled.
pub const SIZE: (u32, u32) = (768, 576);
/// Its frames a second.
pub const FPS: u32 = 10;
/// How many of its frames are labelled, from the first on.
pub const FRAMES: u32 = 240;

const TEXT: &str = include_str!("../../data/vtest_persons.csv");
const HEADER: &str = "frame,id,x,y,w,h,visibility,by_hand";

/// One labelled person in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Frame, trajectory and box.
    pub sighting: Sighting,
    /// Share of the person that can be seen, 0..1.
    pub visibility: f32,
    /// Set by eye in this frame, not interpolated.
    pub by_hand: bool,
}

/// Why a text is not a table of labels.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LabelError {
    /// Another first line.
    #[error("labels begin with {found:?} instead of {HEADER:?}")]
    Header {
        /// What stands there.
        found: String,
    },
    /// A line that is no label.
    #[error("line {line} of the labels is wrong: {why}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The labels of the street recording.
pub fn labels() -> Result<Vec<Label>, LabelError> {
    read(TEXT)
}

/// Reads a table of labels.
pub fn read(text: &str) -> Result<Vec<Label>, LabelError> {
    let mut lines = text.lines().zip(1..);
    let header = lines.next().map_or("", |(header, _)| header);
    if header != HEADER {
        return Err(LabelError::Header { found: header.chars().take(80).collect() });
    }
    let mut known = HashSet::new();
    let mut labels = Vec::new();
    for (text, line) in lines {
        let label = label(text).map_err(|why| LabelError::Line { line, why })?;
        if !known.insert((label.sighting.frame, label.sighting.id)) {
            return Err(LabelError::Line { line, why: "this id stands in this frame already" });
        }
        labels.push(label);
    }
    Ok(labels)
}

fn label(line: &str) -> Result<Label, &'static str> {
    let columns: Vec<&str> = line.split(',').collect();
    let [frame, id, x, y, w, h, visibility, by_hand] = columns[..] else {
        return Err("it has not 8 columns");
    };
    let whole = |text: &str| text.parse::<u32>().map_err(|_| "frame, id and box are whole numbers from 0 on");
    let [frame, id, x, y, w, h] = [whole(frame)?, whole(id)?, whole(x)?, whole(y)?, whole(w)?, whole(h)?];
    let is_inside = |start: u32, length: u32, end: u32| start.checked_add(length).is_some_and(|sum| sum <= end);
    if w == 0 || h == 0 || !is_inside(x, w, SIZE.0) || !is_inside(y, h, SIZE.1) {
        return Err("the box is empty or not inside the frame");
    }
    let visibility: f32 = visibility.parse().map_err(|_| "visibility is a number")?;
    if !(0.0..=1.0).contains(&visibility) {
        return Err("visibility is between 0 and 1");
    }
    let by_hand = match by_hand {
        "1" => true,
        "0" => false,
        _ => return Err("by_hand is 0 or 1"),
    };
    let (width, height) = (SIZE.0 as f32, SIZE.1 as f32);
    let bbox = BBox { x: x as f32 / width, y: y as f32 / height, w: w as f32 / width, h: h as f32 / height };
    Ok(Label { sighting: Sighting { frame, id: id.into(), bbox }, visibility, by_hand })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_labelled_frame_shows_persons_and_no_trajectory_has_gaps() {
        let labels = labels().unwrap();
        assert_eq!(labels.len(), 1625);
        let frames: HashSet<u32> = labels.iter().map(|label| label.sighting.frame).collect();
        assert_eq!(frames, (0..FRAMES).collect());
        let mut trajectories: HashMap<u64, Vec<u32>> = HashMap::new();
        for label in &labels {
            trajectories.entry(label.sighting.id).or_default().push(label.sighting.frame);
        }
        assert_eq!(trajectories.len(), 11);
        for frames in trajectories.values() {
            assert!(frames.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }
    }

    #[test]
    fn nobody_jumps_from_one_frame_to_the_next() {
        let middle = |bbox: &BBox| ((bbox.x + bbox.w / 2.0) * SIZE.0 as f32, (bbox.y + bbox.h) * SIZE.1 as f32);
        let mut before: HashMap<u64, BBox> = HashMap::new();
        for label in labels().unwrap() {
            let Sighting { frame, id, bbox } = label.sighting;
            let Some(last) = before.insert(id, bbox) else { continue };
            let ((x, y), (last_x, last_y)) = (middle(&bbox), middle(&last));
            let (pace, height) = ((x - last_x).hypot(y - last_y), bbox.h * SIZE.1 as f32);
            assert!(pace < 0.3 * height, "{id} in frame {frame}: {last:?} then {bbox:?}");
        }
    }

    fn check(line: &str, expected: &str) {
        let error = read(&format!("{HEADER}\n0,1,10,10,20,40,1.00,1\n{line}\n")).unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with("line 3 of the labels is wrong") && told.contains(expected), "{line}: {told}");
    }

    #[test]
    fn a_wrong_line_is_named_with_its_fault() {
        check("0,2,10,10,20,40,1.00", "8 columns");
        check("", "8 columns");
        check("0,1,10,10,20,40,1.00,1", "already");
        check("-1,2,10,10,20,40,1.00,1", "whole numbers");
        check("0,2,760,10,20,40,1.00,1", "inside the frame");
        check("0,2,4294967295,10,20,40,1.00,1", "inside the frame");
        check("0,2,10,10,0,40,1.00,1", "empty");
        check("0,2,10,10,20,40,NaN,1", "between 0 and 1");
        check("0,2,10,10,20,40,1.5,1", "between 0 and 1");
        check("0,2,10,10,20,40,1.00,yes", "0 or 1");
        let error = read("frame,who\n").unwrap_err();
        assert_eq!(error, LabelError::Header { found: "frame,who".to_owned() });
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(frame,id,x,y,w,h,visibility,by_hand\n)?([0-9a-z.,\n-]{0,200})") {
            let _ = read(&text);
        }
    }
}
