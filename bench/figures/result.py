"""Figures: what was asked, what was measured, by whom, and what follows from it. One figure holds the readings of all contestants."""
import dataclasses
import statistics
import unicodedata

OURS = "entrepot"
YARDSTICKS = {"sendfile", "fio", "openssl", "memcpy", "empty", "direct"}  # not contestants


def show(value, digits=3):
    return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"


def spread(values):
    """'median (least–most)' of what was measured, in the fewest figures that tell them apart."""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    middle, least, most = show(statistics.median(values)), show(min(values)), show(max(values))
    return middle if least == most else f"{middle} ({least}–{most})"


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


@dataclasses.dataclass
class Bound:
    """What was asked: of the median of ours, or, with `against`, of the median ratio to that contestant."""
    text: str
    below: float | None = None
    above: float | None = None
    against: str | None = None
    of: str = OURS

    def verdict(self, value):
        if value is None:
            return "not measured"
        met = (self.below is None or value <= self.below) and (self.above is None or value >= self.above)
        return "met" if met else "SHORT"


@dataclasses.dataclass
class Figure:
    """`values` holds for each contestant one value per repetition in the same order (None where it failed), so that ratios are
    of neighbours in time. `better` is "less" or "more", or empty where nobody wins. `ceiling` names who of `values` is the
    physical bound."""
    row: str
    name: str
    unit: str
    values: dict
    better: str = ""
    bounds: list = dataclasses.field(default_factory=list)
    ceiling: str = ""
    note: str = ""

    def ratios(self, other, of=OURS):
        pairs = zip(self.values.get(of, []), self.values.get(other, []))
        return [mine / theirs for mine, theirs in pairs if mine is not None and theirs]

    def judged(self, bound):
        """The value that a bound is about."""
        return median(self.ratios(bound.against, bound.of) if bound.against else self.values.get(bound.of, []))

    def peers(self):
        return [name for name in self.values if not name.startswith(OURS) and name not in YARDSTICKS and median(self.values[name]) is not None]

    def best_peer(self):
        """Who of the others is best beside us, as (name, our ratio to it); None without a winner or without peers."""
        if not self.better:
            return None
        ratios = {name: median(self.ratios(name)) for name in self.peers()}
        ratios = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        if not ratios:
            return None
        best = (max if self.better == "less" else min)(ratios, key=ratios.get)
        return best, ratios[best]

    def leads(self):
        best = self.best_peer()
        return None if best is None else (best[1] <= 1 if self.better == "less" else best[1] >= 1)

    def ceiling_share(self):
        """How much of the physical ceiling we reach: 1 is all of it."""
        ratio = median(self.ratios(self.ceiling)) if self.ceiling else None
        return None if not ratio else (1 / ratio if self.better == "less" else ratio)

    def key(self):
        return self.name, self.unit

    def extend(self, earlier):
        """Takes over the readings of an earlier run of the same figure: those come first."""
        length = max((len(values) for values in earlier.values.values()), default=0)
        own = max((len(values) for values in self.values.values()), default=0)
        for name in {**earlier.values, **self.values}:
            before, after = earlier.values.get(name, []), self.values.get(name, [])
            self.values[name] = before + [None] * (length - len(before)) + after + [None] * (own - len(after))

    def as_json(self):
        return {"kind": "figure"} | dataclasses.asdict(self)


@dataclasses.dataclass
class Matrix:
    """What is not a number: for each line and contestant a word. `bad` are the words that nobody wants to see."""
    row: str
    name: str
    cells: dict  # {line: {contestant: word}}
    bad: list = dataclasses.field(default_factory=list)
    note: str = ""

    def key(self):
        return self.name, "matrix"

    def extend(self, earlier):
        """A word that differs between runs is shown with both."""
        for line, words in earlier.cells.items():
            for name, word in words.items():
                mine = self.cells.setdefault(line, {}).get(name)
                self.cells[line][name] = word if mine in (None, word) else f"{word} / {mine}"

    def as_json(self):
        return {"kind": "matrix"} | dataclasses.asdict(self)


def from_json(document):
    fields = {key: value for key, value in document.items() if key != "kind"}
    if document["kind"] == "matrix":
        return Matrix(**fields)
    return Figure(**fields | {"bounds": [Bound(**bound) for bound in fields["bounds"]]})


# ---- the table of the console

def lines_of(figures, title):
    """For each figure one line: what, ours, the best peer, the ratio, the share of the ceiling, the verdicts."""
    lines = []
    for figure in figures:
        if isinstance(figure, Matrix):
            continue
        best = figure.best_peer()
        share = figure.ceiling_share()
        verdicts = "; ".join(f"{bound.text}: {bound.verdict(figure.judged(bound))}" for bound in figure.bounds)
        lines.append([figure.row, f"{figure.name} [{figure.unit}]" if figure.unit else figure.name, spread(figure.values.get(OURS, [])),
                      f"{spread(figure.values[best[0]])} {title(best[0])}" if best else "–", show(best[1]) if best else "–",
                      f"{share:.0%}" if share else "–", verdicts])
    return lines


HEADINGS = ["row", "figure", "entrepot", "best peer", "ratio", "of ceiling", "asked"]


def width(text):
    return sum(0 if unicodedata.combining(letter) else 1 for letter in text)


def table(figures, title):
    rows = [HEADINGS] + lines_of(figures, title)
    widths = [max(width(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell + " " * (space - width(cell)) for cell, space in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0])] + lines[1:])
