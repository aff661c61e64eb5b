"""How files leave: names that no header can stumble over."""

from __future__ import annotations

from urllib.parse import quote

#: Of a file that opens in the browser: its viewer is a page of the browser's own, which stays blank under
#: the policy of our pages. The type is fixed and is not guessed (nosniff), so no file becomes a page.
FILE_POLICY = "frame-ancestors 'none'"


def disposition(name: str, *, inline: bool) -> str:
    """Content-Disposition as RFC 6266 has it, with an ASCII name for old readers.

    Both spellings are escaped, so no name can end the header or leave its folder.
    """
    name = name.replace("/", "_").replace("\\", "_")
    plain = "".join(ch if ch.isascii() and (ch.isalnum() or ch in "._-") else "_" for ch in name)[:80]
    how = "inline" if inline else "attachment"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
