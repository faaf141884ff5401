"""What this machine's processor computes by itself, found without torch, which takes seconds to import."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

# The names that oneDNN gives to instruction sets with bfloat16 products (ONEDNN_MAX_CPU_ISA caps what it uses).
_CAPS_WITH_BFLOAT16 = ("DEFAULT", "AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX10_1")
# What Linux calls them: x86's AVX512-BF16 and AMX, Arm's BF16.
_FLAGS = {"x86_64": ("amx_bf16", "avx512_bf16"), "aarch64": ("bf16",)}


def bfloat16_units(
    cpuinfo: str | None = None, machine: str | None = None, environment: Mapping[str, str] | None = None
) -> str | None:
    """The units for bfloat16 products that PyTorch's kernels use on this processor, None where it emulates them.

    Emulated, a bfloat16 convolution takes more than 20 times as long as a float32 one. None too where it is not known:
    float32 is never far from the fastest.

    Args:
        cpuinfo: the text of /proc/cpuinfo, by default this machine's.
        machine: as `platform.machine()` says.
        environment: with oneDNN's cap on instruction sets, by default this process's.
    """
    environment = os.environ if environment is None else environment
    cap = environment.get("ONEDNN_MAX_CPU_ISA", environment.get("DNNL_MAX_CPU_ISA", "DEFAULT")).upper()
    if cap not in ("", "ALL") and not cap.startswith(_CAPS_WITH_BFLOAT16):
        return None
    if cpuinfo is None:
        file = Path("/proc/cpuinfo")
        cpuinfo = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    machine = (machine or platform.machine()).lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    flags = " ".join(re.findall(r"^\s*(?:flags|Features)\s*:(.*)", cpuinfo, re.MULTILINE)).split()
    return next((flag for flag in _FLAGS.get(machine, ()) if flag in flags), None)
