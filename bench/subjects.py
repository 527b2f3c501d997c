# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured: how each is built, started and named, and why one is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"


# Peers that apt has; the others come with their language's own tool.
APT = {"nginx": "nginx-light", "h2o": "h2o", "wrk": "wrk", "cargo": "cargo (current: rustup.rs)",
       "go": "golang (current: go.dev/dl)"}


class Missing(Exception):
    """A subject that cannot be measured here; str() is the reason that its rows give."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def tool(name):
    """The path of a program; sbin too, where nginx lives and PATH often does not look."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if not found:
        raise Missing(f"{name} is not installed; package: {APT.get(name, name)}")
    return found


def call(argv, cwd=None, env=None):
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise Missing(f"{Path(argv[0]).name} failed: {lines[-1][:200]}")
    return done.stdout + done.stderr


class Builder:
    """Builds the peers at most once, into BUILD_DIR/peers."""

    def __init__(self, build_dir):
        self.build = Path(build_dir).resolve()
        self.out = self.build / "peers"
        self.made = {}

    def once(self, key, make):
        if key not in self.made:
            try:
                self.made[key] = make()
            except (Missing, OSError) as error:
                self.made[key] = error
        if isinstance(self.made[key], Exception):
            raise Missing(str(self.made[key]))
        return self.made[key]

    def own(self, name):
        """A program that meson built."""
        path = self.build / "bench" / name
        if not path.exists():
            raise Missing(f"{name} is not built in {self.build.name}")
        return str(path)

    def rust(self, name):
        return str(self.once("rust", self._rust) / name)

    def _rust(self):
        target = self.out / "rust"
        env = dict(os.environ, CARGO_TARGET_DIR=str(target))
        note("building the Rust peers (tokio, hyper, rayon)")
        call([tool("cargo"), "build", "--release", "--locked"], PEERS / "rust", env)
        return target / "release"

    def go(self, name):
        return str(self.once("go", self._go) / name)

    def _go(self):
        note("building the Go peers")
        for name in ("micro", "http"):
            call([tool("go"), "build", "-o", str(self.out / "go" / name), f"./{name}"],
                 PEERS / "go")
        return self.out / "go"


def locked(crate):
    text = (PEERS / "rust" / "Cargo.lock").read_text()
    found = re.search(rf'name = "{crate}"\nversion = "([^"]+)"', text)
    return f"{crate} {found.group(1)}" if found else crate


def first(pattern, text):
    found = re.search(pattern, text)
    return found.group(0) if found else text.strip().splitlines()[0]


def version(subject):
    """What a row names as the version of its subject."""
    try:
        if subject in ("tokio", "rayon"):
            return locked(subject)
        if subject.startswith("hyper"):
            return ", ".join(locked(crate) for crate in ("hyper", "hyper-util", "tokio"))
        if subject == "go":
            return first(r"go\d[\d.]*", call([tool("go"), "version"]))
        if subject == "nginx":
            return first(r"nginx/[\d.]+", call([tool("nginx"), "-v"]))
        if subject == "h2o":
            return first(r"h2o version [\d.]+", call([tool("h2o"), "--version"]))
        if subject == "pthread":
            return first(r"glibc.*", call(["getconf", "GNU_LIBC_VERSION"]))
    except (Missing, OSError):
        return "not installed"
    header = (HERE.parent / "include" / "aether" / "defs.h").read_text()
    return "aether " + re.search(r'AE_VERSION "([^"]+)"', header).group(1)
