#!/usr/bin/env python3
"""The pipeline that users have today: ffmpeg's raw pipe at a few frames a second into Python ONNX Runtime.

`throughput` runs the detector on frames of a file as fast as it can; `pipeline` watches RTSP cameras. Both are driven by lines on standard input
("run SECONDS", "read") and answer with one JSON line each; both end when standard input closes. Letterboxing is OpenCV's where it is installed,
else numpy's, which is slower; "resize" says which. Decoding of outputs and suppression are vectorised numpy.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import tomllib

import numpy as np
import onnxruntime

try:
    import cv2

    cv2.setNumThreads(1)
except ImportError:
    cv2 = None

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class Detector:
    """A manifest made to run: BGR picture in, boxes of the manifest's classes out."""

    def __init__(self, args):
        self.manifest = tomllib.loads(args.manifest.read_text())
        if self.manifest["output"]["decoder"] != "yolox":
            sys.exit("the reference runs YOLOX models only; name one with --model")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        options.inter_op_num_threads = 1
        model = str(args.weights / self.manifest["file"])
        wanted = PROVIDERS[args.provider]
        if wanted not in onnxruntime.get_available_providers():
            sys.exit(f"Python's ONNX Runtime has no {wanted}; it has {onnxruntime.get_available_providers()}")
        self.session = onnxruntime.InferenceSession(model, options, [wanted])
        self.size = self.manifest["input"]["width"], self.manifest["input"]["height"]
        self.classes = np.array([row["index"] for row in self.manifest["classes"]])
        self.grid, self.stride = self.cells()
        self.infer_seconds = 0.0

    def cells(self):
        grids, strides = [], []
        for stride in self.manifest["output"]["strides"]:
            x, y = np.meshgrid(np.arange(self.size[0] // stride), np.arange(self.size[1] // stride))
            grids.append(np.stack([x.ravel(), y.ravel()], 1))
            strides.append(np.full((x.size, 1), stride))
        return np.concatenate(grids).astype(np.float32), np.concatenate(strides).astype(np.float32)

    def detect(self, picture):
        tensor, ratio = self.preprocess(picture)
        started = time.perf_counter()
        rows = self.session.run(None, {self.manifest["input"]["tensor"]: tensor})[0][0]
        self.infer_seconds += time.perf_counter() - started
        return self.postprocess(rows, ratio)

    def preprocess(self, picture):
        width, height = self.size
        ratio = min(width / picture.shape[1], height / picture.shape[0])
        small = resize(picture, int(picture.shape[1] * ratio), int(picture.shape[0] * ratio))
        canvas = np.full((height, width, 3), self.manifest["input"]["fit"]["pad"], np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], np.float32), ratio

    def postprocess(self, rows, ratio):
        scores = rows[:, 4:5] * rows[:, 5:][:, self.classes]
        best = scores.argmax(1)
        score = scores[np.arange(len(scores)), best]
        keep = score >= self.manifest["output"]["score_threshold"]
        rows, best, score = rows[keep], best[keep], score[keep]
        centre = (rows[:, :2] + self.grid[keep]) * self.stride[keep]
        half = np.exp(rows[:, 2:4]) * self.stride[keep] / 2
        boxes = np.concatenate([centre - half, centre + half], 1) / ratio
        kept = suppress(boxes, score, best, self.manifest["output"]["nms_iou"])
        return boxes[kept], best[kept], score[kept]


def resize(picture, width, height):
    if cv2 is not None:
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    for axis, size in ((0, height), (1, width)):
        source = picture.shape[axis]
        centre = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1).astype(np.float32)
        low = centre.astype(int)
        weight = (centre - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        picture = np.take(picture, low, axis) * (1 - weight) + np.take(picture, np.minimum(low + 1, source - 1), axis) * weight
    return picture.astype(np.uint8)


def suppress(boxes, scores, classes, most):
    """Classes are moved apart, so that one pass serves them all."""
    boxes = boxes + classes[:, None] * 10_000.0
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = scores.argsort()[::-1], []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.clip(high - low, 0, None), 1)
        order = order[shared / (area[best] + area[order] - shared) <= most]
    return np.array(kept, int)


def say(**words):
    print(json.dumps(words), flush=True)


def throughput(args):
    detector = Detector(args)
    decode = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(args.video), "-vf", "fps=1", "-frames:v", "20"]
    raw = subprocess.run([*decode, "-f", "rawvideo", "-pix_fmt", "bgr24", "-"], check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, args.height, args.width, 3)
    say(ready=True, resize="opencv" if cv2 else "numpy", onnxruntime=onnxruntime.__version__, python=sys.version.split()[0])
    for line in sys.stdin:
        seconds = float(line.split()[1])
        detector.infer_seconds, n_frames, n_objects = 0.0, 0, 0
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            n_objects += len(detector.detect(frames[n_frames % len(frames)])[0])
            n_frames += 1
        took = time.perf_counter() - started
        say(frames=n_frames, seconds=took, infer_seconds=detector.infer_seconds, objects=n_objects)


class Camera(threading.Thread):
    """One ffmpeg, and the thread that analyses what it writes."""

    def __init__(self, url, args, detector):
        super().__init__(daemon=True)
        self.shape, self.detector = (args.height, args.width, 3), detector
        filters = f"fps={args.fps},scale={args.width}:{args.height}"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-rtsp_transport", "tcp", "-i", url, "-an"]
        command += ["-vf", filters, "-f", "rawvideo", "-pix_fmt", "bgr24", "pipe:1"]
        self.ffmpeg = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.frames = self.objects = 0

    def run(self):
        length = int(np.prod(self.shape))
        while len(raw := self.ffmpeg.stdout.read(length)) == length:
            self.objects += len(self.detector.detect(np.frombuffer(raw, np.uint8).reshape(self.shape))[0])
            self.frames += 1

    def cpu(self):
        """Seconds that its ffmpeg has used; what it had used when it ended is lost."""
        try:
            fields = pathlib.Path(f"/proc/{self.ffmpeg.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pipeline(args):
    detector = Detector(args)
    cameras = [Camera(url, args, detector) for url in args.urls]
    for camera in cameras:
        camera.start()
    say(ready=True, resize="opencv" if cv2 else "numpy", onnxruntime=onnxruntime.__version__, python=sys.version.split()[0])
    for _ in sys.stdin:
        ended = sum(camera.ffmpeg.poll() is not None for camera in cameras)
        say(
            seconds=time.monotonic(),
            frames=[camera.frames for camera in cameras],
            objects=sum(camera.objects for camera in cameras),
            cpu_ffmpeg=sum(camera.cpu() for camera in cameras),
            cpu_python=time.process_time(),
            ended=ended,
        )
    for camera in cameras:
        camera.ffmpeg.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["throughput", "pipeline"])
    parser.add_argument("--manifest", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--provider", choices=PROVIDERS, default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--fps", type=float, default=5)
    parser.add_argument("--video", type=pathlib.Path)
    parser.add_argument("--urls", nargs="*", default=[])
    args = parser.parse_args()
    try:
        throughput(args) if args.mode == "throughput" else pipeline(args)
    except KeyboardInterrupt:
        # The bench was interrupted and says so itself.
        sys.exit(130)


if __name__ == "__main__":
    main()
