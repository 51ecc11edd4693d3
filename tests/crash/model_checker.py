"""What has to hold in every state of the model of ``json`` mode, and the walk through all of them."""

from collections import deque
from typing import NamedTuple

from tests.crash.model_of_a_disk import TORN, Content, content
from tests.crash.model_of_a_world import BACK, BASE, FOREIGN, NOTHING_CHANGED, Op, State
from tests.crash.model_of_json_mode import Model


def effects(op: Op, there: dict[str, Content]) -> list[bool]:
    """For each step, whether it shows."""
    return [
        BASE not in there.get(file, ()) if verb == "cut" else op.mark in there.get(file, ()) for verb, file in op.steps
    ]


def wrong(model: Model, state: State) -> str | None:
    """What is not as it has to be; None when all is well."""
    ops = list(model.ops.values())
    shown = {file: known[1] for file, known in state.index.files}
    restored = any(BACK in file for file in model.foreign)
    if shown:
        if any(TORN in one for one in shown.values()):
            return f"a reader is shown a torn file: {shown}"
        if half := [op.mark for op in ops if len(set(effects(op, shown))) > 1 and not restored]:
            return f"a reader is shown half of {half}: {shown}"
        early = [name for name, process in state.processes if process.begun and process.stage == NOTHING_CHANGED]
        if early := [one for one in early if one in model.ops and any(effects(model.ops[one], shown))]:
            return f"a reader is shown what may not come to be, by {early}: {shown}"
    if state.holder or any(process.begun for _, process in state.processes) or model.needs_applying(state):
        return None
    files = {file: found for file in model.files if (found := content(state.disk, file)) is not None}
    if files != dict(state.sql):
        return f"nothing waits, and SQL has {dict(state.sql)}, but the files {files}"
    if restored:
        return None
    present = {op.mark for op in ops if all(effects(op, files))}
    present |= {FOREIGN for one in files.values() if FOREIGN in one}
    if half := [op.mark for op in ops if len(set(effects(op, files))) > 1 and op.mark not in state.superseded]:
        return f"half of {half}: {files}"
    if missing := state.promised - present - state.superseded:
        return f"answered, and gone: {sorted(missing)}: {files}"
    if there := state.refused & {op.mark for op in ops if any(effects(op, files))}:
        return f"refused, and there: {sorted(there)}: {files}"
    return None


class Outcome(NamedTuple):
    states: int
    settled: int  # of them, with nothing under way and nothing waiting
    violation: str | None
    trace: list[str]


def explore(model: Model) -> Outcome:
    """Every state there can be, breadth first, up to the first violation; its trace is a shortest one."""
    start = model.start()
    seen: dict[State, tuple[State, str] | None] = {start: None}
    queue, settled = deque([start]), 0
    while queue:
        state = queue.popleft()
        if violation := wrong(model, state):
            trace, place = [], seen[state]
            while place:
                trace.append(place[1])
                place = seen[place[0]]
            return Outcome(len(seen), settled, violation, trace[::-1])
        busy = any(process.begun for _, process in state.processes)
        settled += not busy and not model.needs_applying(state)
        for label, after in model.steps(state):
            if after not in seen:
                seen[after] = (state, label)
                queue.append(after)
    return Outcome(len(seen), settled, None, [])
