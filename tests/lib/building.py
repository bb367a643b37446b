"""Builds programs for measuring: from the sources here, or from those of a commit."""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class BuildFailed(Exception):
    """cmake, the compiler or git said no."""


def run(words, **options):
    """stdout and stderr of a program that must end with 0."""
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if result.returncode:
        text = (result.stderr.strip() or result.stdout.strip())[-800:]
        raise BuildFailed(f"{words[0]}: exit {result.returncode}:\n{text}")
    return result.stdout + result.stderr


def build(source, folder, targets, tests=True):
    """The folder of the programs, a Release build of the sources."""
    print(f"building {source} ...", file=sys.stderr, flush=True)
    run(["cmake", "-S", source, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
         f"-DHOLDFAST_TESTS={'ON' if tests else 'OFF'}"])
    run(["cmake", "--build", folder, "--target", *targets])
    return os.path.join(folder, "bin")


def build_commit(commit, folder, targets, tests=True, needs=None):
    """The same from a commit's own sources, exported below the folder. `needs`: a file it must have."""
    source = os.path.join(folder, "source")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(source)
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True)
    if archive.returncode:
        raise BuildFailed(f"no commit {commit}: {archive.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    if needs and not os.path.exists(os.path.join(source, needs)):
        raise BuildFailed(f"{commit} has no {needs} yet")
    return build(source, os.path.join(folder, "build"), targets, tests)
