"""Make this checkout's own environment, then run `tally` in it. Needs Python and nothing else.

    python3 run.py demo            what `tally demo` does
    python3 run.py test [--full]   the tests; more of what pytest takes may follow
    python3 run.py X...            what `tally X...` does, its exit code included

The environment is .venv, made at the first run and made anew when a lock file, the Python, this
file or the checkout's place changes. (pyproject.toml works through the locks alone: `.ci/lock`.)
Only wheels whose SHA-256 a lock names are installed; where they come from is pip's configuration
(PIP_INDEX_URL and so on). Talk goes to stderr; exit code 3 means that no environment could be made.
"""

import sys

if sys.version_info < (3, 11):
    print(
        f"run.py: Python 3.11 or newer is missing: this is {sys.version.split()[0]}"
        f" ({sys.executable})\nhint: install a newer one, then: python3.11 run.py",
        file=sys.stderr,
    )
    sys.exit(3)

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

if os.name == "nt":
    import msvcrt
else:
    import fcntl

ROOT = Path(__file__).resolve().parent
ENTRY = "import sys; sys.argv[0] = 'tally'; from cli.main import main; sys.exit(main())"
UNAVAILABLE = 3  # the exit code of "could not be done here", as everywhere in tally
INTERRUPTED = 130


class SetupError(Exception):
    """No environment could be made: what failed, and what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Environment:
    """The .venv of the checkout at `root`.

    Built in place, for a virtual environment cannot be moved: its stamp is removed before the first
    change and written after the last, and one without a stamp that fits is never used. Whoever
    changes it holds `turn`. The file of the turn stays for ever and says that the folder is ours.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.programs = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.programs / ("python.exe" if os.name == "nt" else "python")
        self.turn_file = self.folder / "run.turn"
        self.lock_file = root / "requirements.lock"
        self.dev_lock_file = root / "requirements-dev.lock"

    def prepare(self, *, testing: bool) -> None:
        """Have all that tally needs, and with `testing` the tests too, or raise SetupError."""
        if self.is_ready(testing=testing):
            return
        with self.turn() as turn:
            if self.is_ready(testing=testing):
                return  # the run we waited for did it
            began = time.monotonic()
            if not self.is_ready(testing=False):
                self.make_anew(turn)
            lock = self.dev_lock_file if testing else self.lock_file
            say(f"installing what {lock.name} names")
            # The dev lock only adds to the other (same pins), so tally may run meanwhile.
            install(find_pip(self, turn), lock, turn)
            if not self.is_ready(testing=False):
                self.make_importable()
            self.stamp(testing=False).write_text(self.key(testing=False))
            if testing:
                self.stamp(testing=True).write_text(self.key(testing=True))
            say(f"ready in {time.monotonic() - began:.0f} s")

    def is_ready(self, *, testing: bool) -> bool:
        """Whether it was wholly made, from the present locks, by this Python."""
        stamp = self.stamp(testing=testing)
        return stamp.is_file() and stamp.read_text() == self.key(testing=testing)

    def stamp(self, *, testing: bool) -> Path:
        """The file that says for which key it was made."""
        return self.folder / ("run-test.stamp" if testing else "run.stamp")

    def key(self, *, testing: bool) -> str:
        """SHA-256, in hex, over all that the content of the environment depends on."""
        parts = [
            sys.version.encode(),
            os.fsencode(sys.base_prefix),
            os.fsencode(self.root),
            Path(__file__).read_bytes(),
            self.lock_file.read_bytes(),
        ]
        if testing:
            parts.append(self.dev_lock_file.read_bytes())
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    @contextlib.contextmanager
    def turn(self) -> Iterator[int]:
        """Hold the right to change the folder; gives the file descriptor that holds it.

        Children that change the folder inherit the descriptor, so that where this process is killed
        and its pip lives on, the next run waits for that too (not on Windows).
        """
        self.folder.mkdir(exist_ok=True)
        # In this order: whatever run.py puts there comes after the file of the turn.
        if any(self.folder.iterdir()) and not self.turn_file.exists():
            message = f"{self.folder} is there and was not made by run.py"
            raise SetupError(message, "rename or remove it, and run this again")
        with self.turn_file.open("ab") as file:
            if not take(file.fileno()):
                say("another run is making the environment: waiting for it")
                while not take(file.fileno()):
                    time.sleep(0.2)
            yield file.fileno()

    def make_anew(self, turn: int) -> None:
        """Empty the folder and make a bare environment in it."""
        say(f"making the environment in {self.folder.name}, this once")
        # Dying from here on leaves no stamp: the next run starts here again.
        self.stamp(testing=True).unlink(missing_ok=True)
        self.stamp(testing=False).unlink(missing_ok=True)
        for child in self.folder.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            elif child != self.turn_file:
                child.unlink()
        if not start([base_python(), "-m", "venv", "--without-pip", str(self.folder)], turn):
            message = "Python's venv module could not make an environment"
            raise SetupError(message, "its own words are above; see that the disk is not full")

    def make_importable(self) -> None:
        """Let its Python find ledger, service and cli in the checkout, and offer `tally`."""
        packages = sysconfig.get_path("purelib", "venv", {"base": str(self.folder)})
        root = str(self.root)
        # Before 3.13 a .pth file is read in the locale's encoding, which may change: keep to ASCII.
        line = root if root.isascii() else f"import sys; sys.path.append({root!a})"
        Path(packages, "tallystick.pth").write_text(f"{line}\n", encoding="ascii")
        if os.name == "nt":
            line = f'@"%~dp0python.exe" -P -c "{ENTRY}" %*\r\n'
            (self.programs / "tally.cmd").write_text(line, newline="")
            return
        tally = self.programs / "tally"
        command = shlex.join([str(self.python), "-P", "-c", ENTRY])
        tally.write_bytes(os.fsencode(f'#!/bin/sh\nexec {command} "$@"\n'))
        tally.chmod(0o755)


