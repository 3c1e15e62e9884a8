"""What scikit-learn expects of an estimator, without importing it: parameters that can be read, set and cloned.

scikit-learn asks for these methods by name (its developer's guide, "APIs of scikit-learn objects"), and for tags only
from an estimator that it already holds; so its package is loaded there, where it has been loaded before.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from tconv import errors


class Estimator:
    """Parameters are the arguments of the constructor, kept under their names as they were given."""

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` is there for scikit-learn, as none of them is an estimator."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Any:
        """Change parameters; they are judged when they are used.

        Raises:
            TconvError: a name that is no parameter.
        """
        names = self._names()
        for name, value in params.items():
            if name not in names:
                raise errors.TconvError(
                    f"{type(self).__name__} has no parameter {name!r}; its parameters are {', '.join(names)}"
                )
            setattr(self, name, value)
        return self

    def fit_transform(self, X: Any, y: Any = None, **more: Any) -> Any:
        """`fit`, then `transform`, with the same further arguments."""
        estimator: Any = self  # each has both methods, with arguments of its own
        return estimator.fit(X, y, **more).transform(X, **more)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False, three_d_array=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def __repr__(self) -> str:
        defaults = signature(type(self).__init__).parameters
        said = []
        for name, value in self.get_params().items():
            shape = getattr(value, "shape", None)
            if shape is not None:
                said.append(f"{name}=<array {shape}>")
            elif value != defaults[name].default:
                said.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"


def fitted(estimator: Any, name: str) -> Any:
    """The attribute that `fit` makes.

    Raises:
        TconvError: there has been no `fit`.
    """
    if not hasattr(estimator, name):
        raise errors.TconvError(f"this {type(estimator).__name__} is not fitted yet; call fit first")
    return getattr(estimator, name)
