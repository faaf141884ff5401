from __future__ import annotations

import json

import pytest

from submission import CompetitionError, image_seed
from submission.prompts import read_prompts

# One entry of the course's test.json, as it is handed out.
VULTURE = {
    "image_name": "0_attack1.png",
    "given_description": "Gray vulture monster with wings, sharp beak, and trident.",
    "action_description": "The monster is attacking.",
    "text_prompt": "Gray vulture monster with wings, sharp beak, and trident. The monster is attacking.",
}


def _json(tmp_path, text):
    path = tmp_path / "test.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _csv(tmp_path, text):
    path = tmp_path / "generate.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_course_json_in_file_order(tmp_path):
    main = {**VULTURE, "image_name": "0_main.png", "text_prompt": "Gray vulture."}
    prompts = read_prompts(_json(tmp_path, json.dumps({"0_main": main, "0_attack1": VULTURE})))
    assert [prompt.image_name for prompt in prompts] == ["0_main.png", "0_attack1.png"]
    assert prompts[1].key == "0_attack1"
    assert prompts[1].text == VULTURE["text_prompt"]


def test_csv_with_more_columns(tmp_path):
    text = (
        'id,animal,object,prompt\r\n000001.png,shark,sneaker,a shark and a sneaker\r\n2,cat,cup,"a cat, and a cup"\r\n'
    )
    prompts = read_prompts(_csv(tmp_path, text))
    assert [(p.image_name, p.text) for p in prompts] == [
        ("000001.png", "a shark and a sneaker"),
        ("2.png", "a cat, and a cup"),
    ]


def test_byte_order_mark_of_table_programs_is_no_column(tmp_path):
    assert read_prompts(_csv(tmp_path, b"\xef\xbb\xbfid,prompt\n1.png,a cat\n"))[0].image_name == "1.png"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"a": {"image_name": "a.png", "text_prompt": "x"}, "a": {"image_name": "b.png", "text_prompt": "y"}}',
            "'a' is there twice",
        ),
        (
            '{"a": {"image_name": "a.png", "image_name": "b.png", "text_prompt": "y"}}',
            "a: the key 'image_name' is there twice",
        ),
        ('{"a": {"image_name": "a.png", "text_prompt": NaN}}', "a: text_prompt: NaN is not JSON"),
        (
            '{"a": {"image_name": "a.png", "text_prompt": "x", "frames": [1, -Infinity]}}',
            "a: frames: 1: -Infinity is not",
        ),
        ('{"a": {"image_name": "a.png", "text_prompt": "  "}}', "a: the prompt is empty"),
        ('{"a": {"image_name": "a.png", "text_prompt": "x\\u0000y"}}', "control characters"),
        ('{"a": {"image_name": "a.png", "text_prompt": "\\ud800"}}', "control characters"),
        ('{"a": {"image_name": "../a.png", "text_prompt": "x"}}', "a: the image name '../a.png'"),
        ('{"a": {"image_name": "/a.png", "text_prompt": "x"}}', "not allowed"),
        ('{"a": {"image_name": "a\\\\b.png", "text_prompt": "x"}}', "not allowed"),
        ('{"a": {"image_name": ".a.png", "text_prompt": "x"}}', "starts with '.'"),
        ('{"a": {"image_name": "-a.png", "text_prompt": "x"}}', "starts with '-'"),
        ('{"a": {"image_name": "a\\u202egnp.png", "text_prompt": "x"}}', "invisible"),
        ('{"a": {"image_name": "con.png", "text_prompt": "x"}}', "Windows"),
        ('{"a": {"image_name": "a.gif", "text_prompt": "x"}}', "does not end in"),
        ('{"a": {"image_name": "e\\u0301.png", "text_prompt": "x"}}', "NFC"),
        ('{"a": {"image_name": "' + "a" * 200 + '.png", "text_prompt": "x"}}', "longer than"),
        ('{"a": {"text_prompt": "x"}}', "a: image_name is missing"),
        ('{"a": {"image_name": 3, "text_prompt": "x"}}', "a: image_name is not a string"),
        ('{"a": "x"}', "a: is not an object"),
        ("[1]", "must be an object"),
        ("{}", "no prompts"),
        ('{"a": ', "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "JSON"),
        (b'{"a": {"image_name": "a.png",\n "text_prompt": "\xff"}}', "a: text_prompt: is not UTF-8"),
        (b'{"a": {"image_name": "a.png",\n "text_prompt": "\xff"}}', "line 2, byte 47"),
        (b'{"a": 1, \xff}', "is not UTF-8 (line 1, byte 9)"),
    ],
)
def test_bad_json_names_its_entry(tmp_path, text, said):
    with pytest.raises(CompetitionError) as caught:
        read_prompts(_json(tmp_path, text))
    assert said in str(caught.value)
    assert "test.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,text\n1.png,x\n", "no column 'prompt'"),
        ("id,prompt,id\n1.png,x,2\n", "more than one column 'id'"),
        ("id,prompt\n1.png,a cat, and a dog\n", "line 2: has 3 cells"),
        ("id,prompt\n1.png,\n", "1.png: the prompt is empty"),
        ("id,prompt\n1.png,nan\n", "1.png: the prompt is NaN"),
        ("id,prompt\n,x\n", "'.png'"),
        ("id,prompt\n1,x\n1.png,y\n", "is also that of"),
        ('id,prompt\n1.png,"x\n', "is not CSV"),
        (b"id,prompt\n1.png,caf\xe9\n", "line 2: is not UTF-8"),
        ("", "no column 'id'"),
        ("id,prompt\n", "no prompts"),
    ],
)
def test_bad_csv_names_its_line(tmp_path, text, said):
    with pytest.raises(CompetitionError) as caught:
        read_prompts(_csv(tmp_path, text))
    assert said in str(caught.value)


def test_names_that_clash_on_other_systems(tmp_path):
    entries = {
        key: {"image_name": name, "text_prompt": "x"} for key, name in [("a", "Straße.png"), ("b", "STRASSE.PNG")]
    }
    with pytest.raises(CompetitionError, match=r"b: .*differs only in case"):
        read_prompts(_json(tmp_path, json.dumps(entries)))


def test_all_problems_at_once(tmp_path):
    entries = {str(i): {"image_name": f"{i}/.png", "text_prompt": ""} for i in range(50)}
    with pytest.raises(CompetitionError) as caught:
        read_prompts(_json(tmp_path, json.dumps(entries)))
    assert len(caught.value.problems) == 100
    assert "… and 30 more" in str(caught.value)


def test_image_seed_is_the_head_of_the_sha256():
    # printf '0:0_attack1.png' | sha256sum, the first 16 hex digits
    assert f"{image_seed(0, '0_attack1.png'):016x}" == "c8b29a8ce24f167b"
    assert f"{image_seed(7, '000001.png'):016x}" == "ffae5d7e8b14645b"
