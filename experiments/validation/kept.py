"""A folder of one study inside a larger job."""

from __future__ import annotations

import shutil

from experiments.store import OutputFolder
from sim.errors import OutputError


class KeptFolder(OutputFolder):
    """An output folder that a larger job owns: a finished study in it is read again, not refused.

    The larger job's own manifest says whether the folder belongs to what is run now; what does not fit here all the
    same (a half-made folder, another study of the same name) is dropped.
    """

    def _resumable(self) -> bool:
        if not self.path.exists():
            return False
        manifest = self.read_json("manifest.json")
        if manifest is not None and manifest.get("status") == "finished":
            same = all(manifest.get(key) == self.job.get(key) for key in ("scenario", "options", "seeds", "code"))
            if same:
                return True
        else:
            try:
                return super()._resumable()
            except OutputError:
                pass
        shutil.rmtree(self.path)
        return False
