r"""Lowering: what people write in the `RUN` steps of Windows stages, as plain edits of files, registry and variables.

```python
outcome = lower(command, shell, state)
```

- `command`: the text behind `RUN`, with its flags and continued lines resolved and nothing expanded; or the words of its
  JSON form. `shell`: what `SHELL` says, `("cmd", "/S", "/C")` where nothing does. `state`: see `State`; a tree over a
  `View` is `Tree(ViewBase(view))`, one over a base that was not read `Tree(UnreadBase())`.
- In a plan (`state.planning`) what only the build shows is assumed to be as the step needs it: `Lowered` or `Impossible`.
- While building: `Lowered`, `Impossible`, or `Needs`: somebody must download, unpack, run Go or git. Then `lower` is called
  again with one more `Answer`; it starts from the beginning, which costs little, and comes further.

```python
answers: list[Answer] = []
while isinstance(outcome := lower(command, shell, state, answers=answers), Needs):
    answers.append(perform(outcome.operation, outcome.state))
```

The next step starts from `outcome.state`; what `COPY`, `ENV`, `WORKDIR` and `USER` change is set with
`msgspec.structs.replace` and `Tree.put`. `layer_requests(before.tree, with_user_hive(after).tree, source)` gives what lies
between two states as requests for a layer, `registry_edits(after)` the changes of the hives.
"""

from __future__ import annotations

from wingo.dockerfile.lowering.layers import layer_requests, read_user_hive, registry_edits, with_user_hive
from wingo.dockerfile.lowering.lower import DEFAULT_SHELL, lower
from wingo.dockerfile.lowering.outcome import Answer, Impossible, Lowered, Needs, Outcome, UnpackedFile
from wingo.dockerfile.lowering.state import State
from wingo.dockerfile.lowering.tree import Item, Kind, NoBase, Tree, UnreadBase
from wingo.dockerfile.lowering.view_base import LazyBase, ViewBase

__all__ = [
    "DEFAULT_SHELL",
    "Answer",
    "Impossible",
    "Item",
    "Kind",
    "LazyBase",
    "Lowered",
    "Needs",
    "NoBase",
    "Outcome",
    "State",
    "Tree",
    "UnpackedFile",
    "UnreadBase",
    "ViewBase",
    "layer_requests",
    "lower",
    "read_user_hive",
    "registry_edits",
    "with_user_hive",
]
