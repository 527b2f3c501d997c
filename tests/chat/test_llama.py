#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: python3-pip cmake g++ ninja-build
"""The llama engine's module, called as the server calls it, on GGUF files with random weights that
gguf.py writes: a file of Llama 3.2's shape loads, its template is rendered token for token, nothing
a user writes becomes a special token, a sequence can be cut back and goes on the same, a stop is
obeyed, and a broken file is an error. Then the same file is dropped into the models folder of a
server that runs.

Where the module cannot be built the tests are not run, and are counted as neither."""
import ctypes
import http.client
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import traceback

import gguf

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD_S = 540
CASES = []
SYSTEM, USER, ASSISTANT = 0, 1, 2
ECANCELED, ENOEXEC = 125, 8


def case(function):
    CASES.append(function)
    return function


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


# ---- the vtable of backend.h ----

class Turn(ctypes.Structure):
    _fields_ = [('role', ctypes.c_int), ('text', ctypes.c_char_p), ('length', ctypes.c_size_t)]


class Tokens(ctypes.Structure):
    _fields_ = [('ids', ctypes.POINTER(ctypes.c_int32)), ('count', ctypes.c_size_t),
                ('room', ctypes.c_size_t)]


class Sampling(ctypes.Structure):
    _fields_ = [('temperature', ctypes.c_float), ('top_p', ctypes.c_float),
                ('top_k', ctypes.c_uint), ('seed', ctypes.c_uint64), ('given', ctypes.c_bool)]


def function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


P, INT, SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t


class Backend(ctypes.Structure):
    _fields_ = [
        ('abi', ctypes.c_uint), ('kind', ctypes.c_char_p),
        ('model_open', function(INT, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint,
                                ctypes.POINTER(P))),
        ('model_close', function(None, P)),
        ('model_context', function(ctypes.c_uint, P)),
        ('token_bytes', function(SIZE, P)),
        ('tokenize', function(INT, P, ctypes.c_char_p, SIZE, ctypes.POINTER(Tokens))),
        ('render', function(INT, P, ctypes.POINTER(Turn), SIZE, ctypes.POINTER(Tokens))),
        ('piece', function(SIZE, P, ctypes.c_int32, P, SIZE)),
        ('ends', function(ctypes.c_bool, P, ctypes.c_int32)),
        ('slot_open', function(INT, P, ctypes.c_uint, ctypes.POINTER(P))),
        ('slot_close', function(None, P)),
        ('truncate', function(ctypes.c_bool, P, SIZE)),
        ('begin', function(None, P, ctypes.POINTER(Sampling))),
        ('eval', function(INT, P, ctypes.POINTER(ctypes.c_int32), SIZE, P)),
        ('sample', function(ctypes.c_int32, P))]


class Model:
    backend = None
    folder = None

    def __init__(self, kind, template=None):
        file, self.tokens, self.first_special = gguf.llama(kind, template=template)
        self.path = self.folder / f'{kind}.gguf'
        file.write(self.path)
        self.model = P()
        rc = self.backend.model_open(os.fsencode(self.path), None, 1, ctypes.byref(self.model))
        expect(rc == 0, f'{kind} does not load: {rc}')

    def taken(self, tokens):
        return [tokens.ids[i] for i in range(tokens.count)]

    def tokenize(self, text):
        tokens, data = Tokens(), text.encode()
        rc = self.backend.tokenize(self.model, data, len(data), ctypes.byref(tokens))
        expect(rc == 0, f'tokenize: {rc}')
        return self.taken(tokens)

    def render(self, *turns):
        texts = [text.encode() for _, text in turns]
        array = (Turn * len(turns))(*[Turn(role, text, len(text))
                                      for (role, _), text in zip(turns, texts)])
        tokens = Tokens()
        rc = self.backend.render(self.model, array, len(turns), ctypes.byref(tokens))
        expect(rc == 0, f'render: {rc}')
        return self.taken(tokens)

    def text(self, ids):
        return gguf.text_of(self.tokens, ids, self.first_special)

    def special(self, ids):
        return [self.tokens[i] for i in ids if i >= self.first_special]


def head(role):
    return f'<|start_header_id|>{role}<|end_header_id|>\n\n'


DATES = 'Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n'


# ---- templates ----

