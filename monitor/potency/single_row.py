"""One row through a booster without the overhead of a matrix: LightGBM's fast call for single rows, by its C interface.

A frame is one row and three boosters answer it; `Booster.predict` spends most of its time on the way there.
"""

import ctypes
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm

_FLOAT64 = 1
_PREDICT_NORMAL = 0
_PREDICT_RAW = 1
_ALL_TREES = -1


class SingleRowPredictor:
    """Predicts single rows with a booster that has one output; of a classifier with `raw` the margin (log odds).

    Threads take turns: the row and the answer live in buffers of the predictor. Where this LightGBM does not offer the
    fast call, `Booster.predict` answers, slower and alike.
    """

    def __init__(self, booster: "lightgbm.Booster", *, raw: bool = False) -> None:
        self._booster = booster
        self._raw = raw
        self._row = np.zeros(booster.num_feature(), np.float64)
        self._answer = np.zeros(1, np.float64)
        self._length = ctypes.c_int64()
        self._turn = threading.Lock()
        self._library = _library()
        self._config = self._configured()
        self._arguments = (
            self._config,
            self._row.ctypes.data_as(ctypes.c_void_p),
            ctypes.byref(self._length),
            self._answer.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )

    @property
    def fast(self) -> bool:
        """Whether the fast call is used."""
        return self._config is not None

    def predict(self, row: NDArray[np.float64]) -> float:
        """Return the prediction for (F,) values in the booster's order; NaN is a missing value.

        Raises
        ------
        ValueError
            When the row has another length.
        """
        if row.shape != self._row.shape:
            message = f"{row.shape[0] if row.ndim == 1 else row.shape} values, {self._row.size} are needed"
            raise ValueError(message)
        with self._turn:
            self._row[:] = row
            if self._config is None or self._library is None:
                how = {"raw_score": True} if self._raw else {}
                return float(np.asarray(self._booster.predict(self._row[None], num_threads=1, **how))[0])
            if self._library.LGBM_BoosterPredictForMatSingleRowFast(*self._arguments) != 0:
                message = "LightGBM failed on a single row"
                raise RuntimeError(message)
            return float(self._answer[0])

    def _configured(self) -> ctypes.c_void_p | None:
        handle = getattr(self._booster, "_handle", None)
        if self._library is None or handle is None or self._booster.num_model_per_iteration() != 1:
            return None
        config = ctypes.c_void_p()
        failed = self._library.LGBM_BoosterPredictForMatSingleRowFastInit(
            handle,
            ctypes.c_int(_PREDICT_RAW if self._raw else _PREDICT_NORMAL),
            ctypes.c_int(0),
            ctypes.c_int(_ALL_TREES),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(self._row.size),
            ctypes.c_char_p(b"num_threads=1"),
            ctypes.byref(config),
        )
        if failed:
            return None
        weakref.finalize(self, self._library.LGBM_FastConfigFree, config)
        return config


def _library() -> ctypes.CDLL | None:
    from lightgbm import basic

    library: ctypes.CDLL | None = getattr(basic, "_LIB", None)
    return library if hasattr(library, "LGBM_BoosterPredictForMatSingleRowFastInit") else None
