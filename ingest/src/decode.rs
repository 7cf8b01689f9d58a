//! Access units in, masked frames out, in bounded worker threads.
//!
//! `chain` is one decoder driven by the calling thread; `lane` is one camera's bounded queue before the decoders;
//! `sequence` says which of a stream's pictures are decoded; `pool` is the threads that serve all lanes fairly. Frames leave with their privacy masks painted (RULES P06).

pub mod chain;
pub mod lane;
mod pace;
pub mod pool;
mod sequence;
mod stills;

pub use chain::{DecoderSettings, Engine, SkipLoopFilter};
pub use lane::{FrameSink, Lane, LaneSettings, Wake};
use pace::Pace;
pub use pool::{DecoderPool, Lease};
pub use sequence::Rest;
pub(crate) use sequence::{Next, Sequence};
