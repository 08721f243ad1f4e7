"""Figures: what was asked, what was measured, and how both are shown."""
import dataclasses
import statistics
import unicodedata


def spread(values, digits=3):
    """'median (least - most)' in the fewest figures that tell them apart."""
    if not values:
        return "-"
    def show(value):
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"
    middle, least, most = statistics.median(values), min(values), max(values)
    return show(middle) if show(least) == show(most) else f"{show(middle)} ({show(least)}–{show(most)})"


@dataclasses.dataclass
class Figure:
    """One line of the table. `ours` and `peer` hold one value per repetition, in the same order, so that ratios are of neighbours
    in time. `limit` bounds the median of ours, or of ours / peer when `of_ratio`."""
    row: str
    name: str
    unit: str
    ours: list
    peer: list = dataclasses.field(default_factory=list)
    peer_name: str = "nginx"
    asked: str = ""
    below: float | None = None  # the median must be at most this
    above: float | None = None  # the median must be at least this
    of_ratio: bool = False
    note: str = ""

    @property
    def ratios(self):
        return [mine / other for mine, other in zip(self.ours, self.peer) if other]

    @property
    def verdict(self):
        judged = self.ratios if self.of_ratio else self.ours
        if not judged:
            return "not measured"
        if self.below is None and self.above is None:
            return ""
        middle = statistics.median(judged)
        met = (self.below is None or middle <= self.below) and (self.above is None or middle >= self.above)
        return "met" if met else "SHORT"

    def cells(self):
        return [self.row, f"{self.name} [{self.unit}]" if self.unit else self.name, self.asked or "–", spread(self.ours),
                spread(self.peer) + (f" {self.peer_name}" if self.peer else ""), spread(self.ratios), self.verdict]

    def as_json(self):
        return dataclasses.asdict(self) | {"ratios": self.ratios, "verdict": self.verdict}


HEADINGS = ["row", "figure", "asked", "entrepot", "peer, same run", "ratio", "verdict"]


def width(text):
    return sum(0 if unicodedata.combining(letter) else 1 for letter in text)


def table(figures):
    rows = [HEADINGS] + [figure.cells() for figure in figures]
    widths = [max(width(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell + " " * (space - width(cell)) for cell, space in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0])] + lines[1:])


def markdown(figures):
    def line(cells):
        return "| " + " | ".join(cells) + " |"
    return "\n".join([line(HEADINGS), line(["---"] * len(HEADINGS))] + [line(figure.cells()) for figure in figures])
