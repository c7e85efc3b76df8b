"""The page of a report: one file, nothing loaded, nothing run, all text escaped, and the same each time."""

import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from app.report import make_report
from app.report_origin import Options, Source
from app.report_page import card_html, report_page
from core.evaluation.artifact import Skipped
from tests.app.conftest import write_clip
from tests.app.test_report import DAY, TOLD, TRUTH, made, source_of, write_truth
from tests.made_evaluations import made_clips, made_evaluation

WICKED = "</style><script>alert('x')</script><img src=x onerror=\"y\"> & http://a.b"
VOID = {"meta", "img", "br", "link", "input", "hr", "rect", "path", "circle"}


class Tags(HTMLParser):
    """Tags with their attributes, the text between, and whether all that is opened is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.text, self.open, self.crossed = [], "", [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.text += data

    def all(self, name: str) -> list[dict]:
        return [attributes for tag, attributes in self.tags if tag == name]


def wicked_report(folder):
    """Every text that comes from outside holds markup."""
    clips = [
        replace(
            clip,
            key=f"{WICKED}{i}",
            transcript=WICKED,
            speaker=f"{WICKED}{i // 2}",
            extra={"scenario": f"{WICKED}{i % 2}", "conflict": "True"},
        )
        for i, clip in enumerate(made_clips(TRUTH * 3, folder))
    ]
    changes = {
        "checkpoint": WICKED,
        "data": WICKED,
        "split": WICKED,
        "protocol": WICKED,
        "versions": {WICKED: WICKED},
        "skipped": (Skipped(key=WICKED, reason=WICKED),),
        "recipe": {"model": {WICKED: WICKED, "preset": WICKED}, "training": {"fold": WICKED}},
    }
    evaluation = made_evaluation(TRUTH * 3, TOLD * 3, folder, clips=clips, **changes)
    other = made_evaluation(TRUTH * 3, TRUTH * 3, folder, clips=clips, **(changes | {"recipe": {}}))
    write_truth(folder / "first-test", split=WICKED)
    write_clip(folder / "c2.mp4", num_frames=10)
    source = source_of(evaluation, folder, checkpoint=folder / "checkpoint")
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "card.md").write_text(f"## {WICKED}\n\n![p](http://a.b/p.png) [l](http://a.b)\n")
    return make_report(source, [Source(name=WICKED, folder=folder / "o", evaluation=other)], on=DAY)


def test_nothing_is_loaded_or_run_whatever_the_texts_hold(tmp_path):
    html = report_page(wicked_report(tmp_path))
    tags = Tags(html)
    names = {tag for tag, _ in tags.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio"}
    assert not [name for _, attributes in tags.tags for name in attributes if name.startswith("on")]
    loaded = [
        attributes[name]
        for _, attributes in tags.tags
        for name in ("src", "srcset", "xlink:href", "data", "poster")
        if name in attributes
    ]
    assert loaded and all(value.startswith("data:image/jpeg;base64,") for value in loaded)
    # of links only the card's may lead away, and a link loads nothing
    away = [one["href"] for one in tags.all("a") if not one["href"].startswith("#part-")]
    assert away == ["http://a.b/p.png", "http://a.b"]
    assert not re.search(r"@import|url\(", html.partition("</style>")[0])
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    assert tags.text.count("<script>alert('x')</script>") > 30
    assert html.count("</style>") == 1


def test_it_is_sound_html(tmp_path):
    tags = Tags(report_page(wicked_report(tmp_path)))
    assert (tags.open, tags.crossed) == ([], [])
    identifiers = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = [one["href"][1:] for one in tags.all("a") if one["href"].startswith("#")]
    assert targets and set(targets) <= set(identifiers)


def test_tables_and_figures_are_named_and_told_without_eyes(tmp_path):
    tags = Tags(report_page(wicked_report(tmp_path)))
    num_tables = len(tags.all("table"))
    assert num_tables == len(tags.all("caption"))
    assert [f"Table {i + 1}." in tags.text for i in range(num_tables + 1)] == [True] * num_tables + [False]
    assert len(tags.all("figcaption")) == len(tags.all("figure")) == 2
    assert all(one.get("alt") for one in tags.all("img"))
    for svg in tags.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg["role"] == "img" and svg["aria-label"])
    assert all(one.get("scope") in ("col", "row") for one in tags.all("th"))


def test_the_same_evaluation_gives_the_same_bytes_but_for_the_date(tmp_path):
    evaluation = made_evaluation(TRUTH, TOLD, tmp_path)
    write_clip(tmp_path / "c2.mp4", num_frames=10)
    first, again, later = (
        report_page(make_report(source_of(evaluation, tmp_path), on=day)).splitlines()
        for day in (DAY, DAY, date(2027, 1, 1))
    )
    assert first == again
    changed = [(a, b) for a, b in zip(first, later, strict=True) if a != b]
    [(a, b)] = changed
    assert a.replace("2026-02-03", "2027-01-01") == b


def test_numbers_stand_with_their_intervals(tmp_path):
    html = report_page(made(tmp_path))
    report = made(tmp_path)
    recall = report.scores.classes["fear"].recall
    assert f"<b>0.50</b> <small>{recall.low:.2f}–{recall.high:.2f}</small>" in html
    # a class without a clip has no recall
    anger = html.partition('background:#d1462f" aria-hidden="true"></i>anger</th>')[2].partition("</tr>")[0]
    assert anger.count('<td class="estimate">–</td>') == 4
    assert "of 10 clips" in html and "200 bootstrap resamples of 10 clips" in html
    assert "Always joy" in html and '<td class="number">0.60</td>' in html
    assert "Clips were resampled one by one" in html
    assert "Fewer than ten clips have the label joy, fear" in html


def test_the_confusion_matrix(tmp_path):
    html = report_page(made(tmp_path)).partition("Confusion matrix")[2].partition("</table>")[0]
    cells = re.findall(r'<td class="cell ([a-z ]*)" style="--share:(\d+)%">(\d+)', html)
    assert cells == [
        *(("right full", "83", "5"), ("", "17", "1"), ("", "0", "0")),
        *(("full", "50", "2"), ("right full", "50", "2"), ("", "0", "0")),
        *(("", "0", "0"), ("", "0", "0"), ("right", "0", "0")),
    ]


def test_one_clip_has_no_interval_and_says_so(tmp_path):
    html = report_page(made(tmp_path, ["joy"], ["fear"]))
    assert "the one clip of clips" in html and "one clip cannot be resampled" in html
    all_right = report_page(made(tmp_path, ["joy", "anger"] * 3, ["joy", "anger"] * 3))
    assert "No clip is predicted as another class than its label." in all_right


def test_differences_from_another(tmp_path):
    same = made_evaluation(TRUTH, TOLD, tmp_path, checkpoint="same")
    html = report_page(made(tmp_path, against=[source_of(same, tmp_path, "same-test")]))
    part = html.partition("Against same-test</h3>")[2].partition("</article>")[0]
    assert "these 10 clips cannot tell whether its macro F1 is better or worse" in part
    assert "≈ cannot be told" in part and "▲" not in part
    assert "Both were made with the same settings" in part
    assert "Against other evaluations" not in report_page(made(tmp_path))


def test_truth_is_told_with_chance(tmp_path):
    write_truth(tmp_path / "first-test")
    html = report_page(made(tmp_path))
    rows = html.partition("Truth of explanations")[2].partition("</table>")[0].split("<tr>")
    assert "occlusion" in rows[2] and "<b>0.90</b> <small>0.80–0.95</small>" in rows[2]
    assert 'class="mark"' in rows[2] and '<td class="number">0.30</td><td class="number">40</td>' in rows[2]
    # what nobody knows the chance of
    assert 'class="mark"' not in rows[3] and '<td class="number">–</td>' in rows[3]
    (tmp_path / "first-test" / "truth.json").write_text(json.dumps({}))
    assert "is damaged, so the truth scores are left out" in report_page(made(tmp_path))


def test_a_card_is_shown_as_text():
    html = card_html(
        "# A\n\n## B\n\n<script>x</script> ![p](a.png) `c` *d*\n\n| e |\n|---|\n| f |\n\n[g](javascript:h)"
    )
    assert "<script>" not in html and "<img" not in html and 'javascript:h"' not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html and "<code>c</code>" in html and "<td>f</td>" in html
    assert "<h3>B</h3>" in html


@pytest.mark.parametrize(("pictures", "words"), [(True, False), (False, True), (False, False)])
def test_pictures_and_words_can_be_left_out(tmp_path, pictures, words):
    write_clip(tmp_path / "c2.mp4", num_frames=10)
    html = report_page(made(tmp_path, options=Options(has_pictures=pictures, has_words=words)))
    assert ("<img" in html) == pictures and ("“words 2”" in html) == words
    assert ("Before you publish them" in html) == (pictures or words)


def test_what_flatters_stands_first_among_the_limits(tmp_path):
    evaluation = made_evaluation(["joy", "fear"], ["joy", "joy"], tmp_path, caveats=("It <b>flatters</b>.",))
    html = report_page(make_report(source_of(evaluation, tmp_path), on=DAY))
    limits = html.partition("What the figures do not show")[2].partition("</ul>")[0]
    assert "It &lt;b&gt;flatters&lt;/b&gt;." in limits.partition("</li>")[0]
    # what flatters those that it is held against, too, but not twice
    others = [
        source_of(replace(evaluation, info=replace(evaluation.info, caveats=caveats)), tmp_path, name)
        for name, caveats in (("same", evaluation.info.caveats), ("other", ("It leaks.",)))
    ]
    html = report_page(make_report(source_of(evaluation, tmp_path), others, on=DAY))
    limits = html.partition("What the figures do not show")[2].partition("</ul>")[0]
    assert limits.count("flatters") == 1 and "other: It leaks." in limits
    assert f"{source_of(evaluation, tmp_path).name}, same: It &lt;b&gt;flatters" in limits


def test_an_interval_stays_in_one_line_with_its_figure(tmp_path):
    same = made_evaluation(TRUTH, TOLD, tmp_path, checkpoint="same")
    html = report_page(made(tmp_path, against=[source_of(same, tmp_path, "same-test")]))
    body = html.partition("<body>")[2]
    whole = re.findall(r'<span class="unbroken">([^<]*)</span>', body)
    assert any("–" in one for one in whole) and any(", " in one for one in whole)
    left = re.sub(r'<span class="unbroken">[^<]*</span>|<td class="estimate">.*?</td>', "", body)
    assert re.findall(r"\[[+−]?[\d.]+(?:–|, )[+−]?[\d.]+\]", left) == []
