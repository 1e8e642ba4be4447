"""The results as reStructuredText, and as a plot."""

from __future__ import annotations

import os
import platform
import sqlite3
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from .contestants import SILENCE
from .measure import Measured, Spread
from .processes import ROOT
from .serving import Load
from .stores import StoreCost

PAGE = ROOT / "docs" / "performance.rst"
PLOT = ROOT / "docs" / "_static" / "sign-ins.svg"
#: CPU seconds that a sign-in after a silence may take more than a busy one.
MOST_AFTER_SILENCE = 2e-3
#: Between these lines of the page stands what was measured last.
BEGIN, END = ".. measured: begin", ".. measured: end"

_IMAGE = f"""\
.. image:: _static/{PLOT.name}
   :alt: CPU of a sign-in, as a multiple of the floor
"""

#: In the order in which a sign-in meets them.
_PACKAGES = (
    "flask", "werkzeug", "requests", "urllib3", "cryptography", "joserfc", "msgspec", "redis",
    "gunicorn", "authlib", "flask-dance",
)  # fmt: skip


@dataclass
class Results:
    """Everything that one run measured."""

    #: By scheme: http and https, and https with the usual bundle of roots.
    sign_ins: dict[str, dict[str, Measured]] = field(default_factory=dict)
    #: Of one sign-in over https with one root, by contestant; empty without valgrind.
    instructions: dict[str, float] = field(default_factory=dict)
    #: CPU seconds of one sign-in over https with one root, by contestant and by code.
    profiles: dict[str, Counter[str]] = field(default_factory=dict)
    #: Over https with the usual bundle: one after the other, and after a silence.
    pauses: dict[str, Measured] = field(default_factory=dict)
    challenges: dict[str, Measured] = field(default_factory=dict)
    connections: dict[str, dict[str, int]] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    stores: list[StoreCost] = field(default_factory=list)
    purges: dict[str, float] = field(default_factory=dict)
    flow_size: int = 0
    imported: Spread | None = None
    #: With the registration of the blueprint.
    started: Spread | None = None
    slowest_imports: list[tuple[str, int]] = field(default_factory=list)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for first, *others in (head, *rows):
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join([*lines, ""])


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"


def write(results: Results, *, page: Path = PAGE, plot: Path = PLOT) -> None:
    """Put the results in their place on the page, and draw the plot."""
    before, _, rest = page.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text(results)}\n{END}{after}", encoding="utf-8")
    plot.parent.mkdir(exist_ok=True)
    plot.write_text(draw(results), encoding="utf-8")


def text(results: Results) -> str:
    """The results in reStructuredText."""
    parts = [_IMAGE, _machine()]
    for scheme, measured in results.sign_ins.items():
        parts += [_heading(f"CPU of a sign-in, {scheme}"), _sign_ins(measured)]
        parts.append(_connections(results.connections[scheme], measured))
    if results.pauses:
        parts.append(_pauses(results.pauses))
    if results.instructions:
        parts += [_heading("Instructions of a sign-in"), _instructions(results.instructions)]
    if results.profiles:
        parts += [_heading("Where the time goes"), profiled(results.profiles)]
    parts += [_heading("The routes"), _routes(results)]
    if results.loads:
        parts += [_heading("Under gunicorn, https with the usual bundle"), _loads(results.loads)]
    parts += [_heading("The stores"), _stores(results)]
    parts += [_heading("Importing the package"), _imports(results)]
    return "\n".join(parts)


def _heading(title: str) -> str:
    return f"\n{title}\n{'~' * len(title)}\n"


def _machine() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    return (
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, SQLite"
        f" {sqlite3.sqlite_version}, {platform.system()} on {platform.machine()} with"
        f" {os.cpu_count()} cores; {versions}.\n"
    )


def _sign_ins(measured: Mapping[str, Measured]) -> str:
    floor = next(iter(measured.values()))
    return table(
        ("sign-in", "CPU", "× the floor", "longest ``Set-Cookie``"),
        (
            (
                each.name,
                _micro(Spread.of(each.cpu).median),
                _ratio(each.ratio_to(floor)),
                f"{each.longest_cookie} bytes" if each.longest_cookie else "–",
            )
            for each in measured.values()
        ),
    )


def _instructions(counted: Mapping[str, float]) -> str:
    floor = next(iter(counted.values()))
    rows = (
        (name, f"{number / 1e6:.2f} million", f"{number / floor:.2f}")
        for name, number in counted.items()
    )
    return table(("sign-in, https with one root", "instructions", "× the floor"), rows)


def profiled(profiles: Mapping[str, Counter[str]]) -> str:
    """What takes the time of each, as hundredths of what the floor takes; the dearest first."""
    floor = next(iter(profiles.values())).total()
    together = sum(profiles.values(), Counter[str]())
    rows = (
        (code, *(f"{100 * taken[code] / floor:.0f}" for taken in profiles.values()))
        for code, _ in together.most_common()
        if any(taken[code] * 100 >= floor for taken in profiles.values())
    )
    totals = (f"{100 * taken.total() / floor:.0f}" for taken in profiles.values())
    return "\n".join(
        [
            "In hundredths of what the floor takes, under Python's profiler, over https with one"
            " root; what is written in C belongs to who calls it, where it is not told apart.\n",
            table(("code", *profiles), (("all", *totals), *rows)),
        ]
    )


def _connections(connections: Mapping[str, int], measured: Mapping[str, Measured]) -> str:
    each = (
        f"{name} {opened * 1000 / measured[name].sign_ins:.0f}"
        for name, opened in connections.items()
    )
    return f"Connections to the tenant for 1000 sign-ins: {', '.join(each)}.\n"


