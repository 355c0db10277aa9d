"""run.py: from a bare Python to a working tally, and never half an environment."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import run

TALLY = """
import sys
def main():
    print("result", sys.argv, "json" in sys.modules and sys.modules["json"].__file__)
    return 5
"""


@pytest.fixture
def checkout(project_root: Path, tmp_path: Path) -> Path:
    """A checkout with nothing to install and a tally that shows how it was called."""
    root = tmp_path / "left 左券"
    (root / "cli").mkdir(parents=True)
    (root / "cli" / "main.py").write_text(TALLY, encoding="utf-8")
    (root / "requirements.lock").touch()
    (root / "requirements-dev.lock").touch()
    shutil.copy(project_root / "run.py", root)
    return root


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the locks installed, where installing does nothing else."""
    names: list[str] = []
    monkeypatch.setattr(run, "find_pip", lambda environment, turn: ["pip"])
    monkeypatch.setattr(run, "install", lambda pip, lock, turn: names.append(lock.name))
    return names


def tally(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *arguments],
        cwd=checkout,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_it_parses_on_old_pythons_and_imports_the_standard_library_alone(
    project_root: Path,
) -> None:
    tree = ast.parse((project_root / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    assert imported <= sys.stdlib_module_names


def test_an_older_python_is_told_which_version_is_missing(project_root: Path) -> None:
    older = "import runpy, sys; sys.version_info = (3, 8, 18); runpy.run_path('run.py')"
    done = subprocess.run(
        [sys.executable, "-c", older], cwd=project_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "Python 3.11 or newer is missing" in done.stderr
    assert not done.stdout


def test_it_starts_the_same_function_as_the_installed_script(project_root: Path) -> None:
    project = tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))
    module, function = project["project"]["scripts"]["tally"].split(":")
    assert f"from {module} import {function}" in run.ENTRY


def test_a_first_run_makes_the_environment_and_passes_the_exit_code_on(checkout: Path) -> None:
    (checkout / "json.py").touch()  # a stray file: must not stand in for the standard library's
    first = tally(checkout, "verify", "a b", PYTHONPATH=str(checkout))
    assert (first.returncode, first.stdout[:36]) == (5, "result ['tally', 'verify', 'a b'] Fa")
    assert "run.py: ready in" in first.stderr

    second = tally(checkout)
    assert (second.returncode, second.stderr) == (5, "")

    script = subprocess.run(
        [checkout / ".venv" / "bin" / "tally", "x"], capture_output=True, text=True, check=False
    )
    assert (script.returncode, script.stdout[:21]) == (5, "result ['tally', 'x']")


def test_nothing_is_installed_twice(checkout: Path, installs: list[str]) -> None:
    environment = run.Environment(checkout)
    environment.prepare(testing=False)
    environment.prepare(testing=False)
    assert installs == ["requirements.lock"]


def test_what_the_tests_need_is_added_to_what_is_there(checkout: Path, installs: list[str]) -> None:
    environment = run.Environment(checkout)
    environment.prepare(testing=False)
    (environment.folder / "installed").touch()
    environment.prepare(testing=True)
    environment.prepare(testing=False)
    assert installs == ["requirements.lock", "requirements-dev.lock"]
    assert (environment.folder / "installed").exists()


@pytest.mark.parametrize("testing", [False, True])
def test_a_changed_lock_makes_it_anew(
    checkout: Path, installs: list[str], *, testing: bool
) -> None:
    environment = run.Environment(checkout)
    environment.prepare(testing=testing)
    (environment.folder / "left over").mkdir()
    environment.lock_file.write_text("# another\n", encoding="ascii")
    assert not environment.is_ready(testing=testing)
    environment.prepare(testing=testing)
    assert environment.is_ready(testing=testing)
    assert len(installs) == 2
    assert not (environment.folder / "left over").exists()


def test_a_moved_checkout_makes_it_anew(checkout: Path, installs: list[str]) -> None:
    run.Environment(checkout).prepare(testing=False)
    moved = run.Environment(checkout.rename(checkout.with_name("moved")))
    assert not moved.is_ready(testing=False)
    moved.prepare(testing=False)
    assert len(installs) == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError("no space left"), MemoryError])
def test_an_interrupted_run_is_never_used_and_the_next_begins_again(
    checkout: Path,
    installs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException | type[BaseException],
) -> None:
    environment = run.Environment(checkout)

    def die(pip: list[str], lock: Path, turn: int) -> None:
        (environment.folder / "half").mkdir()
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr(run, "install", die)
        with pytest.raises((KeyboardInterrupt, OSError, MemoryError)):
            environment.prepare(testing=False)
    assert not environment.is_ready(testing=False)
    environment.prepare(testing=False)
    assert environment.is_ready(testing=False)
    assert not (environment.folder / "half").exists()


