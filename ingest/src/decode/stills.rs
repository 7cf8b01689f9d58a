//! What one decoding thread has for all cameras: a decoder of each coding for keyframes that stand alone.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    access_unit::{AccessUnit, Codec},
    decode::chain::{Chain, ChainError, DecoderSettings, Picture},
};

/// One thread's decoders.
pub(super) struct ThreadDecoders {
    settings: DecoderSettings,
    stills: HashMap<Codec, Chain>,
}

impl ThreadDecoders {
    /// None yet; each is made when it is first needed.
    pub(super) fn new(settings: DecoderSettings) -> Self {
        Self { settings, stills: HashMap::new() }
    }

    /// How decoders are made.
    pub(super) fn settings(&self) -> DecoderSettings {
        self.settings
    }

    /// Decodes a keyframe alone.
    pub(super) fn still(&mut self, unit: &AccessUnit) -> Result<Option<Picture>, ChainError> {
        let chain = match self.stills.entry(unit.codec) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Chain::new(unit.codec, self.settings)?),
        };
        Ok(chain.decode_still(unit))
    }
}
