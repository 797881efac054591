r"""`bcryptprimitives.dll`, which Go's runtime loads at its start since Go 1.22, and which Wine 8 lacks.

It has one function, `ProcessPrng(buffer, length)`, and gets its bytes from `SystemFunction036` (`RtlGenRandom`) of
`advapi32.dll`. A forwarding export would be shorter and wrong twice: `RtlGenRandom` takes 32 bits of length where
`ProcessPrng` takes 64, and returns one byte of truth where callers read four. So there are 64 bytes of code that ask
for one GiB at a time and return 0 or 1.

Sources: Microsoft's pages on `ProcessPrng` and `RtlGenRandom`; Go `src/runtime/os_windows.go`.
"""

from __future__ import annotations

from typing import Final

from wingo.windows.small_pe import Code, small_pe

NAME: Final = "bcryptprimitives.dll"
"""What the file is called in System32."""


def prng_dll() -> bytes:
    """The whole file for amd64: 2048 bytes, the same always."""
    code = Code(frame=40)
    code.put("48 89 CB", "48 89 D6")  # mov rbx, rcx (buffer); mov rsi, rdx (length)
    code.label("next")
    code.put("48 85 F6")  # test rsi, rsi
    code.refer("0F 84", "done")  # jz done
    code.put("48 89 D9")  # mov rcx, rbx
    code.put("BA 00000040")  # mov edx, 1 GiB
    code.put("48 39 D6", "48 0F 42 D6")  # cmp rsi, rdx; cmovb rdx, rsi
    code.put("48 01 D3", "48 29 D6")  # add rbx, rdx; sub rsi, rdx
    code.call("SystemFunction036")
    code.put("84 C0")  # test al, al
    code.refer("0F 85", "next")  # jnz next
    code.put("31 C0")  # xor eax, eax
    code.refer("E9", "end")  # jmp end
    code.label("done")
    code.put("B8 01000000")  # mov eax, 1
    code.label("end")
    code.returns()
    return small_pe(code, {"advapi32.dll": ["SystemFunction036"]}, export=(NAME, "ProcessPrng"))
