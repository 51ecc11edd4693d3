"""Who did what, when and from where. How to have something noted:

- **A change of a record** needs nothing: the repositories note it, and the backend writes it in the same transaction.
  A repository's own method that writes past ``create``, ``update`` and ``delete`` calls ``note_updated(mapping, old,
  new)`` and its like within its unit of work.
- **Anything else**, once it is done (or was refused): ``store.audit.note("sign-in", "tandem account", account.id,
  title=account.name)``. It never fails.
- The same within a transaction of one's own on ``store.database``, so that neither is there without the other:
  ``Audit(database).write(connection, [Change("disable", "tandem account", id, title=name)])``.

Who acts is known: the dashboard's guard and the command line say it (``act_as``). ``with because("…"):`` gives the
reason with every change made within. Secrets are never given to any of these; that one changed is all that is told:
``changes={"password": {"secret": True}}``.
"""

from store.audit.entries import (
    CANCELLED,
    DONE,
    FAILED,
    OUTCOMES,
    REFUSED,
    STARTED,
    TANDEM,
    UNKNOWN,
    Actor,
    Change,
    act_as,
    acting_as,
    actor,
    because,
    gathering,
    is_noting,
    noted,
    sum_up,
)
from store.audit.table import Audit, Entry, Question, start_of

__all__ = [
    "CANCELLED",
    "DONE",
    "FAILED",
    "OUTCOMES",
    "REFUSED",
    "STARTED",
    "TANDEM",
    "UNKNOWN",
    "Actor",
    "Audit",
    "Change",
    "Entry",
    "Question",
    "act_as",
    "acting_as",
    "actor",
    "because",
    "gathering",
    "is_noting",
    "noted",
    "start_of",
    "sum_up",
]
