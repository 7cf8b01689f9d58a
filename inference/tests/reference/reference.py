#!/usr/bin/env python3
"""The reference for the parity test: raw I420 frames in, boxes and scores out, as JSON.

Written from the models' own descriptions with numpy, and on purpose the slow, literal way: the whole picture becomes
8-bit BGR first, then it is resized, then everything is decoded. Nothing here is shared with the Rust code but the
manifest. `--cv2` resizes and converts with OpenCV, to check the numpy resizer itself. `--rectangular` gives the model an
input that follows the frames' shape instead of the manifest's square.
"""

import argparse
import json
import pathlib
import tomllib

import numpy as np
import onnx
import onnxruntime

FLOOR = 0.1


def bgr_from_i420(raw, width, height, use_cv2):
    rows = np.frombuffer(raw, np.uint8)
    if use_cv2:
        import cv2

        return cv2.cvtColor(rows.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)
    luma = rows[: width * height].reshape(height, width).astype(np.float64)
    chroma = rows[width * height :].reshape(2, height // 2, width // 2).astype(np.float64)
    u, v = (plane.repeat(2, 0).repeat(2, 1) - 128 for plane in chroma)
    y = 1.164383 * (luma - 16)
    bgr = np.stack([y + 2.017232 * u, y - 0.391762 * u - 0.812968 * v, y + 1.596027 * v], -1)
    return np.clip(np.rint(bgr), 0, 255).astype(np.uint8)


def resize(picture, width, height, use_cv2):
    if use_cv2:
        import cv2

        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    for axis, size in ((0, height), (1, width)):
        source = picture.shape[axis]
        centre = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
        low = np.floor(centre).astype(int)
        high = np.minimum(low + 1, source - 1)
        weight = (centre - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        picture = np.take(picture, low, axis) * (1 - weight) + np.take(picture, high, axis) * weight
    return np.rint(picture).astype(np.uint8)


def preprocess(bgr, spec, use_cv2):
    """The input tensor, and frame pixels per model pixel in x and y."""
    height, width = bgr.shape[:2]
    if spec["fit"]["kind"] == "letterbox":
        ratio = min(spec["height"] / height, spec["width"] / width)
        canvas = np.full((spec["height"], spec["width"], 3), spec["fit"]["pad"], np.uint8)
        small = resize(bgr, int(width * ratio), int(height * ratio), use_cv2)
        canvas[: small.shape[0], : small.shape[1]] = small
        frame_from_model = (1 / ratio, 1 / ratio)
    else:
        canvas = resize(bgr, spec["width"], spec["height"], use_cv2)
        frame_from_model = (width / spec["width"], height / spec["height"])
    if spec["colour"] == "rgb":
        canvas = canvas[:, :, ::-1]
    tensor = canvas.astype(np.float32) * np.float32(spec["scale"]) + np.float32(spec["offset"])
    if spec["layout"] == "nchw":
        tensor = tensor.transpose(2, 0, 1)
    return np.ascontiguousarray(tensor[None]), frame_from_model


def decode_yolox(outputs, manifest):
    """Corner boxes in model pixels, and the scores of all the model's classes."""
    raw = outputs[0][0].astype(np.float64)
    grids, strides = [], []
    for stride in manifest["output"]["strides"]:
        columns, rows = manifest["input"]["width"] // stride, manifest["input"]["height"] // stride
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        grids.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((columns * rows, 1), stride))
    grid, stride = np.concatenate(grids), np.concatenate(strides)
    centre = (raw[:, :2] + grid) * stride
    size = np.exp(raw[:, 2:4]) * stride
    return np.concatenate([centre - size / 2, centre + size / 2], 1), raw[:, 4:5] * raw[:, 5:]


def decode_ssd(outputs, manifest, models):
    boxes, logits = (output[0].astype(np.float64) for output in outputs)
    anchors = np.fromfile(models / manifest["output"]["anchors"]["file"], "<f4").reshape(-1, 4).astype(np.float64)
    y0, x0, y1, x1 = anchors.T
    cy, cx = boxes[:, 0] / 10 * (y1 - y0) + (y0 + y1) / 2, boxes[:, 1] / 10 * (x1 - x0) + (x0 + x1) / 2
    h, w = np.exp(boxes[:, 2] / 5) * (y1 - y0), np.exp(boxes[:, 3] / 5) * (x1 - x0)
    scale = np.array([manifest["input"]["width"], manifest["input"]["height"]] * 2)
    corners = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1) * scale
    return corners, 1 / (1 + np.exp(-logits))


