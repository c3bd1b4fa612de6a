"""`lm convert`: brings a language model from one format into another."""

from __future__ import annotations

from omegaconf import DictConfig

from ocrtrain.decoding.lm.load import check_output, load_language_model, save_language_model
from ocrtrain.settings import checked_path


def run(config: DictConfig) -> None:
    """Read the model `config.lm` and write it to `config.output`."""
    check_output(config.output)
    checked_path(config.lm, "lm")
    characters: tuple[str, ...] = ()
    if config.checkpoint is not None:
        from ocrtrain.checkpoint.description import describe_checkpoint, read_checkpoint

        checked_path(config.checkpoint, "checkpoint")
        description = describe_checkpoint(
            read_checkpoint(config.checkpoint), f"checkpoint={config.checkpoint}"
        )
        characters = description.charset.symbols
    model = load_language_model(config.lm, characters)
    save_language_model(model, config.output)
    print(f"{config.output}: {len(model):,} n-grams of up to {model.order} characters")
