"""Downloads the wheels of a lock file and unpacks chosen files into the current folder.

    unpack_wheels.py LOCK PREFIX=FOLDER ...

A file whose path in a wheel starts with PREFIX is written to FOLDER + the rest of its path; the longest PREFIX counts, and an empty
FOLDER ("torch/include/google/=") leaves the file out. Wheels are for one fixed interpreter and platform, so that one hash fits every
machine: only their C++ part is used.
"""

import os
import shutil
import subprocess
import sys
import zipfile

PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]


def main():
    lock, rules = sys.argv[1], dict(rule.split("=", 1) for rule in sys.argv[2:])
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--require-hashes", "--implementation=cp", "--python-version=3.11",
               "--abi=cp311", "--abi=abi3", "--abi=none", "--dest=wheels", "--requirement=" + lock]
    command += ["--platform=" + platform for platform in PLATFORMS + ["any"]]
    subprocess.run(command, check=True)
    unused = {prefix for prefix, folder in rules.items() if folder}
    for wheel in sorted(os.listdir("wheels")):
        with zipfile.ZipFile(os.path.join("wheels", wheel)) as archive:
            for entry in archive.infolist():
                prefix = max((p for p in rules if entry.filename.startswith(p)), key=len, default=None)
                if prefix is None or not rules[prefix] or entry.is_dir():
                    continue
                unused.discard(prefix)
                path = rules[prefix] + entry.filename[len(prefix):]
                os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
                with archive.open(entry) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    shutil.rmtree("wheels")
    if unused:
        sys.exit("no file of %s starts with: %s" % (lock, ", ".join(sorted(unused))))


if __name__ == "__main__":
    main()
