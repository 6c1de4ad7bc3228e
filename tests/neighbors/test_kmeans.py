from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from avssl.functional.seeding import seed_for
from avssl.neighbors.clustering import spherical_kmeans


def unit(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def nearest(vectors: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    return (vectors @ centroids.T).max(1).values


def test_groups_that_lie_apart_are_found():
    label = torch.arange(120) % 2
    vectors = F.normalize(torch.eye(8)[label] + 0.1 * unit(120, 8), dim=1)
    assignments = spherical_kmeans(vectors, 2, seed=0).assignments
    assert assignments.equal(label) or assignments.equal(1 - label)


def test_where_it_has_converged_centroids_are_the_directions_of_their_clusters_means():
    vectors = unit(1500, 3)  # more than the 256 a cluster that FAISS would sample
    centroids, assignments = spherical_kmeans(vectors, 2, seed=1, iterations=100)
    for cluster in range(2):
        mean = F.normalize(vectors[assignments == cluster].mean(0), dim=0)
        torch.testing.assert_close(centroids[cluster], mean, atol=1e-5, rtol=0)


def test_every_vector_is_assigned_to_its_nearest_centroid():
    vectors = unit(300, 6)
    centroids, assignments = spherical_kmeans(vectors, 11, seed=0)
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(11))
    torch.testing.assert_close((vectors * centroids[assignments]).sum(1), nearest(vectors, centroids))


def test_iterations_bring_centroids_nearer():
    vectors = unit(400, 6)
    first, last = (spherical_kmeans(vectors, 9, seed=2, iterations=i).centroids for i in (1, 20))
    assert nearest(vectors, last).mean() > nearest(vectors, first).mean()


def test_the_seed_alone_decides():
    vectors, seed = unit(200, 6), seed_for(0, 3, "video", 1)
    again = spherical_kmeans(vectors, 9, seed)
    torch.manual_seed(5)
    assert spherical_kmeans(vectors, 9, seed).centroids.equal(again.centroids)
    assert not spherical_kmeans(vectors, 9, seed + 1).centroids.equal(again.centroids)


def test_fewer_different_vectors_than_clusters_leave_some_empty_and_nothing_undefined():
    vectors = unit(3, 6)[torch.arange(30) % 3]
    centroids, assignments = spherical_kmeans(vectors, 5, seed=0)
    assert assignments.unique().numel() == 3
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(5))
    assert (nearest(vectors, centroids) > 0.999).all()


def test_as_many_clusters_as_vectors_put_each_in_its_own():
    vectors = unit(7, 6)
    centroids, assignments = spherical_kmeans(vectors, 7, seed=0)
    torch.testing.assert_close(centroids[assignments], vectors)


def test_few_vectors_print_no_warning(capfd: pytest.CaptureFixture[str]):
    spherical_kmeans(unit(20, 6), 10, seed=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("k", [0, 21])
def test_the_number_of_clusters_must_fit(k: int):
    with pytest.raises(ValueError, match=f"k={k}; allowed: 1 to 20, the number of vectors"):
        spherical_kmeans(unit(20, 6), k, seed=0)
