"""Whose a run is: a stranger may have prepared its folder, and nothing in it says who edited it.

A secret in the user's state folder signs two things of a run: its place, which is the inode and the
change time of a file that is written once and that no archive, copy or clone can bring along; and,
each time rolecall closes the run, its content. A run in its place is the user's own, and so are the
edits in it. A copy is the user's own as long as its content is what rolecall left: where it was
changed after that, nobody knows by whom.
"""

import hashlib
import hmac
import json
import logging
import secrets
from pathlib import Path

from attrs import asdict, frozen

from ..errors import RunError, UntrustedRun
from .safe_folder import SafeFolder

_log = logging.getLogger("rolecall")
IDENTITY = "identity"
ORIGIN = ".origin"
MARKER = ".place"
# What says nothing of a run, or changes while it is only opened.
UNSIGNED = {ORIGIN, MARKER, ".lock", ".holder"}
LARGEST = 1000  # bytes of an identity, a signature and a marker
_NOTE = b"Where this file lies shows whether the run was made here; see SECURITY.md.\n"
_PURPOSE = b"rolecall run 1\0"


@frozen
class _Signature:
    """What a run's file says; place: of the marker. content: "" while the run is open."""

    place: tuple[int, int]
    content: str
    mac: str

    @classmethod
    def make(cls, secret: bytes, place: tuple[int, int], content: str) -> "_Signature":
        message = _PURPOSE + json.dumps([*place, content]).encode()
        return cls(place, content, hmac.digest(secret, message, "sha256").hex())

    @classmethod
    def read(cls, run: Path) -> "_Signature | None":
        """Read a run's signature; raise RunError where it is none."""
        text = SafeFolder(run).read_text(ORIGIN, LARGEST)
        if text is None:
            return None
        try:
            match json.loads(text):
                case {"place": [int(inode), int(time)], "content": str(content), "mac": str(mac)}:
                    return cls((inode, time), content, mac)
        except (ValueError, RecursionError):
            pass
        raise RunError(f"{run / ORIGIN}: is no signature")

    def is_by(self, secret: bytes) -> bool:
        own = _Signature.make(secret, self.place, self.content)
        return hmac.compare_digest(own.mac.encode(), self.mac.encode("utf-8", "replace"))


class Signer:
    """Signs the user's runs, and tells them from others'.

    folder: where the secret lies, made when it is first needed. With "" nothing is signed, and
    every run is taken for the user's own.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._has_warned = False

    def doubt(self, run: Path) -> str:
        """Return why a run cannot be taken for the user's own, or "" where it can.

        What is returned follows the run's path in a sentence. Nothing is written.
        """
        if not self._folder:
            return ""
        try:
            signature, place = _Signature.read(run), _place(run)
        except RunError:
            return "was made elsewhere: its signature cannot be read"
        if signature is None:
            return "was made elsewhere, or by a rolecall that signed no runs yet"
        secret = self._secret()
        if secret is None or not signature.is_by(secret):
            return (
                "was made by another user or on another machine, "
                f"unless {Path(self._folder, IDENTITY)} was lost or replaced since"
            )
        if place == signature.place or (signature.content and _seal(run) == signature.content):
            return ""
        return "was copied from a run of yours, and changed after rolecall wrote it"

    def check(self, run: Path, trust: bool = False) -> None:
        """Raise UntrustedRun where a run cannot be taken for the user's own, and is not trusted."""
        doubt = "" if trust else self.doubt(run)
        if doubt:
            raise UntrustedRun(str(run), doubt)

    def sign(self, run: Path, *, closed: bool = False) -> None:
        """Sign a run as the user's own.

        closed: sign its content as well, of which copies are the user's own then. Where that
        cannot be done a warning is logged: the run goes on, and who opens it again is asked.
        """
        if not self._folder:
            return
        files = SafeFolder(run)
        try:
            if not self._is_in_place(run):
                files.write(MARKER, _NOTE)
            elif not closed:
                return
            place = _place(run)
            if place is None:
                raise RunError(f"{run / MARKER}: is not there")
            signature = _Signature.make(self._made_secret(), place, _seal(run) if closed else "")
            files.write(ORIGIN, json.dumps(asdict(signature)).encode())
        except RunError as error:
            if not self._has_warned:
                _log.warning("%s cannot be signed as yours: %s", run, error)
            self._has_warned = True

    def _is_in_place(self, run: Path) -> bool:
        secret = self._secret()
        try:
            signature, place = _Signature.read(run), _place(run)
        except RunError:
            return False
        return bool(signature and secret and signature.is_by(secret) and signature.place == place)

    def _secret(self) -> bytes | None:
        """Read the secret; None where there is none, or a damaged one."""
        try:
            text = SafeFolder(Path(self._folder)).read_text(IDENTITY, LARGEST)
            secret = bytes.fromhex(text or "")
        except (RunError, ValueError):
            return None
        return secret if len(secret) >= 32 else None

    def _made_secret(self) -> bytes:
        """Return the secret; one process makes it, where several begin at once."""
        from filelock import FileLock

        secret = self._secret()
        if secret is not None:
            return secret
        folder = Path(self._folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(folder / f"{IDENTITY}.lock", mode=0o600):
                secret = self._secret()
                if secret is None:
                    secret = secrets.token_bytes(32)
                    SafeFolder(folder).write(IDENTITY, f"{secret.hex()}\n".encode())
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror}") from error
        return secret


def _place(run: Path) -> tuple[int, int] | None:
    """Return what the file system alone decides of the marker; None where there is none.

    That is its inode, and when it was last touched; on Windows its index, and when it was made.
    """
    status = SafeFolder(run).status(MARKER)
    return None if status is None else (status.st_ino, status.st_ctime_ns)


def _seal(run: Path) -> str:
    """Hash the names and contents of all files of a run; "" where one cannot be read."""
    files = SafeFolder(run, hard_links=True)
    sealed = hashlib.sha256()
    try:
        for name in files.files():
            if name not in UNSIGNED:
                sealed.update(f"{len(name)}:{name}".encode("utf-8", "surrogateescape"))
                sealed.update(files.digest(name))
    except RunError:
        return ""
    return sealed.hexdigest()


NOBODY = Signer("")