def iou(box, boxes):
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inter = np.prod(np.clip(high - low, 0, None), 1)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return inter / (area(box) + area(boxes) - inter)


def suppress(boxes, scores, max_iou):
    order, kept = np.argsort(-scores, kind="stable"), []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[iou(boxes[best], boxes[order]) <= max_iou]
    return kept


def detections(boxes, scores, manifest):
    """Per class of the manifest: [class, score, x0, y0, x1, y1], for each place only its best class."""
    indexes = [row["index"] for row in manifest["classes"]]
    names = [row["class"] for row in manifest["classes"]]
    best = np.argmax(scores[:, indexes], 1)
    score = scores[np.arange(len(scores)), np.array(indexes)[best]]
    found = []
    for number, name in enumerate(names):
        mine = (best == number) & (score >= FLOOR) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        for i in suppress(boxes[mine], score[mine], manifest["output"]["nms_iou"]):
            found.append([name, float(score[mine][i]), *map(float, boxes[mine][i])])
    return sorted(found, key=lambda row: -row[1])


def follow_shape(manifest, width, height):
    """Makes the manifest's input the smallest one, in steps of the largest stride, that holds a scaled frame."""
    spec, step = manifest["input"], max(manifest["output"]["strides"])
    ratio = min(spec["height"] / height, spec["width"] / width)
    spec["width"], spec["height"] = (-(-int(side * ratio) // step) * step for side in (width, height))


def model_bytes(path, spec):
    """The model with its input's height and width as the manifest has them now."""
    model = onnx.load(path)
    dims = next(i for i in model.graph.input if i.name == spec["tensor"]).type.tensor_type.shape.dim
    if (dims[2].dim_value, dims[3].dim_value) != (spec["height"], spec["width"]):
        dims[2].dim_value, dims[3].dim_value = spec["height"], spec["width"]
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
    return model.SerializeToString()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder of the model files")
    parser.add_argument("--frames", type=pathlib.Path, required=True, help="raw I420 frames, one after the other")
    parser.add_argument("--size", required=True, help="WIDTHxHEIGHT of the frames")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--cv2", action="store_true", help="convert and resize with OpenCV")
    parser.add_argument("--rectangular", action="store_true", help="let the input follow the frames' shape")
    args = parser.parse_args()

    manifest = tomllib.loads(args.manifest.read_text())
    width, height = map(int, args.size.split("x"))
    if args.rectangular:
        follow_shape(manifest, width, height)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = model_bytes(args.models / manifest["file"], manifest["input"])
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    ssd = manifest["output"]["decoder"] == "ssd"
    wanted = [manifest["output"][key] for key in (("boxes", "scores") if ssd else ("tensor",))]

    raw, length, frames = args.frames.read_bytes(), width * height * 3 // 2, []
    for start in range(0, len(raw), length):
        bgr = bgr_from_i420(raw[start : start + length], width, height, args.cv2)
        tensor, (scale_x, scale_y) = preprocess(bgr, manifest["input"], args.cv2)
        outputs = session.run(wanted, {manifest["input"]["tensor"]: tensor})
        boxes, scores = decode_ssd(outputs, manifest, args.models) if ssd else decode_yolox(outputs, manifest)
        boxes = boxes * [scale_x, scale_y, scale_x, scale_y]
        boxes = np.clip(boxes, 0, [width, height, width, height])
        frames.append(detections(boxes, scores, manifest))
    result = {"model": manifest["name"], "sha256": manifest["sha256"], "width": width, "height": height}
    args.out.write_text(json.dumps({**result, "frames": frames}))


if __name__ == "__main__":
    main()
