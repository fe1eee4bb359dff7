"""`tinybench analyze`: a workload or a file, as text, as JSON and as a page."""

from __future__ import annotations

import re


def test_a_workload_as_text(tinybench):
    said = tinybench("analyze", "kws01-synthetic")
    assert said.code == 0
    first, second, *rest = said.out.splitlines()
    assert first.startswith("kws01-synthetic: 13 operators, 2,656,768 MACs, 22,604 parameters")
    assert "16,000 B by our planner, 16,000 B by TFLM's" in second
    assert sum("DEPTHWISE_CONV_2D" in line for line in rest) == 4
    assert any(re.match(r"nucleo-f746 .* fits$", line) for line in rest)


def test_a_file_as_json_and_as_a_page(tinybench, tmp_path):
    model = tmp_path / "cache" / "m.tflite"
    model.parent.mkdir()
    model.write_bytes(_synthetic("unet"))
    page = tmp_path / "unet.html"
    said = tinybench("analyze", str(model), "--json", "--html", str(page))
    assert said.code == 0
    found = said.json
    assert found["schema"] == "tinybench.analysis"
    assert found["peaks"] == {"tflm": 73_728, "ours": 73_728, "least": 73_728}
    assert found["plan"]["bytes"] == max(b["offset"] + b["bytes"] for b in found["plan"]["buffers"])
    assert len(found["operators"]) == max(t["last_operator"] for t in found["tensors"]) + 1
    html = page.read_text(encoding="utf-8")
    assert "m.tflite: 73,728 B of activations" in html
    assert 'id="arena-tflm"' in html
    assert "://" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def _synthetic(name: str) -> bytes:
    from tinybench.making.synthesis import synthesised
    from tinybench.plugins import discover

    source = next(iter(discover().workload(name).model.sources))
    return synthesised(source)


def test_what_cannot_be_read_is_said_in_a_sentence(tinybench, tmp_path):
    missing = tinybench("analyze", str(tmp_path / "none.tflite"))
    assert (missing.code, "No such file" in missing.err) == (2, True)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x00\x00\x00\x00TFL3" + bytes(40))
    said = tinybench("analyze", str(broken))
    assert said.code == 6
    assert said.err.startswith("error: ")
    unknown = tinybench("analyze", "kws01-synthetik")
    assert unknown.code == 2
    assert "kws01-synthetic" in unknown.err
