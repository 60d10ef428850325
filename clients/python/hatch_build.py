"""Writes the models of the events out of the JSON Schemas before the package is built."""

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent
MODELS = HERE / "src" / "lshookd" / "_models.py"
SAMPLES = HERE / "src" / "lshookd" / "_samples.json"


def schemas() -> Path:
    """In the repository, or in a source distribution."""
    return next(path for path in (HERE / "schemas", HERE.parent.parent / "docs" / "schemas") if path.is_dir())


def named(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def prepared(schema: Any) -> Any:
    """With references into one document, and open to fields that a later version brings."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return {"$ref": "#/$defs/" + named(schema["$ref"].rsplit("/", 1)[1])}
        # Limits are for who writes events; who reads them is glad of any.
        dropped = ("additionalProperties", "minimum", "minItems")
        return {key: prepared(value) for key, value in schema.items() if key not in dropped}
    return [prepared(item) for item in schema] if isinstance(schema, list) else schema


def combined(folder: Path) -> dict[str, Any]:
    definitions = json.loads((folder / "objects.json").read_text())["$defs"]
    models = {named(name): {"title": named(name), **prepared(schema)} for name, schema in definitions.items()}
    for path in sorted(folder.glob("[A-Z]*.json")):
        schema = prepared(json.loads(path.read_text()))
        models[named(path.stem)] = {**schema, "title": named(path.stem)}
    actions = [{"$ref": f"#/$defs/{named(path.stem)}"} for path in sorted(folder.glob("[A-Z]*.json"))]
    return {
        "$defs": models,
        "title": "AnyEvent",
        "oneOf": actions,
        "discriminator": {"propertyName": "action"},
    }


def generate() -> None:
    from datamodel_code_generator import DataModelType, InputFileType, LiteralType, PythonVersion
    from datamodel_code_generator import generate as write

    write(
        json.dumps(combined(schemas())),
        input_file_type=InputFileType.JsonSchema,
        output=MODELS,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_310,
        base_class="lshookd._model.Model",
        enum_field_as_literal=LiteralType.All,
        use_one_literal_as_default=True,
        # Python 3.9 has no X | Y.
        use_union_operator=False,
        use_schema_description=True,
        disable_timestamp=True,
        field_constraints=False,
        collapse_root_models=False,
    )
    samples = {path.stem: json.loads(path.read_text()) for path in sorted((schemas() / "examples").glob("*.json"))}
    SAMPLES.write_text(json.dumps(samples))


class Hook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version
        if self.target_name == "wheel":
            generate()
            build_data["artifacts"] += [str(path.relative_to(HERE)) for path in (MODELS, SAMPLES)]


if __name__ == "__main__":
    generate()
