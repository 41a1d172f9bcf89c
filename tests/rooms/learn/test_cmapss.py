"""The C-MAPSS bench: its figures by the published formulas, its files as engines, and what is missing said in words."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.bench._cmapss import CAP, Missing, nasa, read_test, read_training, rmse


@pytest.mark.parametrize(("late", "score"), [(-13.0, 1.7183), (10.0, 1.7183), (20.0, 6.3891), (0.0, 0.0)])
def test_the_nasa_score_of_one_engine(late: float, score: float) -> None:
    assert nasa(np.array([50.0 + late]), np.array([50.0])) == pytest.approx(score, abs=5e-5)


def test_the_score_is_a_sum_and_the_rmse_a_mean() -> None:
    truth, said = np.array([50.0, 60.0]), np.array([60.0, 70.0])
    assert nasa(said, truth) == pytest.approx(2.0 * 1.7183, abs=1e-4)
    assert rmse(said, truth) == 10.0


def test_a_perfect_predictor_that_is_cut_at_the_cap_has_the_published_raw_rmse(data_dir: Path) -> None:
    test = read_test(data_dir / "cmapss", "FD001")
    assert test is not None
    known = test.rul[np.isfinite(test.rul)]
    assert len(known) == 100
    assert rmse(np.minimum(known, CAP), known) == pytest.approx(3.74, abs=0.005)


def row(engine: int, cycle: int) -> str:
    return " ".join([str(engine), str(cycle), *["0.5"] * 24]) + "  \n"


def test_files_become_engines_plain_or_compressed(tmp_path: Path) -> None:
    text = "".join(row(1, c) for c in (1, 2, 3)) + "".join(row(2, c) for c in (1, 2))
    (tmp_path / "train_FD002.txt.gz").write_bytes(gzip.compress(text.encode()))
    engines = read_training(tmp_path, "FD002")
    assert engines.rul.tolist() == [2.0, 1.0, 0.0, 1.0, 0.0]
    assert engines.age.tolist() == [1.0, 2.0, 3.0, 1.0, 2.0]
    assert read_test(tmp_path, "FD002") is None
    (tmp_path / "test_FD002.txt").write_text(text)
    assert read_test(tmp_path, "FD002") is None
    (tmp_path / "RUL_FD002.txt").write_text("112\n98\n")
    test = read_test(tmp_path, "FD002")
    assert test is not None
    assert test.rul[[2, 4]].tolist() == [112.0, 98.0]


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"train_FD001\.txt: no such file"):
        read_training(tmp_path, "FD001")
    (tmp_path / "train_FD001.txt").write_text(row(1, 1) + "1 2 3\n")
    with pytest.raises(Missing, match="line 2 does not have 26 numbers"):
        read_training(tmp_path, "FD001")
    (tmp_path / "train_FD001.txt.gz").write_bytes(b"no gzip")
    (tmp_path / "train_FD001.txt").unlink()
    with pytest.raises(Missing, match="cannot be read"):
        read_training(tmp_path, "FD001")
    (tmp_path / "test_FD001.txt").write_text(row(1, 1) + row(2, 1))
    (tmp_path / "RUL_FD001.txt").write_text("112\n")
    with pytest.raises(Missing, match="1 lines for 2 engines"):
        read_test(tmp_path, "FD001")
