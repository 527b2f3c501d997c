# SPDX-License-Identifier: Apache-2.0
"""gdb commands for programs that run on Aether, live or from a core file.

    gdb -x tools/gdb/aether-gdb.py PROGRAM [CORE]

    ae tasks [STATE]   every task: id, state, what it waits for, function, name
    ae bt ID           the stack of one task; ID is a number of `ae tasks`, or a name
    ae bt all          all stacks, equal ones together
    ae enter ID        frames of that task from now on: up, down, info locals; ended by
    ae leave           this, or by continuing
    ae workers         the workers, what they do, what is queued

How a suspended stack is walked: its registers lie where ae__arch_switch left them, at the saved
stack pointer. An unwinder gives them out as the caller of the selected thread's innermost frame, so
nothing in the process is touched and the same works on a core. Two details matter. The pc must be
added with a pointer type. The id given to the innermost frame must name an address below the
task's stack pointer, or gdb stops with "previous frame inner to this frame".
"""
import re

import gdb
import gdb.unwinder

TASK_BYTES = 256
READ_TASKS = 4096  # how many control blocks are read at once
# The runtime's own way into a switch, the same for every waiting task: not shown by `ae bt`.
INTO_SWITCH = re.compile(r"(ae__(arch_(switch|call)|context_(switch|call)|slice_(leave|call)|"
                         r"seam_park|wait_park)|call) ")


# ---- what the program's memory says ----

def type_of(name):
    """A type of libaether, or an error that says what is missing."""
    try:
        return gdb.lookup_type(name)
    except gdb.error:
        raise gdb.GdbError(f"no `{name}`: is libaether loaded, with debug information (-g)?")


def enum_word(enum, prefix, value):
    """The lower-case rest of an enumerator's name."""
    for field in type_of(f"enum {enum}").fields():
        if field.enumval == value:
            return field.name[len(prefix):].lower()
    return str(value)


def text_of(value):
    """A C string, or nothing."""
    try:
        return value.string() if int(value) else ""
    except (gdb.error, UnicodeDecodeError):
        return "?"


def function_at(address):
    """The name of the function at an address."""
    block = gdb.block_for_pc(int(address))
    while block and not block.function:
        block = block.superblock
    if block:
        return block.function.name
    found = re.match(r"(\S+)", gdb.execute(f"info symbol {int(address)}", to_string=True))
    return found[1] if found and found[1] != "No" else hex(int(address))


def line_at(address):
    """file:line of a return address."""
    where = gdb.find_pc_line(int(address) - 1)
    return f"{where.symtab.filename}:{where.line}" if where.symtab else hex(int(address))


def container(pointer, struct, field):
    """The struct around a member."""
    kind = type_of(f"struct {struct}")
    offset = kind[field].bitpos // 8
    return gdb.Value(int(pointer) - offset).cast(kind.pointer()).dereference()


def thread_records():
    """[(gdb thread, its struct ae__thread)] of every thread that Aether has seen."""
    type_of("struct ae__thread")
    before, records = gdb.selected_thread(), []
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        try:
            record = gdb.parse_and_eval("ae__tls_thread")
            if int(record):
                records.append((thread, record.dereference()))
        except gdb.error:
            continue  # no thread-local storage yet, or none in this core
    if before:
        before.switch()
    return records


def runtimes():
    """Every runtime that one of the threads belongs to."""
    found = {}
    for _, record in thread_records():
        rt = record["rt"]
        if int(record["worker"]):
            rt = record["worker"]["rt"]
        if int(rt):
            found[int(rt)] = rt.dereference()
    if not found:
        raise gdb.GdbError("no thread of this process belongs to a runtime")
    return list(found.values())


