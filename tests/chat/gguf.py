# SPDX-License-Identifier: Apache-2.0
"""Writes small GGUF files of a Llama's shape with random weights: the same keys, tensors, tokenizer
type and special tokens as the real ones, a few hundred kilobytes. What they answer is noise; that
they load, and how a conversation becomes tokens, is what tests look at.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""
import random
import struct

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
I32 = 5
ALIGNMENT = 32
TYPE_F32, TYPE_Q8_0 = 0, 8

# Llama 3's, in its order, from 128000 on; ChatML's of SmolLM2.
LLAMA3_SPECIAL = ['<|begin_of_text|>', '<|end_of_text|>', '<|reserved_special_token_0|>',
                  '<|reserved_special_token_1|>', '<|finetune_right_pad_id|>',
                  '<|reserved_special_token_2|>', '<|start_header_id|>', '<|end_header_id|>',
                  '<|eom_id|>', '<|eot_id|>', '<|python_tag|>']
CHATML_SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']

# Templates of our own with the marks by which the real ones are known.
LLAMA3_TEMPLATE = (
    "{{- bos_token }}{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}"
    "{{- 'Cutting Knowledge Date: December 2023\\n' }}{{- 'Today Date: 26 Jul 2024\\n\\n' }}"
    "{{- system_message }}{{- '<|eot_id|>' }}{%- for m in messages %}"
    "{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + "
    "'<|eot_id|>' }}{%- endfor %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}")
CHATML_TEMPLATE = (
    "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a test.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
# As SmolLM2's has it: line ends stand in the literals themselves.
CHATML_TEMPLATE_LINES = CHATML_TEMPLATE.replace('\\n', '\n')

WORDS = ['the', 'he', 'in', 'er', 'system', 'user', 'assistant', 'Hello', 'world', 'Today', 'Date']


def byte_letters():
    """GPT-2's alphabet: each byte as a printable character."""
    plain = [*range(ord('!'), ord('~') + 1), *range(0xa1, 0xad), *range(0xae, 0x100)]
    letters, more = {b: chr(b) for b in plain}, 0
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + more)
            more += 1
    return letters


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def vocabulary(special):
    """Tokens, merges and types: bytes, then what the merges make, then the special ones."""
    tokens = [LETTERS[b] for b in range(256)]
    merges = []
    for word in WORDS:
        for length in range(2, len(word) + 1):
            pair = (word[:length - 1], word[length - 1])
            if word[:length] not in tokens:
                tokens.append(word[:length])
                merges.append(' '.join(pair))
    first_special = len(tokens)
    tokens += special
    return tokens, merges, [1] * first_special + [3] * len(special), first_special


def text_of(tokens, ids, first_special):
    """What the ids stand for, special tokens by their names."""
    out = b''
    for token in ids:
        if token >= first_special:
            out += tokens[token].encode()
        else:
            out += bytes(BYTES[letter] for letter in tokens[token])
    return out.decode('utf-8', 'replace')


