"""Charts as inline SVG: they need no script, print well, and have the colours of the page that they are in.

That page's style sheet gives the classes ``following``, ``preceding``, ``soft``, ``bad``, ``line``,
``other``, ``grid`` and ``label`` their colours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10

from markupsafe import Markup

_SVG = Markup(
    '<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{body}</svg>'
)
_RECTANGLE = Markup(
    '<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
)
_TEXT = Markup('<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>')
_LINE = Markup('<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
_BARS = 8


def histogram(counts: dict[int, int], hours: float, name: str) -> Markup:
    """How the matches lie around their deployment, in eighths of the window on each side.

    :param counts: matches by bucket, from -8 (the earliest before the deployment) to 7.
    :param hours: the window on each side.
    :param name: whose matches they are.
    """
    width, height, foot, side = 320.0, 84.0, 16.0, 6.0
    step = (width - 2 * side) / (2 * _BARS)
    most = max(counts.values(), default=0) or 1
    body = Markup("")
    for bucket in range(-_BARS, _BARS):
        if count := counts.get(bucket, 0):
            tall = max(1.5, count / most * (height - foot - 4))
            body += _RECTANGLE.format(
                kind="following" if bucket >= 0 else "preceding",
                x=side + (bucket + _BARS) * step + 1,
                y=height - foot - tall,
                width=step - 2,
                height=tall,
            )
    middle = width / 2
    body += _LINE.format(kind="grid", x1=side, y1=height - foot, x2=width - side, y2=height - foot)
    body += _LINE.format(kind="grid", x1=middle, y1=0, x2=middle, y2=height - foot + 3)
    for x, anchor, text in (
        (side, "start", f"{hours:g} h before"),
        (middle, "middle", "deployed"),
        (width - side, "end", f"{hours:g} h after"),
    ):
        body += _TEXT.format(x=x, y=height - 3, anchor=anchor, text=text)
    after = sum(count for bucket, count in counts.items() if bucket >= 0)
    before = sum(counts.values()) - after
    label = (
        f"{name}: {after} matched incidents opened after their deployment, {before} before it, "
        f"within {hours:g} hours"
    )
    return _SVG.format(kind="histogram", width=f"{width:g}", height=f"{height:g}", label=label, body=body)


def columns(
    labels: Sequence[str],
    bars: Sequence[int],
    marked: Sequence[int],
    line: Sequence[float | None],
    label: str,
) -> Markup:
    """Counts as bars, a part of each marked, and a share of 1 as a line above them with an axis of its own.

    :param label: what the chart shows, for readers who do not see it.
    """
    frame = _Frame(len(labels))
    most, top = _ceiling(max(bars, default=0)), _ceiling(max((v for v in line if v is not None), default=0.0))
    body = frame.axis(top, lambda value: f"{value * 100:.3g} %", "end")
    body += _TEXT.format(x=frame.right + 4, y=frame.top + 4, anchor="start", text=f"{most:g}")
    body += _TEXT.format(x=frame.right + 4, y=frame.bottom + 4, anchor="start", text="0")
    for index, (whole, part) in enumerate(zip(bars, marked, strict=True)):
        for kind, count in (("soft", whole), ("bad", part)):
            if count:
                body += _RECTANGLE.format(
                    kind=kind,
                    x=frame.x(index) - frame.step * 0.35,
                    y=frame.y(count / most),
                    width=frame.step * 0.7,
                    height=frame.bottom - frame.y(count / most),
                )
    body += frame.line("line", [None if value is None else value / top for value in line])
    return frame.svg(body + frame.labels(labels), label)


def lines(
    labels: Sequence[str], series: dict[str, Sequence[float | None]], unit: Callable[[float], str], label: str
) -> Markup:
    """Values as lines over one axis; the series' names are the classes of their lines."""
    frame = _Frame(len(labels))
    known = [value for values in series.values() for value in values if value is not None]
    top = _ceiling(max(known, default=0.0))
    body = frame.axis(top, unit, "end")
    for kind, values in series.items():
        body += frame.line(kind, [None if value is None else value / top for value in values])
    return frame.svg(body + frame.labels(labels), label)


class _Frame:
    """The positions in a chart with a number of columns."""

    width, height = 640.0, 220.0
    left, right, top, bottom = 52.0, 608.0, 12.0, 190.0

    def __init__(self, count: int) -> None:
        self._count = max(1, count)
        self.step = (self.right - self.left) / self._count

    def x(self, index: int) -> float:
        return self.left + (index + 0.5) * self.step

    def y(self, share: float) -> float:
        return self.bottom - share * (self.bottom - self.top)

    def axis(self, top: float, text: Callable[[float], str], anchor: str) -> Markup:
        """Lines at the quarters of the axis, and its numbers."""
        body = Markup("")
        for quarter in range(5):
            y = self.y(quarter / 4)
            body += _LINE.format(kind="grid", x1=self.left, y1=y, x2=self.right, y2=y)
            if quarter % 2 == 0:
                body += _TEXT.format(x=self.left - 5, y=y + 4, anchor=anchor, text=text(top * quarter / 4))
        return body

    def labels(self, labels: Sequence[str]) -> Markup:
        every = ceil(self._count / 7)
        last = len(labels) - 1
        body = Markup("")
        for index, text in enumerate(labels):
            if (last - index) % every == 0:
                body += _TEXT.format(x=self.x(index), y=self.bottom + 18, anchor="middle", text=text)
        return body

    def line(self, kind: str, shares: Sequence[float | None]) -> Markup:
        """A dot for each value, and lines between neighbours."""
        body = Markup("")
        before: tuple[float, float] | None = None
        for index, share in enumerate(shares):
            at = None if share is None else (self.x(index), self.y(share))
            if at and before:
                body += _LINE.format(kind=kind, x1=before[0], y1=before[1], x2=at[0], y2=at[1])
            if at:
                body += Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(kind, *at)
            before = at
        return body

    def svg(self, body: Markup, label: str) -> Markup:
        return _SVG.format(
            kind="chart", width=f"{self.width:g}", height=f"{self.height:g}", label=label, body=body
        )


def _ceiling(value: float) -> float:
    """The next number of 1, 2, 4, 5 or 10 times a power of ten: the end of an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if step * power >= value * 0.9999)
