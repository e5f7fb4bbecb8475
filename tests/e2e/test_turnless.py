"""A turnless consumer needs memory but no turn: it runs beside the consumer that has the turn."""


def test_it_runs_beside_a_turn(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB", run_ms=800),
                        "embed": harness.fake_consumer("embed", "1GiB", turnless=True, kind="embedding")})
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    with harness.openai() as client:
        answer = client.embeddings.create(model="embed", input="hello", encoding_format="float")
    assert answer.data[0].embedding == [0.5, 0.5]
    assert harness.tickets(consumer="chat", stage="running")
    assert chat.status == 200