class Task:
    """One control block."""

    def __init__(self, rt, index):
        self.rt = rt
        address = int(rt["slab"]["base"]) + index * TASK_BYTES
        self.block = gdb.Value(address).cast(type_of("struct ae__task").pointer()).dereference()
        self.address = address
        self.index = index
        self.state = enum_word("ae__task_state", "AE__TASK_", int(self.block["state"]))
        self.name = text_of(self.block["name"])

    def identity(self):
        """As ae_self_id gives it."""
        return int(self.block["generation"]) << 32 | self.index

    def waits_for(self):
        """What it waits for, in words."""
        if self.state not in ("parked", "deferred", "ready"):
            return ""
        kind = enum_word("ae__wait_kind", "AE__WAIT_", int(self.block["actor"]["wait_kind"]))
        target = self.block["actor"]["wait_object"]
        if kind == "none" or (self.state == "ready" and kind != "stack"):
            return ""
        if kind == "join" and self.index_of(int(target)) is not None:
            return f"join of {self.index_of(int(target))}"
        return f"{kind} {int(target):#x}" if int(target) else kind

    def index_of(self, address):
        """Which task has its control block there, or None."""
        offset = address - int(self.rt["slab"]["base"])
        inside = 0 <= offset < int(self.rt["slab"]["used"]) * TASK_BYTES
        return offset // TASK_BYTES if inside and offset % TASK_BYTES == 0 else None

    def thread(self):
        """The gdb thread whose registers it uses at the moment, or None."""
        for thread, record in thread_records():
            if int(record["current"]) == self.address:
                return thread
            worker = record["worker"]
            if int(worker) and int(worker["commit_task"]) == self.address:
                return thread  # it is just leaving: its registers are not saved yet
            if self.state == "blocking" and int(record["actor"].address) == int(self.block["sp"]):
                return thread
        return None


def tasks_of(rt):
    """All tasks of a runtime, read from memory in large pieces: there may be a million."""
    state_at = type_of("struct ae__task")["state"].bitpos // 8
    memory, used = gdb.selected_inferior(), int(rt["slab"]["used"])
    for start in range(0, used, READ_TASKS):
        count = min(READ_TASKS, used - start)
        base = int(rt["slab"]["base"]) + start * TASK_BYTES
        states = bytes(memory.read_memory(base, count * TASK_BYTES))[state_at::TASK_BYTES]
        for i, state in enumerate(states):
            if state:  # AE__TASK_FREE is 0
                yield Task(rt, start + i)


def find_task(word):
    """The task that an ID or a name means."""
    for rt in runtimes():
        for task in tasks_of(rt):
            if word in (str(task.index), str(task.identity()), task.name):
                return task
    raise gdb.GdbError(f"no task {word}; see `ae tasks`")


# ---- walking a stack that no thread uses ----

def word_at(address):
    """A saved register."""
    kind = gdb.lookup_type("unsigned long")
    return gdb.Value(address).cast(kind.pointer()).dereference()


def saved_x86_64(sp):
    """What switch_x86_64.S pushed: (registers, pc, sp behind it)."""
    names = ["r15", "r14", "r13", "r12", "rbx", "rbp"]
    registers = {name: word_at(sp + 8 * i) for i, name in enumerate(names)}
    return registers, ("rip", word_at(sp + 48)), ("rsp", sp + 56)


def saved_aarch64(sp):
    """What switch_aarch64.S stored."""
    registers = {f"x{19 + i}": word_at(sp + 8 * i) for i in range(11)}
    return registers, ("pc", word_at(sp + 88)), ("sp", sp + 176)


def has_memory(sp):
    """Is there something where the pc was saved? A core with a hole reads as zeros."""
    try:
        return int(SAVED[gdb.newest_frame().architecture().name()](sp)[1][1]) != 0
    except gdb.MemoryError:
        return False


SAVED = {"i386:x86-64": saved_x86_64, "aarch64": saved_aarch64}


