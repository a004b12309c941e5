"""The command line: help for everything, exit codes, one sentence for what went wrong."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner, Result

from eventstore import StoreUnavailable
from lonja.cli import COMMANDS, Failed, ended_as_by_ctrl_c, known_error, main
from lonja.errors import BadSettings


def found_commands() -> Iterator[tuple[str, ...]]:
    """Every command and subcommand, by its words."""
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), main)]
    while waiting:
        words, command = waiting.pop()
        yield words
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                waiting.append(((*words, name), child))


def invoked(*arguments: str | Path, **environment: str) -> Result:
    """`lonja ARGUMENTS` as from a shell that has no settings of Lonja."""
    clean = dict.fromkeys(
        ("LONJA_DATABASE_URL", "LONJA_DATABASE_URLS", "LONJA_CONFIG", "LONJA_DATA_DIR")
    )
    return CliRunner().invoke(
        main, [str(argument) for argument in arguments], env={**clean, **environment}
    )


def refused(*arguments: str | Path, **environment: str) -> str:
    """The one sentence on standard error of a command that exits with 1."""
    result = invoked(*arguments, **environment)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("error: ").rstrip("\n")


ALL = sorted(found_commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_explains_itself_and_its_options(words: tuple[str, ...]) -> None:
    result = invoked(*words, "--help")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        child = command.get_command(click.Context(command), word)
        assert child is not None
        command = child
    assert command.help, f"`lonja {' '.join(words)}` has no help"
    assert result.output.startswith("Usage: ")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in result.output
            assert parameter.help, f"{parameter.opts[0]} of `lonja {' '.join(words)}` has no help"
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            assert f"\n  {name} " in result.output


def test_every_command_is_there() -> None:
    assert {words[0] for words in ALL if words} == set(COMMANDS)


def test_the_version() -> None:
    assert invoked("--version").output.startswith("lonja, version ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("up", "--port", "0"),
        ("up", "--port", "door"),
        ("up", "--baskets", "5"),
        ("demo", "--baskets", "0"),
        ("demo", "--no-such-option"),
        ("serve",),
        ("serve", "weather"),
        ("log", "show"),
        ("log", "tail", "--last", "0"),
        ("router",),
        ("db", "fly"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    result = invoked(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("db", "status"),
        ("db", "migrate"),
        ("log", "tail"),
        ("log", "show", "ord_1"),
        ("log", "trace", "1"),
        ("projections", "list"),
        ("projections", "verify", "order_summaries"),
        ("serve", "users", "--port", "1"),
    ],
    ids=" ".join,
)
def test_without_a_database_it_says_how_to_get_one(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    if arguments[0] == "serve":
        arguments = (*arguments[:-1], str(_free_port()))
    said = refused(*arguments, "--data-dir", tmp_path / "nothing")
    assert "lonja db up" in said
    assert "LONJA_DATABASE_URL" in said
    assert not (tmp_path / "nothing").exists(), "asking made a folder"


def test_a_database_server_that_is_not_there() -> None:
    url = f"postgresql://nobody@127.0.0.1:{_free_port()}/postgres"
    said = refused("db", "status", LONJA_DATABASE_URL=url)
    assert "LONJA_DATABASE_URL" in said


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LONJA_PAYMENTS__DECLINE_RATE": "2"}, "payments.decline_rate"),
        ({"LONJA_USERS__ACCESS_TOKEN_SECONDS": "soon"}, "users.access_token_seconds"),
        ({"LONJA_DATABASE_URLS": "{"}, "database_urls"),
        ({"LONJA_DATABASE_URLS": '{"order": "dbname=o"}'}, "no service 'order'"),
        ({"LONJA_CONFIG": "no-such-file.toml"}, "no-such-file.toml"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_used_are_named(environment: dict[str, str], words: str) -> None:
    assert words in refused("db", "status", **environment)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data_dir = ", "is not valid TOML"),
        ("colour = 'red'\n[payments]\nseeds = 1", "colour"),
        ("[payments]\nseeds = 1", "payments.seeds"),
    ],
    ids=["no TOML", "unknown", "unknown in a table"],
)
def test_a_settings_file_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "lonja.toml"
    file.write_text(text)
    assert words in refused("db", "status", LONJA_CONFIG=str(file))


def test_a_port_in_use_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused("up", "--data-dir", tmp_path / "new", "--port", str(port))
    assert said.startswith(f"cannot listen on 127.0.0.1:{port} (Address already in use)")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_a_host_that_is_not_here(tmp_path: Path, host: str) -> None:
    said = refused("up", "--data-dir", tmp_path / "new", "--host", host)
    assert f"{host} is no address of this machine" in said


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/lonja")):
        said = refused("up", "--data-dir", place, "--port", str(_free_port()))
        assert said.startswith(f"data directory {place} cannot be made (")
    assert (tmp_path / "file").read_text() == "mine"


def test_binaries_that_are_not_where_they_should_be(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    result = invoked("doctor", "--data-dir", data_dir, LONJA_POSTGRES_BIN=str(tmp_path))
    assert result.exit_code == 1
    assert "LONJA_POSTGRES_BIN is" in result.stdout


def test_a_secret_that_is_too_short(tmp_path: Path) -> None:
    result = invoked("doctor", "--data-dir", tmp_path, LONJA_INTERNAL_SECRET="short")
    assert result.exit_code == 1
    assert "LONJA_INTERNAL_SECRET has 5 bytes" in " ".join(result.stdout.split())


def test_known_errors_are_told_and_mistakes_of_ours_are_not() -> None:
    told = BadSettings("settings cannot be used")
    gone = psycopg.OperationalError("the connection is closed")
    assert known_error(told) is told
    assert known_error(gone) is gone
    assert known_error(ExceptionGroup("both", [gone, told])) is gone
    assert known_error(ExceptionGroup("nested", [ExceptionGroup("inner", [told])])) is told
    assert known_error(KeyError("id")) is None
    assert known_error(ExceptionGroup("one is ours", [told, KeyError("id")])) is None
    assert Failed(told).exit_code == 1
    assert Failed(told).code == "BAD_SETTINGS"
    assert known_error(StoreUnavailable("orders", "gone", unknown=False)) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_is_ended_as_by_ctrl_c(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), ended_as_by_ctrl_c():  # noqa: PT012 - one statement
        signal.raise_signal(number)
        raise AssertionError("not interrupted")
    assert signal.getsignal(number) is before


def test_signals_are_left_alone_in_a_thread() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with ended_as_by_ctrl_c():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
