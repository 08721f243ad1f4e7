"""A picture of a row: for each figure with a winner, one bar per contestant, with the range of its repetitions. Written by hand
as SVG, because a chart library is a heavy guest for a few bars."""
from xml.sax.saxutils import escape

from result import OURS, Matrix, median, show

BAR, LABEL, CHART, NUMBER, HEAD, GAP = 18, 190, 380, 120, 24, 10
FIGURES_MAX = 4
OUR_COLOR, PEER_COLOR, CEILING_COLOR = "#2f7d4f", "#8a98a8", "#d0a94a"
CUT = 12  # a bar more than so many times our own is cut, else ours would not be seen


def picture(figures, title):
    """SVG text, or nothing when there is nothing to compare."""
    chosen = [figure for figure in figures if not isinstance(figure, Matrix) and figure.better and len(measured(figure)) > 1][:FIGURES_MAX]
    if not chosen:
        return ""
    parts, top = [], 8
    for figure in chosen:
        part, height = chart(figure, title, top)
        parts.append(part)
        top += height + GAP
    width = LABEL + CHART + NUMBER
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" font-family="sans-serif" font-size="12">\n'
            '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def measured(figure):
    return {name: values for name, values in figure.values.items() if median(values) is not None}


def chart(figure, title, top):
    values = measured(figure)
    medians = {name: median(each) for name, each in values.items()}
    longest = max(medians.values())
    if ours := medians.get(OURS):
        longest = min(longest, CUT * ours)
    scale = CHART / longest if longest > 0 else 0
    unit = f" [{figure.unit}]" if figure.unit else ""
    better = "shorter is better" if figure.better == "less" else "longer is better"
    lines = [f'<text x="8" y="{top + 14}" font-weight="bold">{escape(figure.name + unit)} <tspan fill="#777" font-weight="normal">{better}</tspan></text>']
    for index, (name, middle) in enumerate(medians.items()):
        lines.append(bar(figure, name, middle, values[name], scale, top + HEAD + index * BAR, title))
    return "\n".join(lines), HEAD + len(medians) * BAR


def bar(figure, name, middle, values, scale, y, title):
    color = OUR_COLOR if name.startswith(OURS) else CEILING_COLOR if name == figure.ceiling else PEER_COLOR
    length = min(middle * scale, CHART)
    known = [value for value in values if value is not None]
    low, high = (min(value * scale, CHART) for value in (min(known), max(known)))
    text = (f'<text x="{LABEL - 6}" y="{y + 12}" text-anchor="end">{escape(title(name))}</text>'
            f'<rect x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{BAR - 5}" fill="{color}"/>'
            f'<line x1="{LABEL + low:.1f}" x2="{LABEL + high:.1f}" y1="{y + 8}" y2="{y + 8}" stroke="#222"/>')
    cut = " (cut)" if middle * scale > CHART * 1.001 else ""
    return text + f'<text x="{LABEL + max(length, high) + 6:.1f}" y="{y + 12}">{show(middle)}{cut}</text>'
