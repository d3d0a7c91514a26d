"""What went wrong between here and the Hub, in one line. No line ever holds a token."""

import contextlib
from collections.abc import Iterator

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


class HubError(OSError):
    """One line: what could not be had from the Hub, or put there, and what would help."""


@contextlib.contextmanager
def plainly_told(repository: str, *, advice: str = "") -> Iterator[None]:
    """Raises the Hub's errors, however deep a library wrapped them, as one line with `advice`."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        line = _first_told(error, repository)
        if line is None:
            raise
        raise HubError(f"{line}; {advice}" if advice else line) from error


def _first_told(error: BaseException | None, repository: str) -> str | None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        line = _told(error, repository)
        if line is not None:
            return line
        error = error.__cause__ or error.__context__
    return None


def _told(error: BaseException, repository: str) -> str | None:
    hub = constants.ENDPOINT
    if isinstance(error, GatedRepoError):
        return (
            f"{repository} is gated: ask for access at {hub}/{repository}, then log in with "
            "`hf auth login` or set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{repository} is not on the Hub ({hub}), or it is private and the token, if any, "
            "may not see it"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no such revision"
    if isinstance(error, LocalTokenNotFoundError):
        return f"{repository} needs a token: log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, (LocalEntryNotFoundError, OfflineModeIsEnabled)) or _is_transport(error):
        return f"{repository}: the Hub ({hub}) cannot be reached, and the cache does not have it"
    if isinstance(error, EntryNotFoundError):
        return f"{repository} does not have the file asked for"
    if isinstance(error, HFValidationError):
        return f"{repository!r} is no Hub id: it must be owner/name"
    if isinstance(error, HfHubHTTPError):
        return _refused(error.response.status_code, repository, error.server_message)
    return None


def _refused(status: int, repository: str, reason: str | None) -> str:
    if status == 401:
        return (
            f"{repository}: the Hub does not know the token; log in again with `hf auth login` "
            "or correct HF_TOKEN"
        )
    if status == 403:
        return f"{repository}: the token does not permit this; it needs write access there"
    told = f": {' '.join(reason.split())}" if reason else ""
    return f"{repository}: the Hub answered {status}{told}"


def _is_transport(error: BaseException) -> bool:
    """No connection, or a broken one; the class is httpx's, which goes by more than one name."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
