"""When checkpoints are due."""

import pytest

from hubline.trainer.checkpoints import Interval
from hubline.trainer.config.checkpoints import Checkpoints
from hubline.trainer.config.length import Pace, Steps

PACE = Pace.of(Steps(steps=1000), examples=400, batch_size=4)  # 100 steps per epoch


@pytest.mark.parametrize(
    ("every", "due"),
    [
        (250, [264, 500, 764, 1000]),  # calls of 32 steps; the rest of an epoch is a call of its own
        ({"epochs": 2}, [200, 400, 600, 800, 1000]),
        ({"share": 0.5}, [500, 1000]),
        ({"examples": 1997}, [500, 1000]),
    ],
)
def test_a_checkpoint_is_due_after_every_so_many_steps_of_the_whole_training(every, due: list[int]) -> None:
    interval = Interval(Checkpoints.model_validate({"every": every}), PACE, step=0)
    found = []
    for step in [epoch * 100 + done for epoch in range(10) for done in (32, 64, 96, 100)]:
        if interval.is_due(step, ends_epoch=step % 100 == 0):
            interval.saved(step)
            found.append(step)
    assert found == due
    resumed = Interval(Checkpoints.model_validate({"every": every}), PACE, step=due[0])
    assert not resumed.is_due(due[0], ends_epoch=False) and resumed.is_due(due[1], ends_epoch=False)


def test_a_checkpoint_is_due_after_a_time() -> None:
    now = 0.0
    by_default, each = (
        Interval(config, PACE, step=0, clock=lambda: now)
        for config in (Checkpoints(), Checkpoints.model_validate({"every": {"minutes": 0.5}}))
    )
    now = 9.0
    assert not by_default.is_due(100, ends_epoch=True)
    now = 10.0
    assert by_default.is_due(100, ends_epoch=True) and not by_default.is_due(64, ends_epoch=False)
    assert not each.is_due(100, ends_epoch=True)
    now = 30.0
    assert each.is_due(100, ends_epoch=True) and each.is_due(64, ends_epoch=False)
    by_default.saved(64)
    now = 630.0
    assert by_default.is_due(164, ends_epoch=False)
