"""A branch encodes the views of one kind; `Branches` sends every view to its branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avssl.types import UserError, Views, branch_of


class Branch(nn.Module):
    """head(encoder(x)); without a head the encoder's output is the embedding."""

    def __init__(self, encoder: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


class Branches(nn.ModuleDict):
    """Branches by name; the view "image/cam0" goes through the branch "image", as does "image/cam1".

    A module that is no `Branch` becomes the encoder of one without a head.
    UserError (when called): a view without branch.
    """

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__({name: b if isinstance(b, Branch) else Branch(b) for name, b in branches.items()})

    def forward(self, views: Views) -> dict[str, Tensor]:
        """Un-normalised embeddings [b d] by view."""
        return {view: self._branch(view)(x) for view, x in views.items()}

    def features(self, views: Views) -> dict[str, Tensor]:
        """What the encoders give, before the heads, [b d'] by view."""
        return {view: self._branch(view).encoder(x) for view, x in views.items()}

    def project(self, features: Views) -> dict[str, Tensor]:
        """The heads on what `features` gave: both embeddings and features for one pass through the encoders."""
        return {view: self._branch(view).head(x) for view, x in features.items()}

    def _branch(self, view: str) -> Branch:
        name = branch_of(view)
        if name not in self:
            raise UserError(f"view {view!r} has no branch: the branches are {', '.join(self)}")
        return self[name]  # pyright: ignore[reportReturnType]


@torch.no_grad()
def check_inputs(branches: nn.Module, views: Views) -> None:
    """Raise UserError, naming the view, where an encoder does not take its input; the attempt changes nothing."""
    training = [module for module in branches.modules() if module.training]
    for module in training:
        module.training = False
    try:
        if (reason := _refusal(branches, views)) is None:
            return
        for view, x in views.items() if hasattr(branches, "features") else ():  # those that go view by view
            if (of_view := _refusal(branches, {view: x})) is not None:
                shape = f"an input of shape {list(x.shape[1:])}"
                raise UserError(f"views.{view}: its encoder does not take {shape} ({of_view})")
        shapes = {view: list(x.shape[1:]) for view, x in views.items()}
        raise UserError(f"views: the branches do not take inputs of the shapes {shapes} ({reason})")
    finally:
        for module in training:
            module.training = True


def _refusal(branches: nn.Module, views: Views) -> str | None:
    """What is raised when they are called; an encoder raises what it likes for a wrong shape."""
    try:
        branches(views)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None


def features_of(branches: Any, views: Views) -> dict[str, Tensor]:
    """`branches.features`. UserError, naming the view: an encoder does not take its input."""
    try:
        return branches.features(views)
    except torch.OutOfMemoryError:
        raise
    except Exception:
        check_inputs(branches, {view: x[:1] for view, x in views.items()})
        raise
