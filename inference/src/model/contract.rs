//! Whether a loaded graph has exactly the inputs and outputs that its decoder reads. One more is one too many: that is
//! how a re-identification, text or attribute model looks (RULES P09).

use ort::session::Session;
use ort::value::{Outlet, TensorElementType};

use crate::decode::OutputTensor;

/// Says what differs, and what would be right.
pub(super) fn check(
    session: &Session,
    (input, input_dims): (&str, &[i64]),
    outputs: &[OutputTensor<'_>],
) -> Result<(), String> {
    let [only] = session.inputs() else {
        return Err(format!("it has {} inputs, but only one image may go in", session.inputs().len()));
    };
    check_tensor("input", only, input, input_dims)?;
    for outlet in session.outputs() {
        let Some(wanted) = outputs.iter().find(|wanted| wanted.name == outlet.name()) else {
            return Err(format!(
                "output {:?} of shape {} is not one the decoder reads; only boxes and class scores may come out of a \
                 model, never embeddings, text or attributes",
                outlet.name(),
                shape_of(outlet)
            ));
        };
        check_tensor("output", outlet, wanted.name, &wanted.dims)?;
    }
    for wanted in outputs {
        if !session.outputs().iter().any(|outlet| outlet.name() == wanted.name) {
            return Err(format!("output {:?} of the manifest is missing", wanted.name));
        }
    }
    Ok(())
}

fn check_tensor(what: &str, outlet: &Outlet, name: &str, dims: &[i64]) -> Result<(), String> {
    let is_f32 = outlet.dtype().tensor_type() == Some(TensorElementType::Float32);
    let same_shape = outlet.dtype().tensor_shape().is_some_and(|shape| shape[..] == *dims);
    if outlet.name() == name && is_f32 && same_shape {
        return Ok(());
    }
    let expected = dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    Err(format!("{what} {:?} is {}, the manifest says {name:?} as f32 {expected}", outlet.name(), shape_of(outlet)))
}

fn shape_of(outlet: &Outlet) -> String {
    outlet.dtype().to_string()
}
