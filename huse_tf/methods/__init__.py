"""All methods by name. A new method is a new file and a row here.

`find_method` also finds methods from outside the package: installed ones by name (entry points of the group
`huse_tf.methods`), and any by MODULE:CLASS.
"""

import inspect

from huse_tf import plugins
from huse_tf.errors import UserError, unknown_name
from huse_tf.methods.adamine import AdaMine
from huse_tf.methods.base import Method
from huse_tf.methods.cca import Cca
from huse_tf.methods.clip import Clip
from huse_tf.methods.cme import Cme
from huse_tf.methods.deep_cca import DeepCca
from huse_tf.methods.devise import Devise, DeviseStar
from huse_tf.methods.dscmr import Dscmr
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.methods.hie import Hie
from huse_tf.methods.huse import Huse, HusePaper
from huse_tf.methods.huse_p import HuseP
from huse_tf.methods.huse_plus import HusePlus
from huse_tf.methods.late_fusion import LateFusion
from huse_tf.methods.linear_probe import LinearProbe
from huse_tf.methods.modality_weights import ModalityWeights
from huse_tf.methods.separate import Separate
from huse_tf.methods.siglip import SigLip
from huse_tf.methods.triplet import Triplet
from huse_tf.methods.vse_pp import VsePp

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        AdaMine,
        Cca,
        Clip,
        Cme,
        DeepCca,
        Devise,
        DeviseStar,
        Dscmr,
        FashionBert,
        Hie,
        Huse,
        HuseP,
        HusePaper,
        HusePlus,
        LateFusion,
        LinearProbe,
        ModalityWeights,
        Separate,
        SigLip,
        Triplet,
        VsePp,
    )
}

_names: dict[type[Method], str] = {}  # of methods from outside, as they were asked for


def find_method(name: str) -> type[Method]:
    """The method that --method=NAME means.

    Args:
        name: a row of `METHODS`, an installed entry point, or MODULE:CLASS.

    Raises:
        UserError: there is none of this name, it is no method, or it may not be imported (`plugins`).
    """
    if name in METHODS:
        return METHODS[name]
    found = plugins.find(plugins.METHODS, name)
    if found is None or found[1] != name:
        raise unknown_name("method", name, [*METHODS, *plugins.installed(plugins.METHODS)])
    kind = found[0]
    if not (isinstance(kind, type) and issubclass(kind, Method)) or inspect.isabstract(kind):
        raise UserError(
            "Expected a subclass of huse_tf.methods.base.Method with a name, build_model and "
            f"build_objective. Received: --method={name}."
        )
    _names[kind] = name
    return kind


def method_name(kind: type[Method]) -> str:
    """The value of --method that means this class."""
    if METHODS.get(kind.name) is kind:
        return kind.name
    return _names.get(kind, f"{kind.__module__}:{kind.__qualname__}")
