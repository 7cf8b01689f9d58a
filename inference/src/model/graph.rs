//! An ONNX file at another input size: the fixed height and width of the image input are rewritten, everything that
//! computes stays byte for byte as it was. ONNX Runtime can override only dimensions that have a name.
//!
//! Only the path from the file to an input's dimensions is spelled out; nodes, weights and the rest pass as raw bytes.
//! A file with a field beside that path that is not known here is refused rather than written back without it.

use prost::Message;
use thiserror::Error;

/// Why a graph can't be had at another size.
#[derive(Debug, Error)]
pub(super) enum GraphError {
    /// Not the encoding of an ONNX file.
    #[error("the file is no ONNX model")]
    Encoding(#[from] prost::DecodeError),
    /// Writing it back would lose something.
    #[error("the file holds fields of a newer ONNX version")]
    UnknownFields,
    /// No image input of that name with four fixed dimensions.
    #[error("the graph has no input of that name with four dimensions")]
    Input,
}

/// The file's bytes with these dimensions of the input. Shapes that followed from the old ones are left out, for ONNX
/// Runtime to infer.
pub(super) fn with_input_dims(bytes: &[u8], input: &str, dims: [i64; 4]) -> Result<Vec<u8>, GraphError> {
    let mut model = ModelProto::decode(bytes)?;
    if model.encoded_len() != bytes.len() {
        return Err(GraphError::UnknownFields);
    }
    let graph = model.graph.as_mut().ok_or(GraphError::Input)?;
    let tensor = graph.input.iter_mut().find(|value| value.name.as_deref() == Some(input));
    let shape = tensor.and_then(ValueInfoProto::shape_mut).filter(|shape| shape.dim.len() == dims.len());
    shape.ok_or(GraphError::Input)?.dim = dims.map(Dimension::fixed).to_vec();
    for output in &mut graph.output {
        output.forget_shape();
    }
    graph.value_info.clear();
    Ok(model.encode_to_vec())
}

impl ValueInfoProto {
    fn shape_mut(&mut self) -> Option<&mut TensorShapeProto> {
        self.r#type.as_mut()?.tensor_type.as_mut()?.shape.as_mut()
    }

    fn forget_shape(&mut self) {
        if let Some(tensor) = self.r#type.as_mut().and_then(|of| of.tensor_type.as_mut()) {
            tensor.shape = None;
        }
    }
}

impl Dimension {
    fn fixed(value: i64) -> Self {
        Self { dim_value: Some(value), ..Self::default() }
    }
}

// The messages of onnx.proto, by their names there.

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, optional, tag = "1")]
    ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    producer_version: Option<String>,
    #[prost(string, optional, tag = "4")]
    domain: Option<String>,
    #[prost(int64, optional, tag = "5")]
    model_version: Option<i64>,
    #[prost(string, optional, tag = "6")]
    doc_string: Option<String>,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    opset_import: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "14")]
    metadata_props: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "25")]
    functions: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(bytes = "vec", repeated, tag = "1")]
    node: Vec<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    initializer: Vec<Vec<u8>>,
    #[prost(string, optional, tag = "10")]
    doc_string: Option<String>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
    #[prost(bytes = "vec", repeated, tag = "13")]
    value_info: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "14")]
    quantization_annotation: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    sparse_initializer: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "16")]
    metadata_props: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
    #[prost(string, optional, tag = "3")]
    doc_string: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    metadata_props: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
    #[prost(string, optional, tag = "6")]
    denotation: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, optional, tag = "1")]
    elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
    #[prost(string, optional, tag = "3")]
    denotation: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DETECTOR: &[u8] = include_bytes!("../../tests/fixtures/detector.onnx");

    fn image_dims(bytes: &[u8]) -> Vec<Option<i64>> {
        let mut graph = ModelProto::decode(bytes).unwrap().graph.unwrap();
        let dims = &graph.input[0].shape_mut().unwrap().dim;
        dims.iter().map(|dim| dim.dim_value).collect()
    }

    #[test]
    fn only_the_inputs_size_and_what_followed_from_it_change() {
        let changed = with_input_dims(DETECTOR, "images", [1, 3, 32, 64]).unwrap();
        assert_eq!(image_dims(&changed), [Some(1), Some(3), Some(32), Some(64)]);
        let (before, after) = (ModelProto::decode(DETECTOR).unwrap(), ModelProto::decode(&changed[..]).unwrap());
        let (before, after) = (before.graph.unwrap(), after.graph.unwrap());
        assert_eq!((before.node, before.initializer), (after.node, after.initializer));
        assert_eq!(before.output[0].name, after.output[0].name);
        assert_eq!(after.output[0].r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().shape, None);
    }

    #[test]
    fn another_name_and_another_file_are_errors() {
        assert!(matches!(with_input_dims(DETECTOR, "pixels", [1, 3, 32, 64]), Err(GraphError::Input)));
        assert!(matches!(with_input_dims(b"\xffno model", "images", [1; 4]), Err(GraphError::Encoding(_))));
        assert!(matches!(with_input_dims(b"", "images", [1; 4]), Err(GraphError::Input)));
    }

    #[test]
    fn a_field_that_would_be_lost_is_an_error() {
        let mut newer = DETECTOR.to_vec();
        newer.extend([0xfa, 0x07, 1, 0]);
        assert!(matches!(with_input_dims(&newer, "images", [1, 3, 32, 64]), Err(GraphError::UnknownFields)));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(at in 0usize..4000, with in proptest::collection::vec(any::<u8>(), 1..6)) {
            let mut bytes = DETECTOR.to_vec();
            let at = at % bytes.len();
            let until = (at + with.len()).min(bytes.len());
            bytes[at..until].copy_from_slice(&with[..until - at]);
            let _ = with_input_dims(&bytes, "images", [1, 3, 32, 64]);
        }
    }
}
