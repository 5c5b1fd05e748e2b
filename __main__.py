"""One region of the hosting service: its settings, everything in it, its outputs."""

import pulumi

from components.region import Region, RegionArgs
from components.settings.settings import load_settings

settings = load_settings()
region = Region(f"{settings.project}-{settings.stack}", RegionArgs(settings=settings))
for name, value in region.outputs.items():
    pulumi.export(name, value)
