"""The scalar rules of YAML 1.2."""

import math

import pytest
import yaml

from stages.settings import yaml12


def load(tmp_path, text):
    file = tmp_path / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return yaml12.load(file)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-05", 2e-5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+3", 3),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("Y", "Y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("2001-12-14", "2001-12-14"),
        ("0b11", "0b11"),
    ],
)
def test_scalars(tmp_path, text, value):
    found = load(tmp_path, f"a: {text}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan(tmp_path):
    assert math.isnan(load(tmp_path, "a: .nan")["a"])


def test_norwegian_is_a_language(tmp_path):
    assert load(tmp_path, "languages: [no, en]") == {"languages": ["no", "en"]}


def test_a_key_that_stands_twice_is_refused_where_it_stands(tmp_path):
    with pytest.raises(yaml.YAMLError, match="'b' stands twice") as caught:
        load(tmp_path, "a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert caught.value.problem_mark.line == 3


def test_merge_keys_give_way_to_own_keys(tmp_path):
    assert load(tmp_path, "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}")["d"] == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 5_000, "nested too deeply"),
        ("[" * 60_000 + "]" * 60_000, "nested too deeply"),  # which would end the process
        ("a: " + "9" * 5_000, "4300 digits"),
    ],
)
def test_what_python_refuses_is_no_yaml(text, problem):
    with pytest.raises(yaml.YAMLError, match=problem):
        yaml12.parse(text)


def test_nothing_is_constructed_but_plain_data(tmp_path):
    with pytest.raises(yaml.YAMLError):
        load(tmp_path, "a: !!python/object/apply:os.getcwd []")
