#!/usr/bin/env python3
"""TensorFlow.js graph of SSDLite-MobileNetV2 in, ONNX network and anchor file out.

Only the network proper is converted: from `Preprocessor/sub` to the raw box encodings (`concat`) and the class logits
(`concat_1`). Scaling the picture, decoding boxes and suppression are the detector's work, so the TensorFlow loops that
did them are left out. The output is a function of the input and of the pinned `onnx` version alone: the manifest pins
its sha256. An operator or padding that this file does not know is an error, never a guess.
"""

import argparse
import base64
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "Preprocessor/sub"
OUTPUTS = {"boxes": ("concat", 4), "scores": ("concat_1", 91)}
ANCHORS = "Postprocessor/ExpandDims"
SIZE = 300
N_ANCHORS = 1917
# Fixed, so that a newer `onnx` does not change the bytes on its own account.
OPSET, IR_VERSION = 13, 8


class Unsupported(Exception):
    """The graph holds something this converter has no rule for."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, help="folder that holds model.json and its shards")
    parser.add_argument("--into", type=pathlib.Path, required=True, help="folder for the two results")
    parser.add_argument("--name", default="ssdlite_mobilenet_v2", help="file stem of the results")
    args = parser.parse_args()
    try:
        graph, weights = read_tfjs(args.source)
        model = Converter(graph, weights).convert(args.name)
    except (Unsupported, KeyError, OSError, ValueError) as error:
        print(f"convert_tfjs: {args.source}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    args.into.mkdir(parents=True, exist_ok=True)
    (args.into / f"{args.name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    anchors = weights[ANCHORS].reshape(N_ANCHORS, 4).astype("<f4")
    (args.into / f"{args.name}.anchors.f32").write_bytes(anchors.tobytes())
    return 0


def read_tfjs(folder: pathlib.Path) -> tuple[dict, dict]:
    """Reads the graph's nodes by name, and its constants as arrays, from the shards in manifest order."""
    document = json.loads((folder / "model.json").read_text())
    graph = {node["name"]: node for node in document["modelTopology"]["node"]}
    weights = {}
    for group in document["weightsManifest"]:
        blob = b"".join((folder / path).read_bytes() for path in group["paths"])
        position = 0
        for entry in group["weights"]:
            dtype = np.dtype(entry["dtype"]).newbyteorder("<")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            array = np.frombuffer(blob, dtype, count, position)
            weights[entry["name"]] = array.reshape(entry["shape"])
            position += count * dtype.itemsize
        if position != len(blob):
            raise ValueError(f"weights use {position} of {len(blob)} bytes")
    return graph, weights


