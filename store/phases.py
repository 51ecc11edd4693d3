"""The six phases of the way from one database to plain files: what each asks for, and what of it is fulfilled here."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import sqlalchemy as sa

from store import Store, codec
from store.errors import InvalidValueError, StoreError
from store.files.generations import Generations
from store.jobs import DONE, Job
from store.tables import MODELS

# What does it: the page or the command is known to whoever shows it.
By = Literal[
    "inventory", "export", "validate", "repair", "capture", "fill", "secrets", "public", "dual", "json", "schema", ""
]
MOVES: Final = ("export", "import", "rollback", "repair")
SURVEY_S: Final = 0.5


@dataclass(frozen=True)
class Ask:
    """One thing that a phase asks for. ``fulfilled``: None where only a person can know. ``told``: how it stands."""

    text: str
    fulfilled: bool | None
    told: str = ""
    by: By = ""


@dataclass(frozen=True)
class Phase:
    """A phase; ``asks`` in the order in which they are best seen to."""

    name: str
    what: str
    asks: tuple[Ask, ...] = ()

    @property
    def done(self) -> int:
        """How many of its asks are fulfilled."""
        return sum(ask.fulfilled is True for ask in self.asks)

    @property
    def open(self) -> int:
        """How many of its asks are not."""
        return sum(ask.fulfilled is False for ask in self.asks)


PHASES: Final = (
    Phase("Inventory", "What there is, on both sides."),
    Phase("Scaffold", "The JSON side is laid out."),
    Phase("Dual write", "Every change goes to both sides."),
    Phase("Verification", "Both sides are compared, record by record."),
    Phase("Cutover", "The files are the truth."),
    Phase("Clean-up", "The way back is not needed any more."),
)
STANDS_AT: Final = {"sql": 0, "dual": 2, "json": 4}  # the phase that a backend stands for


def look(store: Store, *, with_secrets: bool = True) -> list[Phase]:
    """Every phase as it stands now. What cannot be found out is told as not fulfilled, with the reason.
    ``with_secrets`` False: for somebody who may not know how many decrypt."""
    asks = (
        (*_inventory(store), *([_secrets(store)] if with_secrets else [])),
        _scaffold(store),
        _dual_write(store),
        _verification(store, with_secrets),
        _cutover(store),
        _clean_up(),
    )
    return [Phase(one.name, one.what, tuple(mine)) for one, mine in zip(PHASES, asks, strict=True)]


# ------------------------------------------------------------------ one by one
def _inventory(store: Store) -> Iterator[Ask]:
    text, schema = "An inventory was taken", "The database is as Quilltap 0.7.0 makes it"
    names: list[str] = []
    try:
        names = sorted(name for name, _ in store.side.system.list(store.side.own_dir / "inventories"))
        told = codec.loads(store.side.system.read(store.side.own_dir / "inventories" / names[-1])) if names else None
        made_at, unlike = (told["madeAt"], told["schema"]["differences"]) if told else ("", [])
    except (OSError, InvalidValueError, KeyError, TypeError):
        named = f"{names[-1]} cannot be read." if names else "The folder of inventories cannot be listed."
        yield Ask(text, False, named, "inventory")
        yield Ask(schema, None, "The next inventory will say.")
        return
    if not told:
        yield Ask(text, False, "None was taken yet.", "inventory")
        yield Ask(schema, None, "The first inventory will say.")
    else:
        yield Ask(text, True, f"The last one is of {made_at[:10]} {made_at[11:16]} UTC.", "inventory")
        yield Ask(schema, not unlike, " ".join(unlike[:3]) or "It was when the inventory was taken.", "schema")


def _secrets(store: Store) -> Ask:
    text = "Every secret decrypts with this pepper"
    try:
        found = store.survey.look(SURVEY_S)
    except StoreError as error:
        return Ask(text, False, error.sentence, "secrets")
    return Ask(text, None if found.unchecked else not found.failing, found.sentence, "secrets")


def _scaffold(store: Store) -> Iterator[Ask]:
    settings = store.settings
    place = settings.data_dir if settings.data_dir.exists() else settings.data_dir.parent
    writable = place.is_dir() and os.access(place, os.W_OK)
    yield Ask("The data folder can be written", writable, f"DATA_DIR is {settings.data_dir}.")
    text, told = "Quilltap's folder of images is there", f"PUBLIC_DIR is {settings.public_dir}"
    if settings.public_dir.is_dir():
        yield Ask(text, True, f"{told}.")
    elif _has_pictures(store):
        yield Ask(text, False, f"{told}, and not there: no bytes of images are kept beside them.", "public")
    else:
        yield Ask(text, True, "There are no images.")
    text = "The files hold a library"
    try:
        empty = store.side.is_empty()
    except StoreError as error:
        yield Ask(text, False, error.sentence)
        return
    if not empty:
        yield Ask(text, True, "They hold records; the fourth phase says whether it is all of them.")
    elif settings.data_backend == "json":
        yield Ask(text, False, "They hold no record, and are what counts. Is DATA_DIR right?")
    else:
        yield Ask(text, False, "They hold no record yet.", "fill" if store.step.can_fill_json else "export")


def _has_pictures(store: Store) -> bool:
    with store.database.read() as connection:
        return any(
            connection.execute(sa.select(sa.literal(1)).select_from(MODELS[model]).limit(1)).first()
            for model in ("Image", "ChatFile")
        )


def _dual_write(store: Store) -> Iterator[Ask]:
    backend = store.settings.data_backend
    told = f"DATA_BACKEND is {backend}."
    yield Ask("Tandem writes both sides", backend != "sql", told, "dual")
    captured = store.captured()
    told = "Triggers note them." if captured else "Triggers are missing: what Quilltap writes goes unnoticed."
    yield Ask("Changes by other programs are noticed", captured, told, "capture")
    text, waits = "Both sides belong together", "Nothing waits for the other side"
    if backend == "sql":
        yield Ask(text, False, "Only one side is in use.")
        return
    step, waiting = store.step, store.waiting()
    by: By = "fill" if step.can_fill_json else ""
    yield Ask(text, step.in_step, " ".join(filter(None, (step.sentence, step.hint))), by)
    problems = " ".join(problem.sentence for problem in store.problems()[:3])
    told = f"{waiting} {'record waits' if waiting == 1 else 'records wait'}. {problems}" if waiting else problems
    yield Ask(waits, not waiting and not problems, told.strip() or "Every change is on both sides.")


def _verification(store: Store, with_secrets: bool) -> Iterator[Ask]:
    text = "A validation of everything found both sides equal"
    made = store.jobs.list(("validate", "quick-validate"), 50, (DONE,))
    here = [job for job in made if job.summary.get("folder") == str(store.settings.data_dir)]
    last = next((job for job in here if job.kind == "validate" and not job.arguments.get("only")), None)
    if last is None:
        yield Ask(text, False, "Only quick or partial ones were made." if here else "None was made yet.", "validate")
    else:
        equal = last.summary.get("exit") == 0
        yield Ask(text, equal, _told(last, with_secrets), "validate" if equal else "repair")
        yield _since(store, last)
    yield _way_back(store)


def _since(store: Store, validation: Job) -> Ask:
    """Whether a validation still is about what is there."""
    text = "Nothing was moved or changed on one side only since"
    moved = next((job for job in store.jobs.list(MOVES, 50, (DONE,)) if _moved(job)), None)
    if moved is not None and (moved.ended_at or "") > (validation.ended_at or ""):
        return Ask(text, False, f"There was a later {moved.kind}: validate again.", "validate")
    if store.settings.data_backend != "sql":
        return Ask(text, True, "Every change goes to both sides.")
    if not store.captured():
        return Ask(
            text, None, "Without triggers nobody knows what changed in the database: validate again.", "validate"
        )
    with store.database.read() as connection:
        changed = len(store.outbox.entities_since(connection, validation.summary.get("change", 0)))
    if changed:
        told = (
            f"{changed} {'record was' if changed == 1 else 'records were'} changed in the database alone: export again."
        )
        return Ask(text, False, told, "export")
    return Ask(text, True, "It is about what is there.")


def _way_back(store: Store) -> Ask:
    """Whether there is a generation from before the one in use. A folder as it was found counts if it held anything."""
    text, generations = "An earlier state of the files can be put back", Generations(store.side)
    names = [one.name for one in generations.all()]
    current = generations.current()
    older = names[names.index(current) + 1 :] if current in names else []
    kept = [one for one in older if next((generations.folder / one).rglob("*.json*"), None)]
    if kept:
        return Ask(text, True, f"{len(kept)} earlier {'generation is' if len(kept) == 1 else 'generations are'} kept.")
    if store.settings.data_backend == "json":
        return Ask(text, False, "None is kept. Exports that are made in sql or dual mode leave them.")
    return Ask(text, False, "None is kept: each export but the first leaves one.", "export")


def _told(job: Job, with_secrets: bool) -> str:
    summary = job.summary
    when = f"{(job.ended_at or '')[:10]} {(job.ended_at or '')[11:16]} UTC"
    if summary.get("exit") == 0:
        return f"{summary.get('checked', 0):,} rows are the same on both sides ({when})."
    counted = (
        (summary.get("inconsistent"), "row differs", "rows differ"),
        (summary.get("errors"), "cannot be read", "cannot be read"),
        (summary.get("dangling"), "link leads nowhere", "links lead nowhere"),
        (with_secrets and summary.get("secrets"), "secret does not decrypt", "secrets do not decrypt"),
    )
    found = ", ".join(f"{number:,} {one if number == 1 else many}" for number, one, many in counted if number)
    return f"{found or 'Not everything was as it should be'} ({when})."


def _moved(job: Job) -> bool:
    if job.arguments.get("dry_run") or job.summary.get("unchanged"):
        return False
    return job.kind != "export" or bool(job.summary.get("switched"))


def _cutover(store: Store) -> Iterator[Ask]:
    is_json = store.settings.data_backend == "json"
    yield Ask("Quilltap does not write to the database any more", None, "Only you can know: stop it first.")
    yield Ask("The files are what counts", is_json, f"DATA_BACKEND is {store.settings.data_backend}.", "json")
    text = "The database follows the files"
    if not is_json:
        yield Ask(text, False, "It will as soon as the files are what counts.")
    elif apart := store.following.apart:
        yield Ask(text, False, apart.sentence)
    else:
        waiting = store.waiting()
        told = f"{waiting:,} changes wait for it." if waiting else "It has every change: going back takes one restart."
        yield Ask(text, not waiting, told)


def _clean_up() -> Iterator[Ask]:
    yield Ask(
        "A dump of the database, Quilltap's public folder and its pepper are kept apart from here",
        None,
        "Only you can know. Without the pepper no API key can be read again, on either side.",
    )
    yield Ask(
        "The way back is not needed any more",
        None,
        "Only you can know. Until then the database follows the files. Tandem's accounts, jobs and audit stay in it.",
    )