class File:
    def __init__(self, seed=1):
        self.keys, self.tensors = [], []
        self.random = random.Random(seed)

    def put(self, key, kind, value):
        self.keys.append(self.text(key) + struct.pack('<I', kind) + self.value(kind, value))

    def put_array(self, key, kind, values):
        head = struct.pack('<IIQ', ARRAY, kind, len(values))
        self.keys.append(self.text(key) + head + b''.join(self.value(kind, v) for v in values))

    @staticmethod
    def text(value):
        data = value.encode()
        return struct.pack('<Q', len(data)) + data

    def value(self, kind, value):
        if kind == STRING:
            return self.text(value)
        return struct.pack({U32: '<I', I32: '<i', F32: '<f', BOOL: '<?'}[kind], value)

    def add_f32(self, name, shape, low=-0.1, high=0.1):
        count = 1
        for n in shape:
            count *= n
        values = [self.random.uniform(low, high) for _ in range(count)]
        self.tensors.append((name, shape, TYPE_F32, struct.pack(f'<{count}f', *values)))

    def add_q8_0(self, name, shape):
        count = 1
        for n in shape:
            count *= n
        scale = struct.pack('<e', 0.001)
        data = b''.join(scale + self.random.randbytes(32) for _ in range(count // 32))
        self.tensors.append((name, shape, TYPE_Q8_0, data))

    def write(self, path):
        head = b'GGUF' + struct.pack('<IQQ', 3, len(self.tensors), len(self.keys))
        head += b''.join(self.keys)
        body = b''
        for name, shape, kind, data in self.tensors:
            body += b'\0' * (-len(body) % ALIGNMENT)
            head += self.text(name) + struct.pack('<I', len(shape))
            head += b''.join(struct.pack('<Q', n) for n in shape)
            head += struct.pack('<IQ', kind, len(body))
            body += data
        head += b'\0' * (-len(head) % ALIGNMENT)
        with open(path, 'wb') as f:
            f.write(head + body)


def tokenizer(file, kind, template):
    llama3 = kind == 'llama3'
    tokens, merges, types, first = vocabulary(LLAMA3_SPECIAL if llama3 else CHATML_SPECIAL)
    at = tokens.index
    file.put('tokenizer.ggml.model', STRING, 'gpt2')
    file.put('tokenizer.ggml.pre', STRING, 'llama-bpe' if llama3 else 'smollm')
    file.put_array('tokenizer.ggml.tokens', STRING, tokens)
    file.put_array('tokenizer.ggml.token_type', I32, types)
    file.put_array('tokenizer.ggml.merges', STRING, merges)
    file.put('tokenizer.ggml.bos_token_id', U32, at('<|begin_of_text|>' if llama3
                                                    else '<|im_start|>'))
    file.put('tokenizer.ggml.eos_token_id', U32, at('<|eot_id|>' if llama3 else '<|im_end|>'))
    file.put('tokenizer.ggml.add_bos_token', BOOL, llama3)
    file.put('tokenizer.chat_template', STRING, template or (
        LLAMA3_TEMPLATE if llama3 else CHATML_TEMPLATE_LINES))
    return tokens, first


def llama(kind='llama3', layers=2, width=64, heads=4, kv_heads=2, inner=128, context=131072,
          template=None):
    """A file of the shape of Llama 3.2 1B (tied embeddings, grouped heads, scaled rotary
    frequencies), or of SmolLM2; its tokens, and the first special one."""
    file, size = File(), width // heads
    file.put('general.architecture', STRING, 'llama')
    file.put('general.name', STRING, f'random {kind}')
    for key, value in (('context_length', context), ('embedding_length', width),
                       ('block_count', layers), ('feed_forward_length', inner),
                       ('attention.head_count', heads), ('attention.head_count_kv', kv_heads),
                       ('rope.dimension_count', size)):
        file.put(f'llama.{key}', U32, value)
    file.put('llama.attention.layer_norm_rms_epsilon', F32, 1e-5)
    file.put('llama.rope.freq_base', F32, 500000.0 if kind == 'llama3' else 100000.0)
    tokens, first = tokenizer(file, kind, template)
    file.put('llama.vocab_size', U32, len(tokens))
    file.add_f32('token_embd.weight', (width, len(tokens)))
    file.add_f32('output_norm.weight', (width,), 0.9, 1.1)
    if kind == 'llama3':
        file.add_f32('rope_freqs.weight', (size // 2,), 1, 32)
    for n in range(layers):
        file.add_f32(f'blk.{n}.attn_norm.weight', (width,), 0.9, 1.1)
        file.add_f32(f'blk.{n}.ffn_norm.weight', (width,), 0.9, 1.1)
        file.add_q8_0(f'blk.{n}.attn_q.weight', (width, width))
        file.add_q8_0(f'blk.{n}.attn_k.weight', (width, size * kv_heads))
        file.add_q8_0(f'blk.{n}.attn_v.weight', (width, size * kv_heads))
        file.add_q8_0(f'blk.{n}.attn_output.weight', (width, width))
        file.add_q8_0(f'blk.{n}.ffn_gate.weight', (width, inner))
        file.add_q8_0(f'blk.{n}.ffn_up.weight', (width, inner))
        file.add_q8_0(f'blk.{n}.ffn_down.weight', (inner, width))
    return file, tokens, first
