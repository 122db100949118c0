"""Compiles the hottest modules of the kernel (twin_app/kernel/compiled.py says which), where there is a C compiler."""

import os
import runpy
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNEL = Path("twin_app/kernel")
CHOICE = runpy.run_path(str(KERNEL / "compiled.py"))
# Two operations are never made one, which would round once instead of twice: on each processor the bits are those of Python.
FLAGS = ["-O2", "-g0", "-ffp-contract=off"]


class BuildKernel(build_ext):
    """All modules or none: without Cython or a compiler the sources run as they are."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        mark = Path(self.get_ext_fullpath("twin_app.kernel.twin")).parent / CHOICE["MARK"]
        mark.unlink(missing_ok=True)
        try:
            from Cython.Build import cythonize

            made = cythonize(
                self.extensions,
                build_dir="build/cython",
                language_level=3,
                compiler_directives=CHOICE["DIRECTIVES"],
                nthreads=self.parallel if sys.platform == "linux" else 0,  # by forks, which elsewhere would run this file again
            )
            for extension, in_c in zip(self.extensions, made, strict=True):
                extension.sources = in_c.sources
            super().run()
        except Exception as error:
            self.warn(f"the kernel is not compiled, its sources run instead: {type(error).__name__}: {error}")
        else:
            mark.write_text(CHOICE["digest"](KERNEL))


NAMES = {f"twin_app.kernel.{module.replace('/', '.')}": f"{KERNEL}/{module}.py" for module in CHOICE["MODULES"]}

setup(
    ext_modules=[Extension(name, [source], extra_compile_args=FLAGS) for name, source in NAMES.items()],
    cmdclass={"build_ext": BuildKernel},
)
