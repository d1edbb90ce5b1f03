"""What both vendors make of an attachment, and how one that a vendor cannot take is refused."""

from base64 import b64encode

from rolecall import Attachment, Cause, ProviderError


def media_type(attachment: Attachment) -> str:
    """Return the media type without its parameters."""
    return attachment.media_type.partition(";")[0].strip().lower()


def encoded(attachment: Attachment) -> str:
    return b64encode(attachment.data).decode("ascii")


def as_text(attachment: Attachment) -> str:
    """Return a text file as text below its name."""
    try:
        text = attachment.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refused(attachment, "is not in UTF-8") from error
    return f"{attachment.name}:\n{text}" if attachment.name else text


def refused(attachment: Attachment, why: str) -> ProviderError:
    name = f" {attachment.name}" if attachment.name else ""
    return ProviderError(
        Cause.INVALID_REQUEST, f"the attachment{name} of type {attachment.media_type} {why}"
    )
