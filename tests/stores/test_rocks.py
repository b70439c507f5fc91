"""What the store on disk does beyond the others: it outlives its process, and has readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contracts.errors import SellableError
from engine.stores import rocks
from engine.stores.base import (
    StoreClosedError,
    StoreDamagedError,
    StoreFullError,
    StoreLockedError,
    StoreMissingError,
    StoreUnreachableError,
)
from engine.stores.rocks import RocksReader, RocksStore
from engine.stores.rocks_errors import explain

MIB = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksStore]:
    made = RocksStore(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def private_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Readers make their folders here."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_everything_is_there_after_closing_and_opening_again(tmp_path: Path) -> None:
    """Puts, deletes and emptied ranges outlive the store that made them."""
    first = RocksStore(tmp_path / "state")
    first.commit({b"K1": b"1", b"K2": b"2", b"F1": b"", b"F2": b""})
    first.commit({}, deletes=[b"K1"], ranges=[(b"F", b"G")])
    first.close()
    second = RocksStore(tmp_path / "state")
    assert list(second.scan(b"")) == [(b"K2", b"2")]
    second.close()


WRITER = """
import sys
from pathlib import Path
from engine.stores.rocks import RocksStore

store = RocksStore(Path(sys.argv[1]))
number = int.from_bytes(store.get(b"M") or b"", "big")
while True:
    number += 1
    mark = number.to_bytes(8, "big")
    puts = {b"K%d" % place: mark for place in range(200)} | {b"M": mark, b"F" + mark: b""}
    store.commit(puts, deletes=[b"X" + mark], ranges=[(b"F", b"F" + mark)])
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_commits_only(tmp_path: Path) -> None:
    """SIGKILL in the midst of commits, three times: every key is of the same commit, and none
    that was reported is lost.
    """
    state = tmp_path / "state"
    for kill_after in (5, 17, 40):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(state)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(kill_after):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        reported = [line for line in writer.stdout.read().split("\n") if line]
        writer.stdout.close()
        writer.wait()
        store = RocksStore(state)
        mark = store.get(b"M")
        assert mark is not None
        if reported:
            assert int.from_bytes(mark, "big") >= int(reported[-1])
        assert {value for _, value in store.scan(b"K")} == {mark}
        assert [key for key, _ in store.scan(b"F")] == [b"F" + mark]
        store.close()


def test_a_torn_last_write_leaves_the_commits_before_it(tmp_path: Path) -> None:
    """The end of the write-ahead log is cut in the midst of a commit, as a power cut may."""
    state = tmp_path / "state"
    code = """
import os, sys
from pathlib import Path
from engine.stores.rocks import RocksStore
store = RocksStore(Path(sys.argv[1]))
store.commit({b"K%d" % place: b"first" for place in range(100)})
store.commit({b"K%d" % place: b"second" for place in range(100)})
os._exit(0)
"""
    assert run_python(code, str(state)).returncode == 0
    log = next(path for path in state.glob("*.log") if path.stat().st_size)
    os.truncate(log, log.stat().st_size - 100)
    store = RocksStore(state)
    assert {value for _, value in store.scan(b"K")} == {b"first"}
    store.close()


def test_a_second_writer_in_the_same_process_is_told_that_the_folder_is_in_use(
    store: RocksStore, tmp_path: Path
) -> None:
    """The error names the folder and says what to do; the first writer is not disturbed."""
    with pytest.raises(StoreLockedError, match="another engine has this folder open") as caught:
        RocksStore(tmp_path / "state")
    assert str(tmp_path) in caught.value.message
    assert "--data" in caught.value.advice
    store.commit({b"K1": b"1"})
    assert store.get(b"K1") == b"1"


def test_a_second_writer_in_another_process_is_told_that_the_folder_is_in_use(
    store: RocksStore, tmp_path: Path
) -> None:
    """The same error where the lock is the operating system's."""
    code = """
import sys
from pathlib import Path
from engine.stores.base import StoreLockedError
from engine.stores.rocks import RocksStore
try:
    RocksStore(Path(sys.argv[1]))
except StoreLockedError as error:
    print(error.message)
"""
    told = run_python(code, str(tmp_path / "state"))
    assert "another engine has this folder open" in told.stdout


def test_a_reader_sees_what_a_live_writer_has_committed(store: RocksStore, tmp_path: Path) -> None:
    """Also what lies in the write-ahead log alone; what is committed later it does not see."""
    store.commit({b"K1": b"1", b"K2": b"2"})
    reader = RocksReader(tmp_path / "state")
    assert reader.get(b"K1") == b"1"
    assert reader.get(b"K9") is None
    store.commit({b"K3": b"3"}, ranges=[(b"K1", b"K2")])
    assert reader.get(b"K3") is None
    reader.close()
    reader = RocksReader(tmp_path / "state")
    assert list(reader.scan(b"K")) == [(b"K2", b"2"), (b"K3", b"3")]
    assert list(reader.scan(b"K", b"K3")) == [(b"K3", b"3")]
    reader.close()


