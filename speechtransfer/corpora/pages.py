"""HTML pages -> their lines of text: one for each paragraph, heading, cell or entry of a list."""

from __future__ import annotations

import re
from html.parser import HTMLParser

# What these hold runs on in the line around them; every other element begins a line and ends it.
_WITHIN_A_LINE = re.compile(
    "a|abbr|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|mark|q|rb|ruby|s|samp|small|span|strike|strong|"
    "sub|sup|time|tt|u|var|wbr"
)
_NO_TEXT = frozenset(("script", "style"))


def page_lines(html: str) -> list[str]:
    """The lines of a page that a reader sees, spaces and line ends as one space; scripts and styles are left out.

    What is not well formed is read as far as it can be.
    """
    page = _Page()
    page.feed(html)
    page.close()
    return [line for line in (" ".join(line.split()) for line in page.lines) if line]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self._in_text = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._pass(tag)
        # The parser itself ends these two at their end tags, whatever stands between.
        self._in_text = tag not in _NO_TEXT

    def handle_endtag(self, tag: str) -> None:
        self._pass(tag)
        self._in_text = True

    def handle_data(self, data: str) -> None:
        if self._in_text:
            self.lines[-1] += data

    def _pass(self, tag: str) -> None:
        if not _WITHIN_A_LINE.fullmatch(tag):
            self.lines.append("")
