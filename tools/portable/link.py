#!/usr/bin/env python3
"""Links a program of the release build once more, from the same objects, so that it runs on any x86-64 Linux with glibc 2.31
or later: stripped, with C++ and most libraries inside, against an old C library.

    tools/portable/link.py BUILD SYSROOT OUTPUT_FOLDER PROGRAM...      (PROGRAM: its path in BUILD, as bin/mgpu)

What each program consists of comes from the build's own command for it, so nothing is listed twice. A shared library in that
command must stand in REPLACEMENTS. Libraries that stay shared are copied to OUTPUT_FOLDER/lib, where the program finds them.
"""
import pathlib
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SYSTEM = pathlib.Path("/usr/lib/x86_64-linux-gnu")
COMPILER = "clang++-19"
# Which glibc the result may need at the most: that of the sysroot.
NEWEST_GLIBC = (2, 31)
# Shared libraries of the build's command -> what takes their place: sources to compile and archives, or a library of the
# sysroot, which then is carried along with the libraries that it needs.
REPLACEMENTS = {
    "libbrotlidec": [SYSTEM / "libbrotlidec.a", SYSTEM / "libbrotlicommon.a"],
    "libfmt": [HERE / "fmt_library.cc"],
    "libspdlog": [HERE / "spdlog_library.cc"],
    "libsqlite3": [SYSTEM / "libsqlite3.a"],
    "libsystemd": "libsystemd.so.0",
    "libyaml-cpp": [SYSTEM / "libyaml-cpp.a"],
    "libz": [SYSTEM / "libz.a"],
    "libzstd": [SYSTEM / "libzstd.a"],
}
CARRIED = {"libsystemd.so.0": ["libgcrypt.so.20", "libgpg-error.so.0", "liblz4.so.1", "liblzma.so.5", "libzstd.so.1", "libcap.so.2"]}
# In every glibc; the loader of the target has them.
C_LIBRARIES = ["libpthread.so.0", "libdl.so.2", "libm.so.6", "librt.so.1", "libc.so.6"]


def build_command(build, program):
    """The words of the command with which ninja links the program."""
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", "-s", program], check=True, capture_output=True,
                           text=True).stdout.strip().splitlines()
    words = shlex.split(lines[-1])
    return words[words.index("&&") + 1:len(words) - 1 - words[::-1].index("&&")]


def inputs_of(words):
    """(objects and archives, names of shared libraries) of a link command."""
    inputs, shared = [], []
    for position, word in enumerate(words[1:], 1):
        if word.startswith("-") or words[position - 1] == "-o":
            continue
        (shared if ".so" in pathlib.Path(word).name else inputs).append(word)
    return inputs, [pathlib.Path(word).name.split(".so")[0] for word in shared]


def compile_object(source, folder):
    output = folder / f"{source.stem}.o"
    if not output.exists() or output.stat().st_mtime < source.stat().st_mtime:
        compiler, standard = (COMPILER, "-std=c++23") if source.suffix == ".cc" else ("clang-19", "-std=c17")
        subprocess.run([compiler, standard, "-O2", "-fPIC", "-DSPDLOG_FMT_EXTERNAL", "-c", source, "-o", output], check=True)
    return output


def find_in(sysroot, name):
    for folder in (sysroot / "lib/x86_64-linux-gnu", sysroot / "usr/lib/x86_64-linux-gnu"):
        if (folder / name).exists():
            return (folder / name).resolve()
    sys.exit(f"link: the sysroot has no {name}")


def gcc_file(name):
    """Of this system's compiler: libstdc++ and the start files of C++."""
    return subprocess.run(["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()


def link(build, sysroot, output_folder, program):
    inputs, shared = inputs_of(build_command(build, program))
    objects = output_folder.parent / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    libraries, carried = [], []
    for name in shared:
        if name not in REPLACEMENTS:
            sys.exit(f"link: {program} needs the shared library {name}; say in REPLACEMENTS of {__file__} what takes its place")
        replacement = REPLACEMENTS[name]
        if isinstance(replacement, str):
            libraries.append(find_in(sysroot, replacement))
            carried += [replacement, *CARRIED[replacement]]
        else:
            libraries += [compile_object(file, objects) if file.suffix == ".cc" else file for file in replacement]
    compat = compile_object(HERE / "glibc_compat.c", objects)
    old = sysroot / "usr/lib/x86_64-linux-gnu"
    gcc = sysroot / "usr/lib/gcc/x86_64-linux-gnu/10"  # the unwinder of a newer one needs a newer glibc
    result = output_folder / "bin" / pathlib.Path(program).name
    result.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [COMPILER, "-nostdlib", "-no-pie", f"--sysroot={sysroot}", "-fuse-ld=mold", "-o", result,
         old / "crt1.o", old / "crti.o", gcc_file("crtbegin.o"), *inputs, compat, *libraries, gcc_file("libstdc++.a"), gcc / "libgcc_eh.a", gcc / "libgcc.a",
         *(find_in(sysroot, name) for name in C_LIBRARIES), old / "libc_nonshared.a", sysroot / "lib64/ld-linux-x86-64.so.2",
         gcc_file("crtend.o"), old / "crtn.o", f"-Wl,-rpath-link,{sysroot}/lib/x86_64-linux-gnu",
         "-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2", "-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/../lib",
         # What the carried libraries need comes from those beside them, not from the archives inside the program.
         "-Wl,--exclude-libs,ALL", "-Wl,--as-needed,--gc-sections,--strip-all"], check=True, cwd=build)
    for name in carried:
        (output_folder / "lib").mkdir(exist_ok=True)
        shutil.copyfile(find_in(sysroot, name), output_folder / "lib" / name)
    check_glibc(result)


def needed_glibc(path):
    """The newest version of glibc that the file needs, as (2, 30)."""
    dump = subprocess.run(["objdump", "-T", path], check=True, capture_output=True, text=True).stdout
    versions = {word.strip("()")[len("GLIBC_"):] for word in dump.split() if word.strip("()").startswith("GLIBC_2")}
    return max((tuple(map(int, version.split("."))) for version in versions), default=(2, 0))


def check_glibc(path):
    needed = needed_glibc(path)
    if needed > NEWEST_GLIBC:
        sys.exit(f"link: {path} needs glibc {needed[0]}.{needed[1]}, and should run with {NEWEST_GLIBC[0]}.{NEWEST_GLIBC[1]}")


def main():
    build, sysroot, output_folder = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    for program in sys.argv[4:]:
        link(build, sysroot, output_folder, program)


if __name__ == "__main__":
    main()
