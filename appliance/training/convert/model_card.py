"""The card of a model: the Markdown page in the model file that says what it is."""

from __future__ import annotations

from appliance.training.recipe import NetworkConfig, Recipe, TrainingConfig

EVALUATION_HEADING = "## Evaluation"


def model_card(recipe: Recipe, piece_count: int, evaluation: str) -> str:
    """The card in Markdown.

    Args:
        recipe: how the model was made.
        piece_count: of the training pieces.
        evaluation: the text below ``EVALUATION_HEADING``.
    """
    card = recipe.card
    pretrained = " and ".join(recipe.corpus.pretrain_folders)
    pretraining = f", at first together with those of {pretrained}" if pretrained else ""
    made_by = card.made_by or f"the recipe `{recipe.name}.toml`"
    return f"""# {card.title} (`{recipe.name}`)

{card.description}

- **Trained on**: {card.corpus}; {piece_count} pieces{pretraining}. Made by {made_by}.
- **Licence**: {card.licence}.
- **Network**: {_network(recipe.network)}.
- **Training**: {_training(recipe.training, recipe.network)}{_teaching(recipe)}.
- **Defaults**: {card.tempo_bpm:g} BPM, temperature {card.temperature:g},
  top-p {card.top_p:g}, General MIDI program {card.instrument} (counted from 0).

{EVALUATION_HEADING}

{evaluation}
"""


def figures_in_card(card: str) -> list[str]:
    """The list of figures in a card, without the text around it."""
    _, *figures = card.partition(EVALUATION_HEADING)[2].split("\n- ")
    return [figure.strip() for figure in figures]


def _network(config: NetworkConfig) -> str:
    if config.kind == "transformer":
        network = (
            f"Transformer, {config.layers} layers of {config.hidden}, {config.heads} heads, "
            f"{config.memory_tokens} tokens of memory"
        )
    else:
        network = f"LSTM, embedding {config.embedding}, {config.layers} layers of {config.hidden}"
    if config.ensemble_size > 1:
        network = f"average of {config.ensemble_size} networks, each a {network}"
    if len(config.transpositions) > 1:
        network += f"; averaged over {len(config.transpositions)} transpositions of the piece"
    return f"{network}; int8"


def _teaching(recipe: Recipe) -> str:
    if not recipe.preferences.rounds:
        return ""
    return "; then taught which of its own bars a critic takes for real ones"


def _training(config: TrainingConfig, network: NetworkConfig) -> str:
    if config.cpu_budget_s:
        length = f"{config.cpu_budget_s / 60:g} minutes of processor time"
    else:
        length = f"{config.tokens / 1e6:.{0 if config.tokens > 5e6 else 1}f} million tokens"
    start = ""
    if config.warm_start:
        which = "the first network " if network.ensemble_size > 1 else ""
        start = f", {which}from the weights of `{config.warm_start}`"
    return f"{length}{start}, dropout {config.dropout}, averaged weights"
