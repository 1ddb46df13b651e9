"""Compiles the pretended CUDA libraries that the installed ONNX Runtime CUDA provider needs to load.

One shared library holds them all. The loader knows a library by the file it maps, so one file under many names is
enough, as long as it defines, for each name, the symbol version that the provider asks of that name.
"""

import hashlib
import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).with_name("stand_ins.c")
OPENED_LATER = {"cudnn": ["libcudnn.so.9", "libcudnn.so"], "cufft": ["libcufft.so.12"], "nvrtc": ["libnvrtc.so.13"]}
"""Libraries that the provider opens itself: the prefix of the functions it looks up there, and the files' names."""

ANSWERS = [
    (r"(Error|Status)(String|Name)$|LastErrorString$", "describe"),
    (r"Create\w*$|GetKernel$|LibraryLoadData$", "make_handle"),
    (r"^cuda(Malloc(Host|FromPoolAsync)?|HostAlloc)$", "take"),
    (r"^cudaFree(Host|Async)?$", "give"),
    (r"^cudaMemcpy(Async)?$", "copy"),
    (r"^cudaMemset(Async)?$", "fill"),
    (r"^cuda(Runtime|Driver)GetVersion$", "cuda_version"),
]
"""Which function of stand_ins.c answers for a family of symbols; all the rest merely succeed."""


class NoProvider(Exception):
    """The installed onnxruntime cannot be asked."""


def find_provider() -> Path:
    """The CUDA provider of the installed ONNX Runtime."""
    package = find_spec("onnxruntime")
    if package is None or package.origin is None:
        raise NoProvider("onnxruntime is not installed: pip install onnxruntime-gpu==1.30.0 onnx")
    provider = Path(package.origin).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not provider.exists():
        raise NoProvider("this onnxruntime has no CUDA provider: in a fresh environment, install onnxruntime-gpu alone")
    return provider


def build_stand_ins(cache: Path) -> Path:
    """Returns the folder with the stand-ins for the installed provider; compiles them into `cache` the first time."""
    provider = find_provider()
    stamp = f"{provider} {provider.stat().st_mtime_ns}".encode() + SOURCE.read_bytes() + Path(__file__).read_bytes()
    folder = cache / hashlib.sha256(stamp).hexdigest()[:12]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            built = Path(work) / "built"
            built.mkdir()
            compile_into(built, provider)
            try:
                built.rename(folder)
            except OSError:
                if not folder.exists():  # else another run was first
                    raise
    return folder


def compile_into(folder: Path, provider: Path) -> None:
    linked = set(re.findall(r"\(NEEDED\).*\[(lib(?:cu|nv)[^\]]*)\]", output_of("readelf", "-dW", provider)))
    if "libcudart.so.13" not in linked:
        raise NoProvider(f"{provider} is not built for CUDA 13, whose device the stand-ins pretend")
    asked = [line.split()[-1].partition("@")[::2] for line in output_of("nm", "-Du", provider).splitlines()]
    symbols = {name: version for name, version in asked if version in linked or re.match("cu[A-Z]", name)}
    strings = provider.read_bytes()
    for prefix in OPENED_LATER:
        found = re.findall(rb"\0(%s[A-Z]\w*)(?=\0)" % prefix.encode(), strings)
        symbols.update({name.decode(): "" for name in found})

    source, versions, library = folder / "all.c", folder / "all.map", folder / "libstandin.so"
    known = set(re.findall(r"\bon_(\w+)\(", SOURCE.read_text()))
    aliases = [f'PUBLIC word {name}() __attribute__((alias("{answer_for(name, known)}")));' for name in sorted(symbols)]
    public = '#define PUBLIC __attribute__((visibility("default")))'
    source.write_text("\n".join([f'#include "{SOURCE}"', public, *aliases, ""]))
    versions.write_text("".join(
        f"{version} {{ global: {' '.join(f'{name};' for name in sorted(symbols) if symbols[name] == version)} }};\n"
        for version in sorted(set(symbols.values()) - {""})))
    output_of("cc", "-shared", "-fPIC", "-O1", "-w", f"-Wl,--version-script={versions}", source, "-o", library)
    for name in [*linked, *(name for names in OPENED_LATER.values() for name in names)]:
        (folder / name).symlink_to(library.name)


def answer_for(symbol: str, known: set[str]) -> str:
    """The function of stand_ins.c that answers for a symbol."""
    if (plain := symbol.removesuffix("_v2")) in known:
        return f"on_{plain}"
    return next((answer for pattern, answer in ANSWERS if re.search(pattern, symbol)), "succeed")


def output_of(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
