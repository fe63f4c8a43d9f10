"""The live table, its plain lines, and the tables on stdout."""

import io
import os
import pty
import re
import select
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

from imitax.cli.terminal import (
    Meter,
    Verbosity,
    live_bar,
    mean_and_spread,
    print_settings,
    print_table,
)
from imitax.stats.panels import COLUMNS
from imitax.training.callbacks import Moment
from imitax.training.config import make_config


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def metrics(*returns, **others):
    return {"episode_return": np.array(returns)} | {name: np.array(v) for name, v in others.items()}


def test_meter_tells_rate_and_time_left_without_the_first_compilation():
    clock = Clock()
    meter = Meter(steps=1000, clock=clock)
    clock.now += 30.0  # compiling
    meter.add(Moment(0, 10, metrics(1.0, 2.0)))
    assert meter.rate is None and meter.left is None
    for i in range(1, 5):
        clock.now += 0.5
        meter.add(Moment(i, 10, metrics(1.0, 2.0)))
    assert (meter.iteration, meter.total, meter.seeds) == (5, 10, 2)
    assert meter.pace == pytest.approx(0.5) and meter.left == pytest.approx(2.5)
    assert meter.rate == pytest.approx(2 * 1000 / 0.5)
    assert meter.elapsed == pytest.approx(32.0)


def test_meter_follows_a_rate_that_changes_and_stops_at_the_end():
    clock = Clock()
    meter = Meter(steps=10, clock=clock)
    for i in range(100):
        clock.now += 10.0 if i < 50 else 1.0
        meter.add(Moment(i, 100, metrics(0.0)))
    assert meter.rate == pytest.approx(10.0) and meter.left == 0.0
    ended = meter.elapsed
    clock.now += 1000.0
    assert meter.elapsed == ended


def test_meter_keeps_the_last_number_of_each_seed():
    meter = Meter()
    meter.add(Moment(0, 3, metrics(np.nan, 5.0)))
    meter.add(Moment(1, 3, metrics(7.0, np.nan)))
    meter.add(Moment(2, 3, metrics(np.nan, np.nan, episode_length=[1.0, 2.0], unknown=[0.0, 0.0])))
    np.testing.assert_array_equal(meter.latest[COLUMNS[0]], [7.0, 5.0])
    assert [column.heading for column in meter.latest] == ["return", "length"]
    assert meter.rate is None  # its steps are not known


@pytest.mark.parametrize(
    "values, text",
    [([1.0], "1.00"), ([1.0, 3.0], "2.00 ± 1.00"), ([np.nan], "–"), ([np.nan, 2.0], "2.00 ± 0.00")],
)
def test_numbers(values, text):
    assert mean_and_spread(np.array(values), 2) == text


def lines_of(iterations, verbosity, **options):
    """What a run of two seeds tells on a stderr that is no terminal."""
    out, err = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        live_bar("gail", 64, verbosity, **options) as callbacks,
    ):
        for i in range(iterations):
            for callback in callbacks:
                numbers = metrics(-1.0, -2.0, discriminator_accuracy=[0.5, 0.7])
                callback(Moment(i, iterations, numbers))
    assert out.getvalue() == ""
    return err.getvalue().splitlines()


def test_plain_lines_where_stderr_is_no_terminal():
    lines = lines_of(25, Verbosity.NORMAL)
    assert [line.split()[1] for line in lines] == [f"{i}/25" for i in (*range(2, 25, 2), 25)]
    assert (
        lines[0].startswith("gail: 2/25  ")
        and "return -1.5 ± 0.5  D accuracy 0.60 ± 0.10" in lines[0]
    )
    assert " left" in lines[0] and " left" not in lines[-1]
    assert not any("(" in line for line in lines)


def test_levels():
    assert lines_of(25, Verbosity.QUIET) == []
    lines = lines_of(25, Verbosity.VERBOSE)
    assert len(lines) == 25 and "return -1.5 ± 0.5 (-1.0 -2.0)" in lines[0]


PROGRAM = """
import sys, numpy as np
from imitax.cli.terminal import Verbosity, live_bar, print_table
from imitax.training.callbacks import Moment
with live_bar("gail", 64, Verbosity[sys.argv[1]], seed=3) as (progress,):
    for i in range(3):
        metrics = {"episode_return": np.array([-1.0, -2.0]), "discriminator_accuracy": np.ones(2)}
        progress(Moment(i, 3, metrics))
print_table("Result", ["policy", "return"], [["gail", "[-1.5, 2.0]"]])
"""


def in_terminal(level, columns=80, **variables):
    """What a terminal of this width is sent by the program on stderr, and what stands on its
    stdout.
    """
    master, slave = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "30", **variables}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, level],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    sent = b""
    while select.select([master], [], [], 60)[0]:
        try:
            part = os.read(master, 4096)
        except OSError:  # Linux's way to say that the other side is closed
            break
        sent += part
        if not part:
            break
    out = child.stdout.read().decode()
    child.stdout.close()
    os.close(master)
    assert child.wait(60) == 0
    return sent.decode(), out


COLOUR = re.compile(r"\x1b\[[0-9;]*(?<![0-9])(3[0-7]|38;|4[0-7]|48;|9[0-7])[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


def last_picture(sent):
    return [line.rstrip() for line in CONTROL.sub("", sent).splitlines()][-10:]


def test_live_table_on_a_terminal():
    sent, out = in_terminal("NORMAL")
    assert COLOUR.search(sent)
    picture = last_picture(sent)
    assert picture[-2].split() == ["steps/s", "return", "D", "accuracy"]
    assert picture[-1].split()[:2] == ["2", "seeds"] and picture[-1].endswith(
        "-1.5 ± 0.5     1.00 ± 0.00"
    )
    assert "3/3" in picture[-3] and max(map(len, picture)) <= 80
    assert out.split() == [
        "Result",
        "policy",
        "return",
        "─" * len(out.split()[3]),
        "gail",
        "[-1.5,",
        "2.0]",
    ]


def test_live_table_with_a_row_for_each_seed():
    picture = last_picture(in_terminal("VERBOSE", columns=120)[0])
    assert [row.split()[:2] for row in picture[-3:]] == [
        ["seed", "3"],
        ["seed", "4"],
        ["2", "seeds"],
    ]
    assert [row.split()[2] for row in picture[-3:-1]] == ["-1.0", "-2.0"]


def test_no_color_is_respected():
    sent, _ = in_terminal("NORMAL", NO_COLOR="1")
    assert not COLOUR.search(sent) and "3/3" in sent


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    sent, _ = in_terminal("NORMAL", TERM="dumb")
    assert "\x1b" not in sent and [line[:9] for line in sent.splitlines()] == [
        f"gail: {i}/3" for i in (1, 2, 3)
    ]


def test_tables_in_a_pipe_are_not_folded():
    out = io.StringIO()
    with redirect_stdout(out):
        print_table("T", ["--set", "default", "meaning"], [["a", "1", "long " * 24]])
    assert ("long " * 24).strip() in out.getvalue()


def test_settings_are_told():
    err = io.StringIO()
    with redirect_stderr(err):
        print_settings(make_config("gail", "Acrobot-v1"))
    assert all(
        text in err.getvalue() for text in ("loop", "iterations=100", "reward", "form=log_d")
    )
