"""The arrows between crates: only those that ARCHITECTURE.md draws, and alerting without cameras' libraries."""

import json
import subprocess
import sys

ALL = {"settings", "events", "inference", "ingest", "rules", "alerting", "bench"}
ALLOWED = {
    "settings": set(),
    "events": set(),
    "inference": set(),
    "ingest": {"inference", "events", "settings"},
    "rules": {"events", "settings"},
    "alerting": {"rules", "events", "settings"},
    "bench": {"ingest", "inference", "alerting", "rules", "events", "settings"},
    "xueliang": ALL,
    "tests": ALL,
}
ALERTING_ALONE = ["cargo", "tree", "--locked", "-p", "xueliang", "--no-default-features", "--features", "alerting"]
CAMERAS_LIBRARIES = ("gstreamer", "ort ", "ort-sys", "retina", "xueliang-ingest", "xueliang-inference", "xueliang-bench")


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def short(name):
    return name.removeprefix("xueliang-")


def forbidden_arrows():
    metadata = json.loads(run(["cargo", "metadata", "--locked", "--format-version", "1", "--no-deps"]))
    crates = {short(package["name"]): package for package in metadata["packages"]}
    if set(crates) != set(ALLOWED):
        yield f"the workspace has {sorted(crates)}, ARCHITECTURE.md draws {sorted(ALLOWED)}"
    for name, package in crates.items():
        drawn = {short(dependency["name"]) for dependency in package["dependencies"] if dependency["name"].startswith("xueliang-")}
        for target in sorted(drawn - ALLOWED.get(name, set())):
            yield f"{name} → {target}"


def libraries_in_alerting():
    for line in run([*ALERTING_ALONE, "--prefix", "none"]).splitlines():
        if line.startswith(CAMERAS_LIBRARIES):
            yield f"alerting alone needs {line}"


def main():
    broken = [*forbidden_arrows(), *libraries_in_alerting()]
    for line in broken:
        print(f"not allowed: {line}")
    sys.exit(1 if broken else 0)


main()
