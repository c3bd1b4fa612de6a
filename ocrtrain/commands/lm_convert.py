"""`lm convert`: brings a language model from one format into another."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig

from ocrtrain.commands.settings import read_config
from ocrtrain.decoding.lm.load import check_output, load_language_model, save_language_model
from ocrtrain.settings import PathName


@dataclass(frozen=True, slots=True)
class LmConvertSettings:
    """Settings of `lm convert`; conf/lm_convert.yaml says what each is for."""

    lm: PathName
    output: PathName
    checkpoint: PathName | None


def run(config: DictConfig) -> None:
    """Read the model `lm` and write it to `output`."""
    settings = read_config(LmConvertSettings, config)
    check_output(settings.output)
    characters: tuple[str, ...] = ()
    if settings.checkpoint is not None:
        from ocrtrain.checkpoint.description import describe_checkpoint, read_checkpoint

        content = read_checkpoint(settings.checkpoint)
        characters = describe_checkpoint(content, f"checkpoint={settings.checkpoint}").charset.symbols
    model = load_language_model(settings.lm, characters)
    save_language_model(model, settings.output)
    print(f"{settings.output}: {len(model):,} n-grams of up to {model.order} characters")
