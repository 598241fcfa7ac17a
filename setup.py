"""What pyproject.toml cannot say: which packages the wheel is made of, when the root is the package itself."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithoutTests(build_py):
    """Leaves out this file, and what pytest collects in benchmarks/, which is for a clone."""

    def find_package_modules(self, package, package_dir):
        """Return (package, module, file) of each module that is handed out."""
        found = super().find_package_modules(package, package_dir)
        return [one for one in found if not one[1].startswith(("test_", "conftest", "setup"))]


inside = find_packages(exclude=["tests*", "tools*", "docs*"])
setup(packages=["facebench", *(f"facebench.{name}" for name in inside)], cmdclass={"build_py": BuildWithoutTests})
