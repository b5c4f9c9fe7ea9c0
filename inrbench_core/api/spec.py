"""Specs: frozen pydantic models that say how a component is built. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from inrbench_core.api.entries import Entry


class ComponentSpec(BaseModel):
    """Base of every spec class: unknown keys are errors, instances are frozen and hashable.

    The first line of a subclass's docstring is the summary that `inrbench list` shows. The keys
    `name`, `label` and `training` are taken by inrbench and cannot be fields of a spec.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    def derivatives(self) -> int | None:
        """How many times the output can usefully be differentiated by the input; None: any number.

        1 for piecewise linear functions (ReLU, a hash grid): their second derivative is zero
        wherever it exists, so a loss on a Laplacian cannot train them.
        """
        return None

    def components(self) -> Iterator[Component]:
        """The components this spec is made of, in the order of its fields."""
        for field_name in type(self).model_fields:
            value = getattr(self, field_name)
            if isinstance(value, Component):
                yield value


class TaskSpec(ComponentSpec):
    """Base of a task's spec."""

    def required_derivatives(self) -> int:
        """How many derivatives of the field by its coordinates the loss takes."""
        return 0

    def accepts(self, field: Component) -> str | None:
        """None if `field` can be trained on this task, else the reason why not."""
        needed, offered = self.required_derivatives(), field.derivatives()
        if offered is not None and offered < needed:
            return f"the loss takes {needed} derivatives of the field, and {field.describe()} has only {offered}"
        return None

    def user_files(self) -> list[Path]:
        """The user's files and folders that the task reads: every option that is an absolute path.

        A run is known by what is in them, so that changed data are fitted anew.
        """
        texts = [value for value in vars(self).values() if isinstance(value, str)]
        return [Path(text) for text in texts if os.path.isabs(text) and os.path.exists(text)]


@dataclass(frozen=True)
class Component:
    """A component picked by name and configured: what a spec holds where a component goes.

    Args:
        entry: its entry.
        spec: its options.
        distribution: the distribution it comes from, and `version` that one's version.
        picked_as: `distribution:name` where the bare name is ambiguous, else "".
    """

    entry: Entry
    spec: ComponentSpec
    distribution: str
    version: str
    picked_as: str = ""

    @property
    def kind(self) -> str:
        return self.entry.kind

    @property
    def name(self) -> str:
        return self.entry.name

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Import the entry's target and call it with this component's spec first."""
        return self.entry.load()(self.spec, *args, **kwargs)

    def with_spec(self, **changes: Any) -> Component:
        """The same component with some fields of its spec replaced."""
        return replace(self, spec=self.spec.model_copy(update=changes))

    def derivatives(self) -> int | None:
        """The fewest useful derivatives among this component and those inside it; None: any number."""
        counts = [self.spec.derivatives(), *(inner.derivatives() for inner in self.spec.components())]
        known = [count for count in counts if count is not None]
        return min(known) if known else None

    def describe(self) -> str:
        """A short name, such as neff+relu: the components inside, less leading ones left at their default.

        Where there is one place for a component only, the own name goes before it: kan chebyshev.
        """
        inner = list(self.spec.components())
        if not inner:
            return self.name
        if len(inner) == 1:
            return f"{self.name} {inner[0].describe()}"
        defaults = [field.default for field in type(self.spec).model_fields.values()]
        shown = [part for part in inner[:-1] if part.name not in defaults or not part.has_defaults()]
        return "+".join(part.describe() for part in [*shown, inner[-1]])

    def has_defaults(self) -> bool:
        """Whether every option is left at its default, those of the components inside as well."""
        options = type(self.spec).model_fields
        inner = {name: value for name, value in self.spec if isinstance(value, Component)}
        # The components are given, because without a catalog no default name can be looked up.
        return self.spec == type(self.spec)(**inner) and all(
            part.name == options[name].default and part.has_defaults() for name, part in inner.items()
        )

    def walk(self) -> Iterator[Component]:
        """This component and all inside it, outermost first."""
        yield self
        for part in self.spec.components():
            yield from part.walk()

    def to_data(self) -> dict[str, Any]:
        """The mapping that stands for this component in YAML and JSON, every default written out."""
        return {"name": self.picked_as or self.name, **self.spec.model_dump(mode="json")}


class ComponentLookup(Protocol):
    """What validation needs of the catalog; passed as `context={"catalog": ...}`."""

    def resolve(self, kind: str, value: Any, context: dict[str, Any]) -> Component: ...


COMPONENT_MARK = "x-inrbench-component"


class ComponentOf:
    """Marks a spec field as a place where a component of one kind goes.

    In YAML such a field takes a name, or a mapping with `name:`, and in an experiment also a list
    of these, which expands to one of each.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda component: component.to_data() if isinstance(component, Component) else component
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # Not a $ref: pydantic would look for it in this model's own definitions.
        return {COMPONENT_MARK: self.kind}

    def _validate(self, value: Any, info: core_schema.ValidationInfo) -> Component:
        if isinstance(value, Component):
            if value.kind != self.kind:
                raise PydanticCustomError(
                    "component_kind", "expected {kind}, got {got}", {"kind": self.kind, "got": value.kind}
                )
            return value
        context = info.context or {}
        if "catalog" not in context:
            raise PydanticCustomError("no_catalog", "a component's name can only be looked up with a catalog")
        lookup: ComponentLookup = context["catalog"]
        return lookup.resolve(self.kind, value, context)


