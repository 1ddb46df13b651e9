"""Compiles the pretended CUDA libraries that the installed ONNX Runtime CUDA provider needs to load.

One shared library holds them all. The loader knows a library by the file it maps, so one file under many
names is enough, if it defines, for each name, the symbol version that the provider asks of that name.
"""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).with_name("stand_ins.c")

# Libraries that the provider opens itself: the prefix of the functions it looks up there, the files' names.
OPENED_LATER = {
    "cudnn": ["libcudnn.so.9", "libcudnn.so"],
    "cufft": ["libcufft.so.12"],
    "nvrtc": ["libnvrtc.so.13"],
}

# Which function of stand_ins.c answers for a family of symbols; all the rest merely succeed.
ANSWERS = [
    (r"(Error|Status)(String|Name)$|LastErrorString$", "describe"),
    (r"Create\w*$|GetKernel$|LibraryLoadData$", "make_handle"),
    (r"^cuda(Malloc(Host|FromPoolAsync)?|HostAlloc)$", "take"),
    (r"^cudaFree(Host|Async)?$", "give"),
    (r"^cudaMemcpy(Async)?$", "copy"),
    (r"^cudaMemset(Async)?$", "fill"),
    (r"^cuda(Runtime|Driver)GetVersion$", "cuda_version"),
]


class NotPossible(Exception):
    """What this machine lacks for the check."""


def find_provider() -> Path:
    """The CUDA provider of the installed ONNX Runtime."""
    package = find_spec("onnxruntime")
    if package is None or package.origin is None:
        raise NotPossible("onnxruntime is not installed: pip install onnxruntime-gpu==1.30.0 onnx")
    provider = Path(package.origin).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not provider.exists():
        raise NotPossible(
            "this onnxruntime has no CUDA provider: in a fresh environment, install onnxruntime-gpu"
        )
    return provider


def compile_stand_ins(folder: Path) -> None:
    """Fills the folder with a library under every name that the provider asks for."""
    provider = find_provider()
    linked = set(re.findall(r"\(NEEDED\).*\[(lib(?:cu|nv)[^\]]*)\]", run("readelf", "-dW", provider)))
    if "libcudart.so.13" not in linked:
        raise NotPossible(f"{provider} is not built for CUDA 13, whose device the stand-ins pretend")
    asked = [line.split()[-1].partition("@")[::2] for line in run("nm", "-Du", provider).splitlines()]
    version_of = {name: version for name, version in asked if version in linked or re.match("cu[A-Z]", name)}
    strings = provider.read_bytes()
    for prefix in OPENED_LATER:
        found = re.findall(rb"\0(%s[A-Z]\w*)(?=\0)" % prefix.encode(), strings)
        version_of.update({name.decode(): "" for name in found})

    source, script, library = folder / "all.c", folder / "all.map", folder / "libstandin.so"
    public = '#define PUBLIC(name, answer) __attribute__((visibility("default"), alias(answer))) word name();'
    exports = [f'PUBLIC({name}, "{answer_for(name)}")' for name in version_of]
    source.write_text("\n".join([f'#include "{SOURCE}"', public, *exports, ""]))
    names = {version: [name for name in version_of if version_of[name] == version] for version in linked}
    script.write_text(
        "".join(
            f"{version} {{ global: {'; '.join(names[version])}; }};\n" for version in linked if names[version]
        )
    )
    run("cc", "-shared", "-fPIC", "-w", f"-Wl,--version-script={script}", source, "-o", library)
    for name in [*linked, *(name for names in OPENED_LATER.values() for name in names)]:
        (folder / name).symlink_to(library.name)


def answer_for(symbol: str) -> str:
    """The function of stand_ins.c that answers for a symbol."""
    own = f"on_{symbol.removesuffix('_v2')}"
    if f" {own}(" in SOURCE.read_text():
        return own
    return next((answer for pattern, answer in ANSWERS if re.search(pattern, symbol)), "succeed")


def run(*command: str | Path) -> str:
    try:
        return subprocess.run(
            [str(part) for part in command], check=True, capture_output=True, text=True
        ).stdout
    except FileNotFoundError:
        raise NotPossible(f"{command[0]} is needed: install a C compiler and binutils") from None