class FrameId:
    """What gdb knows a frame by."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class Unwinder(gdb.unwinder.Unwinder):
    """Makes the suspended task the caller of the selected thread's innermost frame."""

    def __init__(self):
        super().__init__("aether")
        self.task_sp = self.real_sp = None

    def aim(self, task_sp):
        """Show that stack (None: the real one) from now on."""
        self.task_sp = self.real_sp = None
        gdb.invalidate_cached_frames()
        if task_sp is not None:
            self.real_sp = int(gdb.newest_frame().read_register("sp"))
            self.task_sp = task_sp
            gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if self.task_sp is None or int(pending.read_register("sp")) != self.real_sp:
            return None
        pointer = gdb.lookup_type("void").pointer()
        registers, (pc, pc_value), (sp, sp_value) = SAVED[pending.architecture().name()](
            self.task_sp)
        below = gdb.Value(self.task_sp - TASK_BYTES).cast(pointer)
        info = pending.create_unwind_info(FrameId(below, pending.read_register("pc")))
        for name, value in registers.items():
            info.add_saved_register(name, value)
        info.add_saved_register(pc, pc_value.cast(pointer))
        info.add_saved_register(sp, gdb.Value(sp_value).cast(pointer))
        return info


UNWINDER = Unwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, True)


def backtrace_here():
    """The selected thread's stack, a line for each frame, innermost first."""
    text = gdb.execute("backtrace", to_string=True)
    lines = re.findall(r"^#\d+ +(.*(?:\n(?!#).*)*)", text.strip(), re.M)
    # Names from assembly without a language are shown as Ada's: ae.arch_entry.
    return [re.sub(r"^ae\.", "ae__", re.sub(r"^0x[0-9a-f]+ in ", "", line)) for line in lines]


def stack_of(task):
    """The frames of a task as text, innermost first; empty if it has no stack."""
    before = gdb.selected_thread()
    thread = task.thread()
    try:
        if thread:
            thread.switch()
            return backtrace_here()
        if not int(task.block["stack"]) or not int(task.block["sp"]):
            return []
        if not has_memory(int(task.block["sp"])):
            return ["(its stack is not in this core: gcore stops at stack guards, the kernel "
                    "does not; use `ulimit -c unlimited` and an abort)"]
        UNWINDER.aim(int(task.block["sp"]))
        frames = backtrace_here()[1:]
        while frames and INTO_SWITCH.match(frames[0]):
            frames.pop(0)
        return frames
    finally:
        UNWINDER.aim(None)
        before.switch()


# ---- the commands ----

def head_line(task):
    """One line about a task."""
    words = [f"task {task.index}", f'"{task.name}"' if task.name else "", task.state]
    waits = task.waits_for()
    if waits:
        words.append("waits for " + waits)
    return " ".join(word for word in words if word)


def print_stack(frames, task):
    """Frames, or why there are none."""
    if not frames:
        print(f"  no stack yet: will call {function_at(task.block['fn'])}")
    for i, frame in enumerate(frames):
        print(f"  #{i:<2} {frame}")


class Ae(gdb.Command):
    """Tasks and workers of Aether: ae tasks, ae bt, ae enter, ae leave, ae workers."""

    def __init__(self):
        super().__init__("ae", gdb.COMMAND_STACK, prefix=True)


