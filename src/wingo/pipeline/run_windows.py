"""Starting Windows images through Wine: the prefix, the image's files over it, and the program translated."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from wingo.image.model import Image
from wingo.launch.engines import choose_engine
from wingo.launch.machine import Machine
from wingo.launch.runtime import Prepared
from wingo.launch.spec import RunSpec
from wingo.launch.wine.drive import DRIVE, Drive, Names, account_of, drive_key, lay_out, windows_layers
from wingo.launch.wine.finding import Runner, find_wine
from wingo.launch.wine.prefix import Owner, Prefix, give_to, made_whole, prepared_prefix
from wingo.launch.wine.translate import NOTICE, SIGNALS, ending_of, loader_of, translate
from wingo.pipeline.base_layers import base_of
from wingo.pipeline.viewing import layer_files
from wingo.stores.parallel import each
from wingo.view.merged import make_view

if TYPE_CHECKING:
    from wingo.pipeline.places import Places


def prepare_windows(
    image: Image, spec: RunSpec, places: Places, machine: Machine, runner: Runner, *, engine: str, with_base: bool
) -> tuple[Prepared, int]:
    """What a Windows image needs to start here.

    Args:
        image: for Windows.
        spec: made from its config.
        places: its cache keeps prefixes and drives; layers are read from it.
        machine: this one.
        runner: asks Wine for its version, and has it make a prefix.
        engine: what starts the container.
        with_base: whether the base's files are taken too, where Wine has none.

    Returns:
        That, and how many layers were read for it.

    Raises:
        HostError: Wine is missing, or does not do what it should.
        RequestError: what Windows containers cannot do.
        ContentError: a layer is damaged.
    """
    wine = find_wine(machine.environment, runner)
    identity = machine.identity
    owner = (identity.uid_outside(0), identity.gid_outside(0)) if identity.way == "shifted" else None
    folder = os.path.join(places.cache.root, "wine")
    prefix = prepared_prefix(wine, folder, runner, places.cache.lock, places.progress.note, owner)
    directory, drive, read = laid_out_drive(image, spec.user, prefix, owner, places, with_base=with_base)
    names = Names([os.path.join(prefix.root, DRIVE), os.path.join(directory, "root", DRIVE)])
    prepared = Prepared(
        translate(spec, wine, names, drive.account),
        (prefix.root, os.path.join(directory, "root")),
        choose_engine(engine, machine),
        (NOTICE, *drive.notes),
        SIGNALS,
        partial(ending_of, spec),
        spec.argv,
        loader_of(wine),
    )
    return prepared, read


def laid_out_drive(
    image: Image, user: str, prefix: Prefix, owner: Owner, places: Places, *, with_base: bool
) -> tuple[str, Drive, int]:
    """The image's laid out drive, made when it is not there; and how many layers were read for it."""
    folder = os.path.join(places.cache.root, "wine")
    key = drive_key(prefix, image.digest, user, with_base=with_base)
    directory = os.path.join(folder, key)
    if (found := _read_drive(directory)) is not None:
        return directory, found, 0
    with places.cache.lock(f"wine-{key}"):
        if (found := _read_drive(directory)) is not None:
            return directory, found, 0
        base = base_of(image, places)
        below = 0 if with_base else base.count
        listed = each(
            places.jobs,
            lambda number: layer_files(image, number, places, fetch=True) if number >= below else None,
            range(len(image.layers)),
        )
        view = make_view(image, listed)
        account = account_of(user, base.flavour)
        with made_whole(folder, key) as new:
            root = os.path.join(new, "root")
            os.mkdir(root)
            notes = lay_out(view, prefix, account, root, base_layers=max(base.count, windows_layers(view)))
            give_to(root, owner)
            drive = Drive(account, notes)
            with open(os.path.join(new, "drive.json"), "xb") as file:
                file.write(msgspec.json.encode(drive))
        return directory, drive, len(image.layers) - below


def _read_drive(directory: str) -> Drive | None:
    try:
        with open(os.path.join(directory, "drive.json"), "rb") as file:
            return msgspec.json.decode(file.read(), type=Drive)
    except (OSError, msgspec.MsgspecError):
        return None
