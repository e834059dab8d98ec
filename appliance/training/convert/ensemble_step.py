"""One token through a whole model: the average of all networks in all transpositions."""

from __future__ import annotations

from typing import Any

from appliance.music.codecs.base import Codec
from appliance.training.convert.lstm_step import lstm_step
from appliance.training.convert.step import ModelStep, NetworkStep
from appliance.training.convert.transformer_step import transformer_step
from appliance.training.networks.transposition import transpose_weights
from appliance.training.recipe import NetworkConfig, TrainedModel, Weights


def network_step(config: NetworkConfig) -> NetworkStep:
    """The step of a network of this kind and size."""
    return transformer_step(config) if config.kind == "transformer" else lstm_step(config)


def ensemble_step(trained: TrainedModel, codec: Codec) -> ModelStep:
    """The average of the logits of all ensemble members in all transpositions.

    The division by the number of networks is in their last matrices. (The transpositions could
    be the rows of one product, but an Edge TPU takes products with one row only.)
    """
    step = network_step(trained.recipe.network)
    states: list[dict[str, tuple[int, ...]]] = []  # for each network, shapes by name
    for number in range(trained.network_count):
        suffix = f"_{number + 1}" if number else ""
        states.append({name + suffix: shape for name, shape in step.state_shapes})

    def function(x: Any, *state: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        state_values, state_names = iter(state), iter(states)
        for weights in trained.ensemble:
            constants = step.make_constants(weights)
            for semitones in trained.recipe.network.transpositions:
                names = list(next(state_names))
                transposed = transpose_weights(weights, codec, semitones)
                logits, next_state = step.build(
                    _divide_output(transposed, trained.network_count),
                    constants,
                    x,
                    [next(state_values) for _ in names],
                )
                outputs |= {
                    f"{name}_next": value for name, value in zip(names, next_state, strict=True)
                }
                outputs["logits"] = outputs["logits"] + logits if "logits" in outputs else logits
        return outputs

    shapes = {name: shape for of_network in states for name, shape in of_network.items()}
    return ModelStep(function, shapes, step.state_limit, step.float_ops)


def _divide_output(weights: Weights, divisor: int) -> Weights:
    return weights | {name: weights[name] / divisor for name in ("out.weight", "out.bias")}
