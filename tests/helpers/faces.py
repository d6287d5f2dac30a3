"""HTML of notebooks' faces, taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"br", "hr", "img", "meta", "link", "input"}


class Face(HTMLParser):
    """The elements, the attributes and the text of a face, whose tags must match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += f"{data} "

    @property
    def drawn(self) -> int:
        """The number of elements inside drawings."""
        return sum(self.tags.count(tag) for tag in ("path", "rect", "text"))

    def assert_inert(self) -> None:
        """No scripts, nothing loaded, no element that a name could have brought."""
        known = {
            *("style", "div", "span", "p", "code", "table", "thead", "tbody", "tr", "th", "td"),
            *("svg", "path", "rect", "text"),
        }
        assert set(self.tags) <= known
        for name, value in self.attributes:
            assert not name.startswith("on")
            assert name not in {"href", "src", "xlink:href"}
            assert "script" not in (value or "") or name == "aria-label"


def face_of(obj: object) -> Face:
    """The face of an object, which is inert."""
    html = obj._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(html, str)
    face = Face(html)
    face.assert_inert()
    return face
