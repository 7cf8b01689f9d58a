//! Which networks run, and on what: for metrics and health. A network for a new shape of camera appears when its first
//! frame was analysed. Their number is bounded by the detector.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::IntGaugeVec;
use xueliang_inference::NetworkFacts;

/// The networks seen so far; cheap to clone.
#[derive(Clone)]
pub struct Networks {
    seen: Arc<Mutex<Vec<NetworkFacts>>>,
    provider_info: IntGaugeVec,
}

impl Networks {
    /// Shows them in this gauge, whose labels are provider, model and shape.
    pub(crate) fn new(provider_info: IntGaugeVec) -> Self {
        Self { seen: Arc::default(), provider_info }
    }

    /// One network runs.
    pub(crate) fn saw(&self, facts: &NetworkFacts) {
        let mut seen = self.seen.lock();
        if !seen.contains(facts) {
            let NetworkFacts { model, provider, .. } = facts;
            self.provider_info.with_label_values(&[provider.as_str(), model, &shape(facts)]).set(1);
            seen.push(facts.clone());
        }
    }

    /// All of them, in words.
    pub fn describe(&self) -> String {
        let describe = |facts: &NetworkFacts| format!("{} {} on {}", facts.model, shape(facts), facts.provider);
        self.seen.lock().iter().map(describe).collect::<Vec<_>>().join(", ")
    }
}

fn shape(facts: &NetworkFacts) -> String {
    format!("{}x{}", facts.width, facts.height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;
    use xueliang_inference::Provider;

    #[test]
    fn each_network_is_named_once() {
        let gauge = IntGaugeVec::new(Opts::new("info", "What runs."), &["provider", "model", "shape"]).unwrap();
        let networks = Networks::new(gauge.clone());
        let square = NetworkFacts { model: "nano".to_owned(), provider: Provider::OpenVino, width: 416, height: 416 };
        let wide = NetworkFacts { height: 256, ..square.clone() };
        for facts in [&square, &wide, &square] {
            networks.saw(facts);
        }
        assert_eq!(networks.describe(), "nano 416x416 on openvino, nano 416x256 on openvino");
        assert_eq!(gauge.with_label_values(&["openvino", "nano", "416x256"]).get(), 1);
    }
}
