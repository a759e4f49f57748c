from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from engrain import config, registry
from engrain.config import Settings, catalogue, json_schema, settings_from
from engrain.errors import SettingError
from engrain.settings import check, check_choices, setting


@dataclass(frozen=True)
class Task:
    task: str = setting("chat", "What is learned.")


@dataclass(frozen=True)
class Code:
    language: str | None = setting(None, "Language.")


@dataclass(frozen=True)
class Images:
    image_size: int = setting(224, "Side.")


@dataclass(frozen=True)
class Model:
    base: str = setting("tiny", "The base model.")


@dataclass(frozen=True)
class Privacy:
    redact: bool = setting(False, "Mask private data.")


@dataclass(frozen=True)
class Knowledge:
    forms_per_fact: int = setting(8, "Wordings a fact.")
    kinds: tuple[str, ...] = setting(("question", "statement"), "Kinds of examples.")


@dataclass(frozen=True)
class Study:
    replay: int = setting(100, "Prompts practised again.")


@dataclass(frozen=True)
class Chat:
    turns: str = setting("all", "Turns.")


@dataclass(frozen=True)
class Training:
    epochs: float = setting(3.0, "Passes.")
    learning_rate: float | None = setting(None, "Peak learning rate.")
    batch_size: int = setting(8, "Examples a step.")
    schedule: str = setting("cosine", "How the rate falls.", choices=("cosine", "linear"))
    shuffle: bool = setting(True, "Keep the order.", flag="--no-shuffle")
    evaluate: bool = setting(True, "Skip the evaluation.")

    def __post_init__(self) -> None:
        check_choices(self)
        check(self, batch_size=(self.batch_size > 0, "must be above 0"))


@dataclass(frozen=True)
class Verdict:
    resamples: int = setting(1000, "Bootstrap resamples.")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(config, "PARTS", {part: f"{__name__}:{part.capitalize()}" for part in config.PARTS})
    config._declared.cache_clear()
    yield
    config._declared.cache_clear()


def refusal(values: dict[str, Any], **rest: Any) -> str:
    with pytest.raises(SettingError) as caught:
        settings_from(values, **rest)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.usefixtures("parts")
class TestMechanism:
    def test_defaults_are_the_owners(self) -> None:
        settings = settings_from({})
        assert (settings.model, settings.training) == (Model(), Training())
        assert settings.method == "lora"
        assert settings.method_settings == registry.find("methods", "lora").Settings()

    def test_a_value_reaches_its_owner(self) -> None:
        settings = settings_from({"epochs": 5, "rank": 4, "base": "other"})
        assert (settings.training.epochs, settings.method_settings.rank, settings.model.base) == (5.0, 4, "other")

    def test_settings_survive_a_round_trip_through_json(self) -> None:
        settings = settings_from({"learning_rate": 1e-4, "kinds": "question", "shuffle": False, "rank": 4})
        assert settings_from(json.loads(json.dumps(settings.to_dict()))) == settings

    def test_all_faults_are_listed_together(self) -> None:
        message = refusal({"epoch": 3, "batch_size": "many", "schedule": "square"})
        assert "epoch=3: there is no such setting; did you mean 'epochs'?" in message
        assert "batch_size='many': it must be a whole number" in message
        assert "schedule='square': choose one of cosine, linear" in message

    def test_an_owners_own_check_is_reported(self) -> None:
        assert "batch_size=0: must be above 0" in refusal({"batch_size": 0})

    @pytest.mark.parametrize(("method", "name", "has"), [("full", "rank", "lora"), ("lora", "rotation_steps", "layerwise")])
    def test_a_setting_of_another_method_is_refused(self, method: str, name: str, has: str) -> None:
        message = refusal({"method": method, name: "8"})
        assert f"the method {method!r} has no such setting" in message
        assert has in message

    def test_a_setting_of_an_unused_part_is_refused(self) -> None:
        assert "forms_per_fact=3: it cannot take effect: it is not used here" in refusal({"forms_per_fact": 3}, parts=("model", "training"))
        assert settings_from({"forms_per_fact": 3}, parts=("training", "forms_per_fact")).knowledge == Knowledge(forms_per_fact=3)
        assert "rank=3: it cannot take effect: it is not used here" in refusal({"rank": 3}, parts=("model",))

    def test_a_setting_of_another_task_is_refused(self) -> None:
        assert "image_size=64: it cannot take effect: the task 'chat' does not use it" in refusal({"image_size": 64})
        assert "base='x': it cannot take effect" in refusal({"task": "image-classification", "base": "x"})
        settings = settings_from({"task": "code", "language": "tcl", "rank": 4})
        assert (settings.code.language, settings.method_settings.rank) == ("tcl", 4)
        assert set(settings.to_dict()) >= {"task", "language", "base", "epochs", "rank"}
        assert not {"image_size", "replay"} & set(settings.to_dict())
        assert settings_from(settings.to_dict()) == settings

    def test_an_unknown_method_names_the_nearest(self) -> None:
        assert "did you mean 'lora', '" in refusal({"method": "lorra"})

    @pytest.mark.parametrize(("value", "kind"), [(2.5, int), (True, int), ("x", float), ("maybe", bool), ([1], str), (True, str)])
    def test_a_value_of_the_wrong_type_is_refused(self, value: object, kind: type) -> None:
        with pytest.raises(ValueError, match="it must be"):
            config.convert(value, kind)

    def test_the_schema_names_everything(self) -> None:
        properties = json_schema()["properties"]
        assert properties["epochs"] == {"type": "number", "description": "Passes.", "default": 3.0, "x-owners": ["training"]}
        assert properties["learning_rate"]["type"] == ["number", "null"]
        assert properties["schedule"]["enum"] == ["cosine", "linear"]
        assert properties["shuffle"]["type"] == "boolean"
        assert properties["kinds"]["default"] == ["question", "statement"]
        assert properties["rotation_steps"]["x-owners"] == ["layerwise"]
        json.dumps(properties)

    def test_flags(self) -> None:
        flags = {name: found.flag for name, found in catalogue().items()}
        assert (flags["shuffle"], flags["evaluate"], flags["batch_size"]) == ("no-shuffle", "no-evaluate", "batch-size")


