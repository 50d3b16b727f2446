"""The chart of the README: six small bar charts in plain SVG, legible in light and in dark."""

from xml.sax.saxutils import escape

from .report import number

# No wall times: what else a machine is doing gets into them, and into CPU time hardly.
_PANELS = (
    ("CPU, init and first invocation", "ms", lambda s: s["median"]["cold_cpu_ms"]),
    ("CPU of the init", "ms", lambda s: s["median"]["init_cpu_ms"]),
    ("CPU of a warm invocation", "ms", lambda s: s["median"]["warm_cpu_ms"]),
    ("Peak memory", "MB", lambda s: s["median"]["peak_mb"]),
    ("Package with its AWS SDK", "MB", lambda s: s["package_with_sdk_bytes"] / 1e6),
    ("Dependent AWS calls to the deny", "", lambda s: s["waves"]["to_the_cut"]),
)
_WIDTH, _MARGIN, _GUTTER = 880, 16, 40
_PANEL_WIDTH = (_WIDTH - 2 * _MARGIN - _GUTTER) / 2
_NAME_WIDTH, _VALUE_WIDTH = 118, 126
_BAR, _STEP = 16, 24
_TITLE, _PANEL_HEIGHT, _TOP = 26, 122, 62
_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }
  .head { font-size: 17px; font-weight: 600 }
  .title { font-weight: 600 }
  .soft { fill: #59636e }
  .mine { fill: #1a7f5a }
  .other { fill: #a8b1bb }
  .axis { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .mine { fill: #3fb68b }
    .other { fill: #59636e }
    .axis { stroke: #3d444d }
  }
"""


def svg(results):
    subjects = list(results["subjects"].values())
    rows = (len(_PANELS) + 1) // 2
    height = _TOP + rows * _PANEL_HEIGHT + 30
    made = f"Medians of {results['settings']['n']}, {results['date']}"
    subtitle = f"{made}; shorter is better, × is relative to Tourniquet"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(_description(subjects))}">',
        f"<style>{_STYLE}</style>",
        _text(_MARGIN, 26, "Containing one IAM user", "head"),
        _text(_MARGIN, 46, subtitle, "soft"),
    ]
    for index, (title, unit, value) in enumerate(_PANELS):
        x = _MARGIN + (index % 2) * (_PANEL_WIDTH + _GUTTER)
        y = _TOP + (index // 2) * _PANEL_HEIGHT
        parts += _panel(x, y, title, unit, [(subject["name"], value(subject)) for subject in subjects])
    parts.append(_text(_MARGIN, height - 12, _footer(results), "soft"))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _panel(x, y, title, unit, bars):
    longest = max(value for _, value in bars)
    room = _PANEL_WIDTH - _NAME_WIDTH - _VALUE_WIDTH
    left = x + _NAME_WIDTH
    top = y + _TITLE
    yield _text(x, y + 17, title, "title")
    for index, (name, value) in enumerate(bars):
        bar_y = top + index * _STEP
        length = max(2.0, room * value / longest)
        ratio = "" if index == 0 else f" ({number(value / bars[0][1])} ×)"
        yield _text(x, bar_y + 13, name)
        yield (
            f'<rect class="{"other" if index else "mine"}" x="{left:.1f}" y="{bar_y}" width="{length:.1f}" '
            f'height="{_BAR}" rx="2"/>'
        )
        yield _text(left + length + 7, bar_y + 13, f"{number(value)} {unit}".rstrip() + ratio)
    bottom = top + len(bars) * _STEP - (_STEP - _BAR) + 3
    yield f'<line class="axis" x1="{left - 0.5:.1f}" x2="{left - 0.5:.1f}" y1="{top - 3}" y2="{bottom}"/>'


def _text(x, y, text, style=""):
    styled = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y}"{styled}>{escape(text)}</text>'


def _footer(results):
    made = f"{results['settings']['round_trip_ms']:g} ms round trip, HTTPS, local AWS"
    return f"{made}. The boto3 function makes the same calls, Cloud Custodian fewer."


def _description(subjects):
    return "Tourniquet compared with " + " and ".join(subject["name"] for subject in subjects[1:])