def test_two_runs_at_once_make_it_once(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, installs: list[str]
) -> None:
    slow = threading.Event()
    waiting = threading.Event()

    def install(pip: list[str], lock: Path, turn: int) -> None:
        assert slow.wait(30)
        installs.append(lock.name)

    def say(line: str) -> None:
        if "waiting" in line:
            waiting.set()

    monkeypatch.setattr(run, "install", install)
    monkeypatch.setattr(run, "say", say)
    runs = [
        threading.Thread(target=run.Environment(checkout).prepare, kwargs={"testing": False})
        for _ in range(2)
    ]
    for each in runs:
        each.start()
    assert waiting.wait(30)
    slow.set()
    for each in runs:
        each.join()
    assert installs == ["requirements.lock"]
    assert run.Environment(checkout).is_ready(testing=False)


def test_a_turn_outlives_a_killed_run_for_as_long_as_its_pip_lives(
    checkout: Path, tmp_path: Path
) -> None:
    environment = run.Environment(checkout)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with environment.turn() as turn:
        pip = subprocess.Popen(["cat", pipe], pass_fds=(turn,))
    with environment.turn_file.open("ab") as file:
        assert not run.take(file.fileno())
        pipe.write_bytes(b"")
        pip.wait()
        assert run.take(file.fileno())


def test_an_environment_that_someone_else_made_is_left_alone(
    checkout: Path, installs: list[str]
) -> None:
    theirs = checkout / ".venv" / "pyvenv.cfg"
    theirs.parent.mkdir()
    theirs.touch()
    with pytest.raises(run.SetupError, match="was not made by run"):
        run.Environment(checkout).prepare(testing=False)
    assert theirs.exists()
    assert not installs


def test_a_failed_set_up_is_exit_code_3_with_a_hint_and_nothing_on_stdout(checkout: Path) -> None:
    unhashed = "tallystick-no-such-package==1.0\n"
    (checkout / "requirements.lock").write_text(unhashed, encoding="ascii")
    done = tally(checkout, PIP_NO_INDEX="1")
    assert done.returncode == 3
    assert not done.stdout
    assert "run.py: pip could not install what requirements.lock names\nhint: " in done.stderr


# The rest takes another Python apart, or asks a package index.


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """This Python without ensurepip and pip, as Debian and Ubuntu ship theirs."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    bare = tmp_path / "bare"
    library = bare / "lib" / stdlib.name
    (library / "site-packages").mkdir(parents=True)
    for child in stdlib.iterdir():
        if child.name not in ("ensurepip", "site-packages", "__pycache__"):
            (library / child.name).symlink_to(child)
    (bare / "bin").mkdir()
    python = bare / "bin" / "python3"
    shutil.copy(Path(sys._base_executable).resolve(), python)
    for module in ("ensurepip", "pip"):
        found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        assert found.returncode == 1
    return python


@pytest.fixture
def find_pip_with(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[str]]:
    """A function: which pip is found for an environment made by a given Python."""

    def find(python: Path) -> list[str]:
        monkeypatch.setattr(run, "base_python", lambda: str(python))
        environment = run.Environment(checkout)
        with environment.turn() as turn:
            environment.make_anew(turn)
            return run.find_pip(environment, turn)

    return find


@pytest.mark.slow
def test_without_ensurepip_the_pip_of_the_system_is_used(
    bare_python: Path, find_pip_with: Callable[[Path], list[str]]
) -> None:
    import pip

    ask = [bare_python, "-c", "import site; print(site.getsitepackages()[0])"]
    packages = Path(subprocess.check_output(ask, text=True).strip())
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "pip").symlink_to(Path(pip.__file__).parent)
    found = find_pip_with(bare_python)
    assert found[0] == str(bare_python)
    assert "--python" in found


@pytest.mark.slow
def test_without_any_pip_the_wheel_of_the_distribution_is_used(
    bare_python: Path, find_pip_with: Callable[[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.sysconfig, "get_config_var", lambda name: None)
    if not shutil.which("apt-get"):
        pytest.skip("this system has no apt-get")
    try:
        found = find_pip_with(bare_python)
    except run.SetupError:
        pytest.skip("apt-get reaches no package archive")
    assert ".whl/pip" in found[-1]


def test_without_any_pip_it_says_what_to_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "start", lambda command, turn, **how: "venv" in command)
    with pytest.raises(run.SetupError, match="neither ensurepip nor pip") as caught:
        run.Environment(checkout).prepare(testing=False)
    assert "python3-venv" in caught.value.hint


@pytest.mark.slow
@pytest.mark.usefixtures("index_reachable")
def test_what_the_lock_names_is_complete_and_fits_together(
    checkout: Path, project_root: Path
) -> None:
    shutil.copy(project_root / "requirements.lock", checkout)
    assert tally(checkout).returncode == 5
    check = [sys.executable, "-m", "uv", "pip", "check", "--python", checkout / ".venv"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("asked", "cores"),
    [([], True), (["--full"], True), (["tests/ledger"], False), (["--full", "-n", "4"], False)],
)
def test_a_whole_tier_takes_every_core(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], cores: bool
) -> None:
    commands: list[list[str]] = []
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(run.Environment, "prepare", lambda _, testing: None)
    monkeypatch.setattr(run, "become", lambda command: commands.append(command) or 0)
    assert run.main(["test", *asked]) == 0
    assert commands[0][-len(asked) :] == asked if asked else commands
    assert (commands[0][4:6] == ["-n", "auto"]) is cores