@pytest.mark.usefixtures("parts")
class TestFile:
    def read(self, folder: Path, text: str, name: str = "config.yaml") -> Settings:
        file = folder / name
        file.write_text(text, encoding="utf-8")
        return settings_from({}, file)

    def test_yaml_and_json_say_the_same(self, tmp_path: Path) -> None:
        yaml = self.read(tmp_path, "epochs: 2\nlearning_rate: 1e-4\nshuffle: no\nkinds: [question]\n")
        same = self.read(tmp_path, '{\n\t"epochs": 2, "learning_rate": 1e-4, "shuffle": false, "kinds": ["question"]}', "config.json")
        assert yaml == same
        assert (yaml.training.learning_rate, yaml.training.shuffle, yaml.knowledge.kinds) == (1e-4, False, ("question",))

    def test_a_null_is_a_value(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "learning_rate: null").training.learning_rate is None
        with pytest.raises(SettingError, match="epochs=None: it must be a number"):
            self.read(tmp_path, "epochs: null")

    @pytest.mark.parametrize("value", ["inf", "nan", float("inf"), 10**400])
    def test_a_number_is_finite(self, value: Any) -> None:
        with pytest.raises(SettingError, match="it must be a number"):
            settings_from({"epochs": value})

    @pytest.mark.parametrize(("text", "shown"), [("kinds:", "None"), ("kinds: {question: yes}", "{}")])
    def test_a_list_is_a_list(self, tmp_path: Path, text: str, shown: str) -> None:
        with pytest.raises(SettingError, match=f"kinds={shown}: it must be a list"):
            self.read(tmp_path, text)
        with pytest.raises(SettingError, match="kinds=1: it must be a list"):
            settings_from({"kinds": 1})

    def test_text_that_yaml_takes_for_something_else_stays_text(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "method: layerwise\nlayers: 20:29").method_settings.layers == "20:29"

    def test_options_win_over_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("epochs: 2\nbatch_size: 4\n", encoding="utf-8")
        training = settings_from({"epochs": 7.0}, file).training
        assert (training.epochs, training.batch_size) == (7.0, 4)

    def test_faults_name_file_and_line(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError) as caught:
            self.read(tmp_path, "epochs: 2\nlearning_rte: 1\n\nbatch-size: 3\n")
        assert f"{tmp_path / 'config.yaml'}, line 2: learning_rte='1': there is no such setting; did you mean 'learning_rate'?" in str(
            caught.value
        )
        assert "line 4: batch-size='3': there is no such setting; did you mean 'batch_size'?" in str(caught.value)

    def test_a_setting_given_twice_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="line 3: epochs: given a second time"):
            self.read(tmp_path, "epochs: 2\nbatch_size: 3\nepochs: 4\n")

    @pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "a: [1", "\x00"])
    def test_what_is_no_configuration_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(SettingError, match=r"config\.yaml"):
            self.read(tmp_path, text)

    def test_an_empty_file_changes_nothing(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "# nothing yet\n") == settings_from({})


class TestTheRealParts:
    def test_no_name_is_declared_by_two_parts(self) -> None:
        for found in catalogue().values():
            of_parts = [owner for owner in found.owners if owner in config.PARTS]
            assert len(of_parts) <= 1, f"{found.name} belongs to {of_parts}"
            assert not of_parts or len(found.owners) == 1, f"{found.name} belongs to a part and to a method: {found.owners}"

    def test_every_setting_has_its_sentence_and_a_usable_type(self) -> None:
        for found in catalogue().values():
            assert found.help.endswith("."), f"{found.name}: {found.help!r}"
            assert found.kind in (bool, int, float, str, Path) or str(found.kind).startswith("tuple[")

    def test_methods_that_share_a_name_mean_the_same_type(self) -> None:
        for found in catalogue().values():
            for owner in found.owners[1:]:
                assert config._declared(owner)[found.name].kind == found.kind, f"{found.name} of {owner}"

    def test_the_promised_flags_exist(self) -> None:
        promised = """base method seed epochs max-steps minutes batch-size learning-rate schedule warmup rank alpha target-modules
            layers max-length no-shuffle no-evaluate"""
        assert set(promised.split()) <= {found.flag for found in catalogue().values()}

    @pytest.mark.parametrize("method", [*registry.own("methods"), "ia3", "prompt_tuning"])
    def test_defaults_round_trip_for_every_method(self, method: str) -> None:
        settings = settings_from({"method": method})
        values = settings.to_dict()
        assert settings_from(values) == settings
        assert {f.name for f in fields(settings.method_settings)} <= set(values)