class Tasks(gdb.Command):
    """ae tasks [STATE]: all tasks, or those in one state (parked, running, ready, ...)."""

    def __init__(self):
        super().__init__("ae tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        """Print the table."""
        print(f"{'id':>7}  {'state':<9} {'waits for':<28} {'function':<20} name")
        count = 0
        for rt in runtimes():
            for task in tasks_of(rt):
                if argument and task.state != argument.strip():
                    continue
                count += 1
                print(f"{task.index:>7}  {task.state:<9} {task.waits_for():<28} "
                      f"{function_at(task.block['fn']):<20} {task.name}")
        print(f"{count} tasks")


class Backtrace(gdb.Command):
    """ae bt ID | all: the stack of one task, or of all, equal stacks together."""

    def __init__(self):
        super().__init__("ae bt", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        """Print one stack or all."""
        word = argument.strip()
        if not word:
            raise gdb.GdbError("ae bt ID, or ae bt all")
        if word == "all":
            self.all()
            return
        task = find_task(word)
        print(head_line(task))
        print(f"  spawned at {line_at(task.block['spawn_site'])}")
        print_stack(stack_of(task), task)

    @staticmethod
    def all():
        """Stacks are equal if their frames are, whatever the arguments."""
        groups = {}
        for rt in runtimes():
            for task in tasks_of(rt):
                frames = stack_of(task)
                key = (task.state, int(task.block["fn"]),
                       tuple(re.sub(r" \(.*\)", "", frame, flags=re.S) for frame in frames))
                groups.setdefault(key, (frames, []))[1].append(task)
        for frames, tasks in sorted(groups.values(), key=lambda group: -len(group[1])):
            if len(tasks) == 1:
                print(head_line(tasks[0]))
            else:
                print(f"{len(tasks)} tasks {tasks[0].state}: "
                      + " ".join(str(task.index) for task in tasks[:16])
                      + (" ..." if len(tasks) > 16 else ""))
            print_stack(frames, tasks[0])


class Enter(gdb.Command):
    """ae enter ID: select the frames of a suspended task, until ae leave or continue."""

    def __init__(self):
        super().__init__("ae enter", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        """Aim the unwinder and stay there."""
        task = find_task(argument.strip())
        UNWINDER.aim(None)
        thread = task.thread()
        if thread:
            thread.switch()
            print(f"{head_line(task)}: it runs, this is its thread")
            return
        if not int(task.block["stack"]) or not has_memory(int(task.block["sp"])):
            raise gdb.GdbError("it has no stack yet, or the core lacks it")
        UNWINDER.aim(int(task.block["sp"]))
        gdb.newest_frame().older().select()
        gdb.execute("frame")


class Leave(gdb.Command):
    """ae leave: back to the frames of the thread."""

    def __init__(self):
        super().__init__("ae leave", gdb.COMMAND_STACK)

    def invoke(self, _argument, _from_tty):
        """Aim at nothing."""
        UNWINDER.aim(None)


class Workers(gdb.Command):
    """ae workers: what each worker does, and what is queued where."""

    def __init__(self):
        super().__init__("ae workers", gdb.COMMAND_STACK)

    def invoke(self, _argument, _from_tty):
        """One line for each worker of each runtime."""
        threads = {int(record["worker"]): thread for thread, record in thread_records()}
        for rt in runtimes():
            for i in range(int(rt["slots_live"])):
                self.line(rt["workers"][i].dereference(), threads)
            print(f"shared queue: {int(rt['inject']['length'])} tasks")

    @staticmethod
    def line(worker, threads):
        """One worker."""
        current = worker["thread"]["current"]
        if int(current):
            doing = f"runs task {int(current['index'])} {text_of(current['name'])}".rstrip()
        else:
            doing = enum_word("ae__park_state", "AE__", int(worker["park"]))
        thread = threads.get(int(worker.address))
        ring = worker["ring"]
        queued = (int(ring["tail"]) - (int(ring["head"]) & 0xffffffff)) & 0xffffffff
        counters = worker["counters"]
        print(f"worker {int(worker['index'])}  thread {thread.num if thread else '-'}  "
              f"{doing}; ring {queued}, lifo {1 if int(worker['lifo']) else 0}, "
              f"pinned {int(worker['pinned']['length'])}; slices {int(counters['slices'])}, "
              f"steals {int(counters['steals'])}, parks {int(counters['parks'])}")


def on_continue(_event):
    """The real stack moves on."""
    UNWINDER.task_sp = UNWINDER.real_sp = None


gdb.events.cont.connect(on_continue)
for command in (Ae, Tasks, Backtrace, Enter, Leave, Workers):
    command()
