"""A picture of the judged figures: each bar is the share of its limit that was used, so the line at 1 is what was asked and shorter is
better. Written by hand as SVG, because a chart library is a heavy guest for twelve bars."""
import statistics
from xml.sax.saxutils import escape

ROW_HEIGHT, LABEL_WIDTH, CHART_WIDTH, TOP = 26, 430, 360, 46
SHARE_MAX = 2.0  # longer bars are cut, with their number beside them


def used_share(figure):
    """Median as a share of its bound, 1 at the bound, smaller is better; None for figures without a bound or values."""
    judged = figure.ratios if figure.of_ratio else figure.ours
    if not judged:
        return None
    middle = statistics.median(judged)
    if figure.below is not None:
        return middle / figure.below
    return figure.above / middle if figure.above is not None and middle > 0 else None


def bar(figure, share, top):
    length = min(share, SHARE_MAX) / SHARE_MAX * CHART_WIDTH
    color = "#2f7d4f" if figure.verdict == "met" else "#b5482f"
    label = escape(f"{figure.row}: {figure.name}"[:72])
    middle = top + ROW_HEIGHT / 2 + 4
    return (f'<text x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end">{label}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{top + 5}" width="{length:.1f}" height="{ROW_HEIGHT - 10}" fill="{color}"/>'
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{middle}">{share:.2f}</text>')


def svg(figures, subtitle):
    shares = [(figure, share) for figure in figures if (share := used_share(figure)) is not None]
    height = TOP + ROW_HEIGHT * len(shares) + 14
    limit = LABEL_WIDTH + CHART_WIDTH / SHARE_MAX
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL_WIDTH + CHART_WIDTH + 60}" height="{height}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             '<text x="12" y="18" font-size="14" font-weight="bold">Share of each limit that was used (1 is what was asked; shorter is better)</text>',
             f'<text x="12" y="35" fill="#555">{escape(subtitle)}</text>']
    lines += [bar(figure, share, TOP + index * ROW_HEIGHT) for index, (figure, share) in enumerate(shares)]
    lines += [f'<line x1="{limit}" x2="{limit}" y1="{TOP}" y2="{height - 8}" stroke="#333" stroke-dasharray="4 3"/>', "</svg>"]
    return "\n".join(lines) + "\n"
