"""Checks that the other forms of a model answer as the SavedModel does."""

from hubline.artifacts.decision import OVERALL, Check
from hubline.trainer.exports.results import Form, Forms


def export_checks(model: str) -> list[Check]:
    """A check for each form in a SavedModel's folder; none if there are no other forms."""
    return [_check(name, form) for name, form in Forms.read(model).forms.items()]


def _check(name: str, form: Form) -> Check:
    found, records = form.difference, f"for {form.records} records of the test split"
    if found is None:
        reason = f"export.{name} gives answers that are not finite {records}"
    else:
        verb = "answers as the SavedModel does" if form.agrees else "does not answer as the SavedModel does"
        reason = f"export.{name} {verb}: the greatest difference {records} is {found:.2g} (at most {form.bound:g})"
    return Check(
        slice=OVERALL,
        metric=f"export.{name}",
        rule="max_difference",
        bound=form.bound,
        value=found,
        serving=None,
        passed=form.agrees,
        reason=reason,
    )
