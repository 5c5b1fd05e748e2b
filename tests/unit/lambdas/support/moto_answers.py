"""Lets moto answer faster.

For each member of an answer it tries several names, and finds out anew each time which. A fifth of what a
test of a run takes went into that.
"""

from typing import Any

from moto.core.serialize import AttributePicker, AttributePickerContext, XFormedAttributePicker


def remember_names() -> None:
    """Let moto find out once under which names a member may be: the object's class and the model say it."""
    for picker in (AttributePicker, XFormedAttributePicker):
        _remember(picker)


def _remember(picker: type[AttributePicker]) -> None:
    find = picker.get_possible_keys
    known: dict[Any, tuple[tuple[str, ...], object]] = {}

    def get_possible_keys(self: AttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
        place = type(self), type(context.obj), context.key, id(context.shape)
        found = known.get(place)
        if found is None:
            # With the shape, so that no other one gets its id.
            found = known[place] = tuple(dict.fromkeys(find(self, context))), context.shape
        return found[0]

    picker.get_possible_keys = get_possible_keys  # type: ignore[method-assign, assignment]
