"""Blocks of material in a prompt, which no text inside can end or imitate.

Whoever reads a prompt tells by its tags who speaks. Where a text holds one of these tags itself,
its `<` becomes `&lt;`; any other text stands as it is, so that keys of steps, cassettes and the
vendors' prompt caches know it again. What a model may take for such a tag counts as one: with other
signs for `<`, letters that look alike, or something between them that is not seen.
"""

import re
import unicodedata

TAGS = ("request", "deliverable", "left-out", "previous", "change", "verification", "output")
_LONGEST = max(map(len, TAGS))
# Signs that look like `<`, and what such a sign is written as here, however often.
_SIGNS = "<\uff1c\ufe64\u2039\u3008\u2329\u27e8\u276e\u2770\u02c2\u1438\u29fc"
_OPENING = re.compile(rf"[{_SIGNS}]|(?i:&(?:amp;)*(?:lt|#x[0-9a-f]{{1,6}});)")
_PLAIN = re.compile(r"[\sa-z0-9/\\_-]", re.IGNORECASE)
# Letters that look like those of the tags; what Unicode itself takes for the same is not listed.
_ALIKE = str.maketrans(
    "\u0430\u0410\u0432\u0412\u0441\u0421\u0501\u0435\u0415\u0433\u04bb\u043d\u041d\u0456\u0406"
    "\u04cf\u04c0\u043e\u041e\u0440\u0420\u051b\u0455\u0405\u0442\u0422\u0475"
    "\u03b1\u0391\u0392\u03b5\u0395\u0397\u03b9\u0399\u03bd\u039d\u03bf\u039f\u03c1\u03a1"
    "\u03c4\u03a4\u03c5\u03b7\u0578\u057d\u0585\u0581\u0566\u0572"
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u029f\u0274\u1d0f\u1d18\u01eb\u0280"
    "\ua731\u1d1b\u1d1c\u1d20\u0261\u0192\u0269\u0131\u01c0",
    "aabbccdeerhhhiillooppqssttvaabeehiinnooppttunnuogqnabcdefghilnopqrstuvgfiil",
)
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5"
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me"}


def block(tag: str, text: str, **attributes: object) -> str:
    """Return a text between tags of its own."""
    return f"<{tag}{_attributes(attributes)}>\n{escaped(text.strip())}\n</{tag}>"


def mark(tag: str, **attributes: object) -> str:
    """Return a tag that stands alone."""
    return f"<{tag}{_attributes(attributes)}/>"


def escaped(text: str) -> str:
    """Return a text in which no tag of ours begins; no two texts come to the same.

    `<` before a tag is `&lt;`, another sign its number, and where that stood already, one `amp;`
    more is in it.
    """
    if not any(sign in text for sign in f"{_SIGNS}&"):
        return text  # a pattern takes many times as long to find nothing
    return _OPENING.sub(lambda found: _written(found) if _is_tag(found) else found[0], text)


def _written(opening: re.Match[str]) -> str:
    sign = opening[0]
    if sign.startswith("&"):
        return f"&amp;{sign[1:]}"
    return "&lt;" if sign == "<" else f"&#x{ord(sign):x};"


def _is_tag(opening: re.Match[str]) -> bool:
    """Check whether one of our tags follows, in letters however written, and ends with its name."""
    text, place = opening.string, opening.end()
    name = ""
    while place < len(text) and len(name) <= _LONGEST:
        letter = _seen(text[place])
        place += 1
        if not letter or (not name and (letter.isspace() or letter in "/\\")):
            continue
        if not (letter.isalnum() or letter in "-_"):
            # What compares with the attribute of a variable (`size < previous.size`) is code.
            is_code = letter == "." and bool(re.match(r"\w", text[place : place + 1]))
            return name in TAGS and not is_code
        if letter == "-" and name in TAGS:
            return True
        name += letter
    return name in TAGS


def _seen(character: str) -> str:
    """Return as which letter or sign of ASCII a character may be seen; none where it is not."""
    if _PLAIN.fullmatch(character):
        return character.lower()
    if character in _FILLERS or unicodedata.category(character) in _UNSEEN:
        return ""
    plain = unicodedata.normalize("NFKD", character.translate(_ALIKE))[:1].translate(_ALIKE)
    return "-" if unicodedata.category(plain) == "Pd" else plain.lower()


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(f' {name}="{_quoted(str(value))}"' for name, value in attributes.items())


def _quoted(value: str) -> str:
    plain = " ".join(value.split())
    return plain.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