def test_a_reader_follows_a_writer_that_moves_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a small write buffer the writer flushes and merges files all the time."""
    monkeypatch.setattr(rocks, "WRITE_BUFFER_BYTES", MIB // 4)
    store = RocksStore(tmp_path / "state")
    store.commit({b"M": b"0"})
    first = RocksReader(tmp_path / "state")
    for number in range(60):
        mark = b"%d" % number
        store.commit({b"K%03d" % place: mark + os.urandom(400) for place in range(200)})
        store.commit({b"M": mark})
        reader = RocksReader(tmp_path / "state")
        assert reader.get(b"M") == mark
        assert all(value.startswith(mark) for _, value in reader.scan(b"K"))
        reader.close()
    assert list(first.scan(b"")) == [(b"M", b"0")]
    first.close()
    store.close()


def test_a_reader_works_where_no_writer_runs(tmp_path: Path) -> None:
    """After the writer has closed, and after it was killed, what it committed can be read."""
    store = RocksStore(tmp_path / "state")
    store.commit({b"K1": b"1"})
    store.close()
    reader = RocksReader(tmp_path / "state")
    assert reader.get(b"K1") == b"1"
    reader.close()


def test_a_reader_leaves_nothing_behind(
    store: RocksStore, tmp_path: Path, private_temporary_folder: Path
) -> None:
    """Its temporary folder is gone after `close`, and the store's folder has no new files."""
    store.commit({b"K1": b"1"})
    before = sorted(path.name for path in (tmp_path / "state").iterdir())
    reader = RocksReader(tmp_path / "state")
    assert list(private_temporary_folder.iterdir())
    reader.close()
    reader.close()
    assert list(private_temporary_folder.iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == before


def test_a_reader_writes_nothing_in_the_folder(store: RocksStore, tmp_path: Path) -> None:
    """So it needs no right to: the folder may belong to another user, or be mounted read-only."""
    store.commit({b"K1": b"1"})
    for path in (tmp_path / "state").iterdir():
        os.utime(path, ns=(0, 0))
    reader = RocksReader(tmp_path / "state")
    assert reader.get(b"K1") == b"1"
    reader.close()
    written = [path.name for path in (tmp_path / "state").iterdir() if path.stat().st_mtime_ns]
    assert written == []


def test_a_closed_reader_tells_so(store: RocksStore, tmp_path: Path) -> None:
    """Like any store."""
    store.commit({b"K1": b"1"})
    reader = RocksReader(tmp_path / "state")
    reader.close()
    with pytest.raises(StoreClosedError):
        reader.get(b"K1")
    with pytest.raises(StoreClosedError):
        reader.scan(b"K")


def test_a_snapshot_shows_the_store_as_it_stood_whatever_is_committed_since(
    store: RocksStore,
) -> None:
    """Also to another thread, and to scans that begin later."""
    store.commit({b"K1": b"1", b"K2": b"2"})
    snapshot = store.snapshot()
    store.commit({b"K1": b"new", b"K3": b"3"}, deletes=[b"K2"])
    seen: list[object] = []

    def look() -> None:
        seen.extend([snapshot.get(b"K1"), snapshot.get(b"K3"), list(snapshot.scan(b"K", b"K2"))])

    reader = threading.Thread(target=look)
    reader.start()
    reader.join()
    assert seen == [b"1", None, [(b"K2", b"2")]]
    assert store.get(b"K1") == b"new"


def test_scans_of_a_snapshot_may_be_read_one_inside_the_other(store: RocksStore) -> None:
    """Each goes on where it was, whatever else was read meanwhile."""
    store.commit({f"{kind}{number}".encode(): b"" for kind in "AB" for number in range(3)})
    snapshot = store.snapshot()
    pairs = []
    for outer, _ in snapshot.scan(b"A"):
        pairs += [(outer, inner) for inner, _ in snapshot.scan(b"B")]
        assert snapshot.get(b"A0") == b""
        assert snapshot.get(b"C") is None
    assert pairs == [(f"A{a}".encode(), f"B{b}".encode()) for a in range(3) for b in range(3)]


def test_a_closed_snapshot_tells_so(store: RocksStore) -> None:
    """Closing twice is harmless."""
    snapshot = store.snapshot()
    snapshot.close()
    snapshot.close()
    with pytest.raises(StoreClosedError):
        snapshot.get(b"K1")


def test_reading_where_there_is_no_store_is_told_and_makes_nothing(
    tmp_path: Path, private_temporary_folder: Path
) -> None:
    """A wrong path does not become a new, empty store."""
    with pytest.raises(StoreMissingError, match="no stored state"):
        RocksReader(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    assert list(private_temporary_folder.iterdir()) == []


def test_a_damaged_store_is_told_when_it_is_opened(
    tmp_path: Path, private_temporary_folder: Path
) -> None:
    """A manifest that is no manifest: an error with advice, for the writer and for a reader."""
    store = RocksStore(tmp_path / "state")
    store.commit({b"K1": b"1"})
    store.close()
    for manifest in (tmp_path / "state").glob("MANIFEST-*"):
        manifest.write_bytes(b"not a manifest at all" * 10)
    with pytest.raises(StoreDamagedError, match="damaged") as caught:
        RocksStore(tmp_path / "state")
    assert "restore" in caught.value.advice
    with pytest.raises(StoreDamagedError):
        RocksReader(tmp_path / "state")
    assert list(private_temporary_folder.iterdir()) == []


def test_a_damaged_table_is_told_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that changed on the disk are found by their checksum, by `get` and by `scan`."""
    monkeypatch.setattr(rocks, "WRITE_BUFFER_BYTES", MIB // 4)
    store = RocksStore(tmp_path / "state")
    store.commit({b"K%05d" % place: os.urandom(1_000) for place in range(2_000)})
    store.close()
    store = RocksStore(tmp_path / "state")
    store.close()
    for table in (tmp_path / "state").glob("*.sst"):
        with table.open("r+b") as file:
            file.seek(5_000)
            file.write(bytes(2_000))
    store = RocksStore(tmp_path / "state")
    with pytest.raises(StoreDamagedError):
        list(store.scan(b"K"))
    with pytest.raises(StoreDamagedError):
        [store.get(b"K%05d" % place) for place in range(2_000)]
    store.close()


def test_a_path_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    """A file where the store's folder should be."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StoreUnreachableError, match="cannot be used"):
        RocksStore(tmp_path / "state")


def test_a_full_disk_is_told_and_the_commits_before_it_are_kept(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: the commit fails whole, with advice."""
    code = """
import resource, sys
from pathlib import Path
from engine.stores.base import StoreFullError
from engine.stores.rocks import RocksStore
store = RocksStore(Path(sys.argv[1]))
store.commit({b"K1": b"kept"})
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    store.commit({b"K%d" % place: bytes(100_000) for place in range(100)})
except StoreFullError as error:
    print(error.advice)
store.close()
print("closed")
"""
    told = run_python(code, str(tmp_path / "state"))
    assert "goes on at the last commit" in told.stdout, told.stderr
    assert "closed" in told.stdout, "closing must not hide what was told by an error of its own"
    store = RocksStore(tmp_path / "state")
    assert list(store.scan(b"")) == [(b"K1", b"kept")]
    store.close()


def test_trouble_that_only_closing_meets_is_told(tmp_path: Path) -> None:
    """With nothing told before, an error of RocksDB becomes one that says what to do."""
    code = """
import resource, sys
from pathlib import Path
from engine.contracts.errors import SellableError
from engine.stores.rocks import RocksStore
store = RocksStore(Path(sys.argv[1]), on_close=lambda: print("freed"))
store.commit({b"K%d" % place: bytes(range(256)) * 4_000 for place in range(3)})
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, resource.RLIM_INFINITY))
try:
    store.close()
except SellableError as error:
    print(type(error).__name__)
"""
    told = run_python(code, str(tmp_path / "state"))
    assert told.stdout.split() == ["freed", "StoreFullError"], told.stderr
    store = RocksStore(tmp_path / "state")
    assert len(list(store.scan(b""))) == 3
    store.close()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO error: No space left on device: While appending to file: 000008.log", StoreFullError),
        ("IO error: Disk quota exceeded: While appending to file", StoreFullError),
        ("Corruption: block checksum mismatch in 000012.sst", StoreDamagedError),
        ("IO error: While lock file: LOCK: Resource temporarily unavailable", StoreLockedError),
        ("IO error: Input/output error: While pread", StoreUnreachableError),
    ],
)
def test_every_kind_of_trouble_has_its_own_error(text: str, kind: type[SellableError]) -> None:
    """RocksDB tells its troubles as texts; each becomes an error that says what to do."""
    error = explain(Exception(text), Path("data/state"))
    assert type(error) is kind
    assert error.advice


def test_a_store_stays_within_the_limit_of_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store keeps no more files open than its limit, however many tables it has."""
    monkeypatch.setattr(rocks, "WRITE_BUFFER_BYTES", MIB // 4)
    monkeypatch.setattr(rocks, "OPEN_FILES", 30)
    before = open_files()
    store = RocksStore(tmp_path / "state")
    for start in range(0, 20_000, 1_000):
        store.commit({b"K%06d" % place: os.urandom(500) for place in range(start, start + 1_000)})
    assert sum(1 for _ in store.scan(b"K")) == 20_000
    assert open_files() - before <= 60
    store.close()
