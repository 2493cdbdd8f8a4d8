"""The answer in a reply: the last JSON object in it that has the form asked for, outside of what marks reasoning.

Models draft before they answer, in JSON too: within marks, of which each family has its own, or without any. So of
several objects the last counts, and none does that a reply which was cut off goes on after.
"""

from __future__ import annotations

import json
import re
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

Answer = TypeVar("Answer", bound=BaseModel)

# How reasoning begins and ends, as models write it where the server leaves it in the content. An end without a
# beginning ends what began before the reply, in the prompt.
_TAG = r"(?:\w+[:_])?(?i:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad)"
REASONING_MARKS = (
    # DeepSeek, Qwen and most others; EXAONE <thought>, Seed <seed:think>, LongCat <longcat_think>, ...
    (f"<{_TAG}>", f"</{_TAG}>"),
    (r"\[(?:THINK|REASONING)\]", r"\[/(?:THINK|REASONING)\]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),  # Command
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # OpenThinker
    (r"<\|channel>thought", r"<channel\|>"),  # Gemma
    # gpt-oss, with its special tokens and without them
    (r"<\|channel\|>(?!final)", r"<\|channel\|>final"),
    (r"\Aanalysis(?=\w)", "assistantfinal"),
    (r"Here is my thought process:", r"Here is my response:"),  # Granite
)
# Ends whatever message is open, the answer included.
MESSAGE_END = r"<\|end\|>"
# Where an object may begin, and how many such places are tried: each may cost a look at all that follows.
BEGIN, PLACES = r"""\{\s*["}]""", 1000
SCAN = re.compile(
    "|".join(
        [f"(?P<open{i}>{begin})|(?P<close{i}>{end})" for i, (begin, end) in enumerate(REASONING_MARKS)]
        + [f"(?P<ends>{MESSAGE_END})", f"(?P<object>{BEGIN})"]
    )
)
# How all of these begin: to look for that first is quicker by far.
FIRST = re.compile(r"""[<\[◁{aH](?:(?<=\{)\s*["}]|(?<=<)[/|\w]|(?<=\[)[/TR]|(?<=◁)/?t|(?<=a)[sn]|(?<=H)ere is my)""")
# What may follow the answer of a reply that was cut off: the ends of what it stands in, and blank space.
REST = re.compile(r"[\s`\])}]*")
# What stands between the objects of a list, of which the first counts: they are no drafts of each other.
NEXT = re.compile(r"\s*,\s*")
NO_OBJECT = "no JSON object in the reply"


def read(content: str, form: type[Answer], cut_off: bool = False) -> Answer:
    """The last JSON object in `content` that fills `form` and is no part of its reasoning, whatever stands around it
    (a code fence, prose, another object); raises `ValueError` with the reason if there is none.

    `cut_off`: the reply ends because of its length, so that only what it ends with can be its answer.
    """
    return _Reading(content, form).answer(cut_off)


class _Reading(Generic[Answer]):
    """A look at a reply from its beginning to its end."""

    def __init__(self, content: str, form: type[Answer]) -> None:
        self.text, self.form = content, form
        self.found: Answer | None = None
        self.found_end = 0
        self.reason = NO_OBJECT
        self._thinking: set[str] = set()
        self._decoder = json.JSONDecoder()
        # The end of an object that was read, whose marks are its texts' own, and of the last reasoning.
        self._object_end = self._begin = 0

    def answer(self, cut_off: bool) -> Answer:
        position, places = 0, 0
        while (first := FIRST.search(self.text, position)) is not None:
            position = first.start() + 1
            if (mark := SCAN.match(self.text, first.start())) is None:
                continue
            if mark["object"] is None:
                if mark.start() >= self._object_end:
                    self._marked(str(mark.lastgroup), mark.end())
                position = mark.end()
                continue
            if self._thinking:
                continue
            if (places := places + 1) > PLACES:
                raise ValueError(f"more than {PLACES:,} objects in the reply" if self.found else self.reason)
            position = max(position, self._try(mark.start()))
        if self._thinking:
            raise ValueError(f"{NO_OBJECT}, which ends within its reasoning")
        if self.found is None:
            raise ValueError(self.reason)
        if cut_off and not REST.fullmatch(self.text, self.found_end):
            raise ValueError("the reply goes on after the JSON object")
        return self.found

    def _marked(self, name: str, end: int) -> None:
        """A mark where reasoning begins or ends, which is over at `end`."""
        if name.startswith("open"):
            self._thinking.add(name.removeprefix("open"))
            return
        kind = name.removeprefix("close")
        if name != "ends" and kind not in self._thinking:
            self.found, self.reason = None, NO_OBJECT  # all that came before was reasoning
        self._thinking.clear()
        self._begin = end

    def _try(self, begin: int) -> int:
        """Look at the object that may begin there; where to look on."""
        try:
            value, end = self._decoder.raw_decode(self.text, begin)
        except json.JSONDecodeError as error:
            if self.reason == NO_OBJECT:
                self.reason = f"{NO_OBJECT} ({error.msg} at character {error.pos - self._begin})"
            if begin >= self._object_end and _ends_early(error):
                self.found = None  # a later one that is not whole
            return begin
        except RecursionError:
            raise ValueError("an object in the reply is nested too deeply") from None
        except ValueError:  # a number of too many digits
            return begin
        try:
            fits = self.form.model_validate(value)
        except ValidationError as error:
            if begin >= self._object_end:  # else it is a part of an object whose fault is told
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the object"
                self.reason = f"not the form asked for ({where}: {first['msg'].removeprefix('Value error, ')})"
                self._object_end = end
            return begin
        if self.found is None or not NEXT.fullmatch(self.text, self.found_end, begin):
            self.found = fits
        self.found_end = end
        self._object_end = max(self._object_end, end)
        return end


def _ends_early(error: json.JSONDecodeError) -> bool:
    """Whether what is no JSON may be the beginning of some."""
    return error.msg.startswith("Unterminated string") or not error.doc[error.pos :].strip()
