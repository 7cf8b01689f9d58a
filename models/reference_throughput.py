#!/usr/bin/env python3
"""A model and frames in, the time of a Python pipeline per frame out: what users run today, for a comparison.

numpy letterboxes an I420 frame into the square input, ONNX Runtime runs the model on the given threads, numpy decodes
and suppresses. OpenCV converts and resizes where it is installed, as most such scripts do. With --json the last line is
one JSON object of medians in milliseconds. `--rounds 1` repeated by the caller alternates it with what it is compared to.
"""

import argparse
import json
import pathlib
import sys
import time
import tomllib

import numpy as np
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "inference/tests/reference"))
import reference

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="manifest (TOML) of the model")
    parser.add_argument("--weights", type=pathlib.Path, required=True, help="folder with the ONNX files")
    parser.add_argument("--frames", type=pathlib.Path, required=True, help="raw I420 frames, one after the other")
    parser.add_argument("--size", default="768x576", help="WIDTHxHEIGHT of the frames")
    parser.add_argument("--provider", choices=PROVIDERS, default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="threads of ONNX Runtime and OpenCV")
    parser.add_argument("--rounds", type=int, default=5, help="times that each frame is analysed")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    args = parser.parse_args()

    manifest = tomllib.loads(args.model.read_text())
    session = open_session(manifest, args)
    use_cv2 = limit_opencv(args.threads)
    frames = read_frames(args.frames, args.size)
    one_frame(session, manifest, frames[0], use_cv2, args.weights)
    times = [one_frame(session, manifest, frame, use_cv2, args.weights) for _ in range(args.rounds) for frame in frames]
    medians = {name: float(np.median([row[name] for row in times])) for name in times[0]}
    result = {
        "model": manifest["name"],
        "provider": args.provider,
        "threads": args.threads,
        "onnxruntime": onnxruntime.__version__,
        "resizer": "opencv" if use_cv2 else "numpy",
        "n": len(times),
        "medians_ms": medians,
        "frames_per_second": 1000 / medians["total"],
    }
    print(json.dumps(result) if args.json else table(result))
    return 0


def open_session(manifest: dict, args: argparse.Namespace) -> onnxruntime.InferenceSession:
    provider = PROVIDERS[args.provider]
    if provider not in onnxruntime.get_available_providers():
        sys.exit(f"this onnxruntime ({onnxruntime.__version__}) has no {provider}: install the package that carries it")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    settings = {"device_type": "CPU", "num_of_threads": str(args.threads)} if args.provider == "openvino" else {}
    path = str(args.weights / manifest["file"])
    session = onnxruntime.InferenceSession(path, options, providers=[(provider, settings)])
    if provider not in session.get_providers():
        sys.exit(f"{provider} did not start; ONNX Runtime's own message above says why")
    return session


def limit_opencv(threads: int) -> bool:
    try:
        import cv2
    except ImportError:
        return False
    cv2.setNumThreads(threads)
    return True


def read_frames(path: pathlib.Path, size: str) -> list[tuple[bytes, int, int]]:
    width, height = map(int, size.split("x"))
    raw, length = path.read_bytes(), width * height * 3 // 2
    if not raw or len(raw) % length:
        sys.exit(f"{path}: {len(raw)} bytes are no whole number of {size} I420 frames")
    return [(raw[start : start + length], width, height) for start in range(0, len(raw), length)]


def one_frame(session, manifest: dict, frame: tuple[bytes, int, int], use_cv2: bool, weights: pathlib.Path) -> dict:
    """Milliseconds of each stage."""
    raw, width, height = frame
    started = time.perf_counter()
    tensor, scale = reference.preprocess(reference.bgr_from_i420(raw, width, height, use_cv2), manifest["input"], use_cv2)
    preprocessed = time.perf_counter()
    ssd = manifest["output"]["decoder"] == "ssd"
    wanted = [manifest["output"][key] for key in (("boxes", "scores") if ssd else ("tensor",))]
    outputs = session.run(wanted, {manifest["input"]["tensor"]: tensor})
    inferred = time.perf_counter()
    boxes, scores = reference.decode_ssd(outputs, manifest, weights) if ssd else reference.decode_yolox(outputs, manifest)
    reference.detections(boxes * [*scale, *scale], scores, manifest)
    done = time.perf_counter()
    stages = {"preprocess": preprocessed - started, "infer": inferred - preprocessed, "decode": done - inferred, "total": done - started}
    return {name: seconds * 1000 for name, seconds in stages.items()}


def table(result: dict) -> str:
    head = f"{result['model']} on {result['provider']}, {result['threads']} threads, ONNX Runtime {result['onnxruntime']}, {result['resizer']}"
    rows = [f"  {name:<11}{ms:9.3f} ms" for name, ms in result["medians_ms"].items()]
    return "\n".join([head, *rows, f"  {result['frames_per_second']:.1f} frames a second"])


if __name__ == "__main__":
    sys.exit(main())
