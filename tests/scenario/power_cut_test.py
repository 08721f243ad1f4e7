"""The power fails under load, on real file systems: the next start needs no hand, and everything found afterwards is whole and right."""
import os
import random
import threading
import time

from harness.disk import Disk
from harness.story import Rows, skip

CUTS = int(os.environ.get("ENTREPOT_TEST_POWER_CUTS", "3"))    # of each file system
SIZES = ("2KiB", "40KiB", "200KiB", "700KiB", "3MiB")


def differences(found, wanted):
    """Where bytes are not what they should be: [first, last], how many, and how many of those are zero."""
    at = [place for place, (one, other) in enumerate(zip(found, wanted)) if one != other]
    return f"{len(found)} of {len(wanted)} bytes, {len(at)} wrong, {sum(found[place] == 0 for place in at)} of them zero, in {at[:1]}..{at[-1:]}"


class Load:
    """Pulls of new blobs and images, several at once, until the power goes. Knows what was found stored before."""

    def __init__(self, cache, upstream, workers=4):
        self.cache, self.upstream = cache, upstream
        self.asked, self.kept, self.wrong = [], [], []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(workers)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        draw = random.Random(number)
        while not self.ends.is_set():
            if draw.random() < 0.2:
                offers = self.upstream.offers_image(layers=[draw.choice(SIZES)], repository=f"lab/app{number}", tag="1").parts
            else:
                offers = [self.upstream.offers(draw.choice(SIZES))]
            for offer in offers:
                self.asked.append(offer)
                try:
                    self.pull(offer)
                except OSError:
                    pass        # the power is off

    def pull(self, offer):
        reply = self.cache.get(offer)
        if reply.complete and reply.status == 200 and reply.digest() != offer.digest:
            self.wrong.append(f"{offer.path}, {reply.cache}: {differences(reply.body, offer.data)}")
        # A manifest is a hit from memory while it is being stored; a blob is one when the disk has it, which on a busy machine is later.
        for _ in range(20 if "/blobs/" in offer.path else 0):
            if self.cache.get(offer, {"Range": "bytes=0-0"}).cache == "hit":
                self.kept.append(offer)
                return
            time.sleep(0.02)

    def until_something_is_kept(self, timeout=30):
        end = time.monotonic() + timeout
        while not self.kept:
            assert time.monotonic() < end, f"of {len(self.asked)} blobs none is stored after {timeout} s"
            time.sleep(0.02)

    def end(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(30)


def check_after(rows, cache, load, cut):
    """P2: what is findable is complete; what was stored before is still; all else can be pulled."""
    cache.check_store()
    lost = []
    for offer in load.asked:
        reply = cache.get(offer)
        rows.check(reply.digest() == offer.digest, f"{cut}: {offer.path}", reply)
        if offer in load.kept and reply.cache != "hit":
            lost.append(offer.path)
    rows.check(not lost, f"{cut}: {len(lost)} of {len(load.kept)} that were stored are gone", lost[:5])
    rows.check(not load.wrong, f"{cut}: wrong bytes", load.wrong[:5])


def power_is_cut(story, make_cache, upstream, kind, size):
    disk = Disk(story.fixture("directory"), kind, kind=kind, size=size)
    story.closers.append(lambda told: disk.forget())
    if disk.refused:
        skip(disk.refused)
    cache = make_cache(upstream, capacity="1900MiB", store={"path": f"{disk.path}/store"})
    draw = random.Random(kind)
    kept = asked = 0
    with Rows() as rows:
        for number in range(CUTS):
            load = Load(cache, upstream)
            load.until_something_is_kept()
            time.sleep(draw.uniform(0.2, 2.5))
            disk.cut_power()
            if draw.random() < 0.5:
                time.sleep(draw.uniform(0, 0.3))        # it runs on a moment, on a disk that refuses everything
            cache.kill()
            load.end()
            disk.unmount()
            done, said = disk.mount()
            assert done, said
            cache.start()
            check_after(rows, cache, load, f"cut {number}")
            kept, asked = kept + len(load.kept), asked + len(load.asked)
    if CUTS > 3:
        print(f"{kind}: {CUTS} cuts, {asked} blobs asked for, {kept} of them stored before the cut")


def test_power_is_cut_on_ext4_under_load(story, make_cache, upstream):
    power_is_cut(story, make_cache, upstream, "ext4", "2048M")


def test_power_is_cut_on_xfs_under_load(story, make_cache, upstream):
    power_is_cut(story, make_cache, upstream, "xfs", "2048M")


for test in (test_power_is_cut_on_ext4_under_load, test_power_is_cut_on_xfs_under_load):
    test.limit_s = 60 + 20 * CUTS
del test
