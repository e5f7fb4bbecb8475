"""A turnless consumer needs memory, but no turn: it runs beside whoever has one."""


def test_it_runs_beside_a_turn(house):
    house.open({"chat": house.fake("chat", "6GiB", run_ms=800),
                "embed": house.fake("embed", "1GiB", turnless=True, kind="embedding")})
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    with house.openai() as client:
        answer = client.embeddings.create(model="embed", input="hello", encoding_format="float")
    assert answer.data[0].embedding == [0.5, 0.5]
    assert house.line(consumer="chat", stage="running")
    assert chat.status == 200
