"""Which program stands for which image, and the state of its code."""

from eventpipeline_operator.adapters.local.devfile import DevFile, Program, repository
from eventpipeline_operator.adapters.local.launch import stamp_code


class Images:
    """Programs by image; a program's code is looked at on `refresh` and remembered between."""

    def __init__(self, devfile: DevFile) -> None:
        self._devfile = devfile
        self._stamps: dict[str, str] = {}

    def find(self, image: str) -> Program | None:
        """What stands for an image."""
        return self._devfile.program(image)

    def stamp(self, image: str) -> str:
        """The state of its code; empty where nothing stands for it."""
        name, program = repository(image), self.find(image)
        if program and name not in self._stamps:
            self._stamps[name] = stamp_code(program)
        return self._stamps.get(name, "")

    def replace(self, devfile: DevFile) -> None:
        """The file was edited."""
        self._devfile = devfile
        self._stamps.clear()

    def refresh(self) -> list[str]:
        """Look at the code that is in use; images whose code was written."""
        fresh = {
            name: stamp_code(program)
            for name in self._stamps
            if (program := self._devfile.images.get(name))
        }
        changed = [name for name, stamp in fresh.items() if stamp != self._stamps[name]]
        self._stamps = fresh
        return changed
