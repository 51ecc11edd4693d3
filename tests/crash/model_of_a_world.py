"""What a state of the model of ``json`` mode is made of, and small changes of it. See ``model_of_json_mode``."""

from typing import Any, NamedTuple

from tests.crash.model_of_a_disk import Content, Disk, content

Call = tuple[Any, ...]
# How far an operation has come.
NOTHING_CHANGED, NOT_KNOWN, COUNTS = "nothing changed", "not known", "it counts"
BASE, FOREIGN, BACK = "0", "F", " back"
JOURNAL = "J"  # a name's first letter is its folder; the journal's is Tandem's own
MAY_FAIL = ("create", "sync", "rename", "remove", "append", "sync opened", "sync folder")


class Op(NamedTuple):
    """An operation. Each step is ``put`` (replace), ``cut`` (remove) or ``add`` (append), and a file."""

    mark: str
    steps: tuple[tuple[str, str], ...]


class Index(NamedTuple):
    birth: int  # another one after it was deleted by hand
    files: tuple[tuple[str, tuple[Any, Content]], ...] = ()  # file -> signature and records
    behind: tuple[tuple[int, str], ...] = ()  # what SQL has not got yet
    seq: int = 0
    marks: tuple[Any, ...] = ()  # what SQL's mark may be: the last one known, and the one intended


class Process(NamedTuple):
    todo: tuple[Call, ...] = ()
    begun: bool = False
    stage: str = NOTHING_CHANGED
    looked: tuple[tuple[str, Any], ...] = ()


class Left(NamedTuple):
    """How often each of these may still happen."""

    kills: int = 0
    cuts: int = 0
    errors: int = 0
    deletions: int = 0  # of the index, by hand
    foreign: int = 0


class State(NamedTuple):
    disk: Disk
    index: Index
    saved: Index | None  # what a power cut leaves of the index
    sql: tuple[tuple[str, Content], ...]
    mark: Any
    holder: str | None
    applier: str | None
    processes: tuple[tuple[str, Process], ...]
    left: Left
    promised: frozenset[str] = frozenset()  # what has to be there from now on
    refused: frozenset[str] = frozenset()
    superseded: frozenset[str] = frozenset()  # what a later removal of its file took away


def with_process(state: State, name: str, process: Process) -> State:
    return state._replace(processes=tuple([(one, process if one == name else other) for one, other in state.processes]))


def spent(state: State, what: str) -> State:
    return state._replace(left=state.left._replace(**{what: getattr(state.left, what) - 1}))


def committed(state: State, index: Index) -> list[State]:
    """The index commits: this may be the last commit that a power cut leaves, or an earlier one is."""
    lost = state._replace(index=index)
    return [lost, lost._replace(saved=index)] if state.left.cuts else [lost]


def renumbered(state: State) -> State:
    """Marks and rows numbered from the start: only which of them are the same matters."""
    indexes = [one for one in (state.index, state.saved) if one]
    order = {
        mark: number for number, mark in enumerate(sorted({state.mark, *(m for one in indexes for m in one.marks)}))
    }
    found = []
    for one in indexes:
        behind = tuple((number, file) for number, (_, file) in enumerate(one.behind, 1))
        found.append(one._replace(behind=behind, seq=len(behind), marks=tuple(order[mark] for mark in one.marks)))
    return state._replace(index=found[0], saved=found[1] if state.saved else None, mark=order[state.mark])


def marked_behind(index: Index, files: Any) -> Index:
    rows = tuple((index.seq + number, file) for number, file in enumerate(files, 1))
    return index._replace(behind=(*index.behind, *rows), seq=index.seq + len(rows))


def told(value: Any) -> str:
    if isinstance(value, Op):
        return ", ".join(" ".join(step) for step in value.steps)
    return str(value)


def killed(state: State, name: str) -> State:
    """The kernel frees the locks of whoever dies."""
    state = state._replace(holder=None if state.holder == name else state.holder)
    return with_process(state._replace(applier=None if state.applier == name else state.applier), name, Process())


def after_cut(state: State, disk: Disk, files: list[str]) -> State:
    """Everybody who had begun is dead, the index is what was saved of it, SQL has what it had."""
    assert state.saved
    for name, process in state.processes:
        state = killed(state, name) if process.begun else state
    state = spent(state._replace(disk=disk, index=state.saved), "cuts")
    # Whoever wrote without a sync has lost it.
    lost = {FOREIGN} if not any(FOREIGN in (content(disk, file) or ()) for file in files) else set()
    return state._replace(saved=state.saved if state.left.cuts else None, promised=state.promised - lost)
