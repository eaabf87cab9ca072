"""Build by colcon: a plain ament_python package. graspling itself comes from pip."""

from setuptools import setup

NAME = "graspling_ros"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/grasps.launch.py"]),
        (f"share/{NAME}/config", ["config/grasps.yaml"]),
    ],
    install_requires=["setuptools", "graspling"],
    zip_safe=True,
    description="Grasps for parallel-jaw grippers from colour and depth images, by graspling.",
    license="MIT",
    entry_points={"console_scripts": ["grasps = graspling_ros.node:main"]},
)
