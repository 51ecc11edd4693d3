"""A model of ``json`` mode: every order in which writers, a reader, appliers, a foreign program, kills, power cuts and
failing calls can meet, explored state by state.

A process is the list of calls it still has to make; making the next one is one step, and between any two steps
anything else may happen. The disk is the weakest POSIX allows. The index is a database whose last commits a power cut
may take away; SQL keeps what it committed. Nothing here counts on the index's own write lock. A file's record is its
content, and a content is the marks of the operations that made it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tests.crash.model_of_a_disk import (
    TORN,
    Content,
    Disk,
    after_power_cut,
    changed,
    content,
    folder_synced,
    names,
    signature,
    synced,
    with_inode,
)
from tests.crash.model_of_a_world import (
    BACK,
    BASE,
    COUNTS,
    FOREIGN,
    JOURNAL,
    MAY_FAIL,
    NOT_KNOWN,
    NOTHING_CHANGED,
    Call,
    Index,
    Left,
    Op,
    Process,
    State,
    after_cut,
    committed,
    killed,
    marked_behind,
    renumbered,
    spent,
    told,
    with_process,
)

# What no other process can see is one step with what comes before it.
_LOCAL = ("recover", "redo", "change", "unlock", "done")


class Model:
    """The protocol over some operations. ``without`` names the guards taken out."""

    def __init__(
        self,
        ops: tuple[Op, ...],
        *,
        left: Left,
        foreign: tuple[str, ...] = (),
        reader: bool = False,
        appliers: int = 1,
        batch: int | None = None,
        without: str = "",
    ) -> None:
        self.ops = {f"writer {op.mark}": op for op in ops}
        self.without, self.left, self.foreign = without, left, foreign
        self.files = sorted({file for op in ops for _, file in op.steps} | {file[0] for file in foreign})
        self.appliers = [f"applier {number}" for number in range(1, appliers + 1)]
        self.reader, self.batch = reader, batch
        # In one step, because a signature is that of the very file that is read.
        self.take_in: tuple[Call, ...] = (("take in",),)
        if without in ("reading before the look", "look before reading"):
            self.take_in = (("look",), ("take in",))

    def start(self) -> State:
        inodes = tuple((f"{file}0", ((BASE,), (BASE,))) for file in self.files)
        disk = Disk(tuple((file, f"{file}0") for file in self.files), (), inodes)
        known = tuple((file, (signature(disk, file), (BASE,))) for file in self.files)
        index, mark = Index(0, known, marks=(0,)), 0
        processes = {name: Process((("recover", True), *self.take_in, ("change", op))) for name, op in self.ops.items()}
        if self.reader:
            recover = () if self.without == "lock for reading" else (("recover", False),)
            processes["reader"] = Process((*recover, *self.take_in, ("unlock",)))
        processes.update({name: Process() for name in self.appliers})
        left = self.left._replace(foreign=len(self.foreign))
        sql = tuple((file, (BASE,)) for file in self.files)
        return State(disk, index, index if left.cuts else None, sql, mark, None, None, tuple(processes.items()), left)

    # ------------------------------------------------------------------ what may happen next
    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Every step from here, with its name."""
        for name, process in state.processes:
            if process.begun:
                call = process.todo[0]
                label = f"{name}: {' '.join(map(told, call))}"
                for made in self._make(state, name, process, call):
                    for after in self._local(made, name):
                        yield label, after
                if state.left.errors and call[0] in MAY_FAIL and name in self.ops:
                    yield f"{label} FAILS", self._failed(state, name, process)
                if state.left.kills:
                    yield f"{name} KILLED", killed(spent(state, "kills"), name)
            elif begun := self._begin(state, name, process):
                for after in self._local(begun, name):
                    yield f"{name}: begins", after
        yield from self._from_outside(state)

    def _from_outside(self, state: State) -> Iterator[tuple[str, State]]:
        if state.left.foreign and self._matters_when(state):
            file = self.foreign[-state.left.foreign]
            what = f"moves the old {file[0]} back" if BACK in file else f"replaces {file}"
            yield f"somebody {what}", self._replaced(state)
        # Deleted under a holder of the lock, it is gone for the others from the unlocking on: that is the same.
        if state.left.deletions and not state.holder:
            for after in committed(spent(state, "deletions"), Index(state.index.birth + 1)):
                yield "somebody deletes the index", after
        if state.left.cuts:
            for disk in after_power_cut(state.disk):
                yield "POWER CUT", after_cut(state, disk, self.files)

    def _matters_when(self, state: State) -> bool:
        """Whether the next call of somebody is about the file that will be replaced, or the journal. Otherwise it is
        the same when the file is replaced a step later."""
        folders = (self.foreign[-state.left.foreign][0], JOURNAL)
        calls = [process.todo[0] for _, process in state.processes if process.begun]
        verbs = {call[0] for call in calls}
        about = {part[0] for call in calls for part in call[1:] if isinstance(part, str)}
        return not calls or bool(verbs & {"look", "take in", "commit"}) or bool(about & set(folders))

    def _begin(self, state: State, name: str, process: Process) -> State | None:
        if name in self.appliers:
            if not self.needs_applying(state) or (state.applier and self.without != "lock for applying"):
                return None
            process = process._replace(todo=(("recover", False), *self.take_in, ("batch",)))
        locks = self.without != "lock" and not (name == "reader" and self.without == "lock for reading")
        if not process.todo or (locks and state.holder):
            return None
        state = with_process(state, name, process._replace(begun=True))
        state = state._replace(applier=name) if name in self.appliers else state
        return state._replace(holder=name) if locks else state

    def needs_applying(self, state: State) -> bool:
        """Whether anything tells an applier that there is work."""
        known = dict(state.index.files)
        look = {file: signature(state.disk, file) for file in self.files}
        fresh = all(known.get(file, (None,))[0] == found for file, found in look.items())
        noticed = self.without != "marks" and state.mark not in state.index.marks
        return noticed or bool(state.index.behind) or not fresh or JOURNAL in names(state.disk)

    def _local(self, state: State, name: str) -> list[State]:
        process = dict(state.processes)[name]
        if not process.begun or process.todo[0][0] not in _LOCAL:
            return [state]
        made = self._make(state, name, process, process.todo[0])
        return [last for after in made for last in self._local(after, name)]

    def _make(self, state: State, name: str, process: Process, call: Call) -> list[State]:
        verb, *rest = call
        process = process._replace(todo=process.todo[1:])
        method: Callable[..., list[State]] = getattr(self, "_" + verb.replace(" ", "_"))
        return method(state, name, process, *rest)

    def _on_disk(self, state: State, name: str, process: Process, disk: Disk, stage: str = "") -> list[State]:
        process = process._replace(stage=stage or process.stage)
        return [with_process(state._replace(disk=disk), name, process)]

    # ------------------------------------------------------------------ calls to the disk
    def _create(self, state: State, name: str, process: Process, path: str, made: Any) -> list[State]:
        disk = with_inode(state.disk, path, made, (TORN,))
        return self._on_disk(state, name, process, changed(disk, (path, path)))

    def _sync(self, state: State, name: str, process: Process, path: str) -> list[State]:
        return self._on_disk(state, name, process, synced(state.disk, path))

    def _sync_folder(self, state: State, name: str, process: Process, folder: str, stage: str = "") -> list[State]:
        return self._on_disk(state, name, process, folder_synced(state.disk, folder), stage)

    def _rename(
        self, state: State, name: str, process: Process, source: str, path: str, stage: str = ""
    ) -> list[State]:
        inode = names(state.disk).get(source)  # gone when the rename was done before
        disk = changed(state.disk, (source, None), (path, inode)) if inode else state.disk
        return self._on_disk(state, name, process, disk, stage)

    def _remove(self, state: State, name: str, process: Process, path: str) -> list[State]:
        disk = changed(state.disk, (path, None)) if path in names(state.disk) else state.disk
        return self._on_disk(state, name, process, disk)

    def _append(self, state: State, name: str, process: Process, path: str, before: Content, mark: str) -> list[State]:
        """Write once more what may be there in part. When another file lies there by now, at its end."""
        now, size = content(state.disk, path) or (), len(before)
        if self.without == "look before appending":
            wanted = (*(*now, *(TORN,) * size)[:size], mark)
        elif now[:size] == before:
            wanted = now if now[size : size + 1] == (mark,) else (*before, mark)
        else:
            wanted = now if mark in now else (*(one for one in now if one != TORN), mark)
        inode = names(state.disk)[path]
        kept = dict(state.disk.inodes)[inode][1]
        disk = state.disk if wanted == now else with_inode(state.disk, inode, wanted, kept)
        return self._on_disk(state, name, process._replace(todo=(("sync opened", inode), *process.todo)), disk)

    def _sync_opened(self, state: State, name: str, process: Process, inode: str) -> list[State]:
        now = dict(state.disk.inodes).get(inode, ((),))[0]
        disk = with_inode(state.disk, inode, now, now) if now else state.disk
        return self._on_disk(state, name, process, disk)

    # ------------------------------------------------------------------ whoever holds the lock
    def _recover(self, state: State, name: str, process: Process, changing: bool) -> list[State]:
        """First make sure that what is seen of the journal is on the disk, then finish it."""
        journal = JOURNAL in names(state.disk)
        settle: tuple[Call, ...] = (("sync folder", JOURNAL),)
        sure = settle if journal and self.without != "settling before redoing" else ()
        if not changing or self.without in ("settling before a change", "sync of the removed journal"):
            settle = ()
        redo = (*sure, ("redo",)) if journal else ()
        left = [one for one in sorted(names(state.disk)) if "~" in one and changing and not journal]
        todo = (*redo, *settle, *(("remove", one) for one in left), *process.todo)
        return [with_process(state, name, process._replace(todo=todo))]

    def _redo(self, state: State, name: str, process: Process) -> list[State]:
        steps = content(state.disk, JOURNAL)
        calls = self._carried_out(steps) if steps and TORN not in steps else (("remove", JOURNAL),)
        return [with_process(state, name, process._replace(todo=(*calls, *process.todo)))]

    def _carried_out(self, steps: Any) -> tuple[Call, ...]:
        """The calls that carry out a journal, the first or the hundredth time."""
        calls: list[Call] = list(steps)
        if self.without != "sync before the journal goes":
            folders = {step[1 if step[0] == "append" else -1][0] for step in steps}
            calls += [("sync folder", folder) for folder in sorted(folders)]
        sync = () if self.without == "sync of the removed journal" else (("sync folder", JOURNAL),)
        return (*calls, ("remove", JOURNAL), *sync)

    def _look(self, state: State, name: str, process: Process) -> list[State]:
        looked = tuple((file, signature(state.disk, file)) for file in self.files)
        return [with_process(state, name, process._replace(looked=looked))]

    def _take_in(self, state: State, name: str, process: Process) -> list[State]:
        known, marked = dict(state.index.files), []
        looked = process.looked or tuple((file, signature(state.disk, file)) for file in self.files)
        process = process._replace(looked=looked)
        for file, found in looked:
            if known.get(file, (None,))[0] != found:
                now = content(state.disk, file)
                if self.without == "reading before the look":
                    found, now = signature(state.disk, file), found and found[1]
                known.pop(file, None)
                marked.append(file)
                if now is not None:
                    known[file] = (found, now)
        state = with_process(state, name, process)
        if not marked:
            return [state]
        index = state.index._replace(files=tuple(sorted(known.items())))
        if self.without == "marking with the taking in":
            later = process._replace(todo=(("mark", tuple(marked)), *process.todo))
            return committed(with_process(state, name, later), index)
        return committed(state, marked_behind(index, marked))

    def _mark(self, state: State, name: str, process: Process, files: tuple[str, ...]) -> list[State]:
        return committed(with_process(state, name, process), marked_behind(state.index, files))

    def _unlock(self, state: State, name: str, process: Process) -> list[State]:
        state = state._replace(holder=None if state.holder == name else state.holder)
        if name in self.ops and process.stage == COUNTS:
            state = state._replace(promised=state.promised | {self.ops[name].mark})
        return [with_process(state, name, process if process.todo else Process())]

    # ------------------------------------------------------------------ a writer
    def _change(self, state: State, name: str, process: Process, op: Op) -> list[State]:
        """Plan the new contents from the index, which is what the files hold."""
        before = {file: known[1] for file, known in state.index.files}
        steps, new, superseded = [], [], set(state.superseded)
        for verb, file in op.steps:
            old, temporary = before.get(file, ()), f"{file}~{op.mark}"
            if verb == "put":
                steps.append(("rename", temporary, file))
                new.append((file, (temporary, (*old, op.mark)), (*old, op.mark)))
            elif verb == "add":
                steps.append(("append", file, old, op.mark))
                inode = dict(state.index.files).get(file, ((file + op.mark,),))[0][0]
                new.append((file, (inode, (*old, op.mark)), (*old, op.mark)))
            else:
                steps.append(("remove", file))
                new.append((file, None, None))
                superseded |= set(old)
        temporaries = [(step[1], made) for step, (_, _, made) in zip(steps, new, strict=True) if step[0] == "rename"]
        todo = self._written(tuple(steps), temporaries, op.mark, tuple(new))
        return [with_process(state._replace(superseded=frozenset(superseded)), name, process._replace(todo=todo))]

    def _written(self, steps: Any, temporaries: Any, mark: str, new: Any) -> tuple[Call, ...]:
        calls: list[Call] = []
        for temporary, made in temporaries:
            calls.append(("create", temporary, made))
            if self.without != "sync of the new files" or len(steps) == 1:
                calls.append(("sync", temporary))
        end: tuple[Call, ...] = (("commit", new), ("unlock",))
        if self.without == "commit after the files":
            calls, end = [("commit", new), *calls], (("unlock",),)
        if len(steps) == 1 or self.without == "journal":
            calls += [(*step, NOT_KNOWN) if step[0] == "rename" else step for step in steps]
            folders = [step[-1][0] for step in steps]
            stages = [NOT_KNOWN] * (len(folders) - 1) + [COUNTS]
            return (*calls, *(("sync folder", *both) for both in zip(folders, stages, strict=True)), *end)
        if self.without != "sync of the new names":
            calls += [("sync folder", folder) for folder in sorted({temporary[0] for temporary, _ in temporaries})]
        made = f"{JOURNAL}~{mark}"
        calls.append(("create", made, steps))
        if self.without != "sync of the journal":
            calls.append(("sync", made))
        calls += [("rename", made, JOURNAL, NOT_KNOWN), ("sync folder", JOURNAL, COUNTS)]
        return (*calls, *self._carried_out(steps), *end)

    def _commit(self, state: State, name: str, process: Process, new: Any) -> list[State]:
        known = dict(state.index.files)
        for file, found, made in new:
            known.pop(file, None)
            if self.without == "signature of what was written":
                found = signature(state.disk, file)
            if made is not None:
                known[file] = (found, made)
        index = marked_behind(state.index._replace(files=tuple(sorted(known.items()))), [file for file, _, _ in new])
        return committed(with_process(state, name, process), index)

    def _failed(self, state: State, name: str, process: Process) -> State:
        """Before the commit point what was made is taken away; after it, it is left to the next holder of the lock."""
        state, op = spent(state, "errors"), self.ops[name]
        todo: tuple[Call, ...] = (("unlock",),)
        withdraw = self.without == "standing by the journal" and process.stage == NOT_KNOWN
        if process.stage == NOTHING_CHANGED or withdraw:
            state = state if withdraw else state._replace(refused=state.refused | {op.mark})
            gone = {one for one in names(state.disk) if one.endswith(f"~{op.mark}")} | (
                {JOURNAL} if withdraw else set()
            )
            todo = (*(("remove", one) for one in sorted(gone)), *todo)
        return with_process(state, name, process._replace(todo=todo))

    # ------------------------------------------------------------------ an applier
    def _batch(self, state: State, name: str, process: Process) -> list[State]:
        """Read what SQL has not got. A mark that SQL should not have: then commits of the index were lost, or it is
        new."""
        if not any(other.begun for one, other in state.processes if one != name and one in self.appliers):
            state = renumbered(state)
        index, everything = state.index, {file for file, _ in (*state.index.files, *state.sql)}
        if self.without != "marks" and state.mark not in index.marks:
            index = marked_behind(index, sorted(everything))._replace(marks=(state.mark,))
        rows = index.behind[: self.batch]
        records = tuple(
            (file, dict(index.files).get(file, (None, None))[1]) for file in sorted({file for _, file in rows})
        )
        # Of each attempt's own: a mark that a killed attempt had intended could be taken for another's.
        token = (state.mark if self.without == "a mark for each attempt" else max((*index.marks, state.mark))) + 1
        calls: tuple[Call, ...] = (("sql", token, records), ("acknowledge", token, rows))
        if self.without == "SQL before the acknowledgement":
            calls = calls[::-1]
        after = with_process(state, name, process._replace(todo=(("unlock",), *(calls if rows else ()), ("done",))))
        if rows:
            index = index._replace(marks=(state.mark, token))
        return committed(after, index) if index != state.index else [after]

    def _sql(self, state: State, name: str, process: Process, token: Any, records: Any) -> list[State]:
        rows = {**dict(state.sql), **dict(records)}
        sql = tuple(sorted((file, made) for file, made in rows.items() if made is not None))
        return [with_process(state._replace(sql=sql, mark=token), name, process)]

    def _acknowledge(self, state: State, name: str, process: Process, token: Any, rows: Any) -> list[State]:
        state = with_process(state, name, process)
        gone = {row[1] for row in rows} if self.without == "exact rows" else set(rows)
        behind = tuple(row for row in state.index.behind if row not in gone and row[1] not in gone)
        return committed(state, state.index._replace(behind=behind))

    def _done(self, state: State, name: str, process: Process) -> list[State]:
        return [with_process(state._replace(applier=None if state.applier == name else state.applier), name, Process())]

    # ------------------------------------------------------------------ what comes from outside
    def _replaced(self, state: State) -> State:
        """Somebody without our lock changes what a file says. In a log this moves every line."""
        file = self.foreign[-state.left.foreign]
        if BACK in file:
            disk = changed(with_inode(state.disk, f"{file[0]}0", (BASE,), (BASE,)), (file[0], f"{file[0]}0"))
            return spent(state._replace(disk=disk, promised=frozenset()), "foreign")
        number = f"{FOREIGN}{state.left.foreign}"
        old = tuple(one for one in content(state.disk, file) or () if one != TORN)
        made = old if FOREIGN in old else (FOREIGN, *old) if file == "L" else (*old, FOREIGN)
        disk = changed(with_inode(state.disk, number, made, made), (file, number))
        returning = {one for change in state.disk.pending for one, _ in change} | set(dict(state.disk.durable))
        exposed = JOURNAL in returning or any(
            process.looked and file in {path for _, path in self.ops[name].steps}
            for name, process in state.processes
            if name in self.ops and process.begun
        )
        promised = state.promised if exposed else state.promised | {FOREIGN}
        return spent(state._replace(disk=disk, promised=promised), "foreign")