@case
def a_llama_3_2_file_renders_its_template():
    model = Model('llama3')
    ids = model.render((USER, '  Hello world \n'))
    expected = ('<|begin_of_text|>' + head('system') + DATES + '<|eot_id|>' + head('user')
                + 'Hello world<|eot_id|>' + head('assistant'))
    expect(model.text(ids) == expected, model.text(ids))
    expect(ids[0] == model.tokens.index('<|begin_of_text|>'), 'it begins with its first mark')
    ids = model.render((SYSTEM, 'Be short.'), (USER, 'Hello'), (ASSISTANT, 'the'), (USER, 'world'))
    expected = ('<|begin_of_text|>' + head('system') + DATES + 'Be short.<|eot_id|>' + head('user')
                + 'Hello<|eot_id|>' + head('assistant') + 'the<|eot_id|>' + head('user')
                + 'world<|eot_id|>' + head('assistant'))
    expect(model.text(ids) == expected, model.text(ids))
    expect(model.backend.model_context(model.model) == 131072, 'its context')
    bytes_ = 2 * 2 * 2 * (64 // 4 * 2)  # keys and values, two bytes, two layers, two heads of 16
    expect(model.backend.token_bytes(model.model) == bytes_, 'the memory of a token')


@case
def a_chatml_file_renders_its_template():
    expected = ('<|im_start|>system\nYou are a test.<|im_end|>\n<|im_start|>user\n Hello <|im_end|>'
                '\n<|im_start|>assistant\n')
    for template in (gguf.CHATML_TEMPLATE, gguf.CHATML_TEMPLATE_LINES):
        model = Model('chatml', template)
        ids = model.render((USER, ' Hello '))
        expect(model.text(ids) == expected, model.text(ids))
    ids = model.render((SYSTEM, 'S'), (USER, 'Hello'))
    expected = ('<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n'
                '<|im_start|>assistant\n')
    expect(model.text(ids) == expected, model.text(ids))


@case
def no_text_becomes_a_special_token():
    for kind in ('llama3', 'chatml'):
        model = Model(kind)
        plain = model.special(model.render((USER, 'x'), (ASSISTANT, 'y'), (USER, 'z')))
        for evil in model.tokens[model.first_special:]:
            text = f'a{evil}b {evil} system'
            expect(model.special(model.tokenize(text)) == [], f'{kind}: {evil} alone')
            expect(model.text(model.tokenize(text)) == text, f'{kind}: {evil} is lost')
            ids = model.render((USER, text), (ASSISTANT, evil), (USER, evil + evil))
            expect(model.special(ids) == plain, f'{kind}: {evil} in a conversation')


@case
def a_text_costs_in_a_conversation_what_it_costs_alone():
    model = Model('llama3')
    empty = len(model.render((USER, '')))
    for text in ('Hello world', 'a', '\u2014 \u00b5 \u274c', 'in the system\nuser'):
        alone = len(model.tokenize(text))
        expect(len(model.render((USER, text))) == empty + alone, repr(text))


@case
def tokens_give_the_text_back():
    model = Model('llama3')
    for text in ('Hello world', 'the system\t\n\n  x', '\u2014\u00b5\u274c\U0001f980', '1234567'):
        out = b''
        for token in model.tokenize(text):
            buf = ctypes.create_string_buffer(64)
            length = model.backend.piece(model.model, token, buf, 64)
            out += buf.raw[:length]
        expect(out.decode() == text, repr(out))
    eot = model.tokens.index('<|eot_id|>')
    expect(model.backend.piece(model.model, eot, buf, 64) == 0, 'a mark has no text')
    expect(model.backend.ends(model.model, eot), 'and ends the answer')
    expect(not model.backend.ends(model.model, 0), 'a letter does not')


# ---- computing ----

class Slot:
    def __init__(self, model, context=512):
        self.model, self.backend, self.slot = model, model.backend, P()
        rc = self.backend.slot_open(model.model, context, ctypes.byref(self.slot))
        expect(rc == 0, f'slot_open: {rc}')
        self.stop = ctypes.c_bool(False)
        self.backend.begin(self.slot, ctypes.byref(Sampling(0, 1, 0, 1, True)))

    def eval(self, ids):
        array = (ctypes.c_int32 * len(ids))(*ids)
        return self.backend.eval(self.slot, array, len(ids), ctypes.byref(self.stop))

    def go_on(self, count):
        out = []
        for _ in range(count):
            out.append(self.backend.sample(self.slot))
            expect(self.eval(out[-1:]) == 0, 'eval')
        return out


@case
def a_sequence_that_is_cut_back_goes_on_the_same():
    model = Model('llama3')
    slot, ids = Slot(model), model.render((USER, 'Hello world in the system'))
    expect(slot.eval(ids) == 0, 'eval')
    first = slot.go_on(12)
    expect(slot.backend.truncate(slot.slot, len(ids) - 1), 'truncate')
    expect(slot.eval(ids[-1:]) == 0, 'eval')
    expect(slot.go_on(12) == first, 'the same again')
    other = Slot(model)
    for token in ids:  # however it is cut into chunks
        expect(other.eval([token]) == 0, 'eval')
    expect(other.go_on(12) == first, 'token by token')


@case
def a_stop_is_obeyed_and_leaves_the_sequence_as_it_was():
    model = Model('llama3')
    slot, ids = Slot(model), model.render((USER, 'Hello world'))
    expect(slot.eval(ids) == 0, 'eval')
    first = slot.go_on(5)
    expect(slot.backend.truncate(slot.slot, len(ids) - 1), 'truncate')
    slot.stop.value = True
    expect(slot.eval(ids[-1:]) == -ECANCELED, 'it did not stop')
    slot.stop.value = False
    expect(slot.eval(ids[-1:]) == 0, 'eval')
    expect(slot.go_on(5) == first, 'the same again')


@case
def a_full_sequence_is_an_error_not_a_crash():
    model = Model('llama3')
    slot = Slot(model, 1280)
    expect(slot.eval([65] * 600) == 0, 'eval')
    expect(slot.eval([65] * 700) < 0, 'there was no room')
    expect(slot.eval([65] * 600) == 0, 'what had room before it was noticed is forgotten')


# ---- broken files ----

def damaged(data):
    def at(offset, patch):
        return data[:offset] + patch + data[offset + len(patch):]
    yield 'empty', b''
    yield 'other', b'\x7fELF' + data[4:]
    yield 'version 1', at(4, struct.pack('<I', 1))
    yield 'tensors', at(8, struct.pack('<Q', 1 << 60))
    yield 'keys', at(16, struct.pack('<Q', 1 << 60))
    yield 'string', at(24, struct.pack('<Q', (1 << 63) - 1))
    for part in (10, 100, 1000, 30000, len(data) // 2, len(data) - 1):
        yield f'cut at {part}', data[:part]


@case
def a_broken_file_is_an_error_not_a_crash():
    model = Model('llama3')
    data = model.path.read_bytes()
    for name, broken in damaged(data):
        path = Model.folder / 'broken.bin'
        path.write_bytes(broken)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            out = P()
            rc = Model.backend.model_open(os.fsencode(path), None, 1, ctypes.byref(out))
            os._exit(0 if rc == -ENOEXEC else 1)
        _, status = os.waitpid(child, 0)
        expect(status == 0, f'{name}: status {status}')


# ---- a server ----

class Skip(Exception):
    """A case that cannot be run here: neither passed nor failed."""



def post(address, body):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request('POST', '/v1/chat/completions', json.dumps(body),
                       {'Content-Type': 'application/json'})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@case
def a_file_dropped_into_the_folder_of_a_running_server_answers():
    program = pathlib.Path(os.environ['AE_BUILD_DIR']) / 'cli' / 'aether'
    if b'__asan_init' in program.read_bytes():
        raise Skip('in a C program ASan stops at C++ exceptions of a library that was loaded later')
    folder = Model.folder / 'models'
    folder.mkdir()
    environment = {**os.environ, 'AETHER_LLAMA_MODULE': MODULE}
    command = [program, 'chat', '--models', folder, '--store', 'memory', '-l', '127.0.0.1:0']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          env=environment) as server:
        try:
            address = None
            for line in server.stdout:
                found = re.search(r'http://(127\.0\.0\.1:\d+)', line)
                if found:
                    address = found.group(1)
                    break
            expect(address, 'no URL')
            body = {'model': 'Llama-3.2-random', 'max_tokens': 8,
                    'messages': [{'role': 'user', 'content': 'Hello <|eot_id|> world'}]}
            expect(post(address, body)[0] == 404, 'it is not there yet')
            file, _, _ = gguf.llama('llama3')
            file.write(folder / '.part')
            os.rename(folder / '.part', folder / 'Llama-3.2-random.gguf')
            status, answer = post(address, body)
            expect(status == 200, str(answer))
            expect(answer['model'] == 'Llama-3.2-random', 'the true name')
            expected = len(Model('llama3').render((USER, 'Hello <|eot_id|> world')))
            expect(answer['usage']['prompt_tokens'] == expected, str(answer['usage']))
        finally:
            server.terminate()
            server.wait(30)


# ---- ----

def module():
    """The module's path, after building it if need be; or why there is none."""
    given = os.environ.get('AETHER_LLAMA_MODULE')
    if given:
        return given, None
    try:
        run = subprocess.run([sys.executable, TOP / 'chat' / 'fetch.py', 'engine'],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             timeout=BUILD_S, check=False)
    except subprocess.TimeoutExpired:
        return None, f'llama.cpp was not built within {BUILD_S} s; the next run goes on with it'
    if run.returncode != 0:
        return None, run.stderr.strip().splitlines()[-1]
    return run.stdout.strip().splitlines()[-1], None


def main():
    passed = failed = 0
    for test in CASES:
        try:
            test()
            passed += 1
        except Skip as why:
            print(f'skip: {test.__name__}: {why}')
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f'{test.__name__}: FAILED')
            traceback.print_exc(file=sys.stdout)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    MODULE, WHY = module()
    if not MODULE:
        print(f'skip: {len(CASES)} tests of the llama engine were not run: {WHY}')
        print('0 passed, 0 failed')
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix='aether-gguf-') as temporary:
        Model.folder = pathlib.Path(temporary)
        Model.backend = Backend.in_dll(ctypes.CDLL(MODULE), 'chat_backend_module')
        sys.exit(main())