EncodingRef = Annotated[Component, ComponentOf("encoding")]
ActivationRef = Annotated[Component, ComponentOf("activation")]
BasisRef = Annotated[Component, ComponentOf("basis")]
OptimizerRef = Annotated[Component, ComponentOf("optimizer")]
AnalysisRef = Annotated[Component, ComponentOf("analysis")]


class ParameterBudget(BaseModel):
    """A width to be solved for: the one whose field comes nearest to so many parameters; one of both is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    parameters: int | None = Field(
        None, gt=0, le=10**10, description="trainable parameters of the whole model; a complex one counts as two"
    )
    values_per_parameter: float | None = Field(
        None, gt=0, le=10**10, description="values of the signal, such as samples, for each parameter of the model"
    )
    tolerance: float = Field(
        0.02,
        gt=0,
        le=0.5,
        description="share by which the count may miss the budget: a KAN of few parameters has coarse steps",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> ParameterBudget:
        if (self.parameters is None) == (self.values_per_parameter is None):
            raise ValueError("give either parameters or values_per_parameter")
        return self

    def target(self, values: int) -> int:
        """How many parameters that is for a signal of so many values; 0 if it depends on them and there are none."""
        if self.values_per_parameter is None:
            return self.parameters or 0
        return max(1, round(values / self.values_per_parameter)) if values else 0


def _validate_width(value: Any) -> int | ParameterBudget:
    # A plain union would report both of its branches, at paths that are not in the YAML.
    if isinstance(value, ParameterBudget | Mapping):
        return ParameterBudget.model_validate(value)
    return _POSITIVE.validate_python(value)


MOST_WIDTH = 1_000_000
_POSITIVE = TypeAdapter(Annotated[int, Field(gt=0, le=MOST_WIDTH)])

Width = Annotated[
    int | ParameterBudget,
    PlainValidator(_validate_width),
    PlainSerializer(
        lambda width: width.model_dump(exclude_defaults=True) if isinstance(width, ParameterBudget) else width
    ),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_WIDTH}, ParameterBudget.model_json_schema()]}
    ),
    Field(description="hidden features, {parameters: N} or {values_per_parameter: X} to solve the width for it"),
]


class BasisSpec(ComponentSpec):
    """Options shared by all bases of KAN layers; `inrbench_core.api.starts` has the formulas of the starts."""

    scale: Literal["published", "unit", "lecun", "glorot", "power"] = Field(
        "unit",
        description="coefficients at the start: as in the published code; unit output variance; lecun: the variance of "
        "the inputs; glorot: a compromise with that of the gradients; power: (in_features x functions)^-exponent",
    )
    exponent: float | None = Field(
        None, ge=0, le=4, description="of scale: power; 1.75 beside a silu branch and 0.5 elsewhere if left out"
    )
    bias: bool = Field(True, description="add a bias to each output")

    @model_validator(mode="after")
    def _exponent(self) -> Self:
        if self.exponent is not None and self.scale != "power":
            raise ValueError(f"exponent has no effect with scale: {self.scale}; leave it out or set scale: power")
        return self


class ExpansionSpec(BasisSpec):
    """Options shared by the bases that are linear in their coefficients (see ExpansionBasis)."""

    # Whether the functions span the constants. If not, centred functions need a bias.
    spans_constants: ClassVar[bool] = False

    domain: Literal["auto", "identity", "tanh"] = Field(
        "auto",
        description="map of a layer's input: identity, tanh, or auto (identity on coordinates, tanh in later layers)",
    )
    normalize: Literal["auto", "none", "rms", "variance"] = Field(
        "auto",
        description="rms divides each function by its RMS over the interval that the functions lie on; variance "
        "subtracts its mean there and divides by its standard deviation; auto: variance, but none with the published "
        "scale and where centred functions would make no constant",
    )
    base: bool = Field(False, description="add a silu branch, W silu(x)")
    base_exponent: float = Field(0.25, ge=0, le=4, description="exponent of the silu branch, of scale: power")

    @model_validator(mode="after")
    def _base_exponent(self) -> Self:
        changed = self.base_exponent != type(self).model_fields["base_exponent"].default
        if changed and not (self.base and self.scale == "power"):
            raise ValueError("base_exponent has an effect only with scale: power and base: true; leave it out")
        return self

    @model_validator(mode="after")
    def _constants(self) -> Self:
        if self.normalize == "variance" and not self._makes_constants():
            raise ValueError("centred functions (normalize: variance) sum to no constant: set bias: true")
        return self

    def _makes_constants(self) -> bool:
        return self.bias or self.spans_constants

    def normalization(self) -> Literal["none", "rms", "variance"]:
        """What `normalize` comes to."""
        if self.normalize != "auto":
            return self.normalize
        return "variance" if self.scale != "published" and self._makes_constants() else "none"