class Converter:
    """Walks back from the outputs and emits each node once, inputs first. Tensors become NCHW on the way."""

    def __init__(self, graph: dict, weights: dict):
        self.graph = graph
        self.weights = weights
        self.nodes = []
        self.constants = {}
        self.done = {INPUT}

    def convert(self, name: str) -> onnx.ModelProto:
        for node, _ in OUTPUTS.values():
            self.emit(node)
        rename = {node: output for output, (node, _) in OUTPUTS.items()} | {INPUT: "image"}
        for node in self.nodes:
            node.input[:] = [rename.get(tensor, tensor) for tensor in node.input]
            node.output[:] = [rename.get(tensor, tensor) for tensor in node.output]
        float_tensor = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            name,
            [float_tensor("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [float_tensor(out, TensorProto.FLOAT, [1, N_ANCHORS, width]) for out, (_, width) in OUTPUTS.items()],
            list(self.constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "convert_tfjs"
        onnx.checker.check_model(model, full_check=True)
        return model

    def emit(self, root: str) -> None:
        """Depth first with a stack of its own: the backbone is deeper than is comfortable for recursion."""
        stack = [root]
        while stack:
            name = stack[-1]
            missing = [tensor for tensor in self.tensor_inputs(name) if tensor not in self.done]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            if name not in self.done:
                self.done.add(name)
                self.emit_node(self.graph[name])

    def tensor_inputs(self, name: str) -> list[str]:
        if name == INPUT:
            return []
        node = self.graph[name]
        inputs = node["input"][:1] if node["op"] == "Reshape" else node["input"]
        return [tensor for tensor in inputs if self.graph[tensor]["op"] != "Const"]

    def emit_node(self, node: dict) -> None:
        name, op, inputs = node["name"], node["op"], node["input"]
        if op in ("Conv2D", "DepthwiseConv2dNative"):
            self.emit_convolution(node)
        elif op in ("Add", "AddN", "BiasAdd", "Mul") and len(inputs) == 2:
            self.add("Mul" if op == "Mul" else "Add", [self.operand(tensor) for tensor in inputs], name)
        elif op == "Relu6":
            bounds = [self.constant("relu6/min", np.float32(0)), self.constant("relu6/max", np.float32(6))]
            self.add("Clip", [inputs[0], *bounds], name)
        elif op == "FusedBatchNorm":
            if node["attr"].get("is_training", {}).get("b", True):
                raise Unsupported(f"{name}: batch normalisation in training mode")
            parameters = [self.constant(tensor, self.weights[tensor]) for tensor in inputs[1:]]
            self.add("BatchNormalization", [inputs[0], *parameters], name, epsilon=node["attr"]["epsilon"]["f"])
        elif op == "Reshape":
            self.emit_prediction_rows(node)
        elif op == "ConcatV2":
            self.add("Concat", inputs[:-1], name, axis=1)
        else:
            raise Unsupported(f"{name}: operator {op} with {len(inputs)} inputs")

    def emit_convolution(self, node: dict) -> None:
        name, attributes = node["name"], node["attr"]
        if text(attributes["data_format"]) != "NHWC" or text(attributes["padding"]) != "SAME":
            raise Unsupported(f"{name}: expects NHWC and SAME")
        if integers(attributes["dilations"]) != [1, 1, 1, 1]:
            raise Unsupported(f"{name}: dilated")
        source, weight_name = node["input"]
        weight = self.weights[weight_name]
        group = 1
        if node["op"] == "DepthwiseConv2dNative":
            height, width, group, multiplier = weight.shape
            weight = weight.reshape(height, width, 1, group * multiplier)
        kernel = self.constant(weight_name, np.ascontiguousarray(weight.transpose(3, 2, 0, 1)))
        self.add(
            "Conv",
            [source, kernel],
            name,
            # TensorFlow's SAME puts the odd pixel at the end, which is ONNX's SAME_UPPER.
            auto_pad="SAME_UPPER",
            strides=integers(attributes["strides"])[1:3],
            kernel_shape=list(weight.shape[:2]),
            group=group,
        )

    def emit_prediction_rows(self, node: dict) -> None:
        """A predictor's map becomes rows of boxes or of logits; the graph computes the same shape at run time."""
        name = node["name"]
        width = OUTPUTS["scores"][1] if name.endswith("Reshape_1") else OUTPUTS["boxes"][1]
        shape = self.constant(f"rows/{width}", np.array([1, -1, width], np.int64))
        self.add("Transpose", [node["input"][0]], f"{name}/nhwc", perm=[0, 2, 3, 1])
        self.add("Reshape", [f"{name}/nhwc", shape], name)

    def operand(self, tensor: str) -> str:
        """A per-channel constant of NHWC needs two trailing axes to mean the same in NCHW."""
        if tensor not in self.weights:
            return tensor
        return self.constant(tensor, self.weights[tensor].reshape(-1, 1, 1))

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def add(self, op: str, inputs: list[str], name: str, **attributes) -> None:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))


def text(attribute: dict) -> str:
    """Attribute strings are base64 in some exports and lists of bytes in others."""
    value = attribute["s"]
    return bytes(value).decode() if isinstance(value, list) else base64.b64decode(value).decode()


def integers(attribute: dict) -> list[int]:
    return [int(value) for value in attribute["list"]["i"]]


if __name__ == "__main__":
    sys.exit(main())
