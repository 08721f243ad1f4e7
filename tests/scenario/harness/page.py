"""Pages of docs/ that a scenario walks through: what they show is what happens, or the scenario fails.

With ENTREPOT_WRITE_PAGES=1 the pages are written anew from what happens; look at the difference before you keep it."""
import os
import re

from .cache import ROOT

WRITES = bool(os.environ.get("ENTREPOT_WRITE_PAGES"))
MOMENT = "2026-11-21T15:52:38Z"
SECRET = "ept_" + "0123456789" * 4 + "012"


def settled(text):
    """Without what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", MOMENT, text)
    text = re.sub(r"\bept_[\w-]{43}", SECRET, text)
    text = re.sub(r'("etag": *)"[0-9a-f]{16}"', r'\1"0123456789abcdef"', text)     # the time of creation is part of it
    return re.sub(r"\b\d+ s ago", "0 s ago", text)


class Page:
    def __init__(self, name):
        self.path = f"{ROOT}/docs/{name}"
        with open(self.path, encoding="utf-8") as file:
            self.lines = file.read().split("\n")
        self.wrong = []
        self.looked_at = 0

    def consoles(self):
        """[(first line, last line, command, [line it shows])] of every console block: a command begins with '$ ' and goes on after a backslash."""
        at, inside, found = 0, False, []
        while at < len(self.lines):
            line = self.lines[at]
            if line.startswith("```"):
                inside = line == "```console"
            elif inside and line.startswith("$ "):
                command = [line[2:]]
                while command[-1].endswith("\\"):
                    at += 1
                    command.append(self.lines[at])
                first = at + 1
                last = first
                while not self.lines[last].startswith(("$ ", "```")):
                    last += 1
                found.append((first, last, "\n".join(command), self.lines[first:last]))
                at = last - 1
            at += 1
        return found

    def walk(self, run):
        """Runs every command; `run` takes its text and gives what it shows."""
        shift = 0
        for first, last, command, expected in self.consoles():
            shown = settled(run(command)).rstrip("\n").split("\n")
            shown = [line.rstrip() for line in shown] if shown != [""] else []
            self.looked_at += 1
            if shown == [settled(line) for line in expected]:
                continue
            if WRITES:
                self.lines[first + shift:last + shift] = shown
                shift += len(shown) - (last - first)
            else:
                self.wrong.append(f"$ {command}\n  the page:  " + "\n             ".join(expected) + "\n  it showed: " + "\n             ".join(shown))
        return self.settle()

    def fill(self, cells):
        """Of every table row whose first cell is a key of `cells`, the last cell must be that text."""
        left = dict(cells)
        for number, line in enumerate(self.lines):
            row = line.split(" | ")
            key = row[0].removeprefix("| ").strip()
            if not line.startswith("| ") or key not in left:
                continue
            text = settled(left.pop(key))
            self.looked_at += 1
            if row[-1].removesuffix(" |") == text:
                continue
            if WRITES:
                self.lines[number] = " | ".join(row[:-1] + [text + " |"])
            else:
                self.wrong.append(f"row {key}\n  the page: {row[-1]}\n  it said:  {text}")
        assert not left, f"{self.path} has no rows for {sorted(left)}"
        return self.settle()

    def settle(self):
        if WRITES:
            with open(self.path, "w", encoding="utf-8") as file:
                file.write("\n".join(self.lines))
        assert self.looked_at, f"{self.path} shows nothing"
        assert not self.wrong, f"{len(self.wrong)} places of {self.path} differ:\n" + "\n".join(self.wrong)
        return self
