"""The images that are not ours: their names upstream, and what they are built from otherwise."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.cache import REPOSITORY, hash_files
from provision.commands import ProvisionError
from provision.recipes import find_recipe

DEFINITIONS = REPOSITORY / "hack" / "images.d"
NODE = "node"
BASE = "python"


@dataclass(frozen=True)
class BackingImage:
    """One image by its short name.

    Without a Dockerfile in `hack/images.d/<name>/` the root file system itself is the image.
    """

    name: str
    upstream: str = ""
    base: str = ""
    rootfs: str = ""
    artifacts: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()

    @property
    def definition(self) -> Path:
        """The directory of its Dockerfile."""
        return DEFINITIONS / self.name

    def built_name(self) -> str:
        """Its name when it was built here; the tag changes with everything that it is made of."""
        made_of = [find_recipe(name).hash() for name in self.all_artifacts()]
        made_of += [IMAGES[name].built_name() for name in (*self.bases(), *self.contains)]
        sources = [self.definition] if self.definition.is_dir() else []
        digest = hash_files(sources, salt=" ".join([*made_of, *self.aliases()]))
        return f"eventpipeline/backing-{self.name}:{digest}"

    def bases(self) -> tuple[str, ...]:
        """The image beneath it, if that is one of these."""
        return (self.base,) if self.base else ()

    def all_artifacts(self) -> tuple[str, ...]:
        """Every artifact that its build uses."""
        return ((f"rootfs-{self.rootfs}",) if self.rootfs else ()) + self.artifacts

    def aliases(self) -> tuple[str, ...]:
        """The names that kubeadm asks for, when it is one of the node's own."""
        return KUBEADM_NAMES.get(self.name, ())


KUBERNETES = "v1.34.4"
KUBEADM_NAMES = {
    "kubernetes": (
        *(
            f"registry.k8s.io/{name}:{KUBERNETES}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
            )
        ),
        "registry.k8s.io/etcd:3.6.5-0",
    ),
    "pause": ("registry.k8s.io/pause:3.10.1",),
    "coredns": ("registry.k8s.io/coredns/coredns:v1.12.1",),
}

IMAGES: dict[str, BackingImage] = {
    image.name: image
    for image in (
        BackingImage("kubernetes", rootfs="kubernetes", artifacts=("kubernetes",)),
        BackingImage("pause", artifacts=("coredns",)),
        BackingImage("coredns", artifacts=("coredns",)),
        BackingImage(
            NODE,
            upstream="kindest/node:v1.34.3",
            rootfs="node",
            artifacts=("kubernetes",),
            contains=("kubernetes", "pause", "coredns"),
        ),
        BackingImage(BASE, upstream="python:3.11-slim-bookworm", rootfs="base"),
        BackingImage("postgres", upstream="postgres:15", rootfs="postgres"),
        BackingImage("redis", upstream="redis:7.2", rootfs="redis"),
        BackingImage("kafka", upstream="apache/kafka:4.1.1", base=BASE, artifacts=("jre", "kafka")),
        BackingImage(
            "zipkin", upstream="openzipkin/zipkin:3.5.1", base=BASE, artifacts=("jre", "zipkin")
        ),
        BackingImage(
            "maildev", upstream="maildev/maildev:2.2.1", base=BASE, artifacts=("maildev",)
        ),
        BackingImage("vault", upstream="hashicorp/vault:1.18.0", base=BASE, artifacts=("vault",)),
        BackingImage("traefik", upstream="traefik:v3.6.1", base=BASE, artifacts=("traefik",)),
        BackingImage("prometheus", upstream="prom/prometheus:v2.53.5", rootfs="prometheus"),
        BackingImage("pgadmin", upstream="dpage/pgadmin4:9.18", base=BASE, artifacts=("pgadmin",)),
    )
}

# What charts/platform runs, by the keys of its values.
PLATFORM = ("postgres", "kafka", "vault", "traefik", "zipkin", "maildev", "prometheus")
# What it runs besides, for who asks for it.
EXTRAS = ("redis", "pgadmin")


def chosen_extras(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The parts that PLATFORM_EXTRAS names, comma-separated."""
    names = dict.fromkeys(filter(None, environ.get("PLATFORM_EXTRAS", "").split(",")))
    for name in names:
        if name not in EXTRAS:
            raise ProvisionError(f"PLATFORM_EXTRAS: no part {name!r}; there is {', '.join(EXTRAS)}")
    return tuple(names)


def platform_images() -> tuple[str, ...]:
    """Every image that the platform runs this time."""
    return (*PLATFORM, *chosen_extras())
