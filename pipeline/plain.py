"""Text that others wrote, as a terminal and a page may show it: none of it moves a cursor or turns a line around.

What has no picture (control characters, and those that turn the direction of reading) is shown by a picture of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_PICTURES: Final = 0x2400
"""Of the control characters 0 to 31, in their order."""
_DELETE: Final = 0x7F
_TURNING: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_BREAKS: Final = (0x2028, 0x2029)
_SHOWN: Final = {
    **{code: _PICTURES + code for code in range(0x20)},
    _DELETE: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *_TURNING, *_BREAKS), 0xFFFD),
}


def plain(text: str) -> str:
    """The text as one line of signs that are seen."""
    return text.translate(_SHOWN)


class PlainConsole(Console):
    """A terminal that is told nothing but what we tell it: what is printed is text, line by line, and no picture."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As any console's, of plain text."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment("\n".join(map(plain, segment.text.split("\n"))), segment.style)
