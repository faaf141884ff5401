from __future__ import annotations

import json

import pytest

from submission import Competition, CompetitionError, image_seed
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
        ("[1]", "entry 0: must be an object"),
        ("3", "must be an object or a list"),
        ('{"1.png": ["a", "b"]}', "1.png: is not an object"),
        ('{"a": {"image_name": "a.png", "text_prompt": ["x", "y"]}}', "a: text_prompt is not a string"),
        ('[{"image_id": 1, "file_name": "1.png", "caption": "x"}]', "several could be it: file_name, image_id"),
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
        ("id,words\n1.png,x\n", "no column 'prompt'"),
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
        ("image_id,file_name,caption\n1,1.png,x\n", "several that could be it: image_id, file_name"),
        ("image_id,id,caption\n1,7,x\n", "'id' and image_id, which could name the image too"),
        ("ID,Prompt,id\n1,x,2\n", "more than one column 'id'"),
        ("id,prompt\n1.0,x\n2.0,y\n", "made decimals of the images' numbers, such as 1.0"),
        ("id,prompt\n1.23E+11,x\n", "made powers of ten of the images' numbers"),
        ("id,prompt\n1.gif,x\n", "'1.gif' does not end in"),
        ("id,prompt\n1,a cat\n".encode("utf-16-le"), "as UTF-16 without its byte order mark does"),
        ("id;prompt\n1;a cat; and a dog\n", "line 2: has 3 cells"),
        ("id,prompt\n1.png,\u200b\ufeff\n", "1.png: the prompt is empty"),
        ('id,prompt\n1.png,"a\tcat"\n', "control characters"),
        (b"id,prompt\n\n1.png,caf\xe9\n", "cp1252)? Then this line reads '1.png,café': if that is right"),
    ],
)
def test_bad_csv_names_its_line(tmp_path, text, said):
    with pytest.raises(CompetitionError) as caught:
        read_prompts(_csv(tmp_path, text))
    assert said in str(caught.value)


_CAT, _TWO = [("1.png", "a cat")], [("1.png", "a cat"), ("2.png", "a dog")]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("blank last line.csv", b"id,prompt\r\n1.png,a cat\r\n2.png,a dog\r\n\r\n", _TWO),
        ("blank first line.csv", b"\n \nid,prompt\n1.png,a cat\n", _CAT),
        ("rows of empty cells.csv", b"id,prompt\r\n1.png,a cat\r\n,\r\n , \r\n", _CAT),
        ("columns of empty cells.csv", b"id,prompt,,\n1.png,a cat,,\n", _CAT),
        ("semicolons.csv", b"id;prompt\r\n1.png;a cat\r\n", _CAT),
        ("semicolons and commas.csv", b"id;prompt\n1.png;a cat, a dog\n", [("1.png", "a cat, a dog")]),
        ("bars.csv", b"id|prompt\n1.png|a cat\n", _CAT),
        ("sep line.csv", b"sep=;\r\nid;prompt\r\n1.png;a cat\r\n", _CAT),
        ("sep line with a mark.csv", b"\xef\xbb\xbfsep=,\r\nid,prompt\r\n1.png,a cat\r\n", _CAT),
        ("tabs.csv", b"id\tprompt\n1.png\ta cat\n", _CAT),
        ("tabs.tsv", b"id\tprompt\n1.png\ta cat, a dog\n", [("1.png", "a cat, a dog")]),
        ("CAPITALS.TSV", b"ID\tPrompt\n1.png\ta cat\n", _CAT),
        ("utf-16.csv", "id,prompt\r\n1.png,a cat\r\n".encode("utf-16"), _CAT),
        ("utf-16 be.tsv", b"\xfe\xff" + "id\tprompt\n1.png\ta cat\n".encode("utf-16-be"), _CAT),
        ("old Mac.csv", b"id,prompt\r1.png,a cat\r2.png,a dog\r", _TWO),
        ("spaces.csv", b"id, prompt\n1.png, a cat\n", _CAT),
        ("quoted after a space.csv", b'id, prompt\n1.png, "a cat, a dog"\n', [("1.png", "a cat, a dog")]),
        ("capitals.csv", b"ID,Prompt\n1.png,a cat\n", _CAT),
        ("two words.csv", b"Image ID,Text Prompt\n1.png,a cat\n", _CAT),
        ("captions.csv", b"image_id,caption\n1,a cat\n", _CAT),
        ("hub.csv", b"file_name,text\n1.png,a cat\n", _CAT),
        ("pandas index.csv", b",id,prompt\n0,1.png,a cat\n1,2.png,a dog\n", _TWO),
        ("more names.csv", b"id,prompt,file_name\n1.png,a cat,x.jpg\n", _CAT),
        (
            "dots.csv",
            b"id,prompt\nimg_v1.5,a cat\nU.S. 101,a road\n1.0,a dog\n",
            [("img_v1.5.png", "a cat"), ("U.S. 101.png", "a road"), ("1.0.png", "a dog")],
        ),
        ("list.json", b'[{"image_name": "1.png", "text_prompt": "a cat"}]', _CAT),
        ("captions.json", b'[{"image_id": 1, "caption": "a cat"}, {"image_id": 2, "caption": "a dog"}]', _TWO),
        ("names to texts.json", b'{"1.png": "a cat"}', _CAT),
        ("keys that are names.json", b'{"1.png": {"prompt": "a cat"}}', _CAT),
        ("line end.json", b'{"1": {"image_name": "1.png", "text_prompt": "a cat\\n"}}', _CAT),
        ("lines.jsonl", b'{"image_name": "1.png", "text_prompt": "a cat"}\n\n{"id": "2", "prompt": "a dog"}\r\n', _TWO),
        ("lines.json", b'{"file_name": "1.png", "text": "a cat"}\n{"file_name": "2.png", "text": "a dog"}\n', _TWO),
        ("marked.jsonl", b'\xef\xbb\xbf{"image_name": "1.png", "text_prompt": "a cat"}', _CAT),
        ("utf-16.json", '{"1.png": "a cat"}'.encode("utf-16"), _CAT),
    ],
)
def test_lists_as_table_programs_and_hubs_write_them(tmp_path, name, data, expected):
    (tmp_path / name).write_bytes(data)
    assert [(prompt.image_name, prompt.text) for prompt in read_prompts(tmp_path / name)] == expected


def test_a_list_says_the_same_in_every_form(tiny_competition):
    competition = tiny_competition()
    lines = [json.dumps({"image_name": one.image_name, "text_prompt": one.text}) for one in competition.prompts]
    (competition.root / "test.json").write_text(f"[{','.join(lines)}]")
    again = Competition.load(competition.root)
    assert again.prompts == competition.prompts  # keys too: `0_main` of an object's entry, and of a list's
    assert again.prompts_sha256 == competition.prompts_sha256


@pytest.mark.parametrize("name", ["prompts.txt", "prompts.xlsx"])
def test_other_files_are_refused_with_what_to_write(tmp_path, name):
    (tmp_path / name).write_bytes(b"a cat\n")
    with pytest.raises(CompetitionError, match="write a CSV with the columns id and prompt"):
        read_prompts(tmp_path / name)


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
