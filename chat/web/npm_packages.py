#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Get the npm packages of a package-lock.json, without npm: they are few, pinned, and checked
against the SHA-512 of the lock each time they are read.

    npm_packages.py fetch LOCK            into the cache
    npm_packages.py install LOCK FOLDER   and unpack them to FOLDER/node_modules

The cache is $AETHER_CACHE/npm, else $XDG_CACHE_HOME/aether/npm, else ~/.cache/aether/npm. The
registry is the one in $npm_config_registry or ~/.npmrc, else the public one.
"""
import base64
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.request

TIMEOUT_S = 30
PUBLIC_REGISTRY = "https://registry.npmjs.org/"


class Package:
    def __init__(self, where, entry):
        self.where = where  # node_modules/NAME
        self.name = where.split("node_modules/")[-1]
        self.version, self.integrity = entry["version"], entry["integrity"]

    def url(self):
        return "%s/%s/-/%s-%s.tgz" % (registry().rstrip("/"), self.name,
                                      self.name.rpartition("/")[2], self.version)

    def cached(self):
        return os.path.join(cache(), "%s-%s.tgz" % (self.name.replace("/", "-"), self.version))

    def is_intact(self, data):
        kind, _, wanted = self.integrity.partition("-")
        digest = hashlib.new(kind, data).digest()
        return kind == "sha512" and base64.b64encode(digest).decode() == wanted


def cache():
    own = os.environ.get("AETHER_CACHE")
    if not own:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        own = os.path.join(home, "aether")
    return os.path.join(own, "npm")


def registry():
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        with open(os.path.expanduser("~/.npmrc"), encoding="utf-8") as f:
            found = re.search(r"^registry\s*=\s*(\S+)", f.read(), re.M)
        return found.group(1) if found else PUBLIC_REGISTRY
    except OSError:
        return PUBLIC_REGISTRY


def locked(path):
    with open(path, encoding="utf-8") as f:
        entries = json.load(f)["packages"]
    return [Package(where, entry) for where, entry in entries.items() if where]


def read(package):
    """The tarball from the cache, or None if it is not there whole."""
    try:
        with open(package.cached(), "rb") as f:
            data = f.read()
    except OSError:
        return None
    return data if package.is_intact(data) else None


def fetch(package):
    """The tarball, from the cache or the registry. OSError says what went wrong."""
    data = read(package)
    if data is not None:
        return data
    with urllib.request.urlopen(package.url(), timeout=TIMEOUT_S) as answer:
        data = answer.read()
    if not package.is_intact(data):
        raise OSError("%s is not what the lock says (%s)" % (package.url(), package.integrity))
    os.makedirs(cache(), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache(), delete=False) as f:
        f.write(data)
    os.chmod(f.name, 0o644)
    os.replace(f.name, package.cached())
    return data


def member(data, name):
    """A file of a tarball, as bytes."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return tar.extractfile("package/" + name).read()


def unpack(data, folder):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for item in tar:
            inside = os.path.normpath(item.name.partition("/")[2])
            if not item.isfile() or inside.startswith(("/", "..")):
                continue
            path = os.path.join(folder, inside)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                shutil.copyfileobj(tar.extractfile(item), f)


def install(lock, folder):
    for package in locked(lock):
        target = os.path.join(folder, package.where)
        mark = os.path.join(target, ".integrity")
        data = fetch(package)
        if os.path.exists(mark):
            with open(mark, encoding="utf-8") as f:
                if f.read() == package.integrity:
                    continue
        shutil.rmtree(target, ignore_errors=True)
        unpack(data, target)
        with open(mark, "w", encoding="utf-8") as f:
            f.write(package.integrity)


def main():
    try:
        if sys.argv[1:2] == ["fetch"] and len(sys.argv) == 3:
            for package in locked(sys.argv[2]):
                fetch(package)
        elif sys.argv[1:2] == ["install"] and len(sys.argv) == 4:
            install(*sys.argv[2:])
        else:
            sys.exit(__doc__.strip())
    except OSError as error:
        sys.exit("npm_packages.py: %s" % error)


if __name__ == "__main__":
    main()
