"""All methods by name. A new method is a new file and a row here."""

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
        ModalityWeights,
        Separate,
        SigLip,
        Triplet,
        VsePp,
    )
}
