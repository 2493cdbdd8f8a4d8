"""Prompts: the Jinja templates of a folder, filled in. Their text is part of each request's key, so a changed prompt
asks anew for what it makes and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2

from stages.shared.errors import UserError
from stages.shared.languages import language_name


class Prompts:
    def __init__(self, varieties: dict[str, str], folder: Path) -> None:
        """`varieties`: what to call languages whose code says too little."""
        self._varieties, self._folder = varieties, folder
        self._environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
        # Jinja's own tojson writes \\uXXXX for all but ASCII, several tokens a letter.
        self._environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
        self._templates: dict[str, jinja2.Template] = {}

    def language(self, tag: str) -> str:
        return self._varieties.get(tag) or language_name(tag)

    def fill(self, key: str, name: str, **values: Any) -> str:
        """The prompt `name`, which params.yaml names under `key`; raises `UserError` if it is missing or wrong."""
        template = self._template(key, name)
        try:
            return template.render(values).strip()
        except jinja2.UndefinedError as error:
            known = ", ".join(sorted(values))
            raise UserError(
                f"{self._folder.name}/{name}.md: {error.message}: a prompt of {key} may use {known}"
            ) from None
        except Exception as error:  # whatever its expressions raise
            raise UserError(f"{self._folder.name}/{name}.md cannot be filled in ({error}): mend it") from None

    def _template(self, key: str, name: str) -> jinja2.Template:
        if name not in self._templates:
            known = {found.stem: found for found in sorted(self._folder.glob("*.md"))}
            if name not in known:  # nor may it lead out of the folder
                has = ", ".join(known)
                raise UserError(f"{key} is {name!r}, but {self._folder.name}/ has {has}: name one or add the file")
            file = known[name]
            try:
                self._templates[name] = self._environment.from_string(file.read_text(encoding="utf-8"))
            except jinja2.TemplateSyntaxError as error:
                raise UserError(f"{file}:{error.lineno} is no Jinja template ({error.message}): mend it") from None
            except UnicodeDecodeError:
                raise UserError(f"{file} is not UTF-8: save it as UTF-8") from None
        return self._templates[name]
