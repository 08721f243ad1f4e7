"""The page of the results: a summary of what was asked, then each row with its table and its plot. Written from the JSON alone."""
import os

import plot
from result import OURS, Matrix, from_json, median, show, spread
from titles import title

INTRODUCTION = """# Entrepot beside its peers

Written by `bench/figures/run` from [figures.json](figures.json), which holds every reading; `bench/figures/run --page` writes it again. How figures come about,
and what they mean, is in [BENCHMARKS](../BENCHMARKS.md); each peer's configuration with a reason for each setting is in `bench/figures/peers/`.
"""


def write(results, folder):
    os.makedirs(folder, exist_ok=True)
    rows = {name: row | {"figures": [from_json(figure) for figure in row["figures"]]} for name, row in results["rows"].items()}
    parts = [INTRODUCTION, environment(results["environment"], rows), asked(rows), standing(rows)]
    for name, row in rows.items():
        picture = plot.picture(row["figures"], title)
        if picture:
            with open(os.path.join(folder, f"{name}.svg"), "w") as file:
                file.write(picture)
        parts.append(section(name, row, bool(picture)))
    with open(os.path.join(folder, "README.md"), "w") as file:
        file.write("\n".join(parts))


def line(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(headings, lines):
    return line(headings) + line(["---"] * len(headings)) + "".join(line(cells) for cells in lines)


def environment(facts, rows):
    if not facts:
        return ""
    programs = ", ".join(f"{name}: {text}" for name, text in facts["versions"].items())
    busiest = max((row["other_load"] or 0 for row in rows.values()), default=0)
    quick = " **Short look, not for judging.**" if any(row["quick"] for row in rows.values()) else ""
    return (f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, kernel {facts['kernel']}, "
            f"congestion control {facts['congestion_control']}; server on core 0, clients and upstream on core 1. {programs}.\n\n"
            f"Cells are the median (least–most) of the repetitions; ratios are medians of ratios of neighbours in time. While a row was "
            f"measured other processes took {busiest:.2f} of a core or less.{quick}\n")


def asked(rows):
    lines = []
    for row in rows.values():
        for figure in row["figures"]:
            for bound in getattr(figure, "bounds", []):
                value = figure.judged(bound)
                verdict = bound.verdict(value)
                lines.append([f"{row['title']}: {figure.name}", bound.text, spread(figure.values.get(bound.of, [])) + f" {figure.unit}",
                              ratio_text(figure, bound, value), verdict if verdict != "SHORT" else "**short**"])
    return "## What was asked\n\n" + table(["figure", "asked", "entrepot", "ratio", "verdict"], lines)


def ratio_text(figure, bound, value):
    if value is None or not bound.against:
        return "–"
    return f"{show(value)} x {title(bound.against)} ({spread(figure.values[bound.against])})"


def standing(rows):
    """Who leads where."""
    lines = []
    for row in rows.values():
        for figure in row["figures"]:
            best = None if isinstance(figure, Matrix) else figure.best_peer()
            if best is None or OURS not in figure.values:
                continue
            share = figure.ceiling_share()
            leader = "entrepot" if figure.leads() else f"**{title(best[0])}**"
            lines.append([f"{row['title']}: {figure.name}", f"{spread(figure.values[OURS])} {figure.unit}",
                          f"{title(best[0])} {spread(figure.values[best[0]])}", f"{show(best[1])} x", leader, f"{share:.0%}" if share else "–"])
    return "## Against the best of the others\n\n" + table(["figure", "entrepot", "best peer", "ratio", "leads", "of the ceiling"], lines)


def section(name, row, has_picture):
    text = f"## {row['title']}\n\n`{name}`: {row['text']}\n\n"
    figures = [figure for figure in row["figures"] if not isinstance(figure, Matrix)]
    if figures:
        text += figure_table(figures)
    for matrix in (each for each in row["figures"] if isinstance(each, Matrix)):
        text += matrix_table(matrix)
    notes = dict.fromkeys(figure.note for figure in row["figures"] if figure.note)
    text += "".join(f"\n{note}\n" for note in notes)
    for who, errors in row["failures"].items():
        text += f"\n{title(who)} failed {len(errors)} time{'s' if len(errors) > 1 else ''}: {errors[0][:160]}\n"
    if has_picture:
        text += f"\n![{row['title']}]({name}.svg)\n"
    repetitions = max((len(values) for figure in figures for values in figure.values.values()), default=1)
    return (text + f"\n{repetitions} repetition{'s' if repetitions > 1 else ''}, {row['when']}, commit {row['commit']}; "
            + (f"other load {row['other_load']:.2f} of a core.\n" if row["other_load"] is not None else "other load not noted.\n"))


def figure_table(figures):
    """Contestants are lines, figures are columns: there are more of the former."""
    names = list(dict.fromkeys(name for figure in figures for name in figure.values))
    lines = []
    for name in names:
        cells = [title(name)]
        for figure in figures:
            ratio = median(figure.ratios(name)) if figure.better and name != OURS and OURS in figure.values else None
            cells.append(spread(figure.values.get(name, [])) + (f"; {show(ratio)} x" if ratio is not None else ""))
        lines.append(cells)
    headings = ["", *(f"{figure.name}{f' [{figure.unit}]' if figure.unit else ''}{arrow(figure)}" for figure in figures)]
    return table(headings, lines) + ("\nAfter the semicolon: entrepot's figure over this one.\n" if len(names) > 1 else "")


def arrow(figure):
    return {"less": " ↓", "more": " ↑"}.get(figure.better, "")


def matrix_table(matrix):
    names = list(dict.fromkeys(name for words in matrix.cells.values() for name in words))
    lines = [[text, *(bold(words.get(name, "–"), matrix.bad) for name in names)] for text, words in matrix.cells.items()]
    return f"\n{matrix.name}:\n\n" + table(["", *map(title, names)], lines)


def bold(word, bad):
    return f"**{word}**" if any(each in word for each in bad) else word
