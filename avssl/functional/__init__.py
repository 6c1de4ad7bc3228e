"""Pure tensors to tensors: no state, no rank, no config, no I/O."""
# ruff: noqa: I001  # names of one module stay in one statement

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach

if TYPE_CHECKING:
    from avssl.functional.clustering import prototype_scores as prototype_scores, sinkhorn as sinkhorn
    from avssl.functional.consensus import agreement as agreement
    from avssl.functional.contrastive import (
        info_nce as info_nce,
        nce as nce,
        nce_rows as nce_rows,
        softmax_rows as softmax_rows,
        spectral_contrastive as spectral_contrastive,
    )
    from avssl.functional.distillation import dino as dino, negative_cosine as negative_cosine
    from avssl.functional.entropy import (
        density_entropy as density_entropy,
        discrete_entropy as discrete_entropy,
        discrete_likelihood as discrete_likelihood,
        discrete_reconstruction as discrete_reconstruction,
        kde_entropy as kde_entropy,
        kde_log_density as kde_log_density,
        vmf_reconstruction as vmf_reconstruction,
    )
    from avssl.functional.hypersphere import (
        alignment as alignment,
        centre_gap as centre_gap,
        relative_deviation as relative_deviation,
        uniformity as uniformity,
    )
    from avssl.functional.masking import (
        hidden_error as hidden_error,
        normalize_patches as normalize_patches,
        num_shown as num_shown,
        patchify as patchify,
        put_back as put_back,
        shown_at_random as shown_at_random,
        take as take,
        unpatchify as unpatchify,
    )
    from avssl.functional.matrix_information import (
        effective_rank as effective_rank,
        matrix_entropy as matrix_entropy,
        matrix_joint_entropy as matrix_joint_entropy,
        matrix_mutual_information as matrix_mutual_information,
        total_coding_rate as total_coding_rate,
        uniformity_square as uniformity_square,
    )
    from avssl.functional.redundancy import (
        barlow_twins as barlow_twins,
        covariance_penalty as covariance_penalty,
        variance_hinge as variance_hinge,
    )
    from avssl.functional.retrieval import (
        average_precision as average_precision,
        chance_mean_average_precision as chance_mean_average_precision,
        chance_median_rank as chance_median_rank,
        chance_recall_at_k as chance_recall_at_k,
        expected_recall as expected_recall,
        ranks as ranks,
        recall_at_k as recall_at_k,
    )
    from avssl.functional.sampling import rows_excluding as rows_excluding
    from avssl.functional.seeding import seed_for as seed_for
    from avssl.functional.vmf import vmf_log_normalizer as vmf_log_normalizer

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "prototype_scores": "avssl.functional.clustering",
        "sinkhorn": "avssl.functional.clustering",
        "agreement": "avssl.functional.consensus",
        "info_nce": "avssl.functional.contrastive",
        "nce": "avssl.functional.contrastive",
        "nce_rows": "avssl.functional.contrastive",
        "softmax_rows": "avssl.functional.contrastive",
        "spectral_contrastive": "avssl.functional.contrastive",
        "dino": "avssl.functional.distillation",
        "negative_cosine": "avssl.functional.distillation",
        "density_entropy": "avssl.functional.entropy",
        "discrete_entropy": "avssl.functional.entropy",
        "discrete_likelihood": "avssl.functional.entropy",
        "discrete_reconstruction": "avssl.functional.entropy",
        "kde_entropy": "avssl.functional.entropy",
        "kde_log_density": "avssl.functional.entropy",
        "vmf_reconstruction": "avssl.functional.entropy",
        "alignment": "avssl.functional.hypersphere",
        "centre_gap": "avssl.functional.hypersphere",
        "relative_deviation": "avssl.functional.hypersphere",
        "uniformity": "avssl.functional.hypersphere",
        "hidden_error": "avssl.functional.masking",
        "normalize_patches": "avssl.functional.masking",
        "num_shown": "avssl.functional.masking",
        "patchify": "avssl.functional.masking",
        "put_back": "avssl.functional.masking",
        "shown_at_random": "avssl.functional.masking",
        "take": "avssl.functional.masking",
        "unpatchify": "avssl.functional.masking",
        "effective_rank": "avssl.functional.matrix_information",
        "matrix_entropy": "avssl.functional.matrix_information",
        "matrix_joint_entropy": "avssl.functional.matrix_information",
        "matrix_mutual_information": "avssl.functional.matrix_information",
        "total_coding_rate": "avssl.functional.matrix_information",
        "uniformity_square": "avssl.functional.matrix_information",
        "barlow_twins": "avssl.functional.redundancy",
        "covariance_penalty": "avssl.functional.redundancy",
        "variance_hinge": "avssl.functional.redundancy",
        "average_precision": "avssl.functional.retrieval",
        "chance_mean_average_precision": "avssl.functional.retrieval",
        "chance_median_rank": "avssl.functional.retrieval",
        "chance_recall_at_k": "avssl.functional.retrieval",
        "expected_recall": "avssl.functional.retrieval",
        "ranks": "avssl.functional.retrieval",
        "recall_at_k": "avssl.functional.retrieval",
        "rows_excluding": "avssl.functional.sampling",
        "seed_for": "avssl.functional.seeding",
        "vmf_log_normalizer": "avssl.functional.vmf",
    },
)
