"""bench/instructions must fail when it should: counts are made up here and compared with doctored baselines."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = {"compiler": "g++ 12.2", "libc": "2.36", "build": "release", "distribution": "debian 12", "machine": "x86_64"}
COUNTED = {"parse": 1000.0, "look up": 200.0}
SKIPPED = 77


class Instructions(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, taken_with, instructions):
        path = f"{self.folder.name}/{name}.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"reason": "made up", "taken_with": taken_with, "instructions": instructions}, file)
        return path

    def compare(self, baseline, taken_with=None, counted=None):
        counts = self.write("counts", HERE, counted or COUNTED)
        return self.run_with("--counts", counts, "--baseline", self.write("baseline", taken_with or HERE, baseline))

    def run_with(self, *arguments):
        done = subprocess.run([sys.executable, "-B", f"{ROOT}/bench/instructions", *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_equal_counts_pass(self):
        self.assertEqual(self.compare(COUNTED)[0], 0)

    def test_growth_up_to_five_percent_passes(self):
        self.assertEqual(self.compare(COUNTED | {"parse": 1000 / 1.05})[0], 0)

    def test_growth_beyond_five_percent_fails_and_names_the_path(self):
        status, output = self.compare(COUNTED | {"parse": 1000 / 1.051})
        self.assertEqual(status, 1)
        self.assertIn("FAIL 'parse' grew by 5.1 %", output)
        self.assertNotIn("FAIL 'look up'", output)
        self.assertIn("--renew", output)

    def test_shrinking_beyond_five_percent_passes_with_a_note(self):
        status, output = self.compare(COUNTED | {"look up": 220.0})
        self.assertEqual(status, 0)
        self.assertIn("note: 'look up' shrank by 9.1 %", output)

    def test_a_path_without_a_baseline_fails(self):
        self.assertEqual(self.compare({"parse": 1000.0})[0], 1)

    def test_a_path_that_is_not_counted_any_more_fails(self):
        self.assertEqual(self.compare(COUNTED | {"gone": 1.0})[0], 1)

    def test_another_compiler_is_skipped_with_the_reason(self):
        status, output = self.compare(COUNTED | {"parse": 1.0}, taken_with=HERE | {"compiler": "g++ 14.2"})
        self.assertEqual(status, SKIPPED)
        self.assertIn("compiler is g++ 12.2 here and was g++ 14.2", output)

    def test_a_renewal_wants_a_reason_and_keeps_it(self):
        baseline = self.write("baseline", HERE, {"parse": 900.0, "look up": 100.0})
        counts = self.write("counts", HERE, COUNTED)
        self.assertEqual(self.run_with("--counts", counts, "--baseline", baseline, "--renew", " ")[0], 2)
        self.assertEqual(self.run_with("--counts", counts, "--baseline", baseline, "--renew", "tables are checked now", "--only", "look")[0], 0)
        with open(baseline, encoding="utf-8") as file:
            renewed = json.load(file)
        self.assertEqual(renewed["reason"], "tables are checked now")
        self.assertEqual(renewed["instructions"], {"parse": 900.0, "look up": 200.0})
        self.assertEqual(self.run_with("--counts", counts, "--baseline", baseline)[0], 1)  # the other path is judged as before

    def test_nothing_to_count_is_a_failure(self):
        self.assertEqual(self.run_with("--build", self.folder.name)[0], 1)


if __name__ == "__main__":
    unittest.main()
