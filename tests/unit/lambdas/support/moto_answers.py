"""Lets moto answer faster.

For each member that an answer may have, it tries several names, and finds out anew each time which. Of what a
test of a run takes, a third went into that.
"""

from typing import Any

from botocore.model import Shape
from moto.core.serialize import (
    AttributePicker,
    AttributePickerContext,
    ResponseSerializer,
    XFormedAttributePicker,
)

_names: dict[Any, tuple[tuple[str, ...], Shape]] = {}
"""The names of a member, by picker, the class of the object that may have it, its key and its shape's id.

With the shape itself, so that no other one gets its id.
"""


def remember_names() -> None:
    """Let moto find out once under which names a member may be, and pass over those that are not there."""
    for picker in (AttributePicker, XFormedAttributePicker):
        _remember(picker)
    _pass_over()


def _remember(picker: type[AttributePicker]) -> None:
    find = picker.get_possible_keys

    def get_possible_keys(self: AttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
        # What moto looks at beside the key: the object's class and the shape.
        place = picker, type(context.obj), context.key, id(context.shape)
        if place not in _names:
            _names[place] = tuple(dict.fromkeys(find(self, context))), context.shape
        return _names[place][0]

    picker.get_possible_keys = get_possible_keys  # type: ignore[method-assign, assignment]


def _pass_over() -> None:
    pick = ResponseSerializer.get_value

    def get_value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:  # noqa: ANN401
        if type(value) is dict:
            picker: Any = self._value_picker
            known = _names.get((type(picker), dict, key, id(shape)))
            if known and not picker.response_transformers and not any(name in value for name in known[0]):
                return None
        return pick(self, value, key, shape)

    ResponseSerializer.get_value = get_value  # type: ignore[method-assign]
