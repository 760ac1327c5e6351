"""Who used the CPU: the measured process tree, its idle members, or somebody else.

Reads Linux' `/proc`; elsewhere `snapshot` returns None and nothing is watched.
"""

import dataclasses
import os
import platform
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

PROC = Path("/proc")


@dataclasses.dataclass(frozen=True)
class Process:
    """A line of the process table.

    Args:
        parent: process id.
        name: of the program.
        cpu: seconds of CPU it has used.
        reaped: seconds that children which have ended had used.
    """

    parent: int
    name: str
    cpu: float
    reaped: float = 0.0


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The CPU time used since boot, by the whole machine and by each process.

    Args:
        time: seconds of a monotonic clock.
        busy: seconds in which a CPU was not idle, summed over the CPUs. Time the hypervisor gave
            to another guest (steal) counts: it is lost to us.
        processes: by process id.
        load: the one-minute load average.
    """

    time: float
    busy: float
    processes: Mapping[int, Process]
    load: float


@dataclasses.dataclass(frozen=True)
class Usage:
    """What happened between two snapshots.

    Args:
        seconds: wall-clock time between them.
        own: share of the whole machine, 0 to 1, that our tree used.
        foreign: share of the whole machine, 0 to 1, that went to processes outside our tree.
        culprits: the foreign processes that used most, name and share of the machine.
        idle: most CPU used by a process tree that should have been idle, as a share of one CPU.
        load: the later one-minute load average.
    """

    seconds: float
    own: float
    foreign: float
    culprits: tuple[tuple[str, float], ...]
    idle: float
    load: float


def describe() -> str:
    """Returns the processor, the number of CPUs and the system in one line."""
    return f"{os.cpu_count()} CPUs, {_cpu_model()}, {platform.platform()}"


def _cpu_model() -> str:
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def parse_busy(stat: str, ticks: float) -> float:
    """Returns the busy seconds of the first line of `/proc/stat`.

    Example:

    >>> parse_busy("cpu  100 20 30 5000 400 1 2 7 50 0", ticks=100.0)  # idle and iowait left out
    1.6
    """
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / ticks


def parse_process(stat: str, ticks: float) -> Process:
    """Returns the process of a `/proc/PID/stat` line, whose name may hold blanks and brackets.

    Example:

    >>> parse_process("7 (a (b) c) S 3 7 7 0 -1 64 9 9 0 0 150 50 20 30 20 0", ticks=100.0)
    Process(parent=3, name='a (b) c', cpu=2.0, reaped=0.5)
    """
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    user, system, reaped_user, reaped_system = map(int, fields[11:15])
    cpu, reaped = (user + system) / ticks, (reaped_user + reaped_system) / ticks
    return Process(int(fields[1]), name, cpu, reaped)


def snapshot() -> Snapshot | None:
    """Returns the CPU times now, or None where there is no `/proc/stat`."""
    if not (PROC / "stat").exists():
        return None
    ticks = float(os.sysconf("SC_CLK_TCK"))
    # The whole machine is read next to the clock: its share is what has to be exact.
    processes = _processes(ticks)
    with open(PROC / "stat", encoding="ascii") as file:
        busy = parse_busy(file.readline(), ticks)
    return Snapshot(time.monotonic(), busy, processes, os.getloadavg()[0])


def _processes(ticks: float) -> dict[int, Process]:
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                found[int(folder.name)] = parse_process((folder / "stat").read_text(), ticks)
            except (OSError, ValueError):  # it ended meanwhile
                continue
    return found


def tree(processes: Mapping[int, Process], root: int) -> set[int]:
    """Returns `root` and all its descendants."""
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    found, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting.extend(children.get(pid, []))
    return found


def usage(
    before: Snapshot, after: Snapshot, root: int, idle: Iterable[int] = (), cpus: int | None = None
) -> Usage:
    """Compares two snapshots.

    Args:
        before: taken when the measurement began.
        after: taken when it ended.
        root: process id whose tree is ours.
        idle: roots of the parts of our tree that should not have used any CPU.
        cpus: CPUs of the machine, by default as the system counts them.
    """
    seconds = after.time - before.time
    whole = seconds * (cpus or os.cpu_count() or 1)
    own = _tree_cpu(after, root) - _tree_cpu(before, root)
    idle_cpu = [_tree_cpu(after, pid) - _tree_cpu(before, pid) for pid in idle]
    return Usage(
        seconds=seconds,
        own=own / whole,
        foreign=max(0.0, (after.busy - before.busy - own) / whole),
        culprits=tuple((name, cpu / whole) for cpu, name in _foreign_cpu(before, after, root)[:3]),
        idle=max(idle_cpu, default=0.0) / seconds,
        load=after.load,
    )


def _tree_cpu(taken: Snapshot, root: int) -> float:
    """The seconds a tree has used; a member that has ended lives on in its parent's `reaped`."""
    members = tree(taken.processes, root) & taken.processes.keys()
    return sum(taken.processes[pid].cpu + taken.processes[pid].reaped for pid in members)


def _foreign_cpu(before: Snapshot, after: Snapshot, root: int) -> list[tuple[float, str]]:
    """The seconds each process outside the tree used, most first, and its name."""
    ours = tree(after.processes, root)
    used = [
        (process.cpu - (before.processes[pid].cpu if pid in before.processes else 0.0), process.name)
        for pid, process in after.processes.items()
        if pid not in ours
    ]
    return sorted((item for item in used if item[0] > 0), reverse=True)
