"""Embeddings by Infinity, which has no request to unload and is ended to make room."""
import pytest

from real_parts import needs
from real_harness import TWO_AI_MODELS

pytestmark = [needs("infinity"), pytest.mark.timeout(600)]


def test_infinity_embeds_and_frees_its_memory(harness):
    harness.start_with({"embed": harness.infinity(footprint="300MiB")}, gpu=TWO_AI_MODELS,
                       devices=[{"id": "gpu0", "reserve": "0"}])
    with harness.openai() as client:
        answer = client.embeddings.create(model="embed", input=["a short text", "another"])
    assert [len(row.embedding) for row in answer.data] == [384, 384]
    assert harness.held() > 50 << 20
    assert harness.post("/v1/consumers/embed/unload").status_code in (200, 202)
    harness.wait_for_nothing_held()
