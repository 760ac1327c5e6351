"""Versions on disk: whole or not there, never replaced, whoever else writes or is killed meanwhile."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keras_vae.serving import versions

PARTS = ("encoder", "decoder", "model")


@pytest.fixture
def homes(tmp_path):
    return {part: tmp_path / f"net_{part}" for part in PARTS}


def write(drafts):
    for part, draft in drafts.items():
        (draft / "variables").mkdir(parents=True)
        (draft / "variables" / "data").write_text(part)


def published(homes):
    """Whatever a server would see: each version's number, by part."""
    return {
        part: sorted(int(path.name) for path in home.iterdir() if path.name.isdecimal())
        for part, home in homes.items()
    }


def every(numbers):
    return {part: numbers for part in PARTS}  # noqa: C420, one list for all is no harm here


def drafts_of(homes):
    return [path for home in homes.values() for path in home.glob(".draft-*")]


def export(homes):
    with versions.drafts(homes) as drafts:
        write(drafts)
        return versions.publish(drafts, homes)


def test_versions_are_of_one_number_and_leave_no_drafts(homes):
    (homes["decoder"] / "4").mkdir(parents=True)
    assert {path.name for path in export(homes).values()} == {"5"}
    assert published(homes) == {"encoder": [5], "decoder": [4, 5], "model": [5]}
    assert not drafts_of(homes)


def test_exports_that_meet_get_numbers_of_their_own(homes):
    writers, each = 8, 5
    start = threading.Barrier(writers)

    def export_some(_):
        start.wait()
        return [export(homes) for _ in range(each)]

    with ThreadPoolExecutor(writers) as threads:
        made = [paths for several in threads.map(export_some, range(writers)) for paths in several]
    numbers = list(range(1, writers * each + 1))
    assert sorted(int(paths["encoder"].name) for paths in made) == numbers
    assert published(homes) == every(numbers)
    # No folder is a mixture: each number went to one export, and each holds what it should.
    assert all(len({path.name for path in paths.values()}) == 1 for paths in made)
    for part, home in homes.items():
        assert all((home / str(n) / "variables" / "data").read_text() == part for n in numbers)


def test_a_number_that_is_taken_in_the_last_moment_is_left_alone(homes, monkeypatch):
    theirs = homes["model"] / "1" / "theirs"
    theirs.mkdir(parents=True)
    chosen = iter([1, 2])
    monkeypatch.setattr(versions, "next_version", lambda _: next(chosen))
    export(homes)
    assert published(homes) == {"encoder": [2], "decoder": [2], "model": [1, 2]}
    assert list(theirs.parent.iterdir()) == [theirs]


def test_no_version_is_ever_replaced(homes, monkeypatch):
    first = export(homes)
    # As if other processes always took the number between the choice and the move.
    monkeypatch.setattr(versions, "next_version", lambda _: 1)
    with versions.drafts(homes) as drafts:
        for draft in drafts.values():
            draft.mkdir()
            (draft / "other").touch()
        with pytest.raises(OSError):
            versions.publish(drafts, homes)
    assert [[file.name for file in path.iterdir()] for path in first.values()] == [["variables"]] * len(PARTS)
    assert published(homes) == every([1]) and not drafts_of(homes)


def test_other_errors_are_told_and_leave_no_version(homes, monkeypatch):
    rename = os.rename

    def full(source, target):
        if "model" in str(target):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(PermissionError):
        export(homes)
    assert not any(home.exists() for home in homes.values())


def test_a_failed_first_export_leaves_no_folder_that_it_made(tmp_path):
    with (
        pytest.raises(RuntimeError),
        versions.drafts({"encoder": tmp_path / "new" / "net_encoder"}) as drafts,
    ):
        write(drafts)
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_killed_process_leaves_no_version_and_its_drafts_go_a_day_later(homes):
    process = os.fork()
    if not process:
        try:
            with versions.drafts(homes) as drafts:
                write(drafts)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert published(homes) == every([])
    left = drafts_of(homes)
    assert len(left) == len(PARTS)
    # Another export may still be writing to what is young.
    export(homes)
    assert drafts_of(homes) == left and published(homes) == every([1])
    for draft in left[1:]:
        for path in (draft, *draft.rglob("*")):
            os.utime(path, (0, path.stat().st_mtime - versions.STALE_SECONDS - 60))
    export(homes)
    assert drafts_of(homes) == left[:1]
