"""What all tests share."""

from tests import properties

properties.register()
