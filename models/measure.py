#!/usr/bin/env python3
"""Footage and manifests in, a table of objects found, agreement with the first model, and milliseconds per frame out.

The first model named is the reference of the others: a box of theirs agrees when it has the same class and an overlap
of one half or more with a box of the reference. There are no hand-made labels, so this says how alike two models are,
not how right. Time is one call of the network on one thread, preprocessing left out.
"""

import argparse
import pathlib
import subprocess
import sys
import time
import tomllib
from typing import NamedTuple

import numpy as np
import onnxruntime

AGREES_FROM_IOU = 0.5


class Box(NamedTuple):
    """One detection, corners in pixels of the frame."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    name: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footage", type=pathlib.Path)
    parser.add_argument("models", nargs="+", help="names of manifests; the first is the reference")
    parser.add_argument("--weights", type=pathlib.Path, required=True, help="folder with the ONNX files")
    parser.add_argument("--every", type=int, default=40, help="sample one frame in so many")
    args = parser.parse_args()
    frames = read_frames(args.footage, args.every)
    print(f"{len(frames)} frames of {args.footage.name}, one in {args.every}")
    print(f"{'model':<22}{'persons':>8}{'vehicles':>9}{'recall':>8}{'precision':>10}{'ms':>7}")
    reference = None
    for name in args.models:
        detector = Detector(pathlib.Path(__file__).with_name(f"{name}.toml"), args.weights)
        found = [detector.detect(frame) for frame in frames]
        reference = reference or found
        print(row(name, found, reference, detector.median_ms()))
    return 0


def read_frames(path: pathlib.Path, every: int) -> list[np.ndarray]:
    """Sampled frames as RGB arrays, decoded by ffmpeg."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    size = subprocess.run([*probe, path], check=True, capture_output=True, text=True).stdout
    width, height = (int(value) for value in size.strip().strip(",").split(","))
    decode = ["ffmpeg", "-v", "error", "-i", path, "-vf", f"select=not(mod(n\\,{every}))", "-vsync", "0"]
    raw = subprocess.run([*decode, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    return list(np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3))


def row(name: str, found: list[list[Box]], reference: list[list[Box]], ms: float) -> str:
    persons = sum(box.name == "person" for boxes in found for box in boxes)
    total = sum(map(len, found))
    agreeing = sum(n_agreeing(boxes, wanted) for boxes, wanted in zip(found, reference))
    recall = agreeing / max(1, sum(map(len, reference)))
    return f"{name:<22}{persons:>8}{total - persons:>9}{recall:>8.2f}{agreeing / max(1, total):>10.2f}{ms:>7.1f}"


def n_agreeing(boxes: list[Box], reference: list[Box]) -> int:
    """Pairs boxes with the reference's, each at most once, surest first."""
    left = list(reference)
    for box in sorted(boxes, key=lambda box: -box.score):
        same = [other for other in left if other.name == box.name and iou(box, other) >= AGREES_FROM_IOU]
        if same:
            left.remove(max(same, key=lambda other: iou(box, other)))
    return len(reference) - len(left)


class Detector:
    """A manifest made to run: preprocess, network on one thread, decode, suppress."""

    def __init__(self, manifest: pathlib.Path, weights: pathlib.Path):
        self.manifest = tomllib.loads(manifest.read_text())
        self.names = {entry["index"]: entry["class"] for entry in self.manifest["classes"]}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = weights / self.manifest["file"]
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.decode = {"yolox": self.decode_yolox, "ssd": self.decode_ssd}[self.manifest["output"]["decoder"]]
        if "anchors" in self.manifest["output"]:
            raw = (weights / self.manifest["output"]["anchors"]["file"]).read_bytes()
            self.anchors = np.frombuffer(raw, "<f4").reshape(-1, 4)
        self.durations_ms = []

    def detect(self, frame: np.ndarray) -> list[Box]:
        tensor, scale_x, scale_y = self.preprocess(frame)
        started = time.perf_counter()
        outputs = dict(zip((o.name for o in self.session.get_outputs()), self.session.run(None, {self.manifest["input"]["tensor"]: tensor})))
        self.durations_ms.append((time.perf_counter() - started) * 1000)
        corners, scores = self.decode(outputs)
        corners = corners / np.array([scale_x, scale_y, scale_x, scale_y])
        return [box for index, name in self.names.items() for box in self.suppress(corners, scores[:, index], name)]

    def median_ms(self) -> float:
        return float(np.median(self.durations_ms))

    def preprocess(self, frame: np.ndarray) -> tuple[np.ndarray, float, float]:
        """The tensor, and the factors that lead from frame to model space."""
        wanted = self.manifest["input"]
        height, width = frame.shape[:2]
        scale_x, scale_y = wanted["width"] / width, wanted["height"] / height
        canvas = np.zeros((wanted["height"], wanted["width"], 3), np.float32)
        if wanted["fit"]["kind"] == "letterbox":
            scale_x = scale_y = min(scale_x, scale_y)
            canvas[:] = wanted["fit"]["pad"]
        resized = resize(frame, round(width * scale_x), round(height * scale_y))
        canvas[: resized.shape[0], : resized.shape[1]] = resized
        if wanted["colour"] == "bgr":
            canvas = canvas[..., ::-1]
        canvas = canvas * wanted["scale"] + wanted["offset"]
        if wanted["layout"] == "nchw":
            canvas = canvas.transpose(2, 0, 1)
        return np.ascontiguousarray(canvas[None], np.float32), scale_x, scale_y

    def decode_yolox(self, outputs: dict) -> tuple[np.ndarray, np.ndarray]:
        output, size = self.manifest["output"], self.manifest["input"]
        rows = outputs[output["tensor"]][0]
        cells = []
        for stride in output["strides"]:
            y, x = np.mgrid[: size["height"] // stride, : size["width"] // stride]
            cells.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], 1))
        col, line, stride = np.concatenate(cells).T
        center_x, center_y = (rows[:, 0] + col) * stride, (rows[:, 1] + line) * stride
        half_w, half_h = np.exp(rows[:, 2]) * stride / 2, np.exp(rows[:, 3]) * stride / 2
        corners = np.stack([center_x - half_w, center_y - half_h, center_x + half_w, center_y + half_h], 1)
        return corners, rows[:, 4:5] * rows[:, 5:]

    def decode_ssd(self, outputs: dict) -> tuple[np.ndarray, np.ndarray]:
        output, size = self.manifest["output"], self.manifest["input"]
        ty, tx, th, tw = outputs[output["boxes"]][0].T
        y0, x0, y1, x1 = self.anchors.T
        center_y = (y0 + y1) / 2 + ty / 10 * (y1 - y0)
        center_x = (x0 + x1) / 2 + tx / 10 * (x1 - x0)
        half_h, half_w = np.exp(th / 5) * (y1 - y0) / 2, np.exp(tw / 5) * (x1 - x0) / 2
        corners = np.stack([center_x - half_w, center_y - half_h, center_x + half_w, center_y + half_h], 1)
        corners = corners * np.array([size["width"], size["height"]] * 2)
        return corners, 1 / (1 + np.exp(-outputs[output["scores"]][0]))

    def suppress(self, corners: np.ndarray, scores: np.ndarray, name: str) -> list[Box]:
        """Greedy suppression within one class."""
        kept = []
        above = np.flatnonzero(scores >= self.manifest["output"]["score_threshold"])
        for index in above[np.argsort(-scores[above])]:
            box = Box(*corners[index], scores[index], name)
            if all(iou(box, other) <= self.manifest["output"]["nms_iou"] for other in kept):
                kept.append(box)
        return kept


def resize(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear, pixel centres aligned, no smoothing before shrinking: what OpenCV's default does."""

    def taps(n_from: int, n_to: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position = np.clip((np.arange(n_to) + 0.5) * n_from / n_to - 0.5, 0, n_from - 1)
        low = np.floor(position).astype(int)
        return low, np.minimum(low + 1, n_from - 1), (position - low).astype(np.float32)

    top, bottom, share_y = taps(frame.shape[0], height)
    left, right, share_x = taps(frame.shape[1], width)
    share_y, share_x = share_y[:, None, None], share_x[None, :, None]
    rows = frame[top] * (1 - share_y) + frame[bottom] * share_y
    return rows[:, left] * (1 - share_x) + rows[:, right] * share_x


def iou(a: Box, b: Box) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared)


if __name__ == "__main__":
    sys.exit(main())
