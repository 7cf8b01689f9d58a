//! A detector and the one picture that it may be asked about: all of it, or a part.

use std::time::{Duration, Instant};

use xueliang_inference::{BBox, DetectError, Detections, Detector, Frame};

/// Looks at one picture, as often as it takes.
pub struct Look<'a> {
    detector: &'a mut Detector,
    frame: &'a Frame,
    heard: &'a mut dyn FnMut(&Result<Detections, DetectError>),
    took: Duration,
}

impl<'a> Look<'a> {
    /// A look at this frame; `heard` hears what each run of the detector came to.
    pub fn new(
        detector: &'a mut Detector,
        frame: &'a Frame,
        heard: &'a mut dyn FnMut(&Result<Detections, DetectError>),
    ) -> Self {
        Self { detector, frame, heard, took: Duration::ZERO }
    }

    /// The picture.
    pub fn frame(&self) -> &'a Frame {
        self.frame
    }

    /// What is in the picture; `None` when the detector failed.
    pub fn whole(&mut self) -> Option<Detections> {
        self.run(|detector, frame| detector.detect(frame, &detector.settings()))
    }

    /// Whether a look at this region costs less than one at all of the picture.
    pub fn is_cheaper(&self, region: &BBox) -> bool {
        self.detector.has_part(self.frame, region)
    }

    /// What is in a part of the picture that holds this region; `None` when the detector failed.
    pub fn part(&mut self, region: &BBox) -> Option<Detections> {
        self.run(|detector, frame| detector.detect_part(frame, region, &detector.settings()))
    }

    /// Time that the detector took.
    pub fn took(&self) -> Duration {
        self.took
    }

    fn run(
        &mut self,
        detect: impl FnOnce(&mut Detector, &Frame) -> Result<Detections, DetectError>,
    ) -> Option<Detections> {
        let started = Instant::now();
        let found = detect(self.detector, self.frame);
        self.took += started.elapsed();
        (self.heard)(&found);
        found.ok()
    }
}
