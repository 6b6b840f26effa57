# SPDX-License-Identifier: MIT
"""Running a program with a limit, natively or forwarded through a host of its own."""

import os
import shlex
import signal
import subprocess
import tempfile

BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(os.path.dirname(__file__), "../../build")))
TIMEOUT = 124
NOT_FORWARDED = 121  # it passed, but no host's driver was asked for


def outcome(status):
    return {0: "passed", TIMEOUT: "timeout", NOT_FORWARDED: "not forwarded"}.get(status, "failed")


def run_limited(command, seconds, log, **more):
    """Exit status, or TIMEOUT. Output goes to the file @log, behind what is there. All that it started is ended."""
    with open(log, "ab") as out:
        out.write(f"$ {shlex.join(command)}\n".encode())
        out.flush()
        try:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       start_new_session=True, **more)
        except OSError as error:
            out.write(f"{error}\n".encode())
            return 127
        try:
            return process.wait(max(seconds, 1))
        except subprocess.TimeoutExpired:
            out.write(f"no end within {seconds:.0f} seconds\n".encode())
            return TIMEOUT
        finally:
            end_group(process)


def end_group(process):
    """A host that is asked to end ends its workers, which are in no group of ours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(3)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            pass
    process.poll()


def forwarded(command, seconds, log, asks="cuda: driver ", options=(), **more):
    """The same through gpuvchan-host and gpuvchan-run, of the build in BUILD."""
    with tempfile.TemporaryDirectory(prefix="gpuvchan-") as folder:
        messages = os.path.join(folder, "host")
        inner = shlex.join([os.path.join(BUILD, "bin/gpuvchan-run"), "--", *command])
        outer = [os.path.join(BUILD, "bin/gpuvchan-host"), "-c", "/dev/null", f"--address={folder}/socket",
                 "--plugins=cuda,nvml", "--log=stderr", "--log-level=info", *options, "--run",
                 f"exec >>{shlex.quote(log)} 2>&1; {inner}"]
        status = run_limited(outer, seconds, messages, **more)
        with open(messages, "r", encoding="utf-8", errors="replace") as text:
            said = text.read()
        with open(log, "a", encoding="utf-8") as out:
            out.write("---- the host:\n" + said)
        return NOT_FORWARDED if status == 0 and asks not in said else status