def _pauses(measured: Mapping[str, Measured]) -> str:
    busy, silence = (Spread.of(each.cpu).median for each in measured.values())
    pairs = zip(*(each.cpu for each in measured.values()), strict=True)
    more = Spread.of([after - before for before, after in pairs])
    return (
        f"After {SILENCE:.0f} seconds of silence, https with the usual bundle, a sign-in takes"
        f" {_micro(silence)} instead of {_micro(busy)}: {_spread(more)} more, for a new"
        f" connection. It may be {MOST_AFTER_SILENCE * 1e3:.0f} ms.\n"
    )


def _routes(results: Results) -> str:
    rows = []
    for measured in next(iter(results.sign_ins.values())).values():
        for route, (cpu, wall) in measured.routes().items():
            rows.append((measured.name, f"``{route}``", _spread(cpu), _spread(wall)))
    bare = next(iter(results.challenges.values()), None)
    challenges = table(
        ("``GET /pkce/challenge``", "CPU", "× the bare view"),
        (
            (
                each.name,
                _micro(Spread.of(each.cpu).median),
                _ratio(each.ratio_to(bare)),
            )
            for each in results.challenges.values()
            if bare is not None
        ),
    )
    return "\n".join([table(("sign-in", "request", "CPU", "time"), rows), challenges])


def _spread(seconds: Spread) -> str:
    return f"{seconds.median * 1e6:.0f} ({seconds.low * 1e6:.0f}–{seconds.high * 1e6:.0f}) µs"


def _loads(loads: Iterable[Load]) -> str:
    return table(
        (
            "application",
            "workers × threads",
            "users",
            "latency of the tenant",
            "sign-ins each second",
            "in a second of the workers' CPU",
            "p50",
            "p99",
            "connections to the tenant",
        ),
        (
            (
                load.name,
                f"{load.workers} × {load.threads}",
                str(load.users),
                f"{load.latency * 1e3:.0f} ms",
                f"{load.per_second:.0f}",
                f"{load.per_cpu_second:.0f}",
                f"{load.percentile(0.5) * 1e3:.1f} ms",
                f"{load.percentile(0.99) * 1e3:.1f} ms",
                f"{load.connections} of {len(load.times)}",
            )
            for load in loads
        ),
    )


def _stores(results: Results) -> str:
    verbs = list(results.stores[0].verbs) if results.stores else []
    costs = table(
        ("store", "pending flows", *(f"``{verb}``" for verb in verbs), "bytes in the store"),
        (
            (
                cost.name,
                f"{cost.flows:,}",
                *(_micro(seconds) for seconds in cost.verbs.values()),
                f"{cost.bytes_per_flow:.0f}",
            )
            for cost in results.stores
        ),
    )
    purges = ", ".join(f"{name} {_micro(longest)}" for name, longest in results.purges.items())
    return "\n".join(
        [
            f"A pending sign-in is {results.flow_size} bytes: the records of its flow and of its"
            " session, sealed, with their keys.\n",
            costs,
            f"The longest ``add`` while all that is in the store is past its time: {purges}.\n",
        ]
    )


def _imports(results: Results) -> str:
    if results.imported is None or results.started is None:
        return ""
    slowest = ", ".join(f"``{name}`` {own / 1e3:.1f} ms" for name, own in results.slowest_imports)
    return (
        f"It adds {_milli(results.imported)} ms of CPU to importing flask and requests, and"
        f" {_milli(results.started)} ms with the registration of the blueprint, which imports what"
        f" answers requests; the slowest modules, under ``-X importtime``: {slowest}.\n"
    )


def _milli(spread: Spread) -> str:
    return f"{spread.median * 1e3:.0f} ({spread.low * 1e3:.0f}–{spread.high * 1e3:.0f})"


_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.t{font-weight:600}.n{text-anchor:end}"
    ".b{fill:#4c78a8}.f{fill:#999}.s{stroke:#222;stroke-width:1.5}"
)
_LEFT, _WIDTH, _ROW = 250, 420, 24


def draw(results: Results) -> str:
    """Bars of the CPU of each sign-in, as multiples of the floor, in SVG."""
    bars: list[str] = []
    y = 28
    for scheme, measured in results.sign_ins.items():
        floor, *_ = measured.values()
        ratios = {each.name: each.ratio_to(floor) for each in measured.values()}
        scale = _WIDTH / max(ratio.high for ratio in ratios.values())
        bars.append(f'<text class="t" x="12" y="{y}">{scheme}</text>')
        for name, ratio in ratios.items():
            y += _ROW
            bars += _bar(name, ratio, y, scale, "f" if name == floor.name else "b")
        y += 2 * _ROW
    width, height = _LEFT + _WIDTH + 70, y - _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        "<title>CPU of a sign-in, as a multiple of the floor</title>"
        f'<style>{_STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f"{''.join(bars)}</svg>\n"
    )


def _bar(name: str, ratio: Spread, y: int, scale: float, kind: str) -> list[str]:
    middle, end = y - 4, _LEFT + ratio.high * scale
    return [
        f'<text class="n" x="{_LEFT - 8}" y="{y}">{name}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{y - 13}" width="{ratio.median * scale:.1f}"'
        ' height="17"/>',
        f'<path class="s" d="M{_LEFT + ratio.low * scale:.1f} {middle}H{end:.1f}"/>',
        f'<text x="{end + 6:.1f}" y="{y}">{ratio.median:.2f}</text>',
    ]