def find_pip(environment: Environment, turn: int) -> list[str]:
    """How to start a pip that installs into `environment`: the first way that works here."""
    python = str(environment.python)
    if start([python, "-P", "-m", "pip", "--version"], turn, quiet=True):
        return [python, "-P", "-m", "pip"]
    if start([python, "-P", "-m", "ensurepip"], turn, quiet=True):
        return [python, "-P", "-m", "pip"]
    # Debian and its kin leave ensurepip out. The system's pip does, from 22.3 on.
    other = [base_python(), "-P", "-m", "pip", "--python", python]
    if start([*other, "--version"], turn, quiet=True):
        return other
    wheel = distribution_wheel(environment, turn)
    if wheel and start([python, f"{wheel}/pip", "--version"], turn, quiet=True):
        return [python, f"{wheel}/pip"]
    message = "this Python has neither ensurepip nor pip"
    raise SetupError(message, "on Debian or Ubuntu: apt-get update && apt-get install python3-venv")


def distribution_wheel(environment: Environment, turn: int) -> Path | None:
    """The distribution's own pip wheel (it runs as it is, unpacked nowhere), or None.

    Debian keeps it in a package of its own, which anyone may fetch: only installing needs root. apt
    checks the package's signature.
    """
    wheels = sysconfig.get_config_var("WHEEL_PKG_DIR")
    found = sorted(Path(wheels).glob("pip-*.whl")) if wheels else []
    if found:
        return found[-1]
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    folder = environment.folder / "debian"
    folder.mkdir(exist_ok=True)
    say("fetching pip from the distribution's packages")
    if not start(["apt-get", "download", "python3-pip-whl"], turn, quiet=True, cwd=folder):
        return None
    for package in folder.glob("*.deb"):
        start(["dpkg-deb", "--extract", package.name, "."], turn, quiet=True, cwd=folder)
    return next(folder.glob("usr/share/python-wheels/pip-*.whl"), None)


def install(pip: list[str], lock: Path, turn: int) -> None:
    """Install exactly what `lock` names: no version, file or dependency that it does not."""
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    options += ["--no-deps", "--only-binary", ":all:", "--requirement", str(lock)]
    if not start([*pip, "install", *options], turn):
        message = f"pip could not install what {lock.name} names"
        raise SetupError(message, "its own words are above; is a package index reachable?")


def start(command: list[str], turn: int, *, quiet: bool = False, cwd: Path | None = None) -> bool:
    """Run `command` to its end: whether it succeeded. What it prints goes to stderr, or nowhere."""
    output = subprocess.DEVNULL if quiet else sys.stderr.fileno()
    inherited = () if os.name == "nt" else (turn,)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=inherited,
        env=own_variables(),
        cwd=cwd,
        check=False,
    )
    return done.returncode == 0


def take(descriptor: int) -> bool:
    """Take the turn without waiting: whether we have it. It ends with the process, however."""
    try:
        if os.name == "nt":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def base_python() -> str:
    """The Python that environments are made from, also where this one runs in an environment."""
    return getattr(sys, "_base_executable", None) or sys.executable


def own_variables() -> dict[str, str]:
    """The variables for a child, without those that would mix other packages in."""
    mixing = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in mixing}


def say(line: str) -> None:
    """Talk: to stderr, at once."""
    print(f"run.py: {line}", file=sys.stderr, flush=True)


def become(command: list[str]) -> int:
    """Turn into `command`. Windows has no exec: there it is run, and its exit code returned."""
    if os.name != "nt":
        os.execve(command[0], command, own_variables())
    try:
        return subprocess.run(command, env=own_variables(), check=False).returncode
    except KeyboardInterrupt:
        return INTERRUPTED


def main(arguments: list[str]) -> int:
    """Do what `arguments` ask for; returns the exit code."""
    environment = Environment(ROOT)
    testing = arguments[:1] == ["test"]
    try:
        environment.prepare(testing=testing)
    except SetupError as error:
        say(f"{error}\nhint: {error.hint}")
        return UNAVAILABLE
    except OSError as error:
        say(f"could not make the environment: {error}")
        return UNAVAILABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    command = [str(environment.python), "-P", "-c", ENTRY, *arguments]
    if testing:
        os.chdir(ROOT)
        # A whole tier takes every core; what somebody picks runs as they would see it.
        cores = ["-n", "auto"] if arguments[1:] in ([], ["--full"]) else []
        command = [str(environment.python), "-P", "-m", "pytest", *cores, *arguments[1:]]
    return become(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
